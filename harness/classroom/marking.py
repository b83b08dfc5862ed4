"""From what the checks came to, to marks: points, lateness, what was decided by hand, and who handed in nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from harness import __version__
from harness.classroom.batch import Batch, Graded, needs_again
from harness.classroom.hidden import STEP
from harness.classroom.intake import HandIn, Student
from harness.classroom.interop import lab_of, mark_of
from harness.classroom.policy import Policy
from harness.course import Lab
from harness.marks import CheckInfo, CheckMark, Class, InteropMap, LabInfo, LabMark, State, StudentMark


def class_of(
    batch: Batch,
    graded: Sequence[Graded],
    policy: Policy,
    titles: Mapping[str, str],
    interop: InteropMap | None = None,
) -> Class:
    """Return the marks of a class; `titles` are those of the checks, by their ids."""
    order = batch.order
    by_hand_in: dict[str, list[Graded]] = {}
    for one in graded:
        by_hand_in.setdefault(one.hand_in.key, []).append(one)
    labs = tuple(_info(lab, batch, policy, titles) for lab in order.labs)
    if interop and policy.together.points:
        labs = (*labs, lab_of(policy.together.points))
    students = [
        _student(hand_in, student, by_hand_in.get(hand_in.key, []), batch, policy, labs, interop)
        for hand_in in batch.intake.counting
        for student in hand_in.students or (Student(name=hand_in.origin),)
    ]
    students += [_missing(student, batch, policy, labs) for student in batch.intake.missing]
    notes = [*batch.intake.notes, *(interop.notes if interop else ())]
    return Class(
        title=policy.title or "A class",
        when=datetime.now().astimezone().isoformat(timespec="seconds"),
        seed=order.seed,
        tier=order.tier,
        kit=__version__,
        rounds=order.rounds,
        rule="majority" if order.majority else "all",
        labs=labs,
        students=tuple(sorted(students, key=lambda one: (one.name.casefold(), one.key))),
        notes=tuple(notes),
        interop=interop,
    )


def _info(lab: Lab, batch: Batch, policy: Policy, titles: Mapping[str, str]) -> LabInfo:
    whole = batch.order.hidden.added_to(lab)
    checks = tuple(
        CheckInfo(name, titles.get(name, name), step.id, points, step.number == STEP, step.heading, step.notebook)
        for step in whole.steps
        for name, points in step.checks.items()
    )
    most = sum(check.points for check in checks)
    return LabInfo(lab.number, lab.title, lab.handout, most, policy.weight(lab, most), checks)


def _student(
    hand_in: HandIn,
    student: Student,
    graded: Sequence[Graded],
    batch: Batch,
    policy: Policy,
    labs: Sequence[LabInfo],
    interop: InteropMap | None,
) -> StudentMark:
    of_lab = {one.lab.number: one for one in graded}
    marks = {}
    for info in labs:
        one = of_lab.get(info.number)
        if hand_in.status != "ok":
            mark = _unreadable(hand_in, info)
        elif interop and info.collective:
            mark = mark_of(interop, hand_in.key, info.max_points)
        else:
            mark = _lab_mark(hand_in, one, info, policy)
        marks[info.number] = _decided(mark, student, hand_in.key, info, policy)
    several = len(hand_in.students) > 1
    return StudentMark(
        key=f"{hand_in.key}-{hand_in.students.index(student) + 1}" if several else hand_in.key,
        name=str(student),
        id=student.id,
        sid=student.sid,
        digest=hand_in.digest,
        login=student.login,
        email=student.email,
        handed_in=hand_in.handed_in.isoformat() if hand_in.handed_in else "",
        notes=hand_in.notes,
        labs=marks,
        on_roster=hand_in.key not in batch.intake.unknown,
    )


def _missing(student: Student, batch: Batch, policy: Policy, labs: Sequence[LabInfo]) -> StudentMark:
    key = f"missing-{student.sid or student.id or student.login or student.email or student.name}"
    nothing = {
        info.number: _decided(LabMark(State.NOTHING, max_points=info.max_points), student, key, info, policy)
        for info in labs
    }
    known = {name: getattr(student, name) for name in ("id", "sid", "login", "email")}
    return StudentMark(key, str(student), notes=("nothing was handed in",), labs=nothing, **known)


def _unreadable(hand_in: HandIn, info: LabInfo) -> LabMark:
    return LabMark(State.REVIEW, max_points=info.max_points, reason=f"it could not be read: {hand_in.reason}")


def _lab_mark(hand_in: HandIn, one: Graded | None, info: LabInfo, policy: Policy) -> LabMark:
    if one is None or (one.outcome is None and not one.fault):
        return LabMark(State.NOTHING, max_points=info.max_points)
    if one.outcome is None:
        return LabMark(State.REVIEW, max_points=info.max_points, reason=one.fault, notes=one.notes)
    checks = {
        check["id"]: CheckMark(
            check["status"],
            check["points"],
            check["max_points"],
            check["message"],
            check["limit"],
            check["attempts"],
            check["failures"],
        )
        for check in one.outcome["checks"]
    }
    days = policy.late.days(info.number, hand_in.handed_in)
    raw = sum(check.points for check in checks.values())
    reason = _why_to_be_looked_at(one.outcome, len(info.checks))
    if not reason and not raw and one.missing:
        reason = f"nothing holds, and {', '.join(one.missing)} was not handed in"
    return LabMark(
        state=State.REVIEW if reason else State.GRADED,
        raw=raw,
        max_points=info.max_points,
        late_days=days,
        deduction=policy.late.deduction(days, info.max_points),
        reason=reason,
        notes=one.notes,
        checks=checks,
        seconds=one.outcome.get("seconds", 0.0),
        tier=one.outcome.get("tier", ""),
        results=one.file,
    )


def _why_to_be_looked_at(outcome: Mapping[str, Any], checks: int) -> str:
    """Return why the points are not the whole truth; "" if they are."""
    if outcome["error"]:
        return f"the harness failed: {outcome['error']}"
    made = len(outcome["checks"])
    if outcome["over"]:
        return f"the time was over when {made} of {checks} checks were made"
    if needs_again(outcome):
        failed = [check for check in outcome["checks"] if check["status"] == "error"]
        return f"the harness could not make {len(failed)} of {checks} checks; the first: {failed[0]['message']}"
    return ""


def _decided(mark: LabMark, student: Student, key: str, info: LabInfo, policy: Policy) -> LabMark:
    found = policy.override(_names(student, key), info.number)
    return replace(mark, override={"points": found.points, "reason": found.reason}) if found else mark


def _names(student: Student, key: str) -> Iterator[str]:
    for name in (key, student.sid, student.id, student.login, student.email, student.name):
        if name:
            yield name
