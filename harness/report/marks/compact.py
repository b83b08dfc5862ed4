"""A class as the script of its page reads it: small, and harmless.

A lab of a student is an object without what is as usual. Its verdicts are a letter a check, in the order of the lab's
checks (LETTERS); for each check that fails stands, in the same order, the place of its cause.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from harness.classroom.marks import CheckMark, Class, LabInfo, LabMark, State, StudentMark
from harness.report.marks.insight import Trouble
from harness.report.safe import one_line

LETTERS = {"pass": "p", "fail": "f", "blocked": "b", "error": "e"}
UNSTABLE = {"p": "u", "f": "v"}  # held, or failed, and not in each round
NOT_MADE = "-"
STATES = {State.GRADED: "", State.NOTHING: "nothing", State.REVIEW: "review"}
NAME, WORDS = 80, 200  # columns


def compact(klass: Class, troubles: Sequence[Trouble], feedback: Mapping[str, str]) -> dict[str, Any]:
    """Return what the script needs; `feedback` is the file of each student, by the key."""
    causes: list[str] = []
    failing: dict[tuple[int, str, int], int] = {}  # lab, check and student: the place of the cause
    for trouble in troubles:
        for cause in trouble.causes:
            failing |= {(trouble.lab.number, trouble.check.id, place): len(causes) for place in cause.students}
            causes.append(one_line(cause.message, WORDS))
    return {
        "labs": [_lab_info(lab) for lab in klass.labs],
        "most": klass.max_total,
        "causes": causes,
        "students": [
            _student(klass, student, place, failing, feedback.get(student.key, ""))
            for place, student in enumerate(klass.students)
        ],
    }


def _lab_info(lab: LabInfo) -> dict[str, Any]:
    return {
        "number": lab.number,
        "title": one_line(lab.title),
        "most": lab.max_points,
        "checks": [
            {"id": one_line(check.id), "title": one_line(check.title), "step": check.step, "hidden": check.hidden}
            for check in lab.checks
        ],
    }


def _student(
    klass: Class, student: StudentMark, place: int, failing: Mapping[tuple[int, str, int], int], feedback: str
) -> dict[str, Any]:
    told = {
        "name": one_line(student.name, NAME),
        "who": " ".join(one_line(word, NAME) for word in (student.id, student.login, student.email) if word),
        "section": one_line(student.section, NAME),
        "handedIn": one_line(student.handed_in, NAME),
        "notes": [one_line(note) for note in student.notes],
        "stranger": not student.on_roster,
        "feedback": quote(feedback),
        "total": klass.total(student),
        "labs": [_lab(lab, student.labs.get(lab.number), place, failing) for lab in klass.labs],
    }
    return {name: value for name, value in told.items() if value or name == "total"}


def _lab(lab: LabInfo, mark: LabMark | None, place: int, failing: Mapping[tuple[int, str, int], int]) -> dict[str, Any]:
    if mark is None:
        return {"state": STATES[State.NOTHING], "points": 0}
    letters = [letter_of(mark.checks.get(check.id)) for check in lab.checks]
    told = {
        "state": STATES[mark.state],
        "points": mark.points,
        "late": mark.late_days,
        "byHand": one_line(str(mark.override["reason"]), WORDS) if mark.override else "",
        "reason": one_line(mark.reason),
        "notes": [one_line(note) for note in mark.notes],
        "verdicts": "".join(letters) if mark.checks else "",
        "causes": [found for check in lab.checks if (found := failing.get((lab.number, check.id, place))) is not None],
        "seconds": round(mark.seconds, 1),
        "results": quote(mark.results),
    }
    return {name: value for name, value in told.items() if value or name == "points"}


def letter_of(mark: CheckMark | None) -> str:
    """Return the letter of a verdict."""
    letter = LETTERS[mark.status] if mark else NOT_MADE
    return UNSTABLE.get(letter, letter) if mark and mark.unstable else letter
