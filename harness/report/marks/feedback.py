"""Feedback for one student, as Markdown and as HTML: the marks, what fails and how to see it, what holds."""

from collections.abc import Iterator
from typing import Any

from harness.marks import Class, StudentMark
from harness.report import page
from harness.report.difference import difference
from harness.report.evidence import advice, in_program, meanwhile, of_program, output
from harness.report.failure import shown
from harness.report.lanes import lanes
from harness.report.markdown import block, code, text
from harness.report.marks.told import AT_LENGTH, Feedback, Results, Told, ToldLab, feedback_of
from harness.report.safe import one_line
from harness.report.sequence.mermaid import mermaid
from harness.report.sequence.story import failure_of, story_of
from harness.units import moment, points

WIDTH = 96  # columns of a diagram in Markdown
NAME = 80  # columns of a name
NOT_DECIDED = "to be decided"
BY_HAND = "See it by hand:"
SCRIPT = (
    "Each command below “See it by hand” makes that one check again, with your own file, and leaves a script of a few "
    "lines that shows the fault without the checks."
)
FIRST = "Begin with the first: what comes later often follows from it."


def feedback_markdown(klass: Class, student: StudentMark, results: Results) -> str:
    """Return what a student is told as Markdown; `results` (by lab) are those of `lab check --json`."""
    return "\n".join(_page(feedback_of(klass, student, results))) + "\n"


def feedback_html(klass: Class, student: StudentMark, results: Results) -> str:
    """Return what a student is told as an HTML page; `results` (by lab) are those of `lab check --json`."""
    told = feedback_of(klass, student, results)
    environment = page.environment()
    environment.filters |= {"points": points, "moment": moment, "line": one_line, "advice": advice}
    labs = [(lab, list(_shown(lab))) for lab in told.labs]
    return environment.get_template("feedback.html").render(
        told=told,
        labs=labs,
        drawn=any(failure and failure["picture"] for _, failures in labs for _, failure in failures),
        total=_total(told),
        script=SCRIPT,
        first=FIRST,
        not_decided=NOT_DECIDED,
        name_width=NAME,
    )


def _shown(lab: ToldLab) -> Iterator[tuple[Told, dict[str, Any] | None]]:
    """Yield each failure, and for the first ones what the template shows of it."""
    for place, one in enumerate(lab.failures):
        at_length = one.verdict is not None and place < AT_LENGTH
        name = f"{lab.info.number}-{one.check.id}"
        yield one, shown(dict(one.verdict), name, one.again) | {"text": ""} if at_length and one.verdict else None


def _total(told: Feedback) -> str:
    most = points(told.klass.max_total)
    if told.total is not None:
        return f"Total: {points(told.total)} of {most} points."
    labs = " and ".join(f"lab {number}" for number in told.undecided)
    return f"Total: {NOT_DECIDED}, because a person will look at {labs} first. Nothing counts as zero meanwhile."


def _page(told: Feedback) -> Iterator[str]:
    title = f"{told.klass.title}: " * bool(told.klass.title)
    yield f"# {text(title + one_line(told.student.name, NAME))}"
    yield ""
    yield f"**{text(_total(told))}**"
    yield ""
    if told.student.handed_in:
        yield f"Handed in {text(moment(told.student.handed_in))}, checked {text(moment(told.klass.when))}."
    yield from (f"\n{text(note)}" for note in (told.klass.warning, *told.student.notes) if note)
    yield ""
    yield "| lab | points | counts in the total |"
    yield "|---|---|---|"
    for lab in told.labs:
        weight = points(lab.info.weight)
        counts = NOT_DECIDED if lab.counts is None else f"{points(lab.counts)} of {weight}"
        yield f"| {lab.info.number}. {text(lab.info.title)} | {_worth(lab)} | {counts} |"
    for lab in told.labs:
        yield from _lab(lab)


def _worth(lab: ToldLab) -> str:
    return NOT_DECIDED if lab.points is None else f"{points(lab.points)} of {points(lab.info.max_points)}"


def _lab(lab: ToldLab) -> Iterator[str]:
    yield ""
    yield f"## {text(lab.info.heading)}"
    yield ""
    yield from (f"- {text(sentence)}" for sentence in lab.sentences)
    failures = lab.failures
    if failures:
        yield ""
        yield "### What to work on"
    if failures and not lab.info.collective:
        yield ""
        yield f"{FIRST} {SCRIPT}" if len(failures) > 1 else SCRIPT
    for place, one in enumerate(failures):
        yield ""
        yield f"#### {one.check.step} {text(one.check.title)}"
        yield ""
        yield from _failure(one, place < AT_LENGTH)
    for title, statuses in (("Not made yet", ("blocked", "error")), ("What holds", ("pass",))):
        if of_status := lab.of_status(*statuses):
            yield f"\n### {title}\n"
            yield from (f"- {_sign(one)}{one.check.step} {text(one.check.title)}{_why(one)}" for one in of_status)


def _sign(one: Told) -> str:
    return "✓ " if one.mark.status == "pass" else ""


def _why(one: Told) -> str:
    why = one.rounds if one.mark.status == "pass" else one.why
    return f" ({text(why)})" if why else ""


def _failure(one: Told, at_length: bool) -> Iterator[str]:
    message = text(one.verdict["message"] if one.verdict else one.why)
    yield f"✗ **{message}**" + (f" ({one.rounds})" if one.rounds else "")
    if one.verdict is None:
        if one.again:
            yield f"\n{BY_HAND} {code(one.again)}"
        return
    if at_length:
        yield from _evidence(dict(one.verdict))
    yield f"\n{text(advice(dict(one.verdict)))}"
    yield f"\n{BY_HAND} {code(one.again)}"
    if at_length:
        yield f"\nWhat must hold, in PROTOCOL.md, {one.verdict['clause']}:"
        yield f"\n> {text(one.verdict['quote'])}"


def _evidence(verdict: dict[str, Any]) -> Iterator[str]:
    compared = difference(verdict["expected"], verdict["received"], verdict["difference"])
    if verdict["why"]:
        yield f"\n{text(verdict['why'])}"
    if compared:
        yield f"\n{block(chr(10).join(line for _, line in compared))}"
    yield from (f"\n{text(line)}" for line in meanwhile(verdict))
    yield from (f"\nIn the program, {code(place)}: {text(says)}" for place, says in in_program(verdict))
    if verdict["transcript"]:
        yield f"\n{block(chr(10).join(lanes(verdict['transcript'], WIDTH, failure_of(verdict))))}"
        yield "\n<details><summary>The same as a picture</summary>\n"
        yield block(mermaid(story_of(verdict)), "mermaid")
        yield "\n</details>"
    if verdict["server"]:
        yield f"\n{text(of_program(verdict))}"
        if lines := output(verdict):
            yield f"\n{block(chr(10).join(lines))}"
