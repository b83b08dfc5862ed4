"""A class as one HTML page for the instructor: marks, what breaks, who needs a person, and each check's worth.

The page reads without scripts, but for the table of everybody. Its one script is named in its content security policy
by its hash, so that nothing else can run in it.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from statistics import mean, median
from typing import Any
from urllib.parse import quote

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from harness.marks import CheckInfo, Class, InteropMap, LabInfo, LabMark, State, StudentMark
from harness.report import page
from harness.report.marks.bars import histogram
from harness.report.marks.compact import NAME, compact
from harness.report.marks.insight import FEW, Item, Trouble, items, marks_of, troubles
from harness.report.marks.interop import heat_map, legend, worst
from harness.report.safe import one_line
from harness.units import moment, number, points, seconds

NAMED = 8  # students who are named with a cause; the script shows the others
FIRST_TROUBLES, MOST_TROUBLES = 8, 40  # shown at once, and on demand; what follows is in the table of all checks
MOST_UNSTABLE = 60  # in their list; the table of everybody has all
SLOWEST = 5
CLEAR, WEAK = 0.2, 0.1  # discriminations: from here on one says that a check tells apart, below that it does not

RULES = {
    "all": "A check holds if it holds in each of its rounds.",
    "majority": "A check holds if it holds in most of its rounds.",
}
HOW_DISCRIMINATION = (
    "The discrimination is the point-biserial correlation between passing this check and the points of all other "
    f"checks of the same lab, from -1 to 1. From {CLEAR:g} on, those who pass it are those who do well elsewhere: the "
    "check tells apart. About 0, it says something of its own, or nothing. Below 0, weak hand-ins pass it more often "
    "than strong ones: look at the check. A check that all pass, or nobody, has none; nor has one that was made of "
    f"fewer than {FEW}. Unstable is what did not come out the same in each round: look for a race, in the check or in "
    "the programs."
)


@dataclass(frozen=True)
class Extra:
    """What a Class does not know, and its page tells. All files are as seen from the folder of the page."""

    feedback: Mapping[str, str] = field(default_factory=dict)  # the file of each student, by the key
    handouts: str = ""  # the folder of the handouts; "": they are named, but nothing leads to them
    notebooks: str = ""  # that of the notebooks
    policy: Sequence[str] = ()  # sentences: deadlines, and what lateness costs
    seconds: float = 0.0  # that the grading took
    workers: int = 0
    cpu: float = 0.0  # seconds of processor time that the hand-ins took, 0 if not known
    memory: float = 0.0  # the most memory of one hand-in, in bytes, 0 if not known


@dataclass(frozen=True)
class Case:
    """One student's lab in a list of those that are worth a look."""

    student: StudentMark
    lab: LabInfo
    mark: LabMark


def class_html(klass: Class, extra: Extra | None = None) -> str:
    """Return the page of a class."""
    extra = extra or Extra()
    found = troubles(klass)
    environment = page.environment()
    environment.filters |= {"points": points, "line": one_line, "moment": moment, "time": seconds, "number": number}
    script, _, _ = environment.loader.get_source(environment, "class.js")  # type: ignore[union-attr]
    return environment.get_template("class.html").render(
        klass=klass,
        extra=extra,
        name_width=NAME,
        first=FIRST_TROUBLES,
        most_unstable=MOST_UNSTABLE,
        cases=_cases(klass),
        missing=[one for one in klass.students if _is_missing(one)],
        spreads=[_spread(klass, lab) for lab in (*klass.labs, *[None] * (len(klass.labs) > 1))],
        troubles=[
            (_trouble(klass, one, place), _teaching(one.lab, one.check, extra)) for one, place in _numbered(found)
        ],
        more_troubles=max(0, len(found) - MOST_TROUBLES),
        items=[(lab, [(item, _remark(item)) for item in items(klass, lab)]) for lab in klass.labs],
        rule=RULES.get(klass.rule, klass.rule),
        how=HOW_DISCRIMINATION,
        time=_time(klass),
        together=_together(klass.interop) if klass.interop else None,
        script=Markup(script),
        policy=f"; script-src 'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'",
        data=htmlsafe_json_dumps(compact(klass, found, extra.feedback), separators=(",", ":"), ensure_ascii=False),
    )


def _is_missing(student: StudentMark) -> bool:
    return student.on_roster and all(mark.state is State.NOTHING for mark in student.labs.values())


def _cases(klass: Class) -> dict[str, list[Case]]:
    """Return who is to be looked at, late, marked by hand, or not the same in each round."""
    all_of_them = [
        Case(student, lab, mark)
        for student in klass.students
        for lab in klass.labs
        if (mark := student.labs.get(lab.number)) is not None
    ]
    return {
        "review": [case for case in all_of_them if case.mark.points is None],
        "late": [case for case in all_of_them if case.mark.late_days],
        "by_hand": [case for case in all_of_them if case.mark.override],
        "unstable": [case for case in all_of_them if any(one.unstable for one in case.mark.checks.values())],
        "slowest": sorted(all_of_them, key=lambda case: -case.mark.seconds)[:SLOWEST],
    }


def _spread(klass: Class, lab: LabInfo | None) -> dict[str, Any]:
    marks = marks_of(klass, lab.number if lab else None)
    most = lab.max_points if lab else klass.max_total
    return {
        "title": lab.heading if lab else "Total",
        "picture": Markup(histogram(marks, most)),
        "marks": len(marks),
        "mean": mean(marks) if marks else None,
        "median": median(marks) if marks else None,
        "most": most,
    }


def _numbered(found: Sequence[Trouble]) -> list[tuple[Trouble, int]]:
    """Return the first troubles, and the place that the first cause of each has in the data of the script."""
    numbered, place = [], 0
    for trouble in found[:MOST_TROUBLES]:
        numbered.append((trouble, place))
        place += len(trouble.causes)
    return numbered


def _trouble(klass: Class, trouble: Trouble, place: int) -> dict[str, Any]:
    """Return what is told of a check that fails; `place` is that of its first cause."""
    return {
        "lab": trouble.lab,
        "check": trouble.check,
        "count": len(trouble.students),
        "graded": trouble.graded,
        "place": place,
        "causes": [
            {
                "message": cause.message,
                "count": len(cause.students),
                "names": [klass.students[one].name for one in cause.students[:NAMED]],
                "more": len(cause.students) - NAMED,
            }
            for cause in trouble.causes
        ],
    }


def _together(found: InteropMap) -> dict[str, Any]:
    """Return what is told of everybody's client with everybody's server."""
    servers, clients = worst(found)
    return {
        "picture": Markup(heat_map(found)),
        "legend": legend(),
        "scenes": found.scenes,
        "meetings": len(found.meetings),
        "whole": sum(one.held == len(found.scenes) for one in found.meetings),
        "servers": len(found.servers),
        "clients": len(found.clients),
        "labs": (found.client_lab, found.server_lab),
        "partners": found.partners,
        "worst": [(kind, those) for kind, those in (("server", servers), ("client", clients)) if those],
    }


def _teaching(lab: LabInfo, check: CheckInfo, extra: Extra) -> list[tuple[str, str]]:
    """Return where one learns what a check asks for: words, and the file that they lead to ("" if to none)."""
    found = []
    if check.section:
        file = f"{quote(extra.handouts)}/{quote(lab.handout)}#{anchor(check.section)}"
        found.append((f"{lab.handout}, {check.section}", file if extra.handouts else ""))
    if check.notebook:
        file = f"{quote(extra.notebooks)}/{quote(check.notebook)}"
        found.append((f"notebook {check.notebook}", file if extra.notebooks else ""))
    return found


def anchor(heading: str) -> str:
    """Return what a heading is called in a link, as readers of Markdown make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _remark(item: Item) -> str:
    """Say what an instructor should see in the figures of a check."""
    said = []
    if item.errors:
        said.append(f"could not be made {number(item.errors)} times")
    if item.unstable:
        said.append(f"unstable with {number(item.unstable)}")
    if item.made >= FEW and item.held == 0:
        said.append("nobody passes: is it taught, and is it right?")
    elif item.discrimination is not None and item.discrimination < 0:
        said.append("the weak pass it more often than the strong: look at it")
    elif item.discrimination is not None and item.discrimination < WEAK:
        said.append("tells nobody apart")
    return "; ".join(said)


def _time(klass: Class) -> list[str]:
    took = [mark.seconds for student in klass.students for mark in student.labs.values() if mark.seconds]
    if not took:
        return []
    return [
        f"All checks together took {seconds(sum(took))}.",
        f"A lab of a student took {seconds(median(took))} in the median, and {seconds(max(took))} at most.",
    ]
