"""Stubs from solutions.

In a solution, the lines that a student is to write stand between two markers:

    ### BEGIN SOLUTION 1.2: what is to be done, in a sentence or two
    ### (which may go on in further lines),
    data = connection.recv(65536)
    ### STUB
    #: data = b""
    ### END SOLUTION

The stub has a TODO with the sentence there, and the lines that stand behind `#:`; without a STUB part it
raises NotImplementedError. A step may have several places.

A student's copy of the kit, made by `lab release`, has no solutions, but the stubs as they were handed out.
"""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.course.layout import GIVEN, LABS, SOLUTIONS
from harness.course.manifest import load_course

BEGIN = re.compile(r"^(?P<indent> *)### BEGIN SOLUTION (?P<step>\d+\.\d+): (?P<text>.*)$")
STUB = "### STUB"
END = "### END SOLUTION"
WIDTH = 96  # columns of a TODO comment


class MarkerError(ValueError):
    """The markers of a solution do not fit together."""


@dataclass(frozen=True)
class Place:
    """One marked place of a solution."""

    step: str
    indent: str
    task: str
    solution: tuple[str, ...]
    stub: tuple[str, ...] | None

    def as_stub(self) -> list[str]:
        """Return the lines that a student finds there."""
        todo = _wrapped(f"TODO {self.step}: {self.task}", self.indent)
        if self.stub is None:
            return [*todo, f'{self.indent}raise NotImplementedError("step {self.step}")']
        return [*todo, *self.stub]


def parse(text: str) -> list[str | Place]:
    """Split a solution into its plain lines and its marked places; raise MarkerError with the line."""
    parts: list[str | Place] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        match = BEGIN.match(line)
        if match is None:
            if line.strip().startswith("### "):
                raise MarkerError(f"line {number}: {line.strip()!r} outside of a marked place")
            parts.append(line)
            continue
        parts.append(_place(match, number, lines))
    return parts


def _place(match: re.Match[str], number: int, lines: Iterator[tuple[int, str]]) -> Place:
    indent, task = match["indent"], [match["text"]]
    solution: list[str] = []
    stub: list[str] | None = None
    for _, line in lines:
        mark = line.strip()
        if mark == END:
            return Place(match["step"], indent, " ".join(task), tuple(solution), None if stub is None else tuple(stub))
        if mark == STUB:
            stub = []
        elif stub is not None:
            if not mark.startswith("#:"):
                raise MarkerError(f"line {number} and below: {mark!r} in a stub part; its lines begin with '#:'")
            stub.append((indent + mark[2:].removeprefix(" ")).rstrip())
        elif mark.startswith("### "):
            task.append(mark[4:])
        else:
            solution.append(line)
    raise MarkerError(f"line {number}: BEGIN SOLUTION without {END}")


def _wrapped(text: str, indent: str) -> list[str]:
    lines, line = [], f"{indent}#"
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = f"{indent}#  "
        line += f" {word}"
    return [*lines, line]


def fill(text: str, done: Container[str]) -> str:
    """Return the program of a student who has done the steps in `done` just as the solution does."""
    lines: list[str] = []
    for part in parse(text):
        if isinstance(part, str):
            lines.append(part)
        else:
            lines += part.solution if part.step in done else part.as_stub()
    return "\n".join(lines) + "\n"


def places_in(text: str) -> list[Place]:
    """Return the marked places of a solution."""
    return [part for part in parse(text) if isinstance(part, Place)]


def steps_in(text: str) -> set[str]:
    """Return the steps that have a place in a solution."""
    return {place.step for place in places_in(text)}


def has_solutions() -> bool:
    """Whether this copy of the kit has the solutions (a student's copy has none)."""
    return SOLUTIONS.is_dir()


def has_stubs() -> bool:
    """Whether this copy of the kit can tell what a stub looks like."""
    return has_solutions() or GIVEN.is_dir()


@cache
def pristine(file: str) -> str:
    """Return the stub of a file as it is handed out."""
    return with_steps(file, ()) if has_solutions() else (GIVEN / file).read_text(encoding="utf-8")


def with_steps(file: str, done: Container[str]) -> str:
    """Return a file as it is once the steps in `done` are written just as the solution does."""
    try:
        return fill((SOLUTIONS / file).read_text(encoding="utf-8"), done)
    except MarkerError as error:
        raise MarkerError(f"{file}, {error}") from None


def is_untouched(file: str) -> bool:
    """Whether a student has not yet changed a file."""
    path = LABS / file
    return has_stubs() and path.is_file() and path.read_text(encoding="utf-8") == pristine(file)


def differing() -> list[str]:
    """Return the files in labs/ that are not what the solutions give."""
    return [file for file in load_course().files if not is_untouched(file)]


def keep_aside(path: Path) -> Path | None:
    """Move a file out of the way, to a name beside it that is free; return that name."""
    if not path.exists():
        return None
    number = 1
    while (kept := path.with_name(f"{path.name}.kept-{number}")).exists():
        number += 1
    path.rename(kept)
    return kept


def put_stub(file: str) -> Path | None:
    """Write the stub of a file to labs/; return where the file that was there before is kept, if it differed."""
    path = LABS / file
    stub = pristine(file)
    if path.is_file() and path.read_text(encoding="utf-8", errors="surrogateescape") == stub:
        return None
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(stub, encoding="utf-8")
    kept = keep_aside(path)
    fresh.replace(path)
    return kept
