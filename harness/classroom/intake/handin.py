"""What a hand-in is, once it is taken in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Student:
    """A person, as far as known; what is not known is "". All of it was written by others: escape it to show it."""

    id: str = ""  # the learning platform's number
    name: str = ""
    email: str = ""
    login: str = ""
    sid: str = ""  # the school's number

    def filled(self, other: "Student") -> "Student":
        """Return this student, with what is not known taken from `other`."""
        return Student(*(getattr(self, one.name) or getattr(other, one.name) for one in fields(self)))

    def __str__(self) -> str:
        return self.name or self.login or self.email or self.sid or self.id or "nobody"


@dataclass(frozen=True)
class HandIn:
    """What one student (or a group) handed in at one time."""

    key: str  # the same whenever the same source is taken in again; letters, digits and "-" only
    origin: str  # the name in the source
    students: tuple[Student, ...]
    folder: Path  # where it lies, alone
    files: Mapping[str, Path] = field(default_factory=dict)  # by their POSIX paths in the hand-in
    digest: str = ""  # SHA-256 over names and bytes, the same from whichever kind of archive
    handed_in: datetime | None = None  # as the platform says
    late: bool | None = None  # None: the platform does not say
    attempt: int | None = None
    counts: bool = True  # False: a newer one of the same student does
    status: str = "ok"  # or "unreadable": nothing of it could be taken in
    reason: str = ""  # why it is unreadable, in words
    notes: tuple[str, ...] = ()  # what its reader should know, in words

    @property
    def student(self) -> Student:
        """The student; of a group, the first."""
        return self.students[0] if self.students else Student()


@dataclass(frozen=True)
class Intake:
    """All that was handed in, and who handed in nothing."""

    layout: str
    hand_ins: tuple[HandIn, ...]
    missing: tuple[Student, ...] = ()  # on the roster, without a hand-in
    unknown: tuple[str, ...] = ()  # the keys of hand-ins of nobody on the roster
    notes: tuple[str, ...] = ()  # about the source as a whole

    @property
    def counting(self) -> tuple[HandIn, ...]:
        """The hand-ins that count: the latest of each student."""
        return tuple(one for one in self.hand_ins if one.counts)
