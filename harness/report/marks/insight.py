"""What a class shows when it is looked at as a whole: how points are spread, which checks tell apart, what breaks."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import correlation

from harness.classroom.marks import CheckInfo, CheckMark, Class, LabInfo, LabMark, State, StudentMark
from harness.report.safe import one_line

BINS = 10
FEW = 10  # students; of fewer, a correlation says nothing
LONGEST = 160  # columns of a cause
QUOTED = re.compile(r"""b?'(?:[^'\\]|\\.)*'|b?"(?:[^"\\]|\\.)*\"""")
NUMBER = re.compile(r"(?<![\w-])\d[\d.,:]*\b")
WHAT_CAME = re.compile(r"\b(and got|it shows) .*")


@dataclass(frozen=True)
class Item:
    """One check, made of everybody whose lab was graded."""

    lab: int
    check: CheckInfo
    made: int  # with a verdict on the program: neither errors nor those who handed in nothing
    held: int
    blocked: int  # of those that did not hold: a check before it did not
    errors: int
    unstable: int
    discrimination: float | None  # point-biserial correlation with the points of the lab's other checks

    @property
    def share(self) -> float:
        """How many of those whom it was made of pass it, from 0 to 1."""
        return self.held / self.made if self.made else 0.0


@dataclass(frozen=True)
class Cause:
    """One way in which a check fails, and the places (in Class.students) of those with whom it does."""

    message: str
    students: tuple[int, ...]


@dataclass(frozen=True)
class Trouble:
    """A check that fails, by its causes, the most frequent first."""

    lab: LabInfo
    check: CheckInfo
    graded: int  # students whose lab was
    causes: tuple[Cause, ...]

    @property
    def students(self) -> tuple[int, ...]:
        """The places of all with whom it fails."""
        return tuple(sorted(place for cause in self.causes for place in cause.students))


def graded(klass: Class, lab: int) -> list[tuple[StudentMark, LabMark]]:
    """Return those whose lab was graded, and their marks in it."""
    marks = [(student, student.labs.get(lab)) for student in klass.students]
    return [(student, mark) for student, mark in marks if mark and mark.state is State.GRADED]


def items(klass: Class, lab: LabInfo) -> list[Item]:
    """Return the analysis of each check of a lab."""
    marks = [mark for _, mark in graded(klass, lab.number)]
    return [_item(lab.number, check, marks) for check in lab.checks]


def _item(lab: int, check: CheckInfo, marks: Sequence[LabMark]) -> Item:
    made = [(one, mark.raw - one.points) for mark in marks if (one := mark.checks.get(check.id))]
    judged = [(one, rest) for one, rest in made if one.status != "error"]
    held = [float(one.status == "pass") for one, _ in judged]
    return Item(
        lab,
        check,
        len(judged),
        int(sum(held)),
        sum(one.status == "blocked" for one, _ in judged),
        len(made) - len(judged),
        sum(one.unstable for one, _ in made),
        _point_biserial(held, [rest for _, rest in judged]),
    )


def _point_biserial(held: Sequence[float], rest: Sequence[float]) -> float | None:
    """Return the correlation of passing a check (0 or 1) with the points of all others, None if there is none."""
    if len(held) < FEW or len(set(held)) < 2 or len(set(rest)) < 2:
        return None
    return round(correlation(held, rest), 2)


def troubles(klass: Class) -> list[Trouble]:
    """Return the checks that fail, those with most students first; what is only blocked by them is none of them."""
    places = {student.key: place for place, student in enumerate(klass.students)}
    found = []
    for lab in klass.labs:
        marks = graded(klass, lab.number)
        for check in lab.checks:
            by_cause: dict[str, list[int]] = defaultdict(list)
            for student, mark in marks:
                one = mark.checks.get(check.id)
                if one and one.status == "fail":
                    by_cause[cause_of(one)].append(places[student.key])
            causes = [Cause(message, tuple(students)) for message, students in by_cause.items()]
            if causes:
                causes.sort(key=lambda cause: -len(cause.students))
                found.append(Trouble(lab, check, len(marks), tuple(causes)))
    return sorted(found, key=lambda trouble: -len(trouble.students))


def cause_of(mark: CheckMark) -> str:
    """Return why a check failed, without what differs from one program to the next: numbers, and what was received."""
    return f"went beyond the limit {mark.limit!r}, and was ended" if mark.limit else _without_details(mark.message)


@lru_cache(maxsize=10_000)
def _without_details(message: str) -> str:
    told = WHAT_CAME.sub(r"\1 …", NUMBER.sub("…", QUOTED.sub("…", one_line(message, 4 * LONGEST))))
    return one_line(told, LONGEST) or "no message"


def spread(points: Iterable[float], most: float) -> tuple[int, ...]:
    """Return how many have up to 10 %, 20 % and so on of so many points; whoever has a tenth exactly is in the next."""
    count = Counter(min(BINS - 1, max(0, int(BINS * one / most + 1e-9))) for one in points) if most else Counter()
    return tuple(count[place] for place in range(BINS))


def marks_of(klass: Class, lab: int | None) -> list[float]:
    """Return the points of all who have handed in and have a mark: in a lab, or (None) the totals."""
    if lab is None:
        handed_in = [
            one for one in klass.students if any(mark.state is not State.NOTHING for mark in one.labs.values())
        ]
        return [total for student in handed_in if (total := klass.total(student)) is not None]
    marks = [mark for one in klass.students if (mark := one.labs.get(lab)) and mark.state is not State.NOTHING]
    return [mark.points for mark in marks if mark.points is not None]
