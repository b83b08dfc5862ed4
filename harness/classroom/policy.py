"""How a class is marked: weights of labs, deadlines, what lateness costs, what the instructor decides by hand."""

import csv
import io
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from harness.course import Lab
from harness.errors import UsageError
from harness.marks import TOGETHER

OVERRIDES = ("student", "lab", "points", "reason")
EXAMPLE = """title = "Computer networks"

[weights]           # of each lab in the total; labs that are not named count their own points
1 = 10
6 = 30

[late]
grace = 10          # minutes after the deadline that cost nothing
per_day = 10        # percent of a lab's points for each day that has begun
at_most = 50        # percent, however late
deadlines.6 = 2026-12-01T23:59:00+01:00

[interop]           # everybody's client of lab 7 with everybody's chat server
points = 10         # in the total: half for the client, half for the server
partners = 15       # how many are drawn for each; without it everybody, in a large class 15
"""


@dataclass(frozen=True)
class Late:
    """What lateness costs."""

    deadlines: Mapping[int, datetime] = field(default_factory=dict)  # of the labs
    grace: float = 0.0  # minutes
    per_day: float = 0.0  # percent of a lab's points for each day that has begun
    at_most: float = 100.0  # percent

    def days(self, lab: int, handed_in: datetime | None) -> int:
        """Return how many days late something was handed in; a day that has begun counts."""
        deadline = self.deadlines.get(lab)
        if deadline is None or handed_in is None:
            return 0
        over = _aware(handed_in) - _aware(deadline) - timedelta(minutes=self.grace)
        return max(0, -(-over // timedelta(days=1)))

    def deduction(self, days: int, points: float) -> float:
        """Return how many of a lab's points so many days cost."""
        return points * min(self.at_most, days * self.per_day) / 100

    @property
    def sentences(self) -> tuple[str, ...]:
        """The rule in words, as reports state it."""
        if not self.deadlines:
            return ("No lab has a deadline.",)
        told = [
            f"Lab {lab} is due on {_aware(moment):%Y-%m-%d at %H:%M %Z}."
            for lab, moment in sorted(self.deadlines.items())
        ]
        if not self.per_day:
            return (*told, "Lateness costs nothing.")
        grace = f", after {self.grace:g} minutes of grace," if self.grace else ""
        most = f", {self.at_most:g} % at most" if self.at_most < 100 else ""
        days = f"Each day that has begun after a deadline{grace}"
        return (*told, f"{days} costs {self.per_day:g} % of the lab's points{most}.")


@dataclass(frozen=True)
class Together:
    """What it is worth that one's programs get on with those of others."""

    points: float = 0.0  # 0: nothing, and the map is made only if it is asked for
    partners: int | None = None  # who are drawn for each; 0: everybody; None: as many as is sensible


@dataclass(frozen=True)
class Override:
    """A mark that the instructor has given by hand; it stays, whatever is graded again."""

    points: float
    reason: str


@dataclass(frozen=True)
class Policy:
    """How the points of checks become marks."""

    title: str = ""
    weights: Mapping[int, float] = field(default_factory=dict)
    late: Late = field(default_factory=Late)
    together: Together = field(default_factory=Together)
    overrides: Mapping[tuple[str, int], Override] = field(default_factory=dict)  # by the student and the lab

    def weight(self, lab: Lab, most: float) -> float:
        """Return what a lab counts in the total; `most` is what its checks are worth together."""
        return self.weights.get(lab.number, most)

    def override(self, names: Iterator[str], lab: int) -> Override | None:
        """Return what was decided by hand for a student (under any of the names) and a lab."""
        return next((found for name in names if (found := self.overrides.get((name.casefold(), lab)))), None)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.astimezone(UTC)


def read_policy(file: Path | None, overrides: Path | None, labs: Mapping[int, Lab]) -> Policy:
    """Read a course file and a table of overrides; raise UsageError with the place of what is wrong."""
    told = _read_course(file) if file else {}
    if unknown := set(told) - {"title", "weights", "late", "interop"}:
        raise UsageError(
            f"{file}: there is no {min(unknown)!r}; it has title, [weights], [late] and [interop], such as:\n{EXAMPLE}"
        )
    weights = {
        _lab(number, labs, file): _number(value, f"{file}: the weight of lab {number}")
        for number, value in told.get("weights", {}).items()
    }
    return Policy(
        title=str(told.get("title", "")),
        weights=weights,
        late=_late(told.get("late", {}), labs, file),
        together=_together(told.get("interop", {}), file),
        overrides=_read_overrides(overrides, {TOGETHER: None, **labs}) if overrides and overrides.exists() else {},
    )


def _read_course(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read the course file {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}; it may look like this:\n{EXAMPLE}") from None


def _late(told: Mapping[str, Any], labs: Mapping[int, Lab], file: Path | None) -> Late:
    known = {"deadlines", "grace", "per_day", "at_most"}
    if unknown := set(told) - known:
        raise UsageError(f"{file}: [late] has no {min(unknown)!r}; it has {', '.join(sorted(known))}")
    deadlines = {}
    for number, moment in told.get("deadlines", {}).items():
        if not isinstance(moment, datetime):
            raise UsageError(
                f"{file}: a deadline is a date and a time, such as 2026-12-01T23:59:00+01:00; not {moment!r}"
            )
        deadlines[_lab(number, labs, file)] = moment
    numbers = {name: _number(told[name], f"{file}: {name}") for name in known - {"deadlines"} if name in told}
    return Late(deadlines, **numbers)


def _together(told: Mapping[str, Any], file: Path | None) -> Together:
    known = {"points", "partners"}
    if unknown := set(told) - known:
        raise UsageError(f"{file}: [interop] has no {min(unknown)!r}; it has {', '.join(sorted(known))}")
    partners = told.get("partners")
    if partners is not None and (isinstance(partners, bool) or not isinstance(partners, int) or partners < 0):
        raise UsageError(f"{file}: partners is a whole number, 0 for everybody; not {partners!r}")
    return Together(_number(told.get("points", 0), f"{file}: points of [interop]"), partners)


def _lab(number: str, labs: Mapping[int, object], file: Path | None) -> int:
    if not number.isdecimal() or int(number) not in labs:
        raise UsageError(f"{file}: there is no lab {number}; the labs are {', '.join(map(str, labs))}")
    return int(number)


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise UsageError(f"{what} is a number from 0 on, not {value!r}")
    return float(value)


def _read_overrides(file: Path, labs: Mapping[int, object]) -> dict[tuple[str, int], Override]:
    found = {}
    text = file.read_text(encoding="utf-8-sig")
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        place = f"{file}, line {number}"
        if set(OVERRIDES) - set(row):
            raise UsageError(f"{file} has the columns {', '.join(OVERRIDES)}; not {', '.join(map(str, row))}")
        try:
            points = float(row["points"])
        except (TypeError, ValueError):
            raise UsageError(f"{place}: points is a number, not {row['points']!r}") from None
        if not (row["reason"] or "").strip():
            raise UsageError(f"{place}: a mark that is given by hand needs a reason, which the student will read")
        student = row["student"].removeprefix("'").strip().casefold()
        found[student, _lab(row["lab"].strip(), labs, file)] = Override(points, row["reason"].strip())
    return found
