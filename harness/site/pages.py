"""The sources of the site: the kit's own texts, linked with each other, and pages that are made of its code."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.cli import helps
from harness.course.layout import ROOT
from harness.course.manifest import load_course

HOME, INDEX = "README.md", "index.md"
FOR_TEACHERS = ("INSTRUCTORS.md", "harness/launch/CONTAINMENT.md", "CONTRIBUTING.md")
PAGES = ("labs/README.md", "labs/PROTOCOL.md", "labs/GLOSSARY.md", "notebooks/README.md")
BESIDE = {".py", ".toml"}  # files that a page may offer
NEVER = ("solutions/", "tests/")  # nobody publishes these by accident
MODULES = {
    "Talking to a program: harness.wire": ("peer", "transcript", "deadline", "listener", "relay", "segments", "ready"),
    "Programs under test: harness.launch": ("program", "command", "figures", "limits", "sockets"),
    "What must hold: harness.checks": ("mark", "bench", "subject", "visitor", "chat", "verdict"),
    "Many clients: harness.load": ("engine", "scenarios", "histogram", "outcome"),
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
TOCTREE = "\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


@dataclass(frozen=True)
class Part:
    """Pages under one heading of the navigation."""

    caption: str
    pages: tuple[str, ...]


def parts(for_students: bool) -> list[Part]:
    """Return the navigation; the first page of all is HOME."""
    labs = tuple(f"labs/{lab.handout}" for lab in load_course().labs)
    found = [Part("Labs", labs), Part("To look up", PAGES)]
    if not for_students:
        found.append(Part("For teachers", FOR_TEACHERS))
    reference = ("reference/commands.md", *(() if for_students else map(_page_of, MODULES)))
    return [*found, Part("Reference", tuple(reference))]


def _page_of(title: str) -> str:
    return f"reference/{title.rpartition('.')[2]}.md"


def sources(texts: Mapping[str, str], for_students: bool = False) -> dict[str, str | bytes]:
    """Return all files of the sources by their names, made of the kit's texts (by their names in the kit).

    A link to what the site does not have is left as words: no link of the site leads nowhere.
    """
    navigation = parts(for_students)
    made = {"reference/commands.md": _commands(for_students), **{_page_of(title): _module(title) for title in MODULES}}
    names = {HOME, *(page for part in navigation for page in part.pages)}
    files: dict[str, str | bytes] = {}
    for name in names:
        text = made.get(name) or texts[name]
        files[name] = text if name in made else _linked(text, name, names, texts, files)
    home = str(files.pop(HOME))
    trees = (TOCTREE.format(caption=part.caption, pages="\n".join(part.pages)) for part in navigation)
    return {**files, INDEX: home + "".join(trees)}


def _linked(text: str, name: str, names: set[str], texts: Mapping[str, str], files: dict[str, str | bytes]) -> str:
    """Return a page with its links as the site has them; what they offer beside pages is added to the files."""

    def link(found: re.Match[str]) -> str:
        picture, words, target, place = found[1], found[2], found[3], found[4] or ""
        if "://" in target:
            return found[0]
        path = _joined(name, target)
        if path in names:
            return f"[{words}]({_from(name, INDEX if path == HOME else path)}{place})"
        if picture or (PurePosixPath(path).suffix in BESIDE and path in texts and not path.startswith(NEVER)):
            files[path] = texts[path] if path in texts else (ROOT / path).read_bytes()
            return found[0]
        return words

    return LINK.sub(link, text)


def _joined(page: str, target: str) -> str:
    parts: list[str] = []
    for part in (PurePosixPath(page).parent / target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _from(page: str, target: str) -> str:
    return "../" * (len(PurePosixPath(page).parts) - 1) + target


def _commands(for_students: bool) -> str:
    """Return the page of the verbs, as their own help tells them."""
    told = ["# The command line", "", "Everything begins with `./lab` (`py lab` on Windows).", ""]
    for verb, text in helps(for_students).items():
        told += [f"## {verb}", "", "```text", text.rstrip(), "```", ""]
    return "\n".join(told)


def _module(title: str) -> str:
    heading, _, package = title.rpartition(": ")
    told = [f"# {heading}", ""]
    for module in MODULES[title]:
        told += [f"## {package}.{module}", "", "```{eval-rst}", f".. automodule:: {package}.{module}", "```", ""]
    return "\n".join(told)


def texts_of_the_kit() -> dict[str, str]:
    """Return what the pages are made of, and what they may offer."""
    names = [HOME, *PAGES, *FOR_TEACHERS, *(f"labs/{lab.handout}" for lab in load_course().labs)]
    names += [path.relative_to(ROOT).as_posix() for folder in ("labs", "harness") for path in _offered(ROOT / folder)]
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in names}


def _offered(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in BESIDE | {".svg"})
