"""Gradescope: `results.json` of one hand-in.

Source: Gradescope's "Autograder Specifications" (gradescope-autograders.readthedocs.io, specs): `score` at the top
overrides the sum of the tests, a test without `score` and `status` is shown without them, `visibility: hidden` is
never shown to students. What a hidden check is called and what it found is therefore in the file, for the instructor
alone.
"""

import json
from typing import Any

from harness.classroom.exports.cells import number
from harness.marks import CheckInfo, CheckMark, LabInfo, LabMark, State
from harness.report.safe import safe

TEXT_FORMATS = ("output_format", "test_output_format", "test_name_format")
LONGEST = 20_000  # characters of what is told of one check

NOT_FINAL = "This is not a mark yet: {reason}. Your instructor will look at it. So far {points} of {most} points hold."
NOT_MADE = "The kit could not make this check. That is not your fault; it costs nothing, and a person will look at it."
BLOCKED = "Not made, for what it needs does not hold."


def results(lab: LabInfo, mark: LabMark) -> dict[str, Any]:
    """Return the results of a hand-in; of one that is to be looked at, what holds so far, and that it is not final."""
    return {
        "score": mark.raw if mark.points is None else mark.points,
        "execution_time": round(mark.seconds),
        "output": safe(told(lab, mark)),
        **dict.fromkeys(TEXT_FORMATS, "text"),
        "stdout_visibility": "hidden",
        "extra_data": {"state": str(mark.state), "tier": mark.tier, "final": mark.points is not None},
        "tests": [_test(check, mark.checks[check.id]) for check in lab.checks if check.id in mark.checks],
    }


def told(lab: LabInfo, mark: LabMark) -> str:
    """Say in words what a hand-in came to, and why."""
    most = number(lab.max_points)
    if mark.points is None:
        return NOT_FINAL.format(reason=mark.reason or "nobody has decided", points=number(mark.raw), most=most)
    lines = [f"{lab.heading}: {number(mark.points)} of {most} points."]
    if mark.state is State.NOTHING:
        lines.append(mark.reason or "Nothing was handed in.")
    if mark.override:
        lines.append(f"Your instructor has given this mark by hand: {mark.override['reason']}")
    elif mark.deduction:
        days = "1 day" if mark.late_days == 1 else f"{mark.late_days} days"
        lines.append(f"It came {days} late, which costs {number(mark.deduction)} of its {number(mark.raw)} points.")
    return "\n".join(lines)


def _test(check: CheckInfo, mark: CheckMark) -> dict[str, Any]:
    test: dict[str, Any] = {
        "name": check.title,
        "number": check.step,
        "output": safe(explained(mark))[:LONGEST],
        "visibility": "hidden" if check.hidden else "visible",
        "extra_data": {"check": check.id, "status": mark.status},
    }
    if mark.status == "error":
        return test
    status = "passed" if mark.status == "pass" else "failed"
    return test | {"score": mark.points, "max_score": mark.max_points, "status": status}


def explained(mark: CheckMark) -> str:
    """Say why a check has the outcome that it has."""
    if mark.status == "error":
        return NOT_MADE
    if mark.status == "blocked":
        return f"{BLOCKED} {mark.message}".rstrip()
    rounds = f"It held in {mark.attempts - mark.failures} of {mark.attempts} rounds. " if mark.unstable else ""
    return f"{rounds}{mark.message}"


def render(lab: LabInfo, mark: LabMark) -> str:
    """Return the file."""
    return json.dumps(results(lab, mark), indent=1, ensure_ascii=False) + "\n"
