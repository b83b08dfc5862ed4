"""The kit as a student gets it: no solutions, no tests, nothing that gives an answer away.

A release is made of texts, always the same ones from the same kit: what the course names (never what else lies in
`labs/`), the harness, and stubs made from the solutions. They are there twice, in `labs/` to work on and in `GIVEN`, to
compare with and to begin again from.
"""

import os
import re
import shutil
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from harness.archive import zipped
from harness.course.layout import CLASSROOM, GIVEN, LABS, NOTEBOOKS, ROOT
from harness.course.manifest import MANIFEST, Lab
from harness.course.stubs import pristine

NAME = "socket-lab-kit"  # of the folder in a zip
README = Path(__file__).with_name("student.md")
PROGRAM = "lab"  # the one file that is executed
BESIDE = (PROGRAM, "LICENSE", "pyproject.toml", "requirements.lock", ".gitignore")
PAGES = ("README.md", "PROTOCOL.md", "GLOSSARY.md")
CODE = {".py", ".toml", ".ini", ".html"}  # what the harness consists of
FOR_TEACHERS = {CLASSROOM.name, "site", "hidden", "__pycache__"}  # folders of the harness
LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
SEE = re.compile(r"^See (.*); source: ")  # the last line of each word in the glossary


class ReleaseError(Exception):
    """A release cannot be made, or not be written there; the text says why."""


def contents(labs: Sequence[Lab]) -> dict[str, str]:
    """Return the texts of a release with some labs by their names, in the order of the names.

    Raise MarkerError, OSError or ReleaseError where the kit itself is not as it should be.
    """
    files = {name: _text(ROOT / name) for name in BESIDE}
    files |= {_name(path): _text(path) for path in (*_harness(), *_notebooks())}
    files[_name(MANIFEST)] = _manifest(files[_name(MANIFEST)], {lab.number for lab in labs})
    for file in (file for lab in labs for file in lab.files):
        files[_name(LABS / file)] = files[_name(GIVEN / file)] = pristine(file)
    pages = {"README.md": _text(README)}
    pages |= {_name(path): _text(path) for path in NOTEBOOKS.glob("README.md")}
    pages |= {_name(LABS / page): _text(LABS / page) for page in (*PAGES, *(lab.handout for lab in labs))}
    for lab in labs:
        pictures = sorted((LABS / "pictures").glob(f"{Path(lab.handout).stem}-*.svg"))
        files |= {_name(path): _text(path) for path in pictures}
    names = {*files, *pages}
    files |= {name: _page(text, name, names) for name, text in pages.items()}
    return dict(sorted(files.items()))


def _harness() -> Iterator[Path]:
    for path in (ROOT / "harness").rglob("*"):
        parts = path.relative_to(ROOT).parts
        left_out = FOR_TEACHERS.intersection(parts) or any(part.startswith(".") for part in parts)
        if path.suffix in CODE and path.is_file() and not left_out:
            yield path


def _notebooks() -> Iterator[Path]:
    for pattern in ("*.ipynb", "requirements.lock", "figures/*.svg"):
        yield from NOTEBOOKS.glob(pattern)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ReleaseError(f"{_name(path)} is no text in UTF-8: {error}") from None


def _manifest(text: str, numbers: Collection[int]) -> str:
    """Return the course with some labs only."""
    head, *labs = re.split(r"^(?=\[\[lab\]\]$)", text, flags=re.MULTILINE)
    return head + "".join(lab for lab in labs if tomllib.loads(lab)["lab"][0]["number"] in numbers)


def _page(text: str, name: str, names: Collection[str]) -> str:
    """Return a page whose links all lead somewhere.

    A row of a table that leads to what is not there is left out, and so is one place of several in the glossary;
    anywhere else the words of the link stay.
    """

    def leads_somewhere(link: re.Match[str]) -> bool:
        target = os.path.normpath(Path(name).parent / link[2])
        return "://" in link[2] or Path(target).as_posix() in names

    lines = []
    for line in text.splitlines():
        dead = [link for link in LINK.finditer(line) if not leads_somewhere(link)]
        if dead and line.startswith("|"):
            continue
        if dead and (see := SEE.match(line)):
            kept = ", ".join(link[0] for link in LINK.finditer(see[1]) if leads_somewhere(link))
            line = (f"See {kept}; source: " if kept else "Source: ") + line[see.end() :]
        lines.append(LINK.sub(lambda link: link[0] if leads_somewhere(link) else link[1], line))
    return "\n".join(lines) + "\n"


# Writing


def write(files: Mapping[str, str], target: Path, replace: bool = False) -> None:
    """Write a release whole or not at all: a zip if the target's name ends so, else a folder.

    Raise ReleaseError where something is in the way, OSError where it cannot be written.
    """
    target = target.resolve()
    as_zip = target.suffix.lower() == ".zip"
    _check_place(target, as_zip, replace)
    fresh, old = (target.with_name(f".{target.name}.{os.getpid()}.{what}") for what in ("new", "old"))
    try:
        if as_zip:
            contents = {f"{NAME}/{name}": text.encode() for name, text in files.items()}
            fresh.write_bytes(zipped(contents, programs={f"{NAME}/{PROGRAM}"}))
        else:
            _write_folder(files, fresh)
            if target.exists():
                target.rename(old)
        fresh.replace(target)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        if as_zip:
            fresh.unlink(missing_ok=True)
        for folder in (fresh, old):
            shutil.rmtree(folder, ignore_errors=True)


def _check_place(target: Path, as_zip: bool, replace: bool) -> None:
    if not target.parent.is_dir():
        raise ReleaseError(f"there is no folder {target.parent}")
    if not target.exists():
        return
    if as_zip != target.is_file() or not (as_zip or (target / GIVEN.relative_to(ROOT)).is_dir()):
        raise ReleaseError(f"{target} is there already, and is no release; choose another name with -o")
    if not replace:
        raise ReleaseError(f"{target} is there already; --force replaces it and all that is in it")


def _write_folder(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        path.chmod(0o755 if name == PROGRAM else 0o644)
