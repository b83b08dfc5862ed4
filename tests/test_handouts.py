"""The handouts tell the truth: what they quote is what the kit prints (links and commands: test_documents.py).

A block of a handout that follows `<!-- expect: done=1.3 -->` is compared with a real run of its `$ ./lab ...`, in a
copy of the kit whose student has written all steps up to 1.3 (or none) just as the solutions do. `...` stands for
lines left out.
"""

import ast
import doctest
import importlib
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import PATIENCE

from harness.checks.mark import Declaration, check_id
from harness.course import Lab, Step, load_course, protocol, stubs
from harness.course.layout import CHECKS, LABS, ROOT, SOLUTIONS
from harness.launch import Command
from harness.launch.command import python_program
from harness.launch.program import Program

COURSE = load_course()
TRY = ["strace", "-qq", "-o", os.devnull, "true"]
CAN_TRACE = shutil.which("strace") is not None and subprocess.run(TRY, capture_output=True, check=False).returncode == 0
HANDOUTS = [LABS / lab.handout for lab in COURSE.labs]
PAGES = [LABS / "README.md", *HANDOUTS]
STEPS = [step for lab in COURSE.labs for step in lab.steps]
SECTIONS = [
    "What you will learn",
    "How long it takes",
    "The idea",
    "What usually goes wrong",
    "Look at it",
    "Predict, then run",
    "Further reading",
]
BLOCK = re.compile(r"^(?:<!-- expect: done=(\S+) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VERDICT = re.compile(r"^ ([✓✗]) (\d+\.\d+)  (.+)$", re.MULTILINE)
SVG = "{http://www.w3.org/2000/svg}"

# What differs from run to run is written alike before a comparison.
VARYING = [
    (r"\bruns/\d{4}-\d\d-\d\d-\d{6}[\w-]*/", "runs/RUN/"),
    (r"127\.0\.0\.1:(?!5555\b)\d+", "127.0.0.1:PORT"),
    (r"'[a-z]{12}(\\n)?'", r"'WORD\1'"),  # words that no program can know beforehand
    (r"\bline \d+", "line N"),
    (r"\[\d\d:\d\d:\d\d\]", "[HH:MM:SS]"),
    (r"\b\d+ (s|seconds)\b", r"N \1"),  # deadlines follow the speed of the machine
    (r"^ +\d+\.\d  ", "T "),  # milliseconds, in front of a line of a transcript
    (r" +", " "),
]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    done: str | None  # the last step that is done in the real run to which it is compared
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2], match[3])
        for match in BLOCK.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
QUOTED = [block for block in BLOCKS if block.done]
PYTHON = [block for block in BLOCKS if block.language == "python"]


def checks() -> Iterator[Callable[..., object]]:
    """Every check function of the kit."""
    for path in sorted(CHECKS.glob("check_*.py")):
        module = importlib.import_module(f"harness.checks.{path.stem}")
        yield from (value for value in vars(module).values() if hasattr(value, "pytestmark"))


def declared(function: Callable[..., object]) -> Declaration:
    [mark] = [mark for mark in function.pytestmark if mark.name == "check"]  # type: ignore[attr-defined]
    declaration = mark.args[0]
    assert isinstance(declaration, Declaration)
    return declaration


TITLES = {check_id(function.__name__): " ".join((function.__doc__ or "").split()) for function in checks()}


# What the pages name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_verdict_has_the_title_of_a_check_of_its_step(page: Path) -> None:
    for _, step, title in VERDICT.findall(page.read_text(encoding="utf-8")):
        assert title in [TITLES[name] for name in COURSE.step(step).checks], f"{page.name}: {step}  {title}"


def test_readme_leads_to_every_handout_and_names_every_file() -> None:
    text = (LABS / "README.md").read_text(encoding="utf-8")
    for lab in COURSE.labs:
        row = next(line for line in text.splitlines() if line.startswith(f"| {lab.number} |"))
        assert f"[{lab.title}]({lab.handout})" in row
        assert f"| {lab.minutes} |" in row
        assert all(f"`{file}`" in row for file in lab.files)


# What the handouts contain


@pytest.mark.parametrize("lab", COURSE.labs, ids=lambda lab: lab.handout)
def test_a_handout_has_its_sections_in_order(lab: Lab) -> None:
    text = (LABS / lab.handout).read_text(encoding="utf-8")
    steps = [f"Step {step.id}: {step.title}" for step in lab.steps]
    assert text.startswith(f"# Lab {lab.number}: {lab.title}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [*SECTIONS[:3], *steps, *SECTIONS[3:]]


@pytest.mark.parametrize("lab", COURSE.labs, ids=lambda lab: lab.handout)
def test_the_times_add_up(lab: Lab) -> None:
    text = (LABS / lab.handout).read_text(encoding="utf-8")
    told = re.search(r"^About (\d+) minutes: (.+)\.$", text, re.MULTILINE)
    assert told
    parts = [int(number) for number in re.findall(r"(?<![\d.])\d+(?![\d.])", told[2])]
    assert int(told[1]) == lab.minutes == sum(parts)


@pytest.mark.parametrize("lab", COURSE.labs, ids=lambda lab: lab.handout)
def test_answers_are_folded_away(lab: Lab) -> None:
    text = (LABS / lab.handout).read_text(encoding="utf-8")
    questions = text.partition("## Predict, then run\n")[2].partition("\n## ")[0]
    number = len(re.findall(r"^\d+\. ", questions, re.MULTILINE))
    assert number >= 3
    assert len(re.findall(r"<details><summary>Answer</summary>\n\n.+?\n\n +</details>", questions, re.DOTALL)) == number


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.id)
def test_a_step_shows_the_failure_before_and_the_green_after(step: Step) -> None:
    quoted = [block for block in QUOTED if block.page.name == COURSE.lab(step.lab).handout]
    command = f"$ ./lab check {step.id}"
    shown = {block.done: block.text for block in quoted if block.text.startswith(command)}
    before = STEPS[STEPS.index(step) - 1].id if step is not STEPS[0] else "none"
    assert any(sign == "✗" and name == step.id for sign, name, _ in VERDICT.findall(shown[before]))
    signs = {sign for sign, _, _ in VERDICT.findall(shown[step.id])}
    assert signs == {"✓"}


# What the pages quote


def test_no_expectation_is_overlooked() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert text.count("<!-- expect") == len(QUOTED)


@pytest.mark.parametrize("block", QUOTED, ids=str)
def test_what_is_quoted_is_what_is_printed(block: Block, tmp_path: Path) -> None:
    command, *quoted = block.text.splitlines()
    assert command.startswith("$ ./lab")
    printed = run_kit(make_kit(tmp_path / "kit", block.done or ""), shlex.split(command)[2:])
    missing = first_missing(quoted, printed)
    assert missing is None, f"not printed by `{command[2:]}`:\n{missing}\n\nwhat it printed:\n{printed}"


def make_kit(folder: Path, last: str) -> Path:
    """Copy the kit; its student has done all steps up to `last`."""
    done = [step.id for step in STEPS[: [step.id for step in STEPS].index(last) + 1]] if last != "none" else []
    for name in ("harness", "solutions"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    labs = folder / "labs"
    labs.mkdir()
    shutil.copy(LABS / "PROTOCOL.md", labs)
    for file in COURSE.files:
        text = stubs.fill((SOLUTIONS / file).read_text(encoding="utf-8"), done)
        (labs / file).write_text(text, encoding="utf-8")
    (labs / "progress.txt").write_text("".join(f"{step} done 2026-09-01 14:05\n" for step in done))
    return folder


def run_kit(folder: Path, words: list[str]) -> str:
    """Run `lab` there as a student would; return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    environment |= {"PYTHONUTF8": "1", "COLUMNS": "100", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
    ).stdout


def first_missing(quoted: list[str], printed: str) -> str | None:
    """Return the first quoted passage that was not printed behind the ones before it, None if all were.

    Lines of a passage follow each other directly; between passages stands `...`. Blank lines do not count.
    """
    lines = [alike(line) for line in printed.splitlines() if line.strip()]
    place = 0
    passages = "\n".join(alike(line) for line in quoted if line.strip()).split("\n...\n")
    for text in passages:
        passage = [line for line in text.split("\n") if line not in ("", "...")]
        starts = (at for at in range(place, len(lines) + 1) if lines[at : at + len(passage)] == passage)
        start = next(starts, None)
        if start is None:
            return "\n".join(passage)
        place = start + len(passage)
    return None


def alike(line: str) -> str:
    """Write a line without what differs from run to run."""
    for pattern, stand_in in VARYING:
        line = re.sub(pattern, stand_in, line)
    return line.strip()


def test_what_was_not_printed_is_found_missing() -> None:
    printed = " ✓ one\n ✗ two\n\n      12.3  connects to 127.0.0.1:20001\nend\n"
    assert first_missing([" ✓ one", "...", "  9.0  connects to 127.0.0.1:31000", "end"], printed) is None
    assert first_missing([" ✓ one", "end"], printed) == "✓ one\nend"
    assert first_missing(["end", "...", " ✓ one"], printed) == "✓ one"
    assert first_missing([" ✗ one"], printed) == "✗ one"


# What is typed beside the kit

NC = [block for block in BLOCKS if re.match(r"\$ .*\| nc -N 127\.0\.0\.1 5555", block.text)]
STRACE = [block for block in BLOCKS if block.text.startswith("$ strace -e ")]
SAID = {"lab01.md": [b"hello\n", b"x"], "lab02.md": [b"hel", b"lo\nyou\n"]}  # to whom strace watches


def test_blocks_of_tools_are_found() -> None:
    assert {block.page.name for block in NC} == {"lab01.md", "lab02.md"}
    assert {block.page.name for block in STRACE} >= set(SAID)


@pytest.mark.skipif(shutil.which("nc") is None, reason="nc is not installed")
@pytest.mark.parametrize("block", NC, ids=str)
def test_what_nc_shows_is_what_is_quoted(block: Block) -> None:
    program = next(lab.program for lab in COURSE.labs if lab.handout == block.page.name)
    with Program(python_program(SOLUTIONS / program)) as server:
        assert server.wait_listening(lambda: PATIENCE)
        for told in block.text.removeprefix("$ ").split("\n$ "):
            command, _, quoted = told.partition("\n")
            typed = command.replace("5555", str(server.port)).replace("python3", shlex.quote(sys.executable))
            done = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, timeout=PATIENCE, check=False)
            assert done.stdout.rstrip("\n") == quoted.rstrip("\n"), command


@pytest.mark.skipif(not CAN_TRACE, reason="strace is not installed, or may not trace")
@pytest.mark.parametrize("block", [block for block in STRACE if block.page.name in SAID], ids=str)
def test_what_strace_shows_is_what_is_quoted(block: Block, tmp_path: Path) -> None:
    command, *quoted = block.text.splitlines()
    *words, _, _ = shlex.split(command.removeprefix("$ "))
    program = next(lab.program for lab in COURSE.labs if lab.handout == block.page.name)
    log = tmp_path / "strace"
    watched = (*words, "-o", str(log), sys.executable, str(SOLUTIONS / program))
    with Program(Command(watched, SOLUTIONS)) as server:
        assert server.wait_listening(lambda: PATIENCE)
        pieces = SAID[block.page.name]
        clients = [pieces] if block.page.name == "lab02.md" else [[piece] for piece in pieces]
        for number, said in enumerate(clients, start=1):
            with socket.create_connection(server.address, timeout=PATIENCE) as ann:
                for piece in said:
                    ann.sendall(piece)
                    wait_until_traced(log, f'"{piece.decode()}"'.replace("\n", "\\n"))
                if number < len(clients) or len(clients) == 1:
                    ann.shutdown(socket.SHUT_WR)
                    while ann.recv(100):
                        pass
                else:
                    ann.recv(100)
                    ann.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until_traced(log, quoted[-1].split("(")[0] + "(", last=True)
    missing = first_missing([as_traced(line) for line in quoted], as_traced(log.read_text(encoding="utf-8")))
    assert missing is None, f"{missing}\n\nstrace said:\n{log.read_text(encoding='utf-8')}"


def wait_until_traced(log: Path, text: str, last: bool = False) -> None:
    """Wait until strace has noted a call with a text; with `last`, until it is in the last finished line."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lines = [line for line in log.read_text(encoding="utf-8").splitlines() if " = " in line]
        if lines and text in (lines[-1] if last else "\n".join(lines)):
            return
        time.sleep(0.01)  # polls a file that nobody announces
    raise AssertionError(f"strace has not seen {text}")


def as_traced(text: str) -> str:
    """Write calls without what differs from run to run: ports, descriptors, addresses."""
    for pattern, stand_in in ((r"htons\(\d+\)", "htons(PORT)"), (r"\b0x[0-9a-f]+", "ADDRESS"), (r"\(\d, ", "(FD, ")):
        text = re.sub(pattern, stand_in, text)
    return re.sub(r"close\(\d\)", "close(FD)", re.sub(r" = \d+$", " = N", text, flags=re.MULTILINE))


# Python in the handouts


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_in_a_handout_runs_or_parses(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    if ">>>" not in block.text:
        ast.parse(block.text)
        return
    monkeypatch.syspath_prepend(str(SOLUTIONS))
    example = doctest.DocTestParser().get_doctest(block.text, {}, str(block), str(block.page), block.line)
    said: list[str] = []
    outcome = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert outcome.failed == 0, "".join(said)
    assert outcome.attempted > 0


# Pictures


@pytest.mark.parametrize("picture", sorted((LABS / "pictures").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_used_told_in_words_and_readable_on_a_dark_page(picture: Path) -> None:
    assert any(f"](pictures/{picture.name})" in page.read_text(encoding="utf-8") for page in PAGES)
    root = ElementTree.parse(picture).getroot()
    assert root.findtext(f"{SVG}title")
    assert root.findtext(f"{SVG}desc")
    _, _, width, height = root.attrib["viewBox"].split()
    told = {SVG + name for name in ("title", "desc", "style", "defs")}
    ground = next(child for child in root if child.tag not in told)
    assert ground.tag == f"{SVG}rect"
    assert (ground.attrib["width"], ground.attrib["height"]) == (width, height)
    assert ground.attrib["fill"].startswith("#f"), "a light ground, whatever page it stands on"


def test_the_picture_of_the_calls_names_what_the_hint_asks_for() -> None:
    text = (LABS / "pictures" / "lab01-calls.svg").read_text(encoding="utf-8")
    assert all(f">{call}()<" in text for call in ("socket", "setsockopt", "bind", "listen", "accept"))


# The contract


def test_the_protocol_has_all_its_clauses() -> None:
    names = [f"A{n}" for n in range(1, 6)] + [f"B{n}" for n in range(1, 7)] + [f"C{n}" for n in range(1, 9)]
    assert sorted(protocol.clauses()) == names
    assert all(protocol.clauses().values())


@pytest.mark.parametrize("function", list(checks()), ids=lambda function: check_id(function.__name__))
def test_a_check_quotes_its_clause(function: Callable[..., object]) -> None:
    declaration = declared(function)
    assert declaration.quote
    assert protocol.says(declaration.clause, declaration.quote), f"{declaration.clause} does not say so"
