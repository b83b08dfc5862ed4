"""What a student is told of a mark, as data: every page of feedback is made of it.

Hidden checks leave nothing here but their points: no name, no title, no message, no input.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.marks import CheckInfo, CheckMark, Class, LabInfo, LabMark, State, StudentMark
from harness.units import points

Results = Mapping[int, Mapping[str, Any]]  # by lab: what a run of its checks has written

AT_LENGTH = 3  # failures of a lab that are told with all evidence
MOST_TEXT, MOST_OUTPUT = 600, 4000  # characters
AGAIN = "./lab check {lab} -k {check} --seed {seed}"

BLOCKED = re.compile(r"'(.+)' does not hold")
DECIDES = "A person will look at this lab before it has a mark. It is no zero, and you need not do anything."
NOTHING = "Nothing was handed in for this lab. If you did hand it in, tell your instructor: it may have gone astray."
HIDDEN_HOLDS_UP = "not made: a check that must hold first does not"
MADE_BY_NOBODY = "it could not be made, which is not your fault: a person will look at it"


@dataclass(frozen=True)
class Told:
    """A public check: its sentence, and what became of it."""

    check: CheckInfo
    mark: CheckMark
    why: str = ""  # where there is no evidence: what is known
    verdict: Mapping[str, Any] | None = None  # with the evidence, as in results.json
    again: str = ""  # the command that shows it

    @property
    def rounds(self) -> str:
        """How often it failed, if not always."""
        return f"failed in {self.mark.failures} of {self.mark.attempts} rounds" if self.mark.unstable else ""


@dataclass(frozen=True)
class ToldLab:
    """One lab: what it is worth and why, and its public checks."""

    info: LabInfo
    points: float | None  # None: a person decides
    counts: float | None  # in the total
    sentences: tuple[str, ...]
    checks: tuple[Told, ...]

    def of_status(self, *statuses: str) -> list[Told]:
        """Return the checks with one of these verdicts, and those that hold only at times."""
        return [one for one in self.checks if one.mark.status in statuses]

    @property
    def failures(self) -> list[Told]:
        """Return what failed, in the order of the steps, then what held only at times."""
        return self.of_status("fail") + [one for one in self.of_status("pass") if one.mark.unstable]


@dataclass(frozen=True)
class Feedback:
    """All that a student is told."""

    klass: Class
    student: StudentMark
    total: float | None
    undecided: tuple[int, ...]  # labs
    labs: tuple[ToldLab, ...]


def feedback_of(klass: Class, student: StudentMark, results: Results) -> Feedback:
    """Return what a student is told, made of the marks and of the results (by lab) that they come from."""
    labs = tuple(_lab(klass, info, student.labs.get(info.number), results.get(info.number, {})) for info in klass.labs)
    undecided = tuple(one.info.number for one in labs if one.points is None)
    return Feedback(klass, student, klass.total(student), undecided, labs)


def _lab(klass: Class, info: LabInfo, mark: LabMark | None, results: Mapping[str, Any]) -> ToldLab:
    mark = mark or LabMark(State.NOTHING, max_points=info.max_points)
    verdicts = {verdict["id"]: verdict for verdict in results.get("checks", ())}
    veil = _Veil(info)
    checks = tuple(
        _check(info, check, mark.checks[check.id], verdicts.get(check.id), results.get("seed", klass.seed), veil)
        for check in info.checks
        if not check.hidden and check.id in mark.checks
    )
    counts = None
    if mark.points is not None and info.max_points:
        counts = round(info.weight * mark.points / info.max_points, 2)
    return ToldLab(info, mark.points, counts, tuple(_sentences(info, mark, checks, veil)), checks)


def _check(
    info: LabInfo, check: CheckInfo, mark: CheckMark, verdict: Mapping[str, Any] | None, seed: int, veil: "_Veil"
) -> Told:
    if mark.status == "blocked":
        return Told(check, mark, _held_up_by(info, mark.message, veil))
    if mark.status == "error":
        return Told(check, mark, MADE_BY_NOBODY)
    if mark.status == "pass" and not mark.unstable:
        return Told(check, mark)
    failed = _bounded(verdict) if verdict and verdict["status"] == "fail" else None
    again = "" if info.collective else AGAIN.format(lab=info.number, check=check.id, seed=seed)
    return Told(check, mark, mark.message, failed, again)


def _bounded(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict whose texts are short enough to be shown; of the output the end counts."""
    cut = {name: verdict[name][:MOST_TEXT] for name in ("message", "expected", "received", "server")}
    return {**verdict, **cut, "output": verdict["output"][-MOST_OUTPUT:]}


def _held_up_by(info: LabInfo, message: str, veil: "_Veil") -> str:
    """Say why a check was not made: which one must hold first, as students know it."""
    if not veil.lifted(message):
        return HIDDEN_HOLDS_UP
    needed = BLOCKED.fullmatch(message)
    title = next((check.title for check in info.checks if needed and check.id == needed[1]), "")
    return f"not made, because this must hold first: {title}" if title else f"not made: {message}"


def _sentences(info: LabInfo, mark: LabMark, checks: tuple[Told, ...], veil: "_Veil") -> Iterator[str]:
    """Yield how the points came about."""
    if mark.state is State.NOTHING:
        yield NOTHING
    if mark.points is None:
        yield DECIDES
        if veil.lifted(mark.reason):
            yield f"Why: {veil.lifted(mark.reason).rstrip('.')}."
    if checks:
        yield _how_many_hold(checks, bool(veil.hidden))
    if veil.hidden and mark.checks:
        made = [mark.checks[check.id] for check in veil.hidden if check.id in mark.checks]
        most = sum(check.points for check in veil.hidden)
        yield f"Hidden checks: {points(sum(one.points for one in made))} of {points(most)} points."
    if mark.late_days:
        days = "1 day" if mark.late_days == 1 else f"{mark.late_days} days"
        yield (
            f"It came {days} late, which costs {points(mark.deduction)} points."
            if mark.deduction
            else (f"It came {days} late, which costs nothing.")
        )
    if mark.override:
        was = f" The checks came to {points(mark.raw)} points." if mark.checks else ""
        yield f"Your instructor has set this mark by hand: {str(mark.override['reason']).rstrip('.')}.{was}"
    yield from (note for note in mark.notes if veil.lifted(note))


def _how_many_hold(checks: tuple[Told, ...], some_hidden: bool) -> str:
    held = sum(one.mark.status == "pass" for one in checks)
    which = "public checks" if some_hidden else "checks"
    earned, most = sum(one.mark.points for one in checks), sum(one.mark.max_points for one in checks)
    how_many = f"All {which} hold" if held == len(checks) else f"{held} of {len(checks)} {which} hold"
    return f"{how_many}: {points(earned)} of {points(most)} points."


class _Veil:
    """Keeps back each text that names a hidden check."""

    def __init__(self, info: LabInfo) -> None:
        self.hidden = [check for check in info.checks if check.hidden]
        names = [re.escape(name) for check in self.hidden for name in (check.id, check.title) if name]
        self._names = re.compile(rf"(?<![\w-])(?:{'|'.join(names)})(?![\w-])") if names else None

    def lifted(self, told: str) -> str:
        """Return a text that students may read, "" for one that they may not."""
        return "" if self._names and self._names.search(told) else told
