"""The mutants: the solutions with one mistake each, such as real students make.

A mutant names the clause of PROTOCOL.md that it breaks, tells what its author thought, and says which check meets
it first. They are read from lab1.toml, lab2.toml and so on, each with replacements in the files of solutions/:

    [[mutant]]
    name = "strips-the-line"
    clause = "B3"                      # what it breaks
    file = "framing.py"
    story = "What the author thought."
    caught_by = ["keeps-the-text"]     # the first check that fails is one of these
    old = '''text that occurs exactly once in the solution'''
    new = '''what stands there instead'''

One that needs several replacements has `[[mutant.change]]` tables (old, new and, where it differs, file) instead of
`old` and `new`. One that trips over a check of another clause first (of `caught_by`, the first one) says so:
`seen_as = "A1"`. The chats' mutants are tried with the checks that are named alone; with all checks, in their order, by
`mutation.py --seeded 4 6`.

    python3 catalogue.py               # lists them
    python3 catalogue.py NAME          # prints the diff of one
"""

from __future__ import annotations

import difflib
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOLUTIONS = HERE.parents[1] / "solutions"
PROGRAMS = {
    1: "lab01_blocking_echo.py",
    2: "lab02_line_server.py",
    3: "lab03_threaded_echo.py",
    4: "lab04_threaded_chat.py",
    5: "lab05_select_echo.py",
    6: "lab06_select_chat.py",
    7: "lab07_chat_client.py",
    8: "lab08_epoll_chat.py",
    9: "lab09_asyncio_chat.py",
}
KEYS = {"name", "clause", "seen_as", "file", "story", "caught_by", "old", "new", "change"}


class CatalogueError(Exception):
    """A mutant that cannot be read or made; the text names it."""


@dataclass(frozen=True)
class Change:
    """One replacement in one file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """One wrong version of a lab's solution."""

    lab: int
    name: str
    clause: str  # of PROTOCOL.md
    seen_as: str  # the clause of the check that meets it first, nearly always the same
    story: str
    caught_by: tuple[str, ...]
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        return f"{self.lab}-{self.name}"

    def write(self, folder: Path, solutions: Path = SOLUTIONS) -> Path:
        """Write all programs into `folder`, this mutant's files changed; return the path of its program."""
        for file in sorted(solutions.glob("*.py")):
            shutil.copy(file, folder / file.name)
        for change in self.changes:
            path = folder / change.file
            text = path.read_text(encoding="utf-8")
            if (found := text.count(change.old)) != 1:
                raise CatalogueError(
                    f"mutant {self.name} of lab {self.lab}: this occurs {found} times in {change.file}, "
                    f"and has to occur once:\n{change.old}"
                )
            path.write_text(text.replace(change.old, change.new), encoding="utf-8")
            compile(path.read_text(encoding="utf-8"), f"{change.file} of mutant {self}", "exec")
        return folder / PROGRAMS[self.lab]


def load_mutants() -> tuple[Mutant, ...]:
    """Read the mutants of every lab; raise CatalogueError where one is malformed."""
    mutants = tuple(mutant for lab in PROGRAMS for mutant in _of_lab(lab))
    names = [str(mutant) for mutant in mutants]
    if twice := {name for name in names if names.count(name) > 1}:
        raise CatalogueError(f"names that occur twice: {', '.join(sorted(twice))}")
    return mutants


def _of_lab(lab: int) -> Iterator[Mutant]:
    path = HERE / f"lab{lab}.toml"
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]:
        try:
            yield _mutant(lab, entry)
        except KeyError as error:
            raise CatalogueError(f"{path.name}, mutant {entry.get('name', '?')}: it has no {error}") from None


def _mutant(lab: int, entry: dict[str, Any]) -> Mutant:
    if unknown := set(entry) - KEYS:
        raise CatalogueError(f"mutant {entry['name']} of lab {lab}: unknown keys {', '.join(sorted(unknown))}")
    places = entry.get("change") or [entry]
    return Mutant(
        lab=lab,
        name=entry["name"],
        clause=entry["clause"],
        seen_as=entry.get("seen_as", entry["clause"]),
        story=entry["story"],
        caught_by=tuple(entry["caught_by"]),
        changes=tuple(Change(place.get("file") or entry["file"], place["old"], place["new"]) for place in places),
    )


def diff(mutant: Mutant) -> str:
    """Return what a mutant changes, as a unified diff."""
    lines: list[str] = []
    for file in dict.fromkeys(change.file for change in mutant.changes):
        before = after = (SOLUTIONS / file).read_text(encoding="utf-8")
        for change in mutant.changes:
            if change.file == file:
                after = after.replace(change.old, change.new)
        lines += difflib.unified_diff(before.splitlines(), after.splitlines(), file, str(mutant), lineterm="")
    return "\n".join(lines)


def main() -> None:
    """List the mutants, or show one."""
    if wanted := sys.argv[1:]:
        for mutant in load_mutants():
            if {mutant.name, str(mutant)} & set(wanted):
                print(f"{mutant} ({mutant.clause}): {mutant.story}\n{diff(mutant)}\n")
        return
    for mutant in load_mutants():
        print(f"{mutant!s:36} {mutant.clause:3} {' or '.join(mutant.caught_by):28} {mutant.story}")


if __name__ == "__main__":
    main()
