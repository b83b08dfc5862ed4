"""One hand-in that was checked by itself, as a mark: what `lab check` found, for the formats of single hand-ins."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from harness.course import Lab
from harness.marks import CheckInfo, CheckMark, LabInfo, LabMark, State
from harness.report.evidence import evidence

WIDTH = 90  # columns of a drawn exchange
UNMADE = "{} of {} checks could not be made"


def lab_info(lab: Lab) -> LabInfo:
    """Return what a lab consists of."""
    checks = [CheckInfo(name, "", step.id, float(points)) for step in lab.steps for name, points in step.checks.items()]
    most = sum(check.points for check in checks)
    return LabInfo(lab.number, lab.title, lab.handout, most, most, tuple(checks))


def lab_mark(
    info: LabInfo, verdicts: Iterable[Mapping[str, Any]], tier: str, seconds: float, unfinished: str = ""
) -> tuple[LabInfo, LabMark]:
    """Return a lab, its checks with their titles, and the mark that these verdicts (as in results.json) come to.

    With a reason why they are not all there, or where the kit itself failed, a person has to look at it.
    """
    made = {verdict["id"]: verdict for verdict in verdicts}
    checks = {name: _check(verdict) for name, verdict in made.items()}
    failed = sum(check.status == "error" for check in checks.values())
    reason = unfinished or (UNMADE.format(failed, len(info.checks)) if failed else "")
    mark = LabMark(
        State.REVIEW if reason else State.GRADED,
        raw=sum(check.points for check in checks.values()),
        max_points=info.max_points,
        reason=reason,
        checks=checks,
        seconds=seconds,
        tier=tier,
    )
    return _titled(info, made), mark


def _titled(info: LabInfo, made: Mapping[str, Mapping[str, Any]]) -> LabInfo:
    known = {one.id: one for one in info.checks}
    others = tuple(CheckInfo(name, "", "", 0.0) for name in made if name not in known)  # such as the gate of the lab
    named = tuple(
        replace(one, title=made[one.id]["title"]) if one.id in made else one for one in (*others, *info.checks)
    )
    return replace(info, checks=named)


def _check(verdict: Mapping[str, Any]) -> CheckMark:
    message = str(verdict["message"])
    if verdict["status"] == "fail":
        message = "\n".join(line for _, line in evidence(dict(verdict), "", WIDTH))
    numbers = {name: verdict[name] for name in ("points", "max_points", "attempts", "failures")}
    return CheckMark(status=str(verdict["status"]), message=message, limit=verdict["limit"], **numbers)
