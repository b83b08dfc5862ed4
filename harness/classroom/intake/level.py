"""One level of a source, in which hand-ins may lie, and the bundles into which it is sorted."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from harness.classroom.intake.entries import Entry
from harness.classroom.intake.handin import Student
from harness.classroom.intake.names import does_not_count, parts_of, stem

COPY = re.compile(r"(?P<stem>.+?)\s*\((?P<number>\d+)\)")  # as browsers name a second download


@dataclass
class Bundle:
    """The entries of one hand-in, by their names in it, and what the platform tells of it."""

    identity: str  # of the same hand-in in the same class, always the same
    origin: str
    students: tuple[Student, ...] = ()
    handed_in: datetime | None = None
    late: bool | None = None
    attempt: int | None = None
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    words: tuple[str, ...] = ()  # of a name that may be anything of a student's
    problem: str = ""  # why there can be nothing

    @property
    def modified(self) -> float:
        """When its newest file was changed, in seconds since 1970, as far as the source knows."""
        return max((entry.modified for _, entry in self.entries if entry.kind == "file"), default=0.0)


@dataclass(frozen=True)
class Level:
    """A folder of a source, in which hand-ins may lie."""

    name: str
    entries: tuple[tuple[tuple[str, ...], Entry], ...]  # below it, by the parts of their names
    lines: Callable[[Entry], Iterable[str]]  # reads a file of the platform's
    program_files: frozenset[str] = frozenset()  # as the course names them
    named: bool = False  # whether somebody said which layout it is

    def tops(self) -> dict[str, list[tuple[str, Entry]]]:
        """Return what lies below each name in here, by the rest of its name ("" for what bears it)."""
        found: dict[str, list[tuple[str, Entry]]] = {}
        for parts, entry in self.entries:
            if not does_not_count(parts[:1]):
                found.setdefault(parts[0], []).append(("/".join(parts[1:]), entry))
        return found

    def text(self, name: str) -> Iterable[str] | None:
        """Return the lines of a file in here, None if there is no such file."""
        entry = next((one for parts, one in self.entries if parts == (name,) and one.kind == "file"), None)
        return None if entry is None or entry.problem else self.lines(entry)

    def below(self) -> "Level | None":
        """Return the one folder that is all there is in here, None if there is more."""
        tops = self.tops()
        if len(tops) != 1 or any(not rest and entry.kind != "folder" for rest, entry in next(iter(tops.values()))):
            return None
        (name,) = tops
        inner = tuple((parts[1:], entry) for parts, entry in self.entries if parts[0] == name and len(parts) > 1)
        return replace(self, name=name, entries=inner)


def is_file(below: list[tuple[str, Entry]]) -> bool:
    """Whether what bears a name is a file."""
    return len(below) == 1 and below[0][0] == "" and below[0][1].kind == "file"


def stray(name: str, below: list[tuple[str, Entry]], why: str = "") -> Bundle:
    """Return the bundle of what bears a name and is no platform's: a folder, an archive or a file of a student's."""
    entries = [(rest or name, entry) for rest, entry in below if rest or entry.kind != "folder"]
    owner = COPY.sub(r"\g<stem>", stem(name) if is_file(below) else name)
    notes = [why] if why else []
    return Bundle(f"plain {name}", name, (Student(name=owner),), entries=entries, words=(owner,), notes=notes)


def top_level(
    name: str, entries: list[Entry], lines: Callable[[Entry], Iterable[str]], files: Iterable[str]
) -> tuple[Level, list[Entry]]:
    """Return a source's first level, and the entries that are outside of it (absolute, or going up)."""
    inside, outside = [], []
    for entry in entries:
        parts = parts_of(entry.name)
        if not parts or parts[0] == ".." or entry.name[:1] in ("/", "\\"):
            outside.append(entry)
        else:
            inside.append((parts, entry))
    return Level(name, tuple(inside), lines, frozenset(files)), outside
