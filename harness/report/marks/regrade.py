"""What grading a class again has changed: whose mark, from what to what, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.marks import CheckMark, Class, LabInfo, LabMark, State, StudentMark
from harness.report.markdown import text
from harness.units import moment, points

NAME = 60  # columns
MOST_CHECKS = 12  # that are named with one change
NO_CHANGE = "No mark has changed."
NEW, GONE = "in the class since now", "no longer in the class"
NOTHING_ELSE = "the rules or the weights have changed"


@dataclass(frozen=True)
class Change:
    """A mark that is another one now; None is one that a person has to decide, or that there was not."""

    key: str
    name: str
    lab: int | None  # None: the total alone, for another weight
    before: float | None
    after: float | None
    why: tuple[str, ...]


@dataclass(frozen=True)
class Regrade:
    """All that has changed between two gradings of a class."""

    old: Class
    new: Class
    changes: tuple[Change, ...]
    moved: int  # marks whose checks came out otherwise, and that are worth the same

    @property
    def counts(self) -> dict[str, int]:
        """How many marks rose, fell, came about, or went."""
        told = {"up": 0, "down": 0, "decided": 0, "undecided": 0}
        for change in self.changes:
            told[_direction(change)] += change.before != change.after
        return told


def _direction(change: Change) -> str:
    if change.before is None:
        return "decided"
    if change.after is None:
        return "undecided"
    return "up" if change.after > change.before else "down"


def regrade(old: Class, new: Class) -> Regrade:
    """Compare two gradings of a class, student by student (by the key) and lab by lab."""
    before, after = ({student.key: student for student in klass.students} for klass in (old, new))
    changes: list[Change] = []
    moved = 0
    for key in dict.fromkeys((*after, *before)):
        one, other = before.get(key), after.get(key)
        student = other or one
        assert student is not None
        found = []
        for number in sorted({lab.number for klass in (old, new) for lab in klass.labs}):
            was, now = (who.labs.get(number) if who else None for who in (one, other))
            if was is None and now is None:
                continue
            why = tuple(_why(one, other, was, now, _info(old, new, number)))
            if _points(was) != _points(now):
                found.append(Change(key, student.name, number, _points(was), _points(now), why or (NOTHING_ELSE,)))
            elif was and now and dict(was.checks) != dict(now.checks):
                moved += any(mark.status != _status(was.checks.get(name)) for name, mark in now.checks.items())
        totals = (klass.total(who) if who else None for klass, who in ((old, one), (new, other)))
        was_total, now_total = totals
        if not found and was_total != now_total:
            found.append(Change(key, student.name, None, was_total, now_total, (NOTHING_ELSE,)))
        changes += found
    return Regrade(old, new, tuple(changes), moved)


def regrade_markdown(old: Class, new: Class) -> str:
    """Return what has changed between two gradings of a class as Markdown, for the instructor."""
    return "\n".join(_page(regrade(old, new))) + "\n"


def _info(old: Class, new: Class, number: int) -> LabInfo:
    return next(lab for klass in (new, old) for lab in klass.labs if lab.number == number)


def _points(mark: LabMark | None) -> float | None:
    return mark.points if mark else None


def _status(mark: CheckMark | None) -> str:
    return mark.status if mark else ""


def _why(
    one: StudentMark | None, other: StudentMark | None, was: LabMark | None, now: LabMark | None, info: LabInfo
) -> Iterator[str]:
    if one is None or other is None:
        yield NEW if one is None else GONE
        return
    if was is None or now is None:
        yield f"lab {info.number} is {'new' if was is None else 'no longer graded'}"
        return
    yield from _of_the_hand_in(one, other, was, now)
    yield from _of_checks(was, now, info)
    if was.deduction != now.deduction:
        yield f"lateness costs {points(now.deduction)} instead of {points(was.deduction)} points"
    if was.override != now.override:
        yield _of_override(was.override, now.override)


def _of_the_hand_in(one: StudentMark, other: StudentMark, was: LabMark, now: LabMark) -> Iterator[str]:
    if was.state is State.NOTHING and now.state is not State.NOTHING:
        yield "newly handed in"
    elif now.state is State.NOTHING and was.state is not State.NOTHING:
        yield "no longer handed in"
    elif one.digest and other.digest and one.digest != other.digest:
        again = f" ({moment(one.handed_in)}, now {moment(other.handed_in)})" if one.handed_in != other.handed_in else ""
        yield f"what was handed in has changed{again}"
    if was.state is State.REVIEW and now.state is State.GRADED:
        yield "could be graded this time"
    if now.state is State.REVIEW and was.state is not State.REVIEW:
        yield f"a person has to look at it now: {now.reason or 'no reason given'}"


def _of_checks(was: LabMark, now: LabMark, info: LabInfo) -> Iterator[str]:
    names = [name for name in dict.fromkeys((*was.checks, *now.checks)) if was.checks and now.checks]
    told = [said for name in names if (said := _of_check(name, was.checks.get(name), now.checks.get(name)))]
    yield from told[:MOST_CHECKS]
    if len(told) > MOST_CHECKS:
        yield f"{len(told) - MOST_CHECKS} more checks came out otherwise"


def _of_check(name: str, was: CheckMark | None, now: CheckMark | None) -> str:
    if was is None or now is None:
        worth = now.points if now else -was.points if was else 0
        return f"{name} is {'made now' if was is None else 'no longer made'} ({worth:+g})"
    if was.status == now.status and was.points == now.points:
        return ""
    if was.status == now.status:
        return f"{name} is worth {points(now.points)} instead of {points(was.points)} ({now.points - was.points:+g})"
    unstable = ", unstable" if was.unstable or now.unstable else ""
    return f"{name}: {was.status}, now {now.status} ({now.points - was.points:+g}{unstable})"


def _of_override(was: dict[str, Any] | None, now: dict[str, Any] | None) -> str:
    if now is None:
        return "no longer marked by hand"
    again = "again " if was else ""
    return f"marked by hand {again}({points(float(now['points']))}: {now['reason']})"


def _page(told: Regrade) -> Iterator[str]:
    yield f"# {text(told.new.title or 'A class')}: graded again"
    yield ""
    yield f"Graded {text(moment(told.old.when))}, and again {text(moment(told.new.when))}."
    for what in ("kit", "seed", "tier", "rounds", "rule"):
        was, now = getattr(told.old, what), getattr(told.new, what)
        if was != now:
            yield f"The {what} was {text(str(was))}, and is {text(str(now))}."
    if told.new.warning:
        yield f"\n{text(told.new.warning)}"
    yield ""
    counts = told.counts
    if not told.changes:
        yield NO_CHANGE
    else:
        words = {"up": "higher", "down": "lower", "decided": "newly there", "undecided": "no longer there"}
        parts = [f"{counts[name]} {word}" for name, word in words.items() if counts[name]]
        yield f"**{len(told.changes)} marks have changed**: {', '.join(parts)}."
    if told.moved:
        yield f"With {told.moved} others some checks came out otherwise, and the mark is the same."
    if told.changes:
        yield ""
        yield "| student | lab | was | is | why |"
        yield "|---|---|---|---|---|"
        yield from map(_row, told.changes)


def _row(change: Change) -> str:
    lab = "total" if change.lab is None else str(change.lab)
    why = "; ".join(text(one) for one in change.why)
    return f"| {text(change.name, NAME)} | {lab} | {_worth(change.before)} | {_worth(change.after)} | {why} |"


def _worth(value: float | None) -> str:
    return "–" if value is None else points(value)
