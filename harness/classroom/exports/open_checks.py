"""Checks as students may see them where no check can be hidden: the hidden ones are a single line without names."""

from dataclasses import dataclass

from harness.classroom.exports.gradescope import explained
from harness.marks import LabInfo, LabMark

FURTHER = "Further checks"


@dataclass(frozen=True)
class Line:
    """One check, or all hidden ones together."""

    id: str
    title: str
    step: str
    points: float
    max_points: float
    passed: bool
    text: str


def lines(lab: LabInfo, mark: LabMark) -> list[Line]:
    """Return the checks that were made, in their order."""
    made = [(check, mark.checks[check.id]) for check in lab.checks if check.id in mark.checks]
    shown = [
        Line(check.id, check.title, check.step, one.points, one.max_points, one.status == "pass", explained(one))
        for check, one in made
        if not check.hidden
    ]
    hidden = [one for check, one in made if check.hidden]
    if not hidden:
        return shown
    points, most = (sum(getattr(one, name) for one in hidden) for name in ("points", "max_points"))
    return [*shown, Line("further", FURTHER, "", points, most, all(one.status == "pass" for one in hidden), "")]
