"""Marks: what the checks of a class came to, by student, lab and check, and what that is worth.

All reports and exports are made from a Class alone, which is also what `grades.json` holds.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA = 1


UNCONTAINED = (
    "The programs ran in the tier plain, without a wall around them: a hostile one could have changed "
    "results, also those of others."
)


class State(StrEnum):
    """What is known of one student's lab. Only GRADED and NOTHING have a mark without a person's word."""

    GRADED = "graded"
    NOTHING = "not handed in"
    REVIEW = "to be looked at"  # the harness failed, the time was over, or it could not be read: no zero by accident


@dataclass(frozen=True)
class CheckMark:
    """One check of one student."""

    status: str  # pass, fail, blocked, error
    points: float
    max_points: float
    message: str = ""
    limit: str = ""  # the name of a limit beyond which the program went
    attempts: int = 1
    failures: int = 0

    @property
    def unstable(self) -> bool:
        """Whether it held in some rounds, and not in others."""
        return 0 < self.failures < self.attempts


@dataclass(frozen=True)
class LabMark:
    """One lab of one student."""

    state: State
    raw: float = 0.0  # points of its checks
    max_points: float = 0.0
    late_days: int = 0
    deduction: float = 0.0  # points that lateness costs
    override: dict[str, Any] | None = None  # {"points", "reason"}: what the instructor has decided
    reason: str = ""  # for REVIEW: what is to be looked at
    notes: tuple[str, ...] = ()
    checks: Mapping[str, CheckMark] = field(default_factory=dict)
    seconds: float = 0.0
    tier: str = ""
    results: str = ""  # the file with all evidence, as seen from the folder of the report

    @property
    def points(self) -> float | None:
        """What it is worth; None as long as a person has not decided."""
        if self.override:
            return float(self.override["points"])
        if self.state is State.REVIEW:
            return None
        return round(max(0.0, self.raw - self.deduction), 2)


@dataclass(frozen=True)
class StudentMark:
    """One student, or one hand-in that belongs to nobody on the roster."""

    key: str  # unique, and stable between runs
    name: str
    id: str = ""  # the learning platform's number
    login: str = ""
    email: str = ""
    section: str = ""
    handed_in: str = ""  # ISO 8601
    digest: str = ""  # of what was handed in: whether it is still the same
    notes: tuple[str, ...] = ()
    labs: Mapping[int, LabMark] = field(default_factory=dict)
    on_roster: bool = True
    sid: str = ""  # the school's number

    @property
    def to_be_looked_at(self) -> bool:
        """Whether a person has to decide something before there is a mark."""
        return any(lab.points is None for lab in self.labs.values())


@dataclass(frozen=True)
class CheckInfo:
    """One check that was made of everybody."""

    id: str
    title: str
    step: str
    points: float
    hidden: bool = False  # students see neither its name nor what it found
    section: str = ""  # the heading of the lab's handout under which one learns it
    notebook: str = ""  # the file of the notebook that shows it


@dataclass(frozen=True)
class LabInfo:
    """One lab that was graded."""

    number: int
    title: str
    handout: str
    max_points: float
    weight: float  # what all of its points count in the total
    checks: tuple[CheckInfo, ...]
    collective: bool = False  # made of the programs of all: nobody can make its checks again alone

    @property
    def name(self) -> str:
        """How it is called where there is little room."""
        return self.title if self.collective else f"Lab {self.number}"

    @property
    def heading(self) -> str:
        """How it is called at length."""
        return self.title if self.collective else f"Lab {self.number}: {self.title}"


@dataclass(frozen=True)
class Meeting:
    """What came of one client and one server that met, each named by the key of its hand-in."""

    server: str
    client: str
    held: int  # scenes, from the first on
    message: str = ""  # what went wrong in the next one


@dataclass(frozen=True)
class InteropMap:
    """Every client of a class against every server of it, or as many of them as were drawn."""

    server_lab: int
    client_lab: int
    scenes: tuple[str, ...]
    servers: tuple[str, ...]  # the keys of those who handed in one
    clients: tuple[str, ...]
    meetings: tuple[Meeting, ...]
    names: Mapping[str, str]  # of the hand-ins, by their keys
    partners: int = 0  # how many were drawn for each; 0: everybody met everybody
    notes: tuple[str, ...] = ()

    def of_server(self, key: str) -> list[Meeting]:
        """Return what came of the meetings of a server."""
        return [meeting for meeting in self.meetings if meeting.server == key]

    def of_client(self, key: str) -> list[Meeting]:
        """Return what came of the meetings of a client."""
        return [meeting for meeting in self.meetings if meeting.client == key]

    @property
    def sound_servers(self) -> set[str]:
        """Those who get through all scenes with the reference client."""
        return {one.server for one in self.of_client(REFERENCE) if one.held == len(self.scenes)}

    @property
    def sound_clients(self) -> set[str]:
        """Those who get through all scenes with the reference server."""
        return {one.client for one in self.of_server(REFERENCE) if one.held == len(self.scenes)}


TOGETHER = 0  # the number of the lab in which all programs of a class are made to work together
REFERENCE = "the reference"  # stands for a hand-in's key: the kit's own solution


@dataclass(frozen=True)
class Class:
    """A class and its marks."""

    title: str
    when: str  # ISO 8601
    seed: int
    tier: str
    kit: str  # version
    rounds: int  # how often each check was made
    rule: str  # "all" or "majority" of the rounds have to hold
    labs: tuple[LabInfo, ...]
    students: tuple[StudentMark, ...]
    notes: tuple[str, ...] = ()  # for the instructor: a weak tier, hand-ins that belong to nobody
    interop: InteropMap | None = None

    @property
    def warning(self) -> str:
        """What every report says where programs were not contained; "" where they were."""
        return UNCONTAINED if self.tier == "plain" else ""

    def lab(self, number: int) -> LabInfo:
        """Return a lab that was graded."""
        return next(lab for lab in self.labs if lab.number == number)

    @property
    def max_total(self) -> float:
        """What all labs are worth together."""
        return sum(lab.weight for lab in self.labs)

    def total(self, student: StudentMark) -> float | None:
        """Return what a student has, None as long as a person has not decided on all of it."""
        total = 0.0
        for lab in self.labs:
            mark = student.labs.get(lab.number)
            if mark is None:
                continue
            if mark.points is None:
                return None
            total += lab.weight * mark.points / lab.max_points if lab.max_points else 0.0
        return round(total, 2)

    def as_dict(self) -> dict[str, Any]:
        """Return it as it stands in grades.json: sums are written beside what they are made of."""
        told = asdict(self)
        told["schema"], told["max_total"], told["warning"] = SCHEMA, self.max_total, self.warning
        for student, row in zip(self.students, told["students"], strict=True):
            row["total"] = self.total(student)
            row["labs"] = {str(number): mark for number, mark in row["labs"].items()}
            for number, mark in student.labs.items():
                row["labs"][str(number)]["points"] = mark.points
        return told


def class_from(told: dict[str, Any]) -> Class:
    """Read what as_dict() has returned."""
    fields = {name: told[name] for name in ("title", "when", "seed", "tier", "kit", "rounds", "rule")}
    labs = tuple(
        LabInfo(**{**lab, "checks": tuple(CheckInfo(**check) for check in lab["checks"])}) for lab in told["labs"]
    )
    students = tuple(_student(row) for row in told["students"])
    interop = _interop(told["interop"]) if told.get("interop") else None
    return Class(**fields, labs=labs, students=students, notes=tuple(told["notes"]), interop=interop)


def _interop(told: dict[str, Any]) -> InteropMap:
    fields = {**told, "meetings": tuple(Meeting(**meeting) for meeting in told["meetings"])}
    return InteropMap(**fields | {name: tuple(told[name]) for name in ("scenes", "servers", "clients", "notes")})


def _student(row: dict[str, Any]) -> StudentMark:
    fields = {name: value for name, value in row.items() if name != "total"}
    fields["notes"] = tuple(fields["notes"])
    fields["labs"] = {int(number): _lab(mark) for number, mark in row["labs"].items()}
    return StudentMark(**fields)


def _lab(mark: dict[str, Any]) -> LabMark:
    fields = {name: value for name, value in mark.items() if name != "points"}
    fields["state"] = State(fields["state"])
    fields["notes"] = tuple(fields["notes"])
    fields["checks"] = {name: CheckMark(**check) for name, check in mark["checks"].items()}
    return LabMark(**fields)
