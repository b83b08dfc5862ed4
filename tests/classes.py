"""A class that was made up: always the same one for the same arguments."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from harness.classroom.marks import CheckInfo, CheckMark, Class, LabInfo, LabMark, State, StudentMark

WHEN = "2026-12-02T09:00:00+01:00"
FIRST = ("Ada", "Bo", "Cem", "Dag", "Eva", "Fay", "Gil", "Hana", "Ida", "Jun", "Kai", "Lea", "Mio", "Noa", "Ola", "Pia")
LAST = ("Abe", "Bell", "Cruz", "Dahl", "Ek", "Faro", "Gray", "Holm", "Ito", "Juul", "Kern", "Lund", "Meyer", "Okri")
TITLES = {1: "A blocking echo server", 2: "A line server", 3: "A thread for each client"}
FAULTS = (
    "ann got other bytes than were due",
    "ann got nothing within 4 s",
    "it ended with status 1, not 0 or 130",
    "it keeps 12 MiB for ann, who does not read",
)


def a_class(students: int = 40, labs: int = 2, checks: int = 12, seed: int = 1) -> Class:
    """Return a class in which somebody is whatever one can be: late, missing, to be looked at, marked by hand."""
    chance = random.Random(f"{seed} {students} {labs} {checks}")
    infos = tuple(lab_info(number, checks) for number in range(1, labs + 1))
    return Class(
        title="Computer networks",
        when=WHEN,
        seed=17,
        tier="box",
        kit="0.1.0",
        rounds=3,
        rule="majority",
        labs=infos,
        students=tuple(_student(place, infos, chance) for place in range(students)),
        notes=('The hand-in "lab2-final.zip" belongs to nobody on the roster.',),
    )


def lab_info(number: int, checks: int = 12) -> LabInfo:
    """Return a lab whose last two checks are hidden."""
    made = tuple(
        CheckInfo(
            id=f"check-{number}-{place}",
            title=f"What check {place} of lab {number} says holds.",
            step=f"{number}.{1 + place // 4}",
            points=2,
            hidden=place >= checks - 2,
            section=f"Step {number}.{1 + place // 4}: Some title, with select()",
            notebook="02_a_byte_stream.ipynb" if place == 0 else "",
        )
        for place in range(checks)
    )
    return LabInfo(number, TITLES[number], f"lab{number:02}.md", 2 * checks, 10.0 * number, made)


def _student(place: int, infos: tuple[LabInfo, ...], chance: random.Random) -> StudentMark:
    name = f"{FIRST[place % len(FIRST)]} {LAST[(place // len(FIRST) + 3 * place) % len(LAST)]}"
    skill = chance.betavariate(4, 1.5)
    marks = {info.number: _mark(place, info, skill, chance) for info in infos}
    return StudentMark(
        key=f"s{place:04}",
        name=name,
        id=str(100000 + place),
        login=f"u{place}",
        email=f"u{place}@example.org",
        section="AB"[place % 2],
        handed_in="" if place % 10 == 9 else f"2026-12-01T{place % 24:02}:{place % 60:02}:00+01:00",
        notes=("two versions: the latest counts",) if place % 10 == 3 else (),
        labs=marks,
    )


def _mark(place: int, info: LabInfo, skill: float, chance: random.Random) -> LabMark:
    if place % 10 == 9:
        return LabMark(State.NOTHING, max_points=info.max_points)
    if place % 20 == 5 and info.number == 1:
        return LabMark(State.REVIEW, max_points=info.max_points, reason="it took longer than the time that there was")
    checks = {check.id: check_mark(check, number, skill, chance) for number, check in enumerate(info.checks)}
    days = int(place % 7 == 2)
    return LabMark(
        State.GRADED,
        raw=sum(one.points for one in checks.values()),
        max_points=info.max_points,
        late_days=days,
        deduction=0.1 * info.max_points * days,
        override={"points": 15, "reason": "agreed in the office hour"} if place % 20 == 8 else None,
        checks=checks,
        seconds=round(chance.uniform(2, 9), 2),
        tier="box",
        results=f"results/s{place:04}/lab{info.number}/results.json",
    )


def check_mark(check: CheckInfo, number: int, skill: float, chance: random.Random) -> CheckMark:
    """Return what became of a check: the later, the harder."""
    luck = chance.random()
    if luck < skill * (1.1 - number / 60):
        unstable = chance.random() < 0.02
        return CheckMark("pass", check.points, check.points, attempts=3, failures=int(unstable))
    if luck > 0.985:
        return CheckMark("fail", 0, check.points, "ended: more than 256 MiB of memory", "memory", 3, 3)
    if number and luck > 0.9:
        return CheckMark(
            "blocked", 0, check.points, f"'{check.id.rpartition('-')[0]}-0' does not hold", attempts=3, failures=3
        )
    fault = chance.choice(FAULTS[: 1 + number % len(FAULTS)])
    return CheckMark("fail", 0, check.points, fault, attempts=3, failures=chance.choice((2, 3, 3, 3, 3, 3)))


def results_of(klass: Class, student: StudentMark, **fields: Any) -> dict[int, dict[str, Any]]:
    """Return the results that a student's marks come from, with a transcript; `fields` are of each verdict."""
    return {
        number: {
            "lab": number,
            "seed": klass.seed,
            "checks": [verdict_of(klass.lab(number), name, one) | fields for name, one in mark.checks.items()],
        }
        for number, mark in student.labs.items()
        if mark.checks
    }


def verdict_of(info: LabInfo, name: str, mark: CheckMark) -> dict[str, Any]:
    """Return a verdict as it stands in results.json."""
    check = next(check for check in info.checks if check.id == name)
    failed = mark.failures > 0 and mark.status in ("pass", "fail")
    rows = [("server", "act", "", 0, "listens on 127.0.0.1:28245"), ("ann", "connect", "", 0, "")]
    rows += [("ann", "send", r"'hello\n'", 6, ""), ("ann", "receive", r"'hell'", 4, ""), ("ann", "end seen", "", 0, "")]
    return {
        "id": name,
        "step": check.step,
        "title": check.title,
        "clause": "A1",
        "quote": "The server MUST return every byte it receives, unchanged and in order",
        "status": "fail" if failed else mark.status,
        "message": mark.message or ("ann got other bytes than were due" if failed else ""),
        "expected": r"'hello\n'" if failed else "",
        "received": "'hell'" if failed else "",
        "difference": 4 if failed else None,
        "failed_after": 0.0062 if failed else None,
        "why": "The bytes of a stream arrive in pieces of any size." if failed else "",
        "hint": "One recv() need not be one send() of the client.",
        "role": "server",
        "limit": mark.limit,
        "server": "it is still running" if failed else "",
        "output": "listening on 127.0.0.1:28245\nann is here" if failed else "",
        "by_hand": f"{name}.py" if failed else "",
        "transcript": [
            {"seconds": 0.001 * place, "who": who, "kind": kind, "data": data, "bytes": size, "note": note}
            for place, (who, kind, data, size, note) in enumerate(rows)
        ]
        if failed
        else [],
        "attempts": mark.attempts,
        "failures": mark.failures,
    }


def with_student(klass: Class, place: int, **fields: Any) -> Class:
    """Return a class in which one student is another one."""
    students = list(klass.students)
    students[place] = replace(students[place], **fields)
    return replace(klass, students=tuple(students))
