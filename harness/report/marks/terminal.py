"""A class in a terminal: what `lab grade` says at its end."""

from collections.abc import Sequence
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.marks import Class, State
from harness.report.marks.insight import BINS, marks_of, spread, troubles
from harness.report.safe import one_line
from harness.report.terminal import say
from harness.units import points

BARS = " ▁▂▃▄▅▆▇█"
MOST_CAUSES, MOST_NAMES = 5, 6
NAME = 40  # columns


def summarise_class(out: Console, klass: Class, reports: Sequence[str] = ()) -> None:
    """Print what a class came to: marks, what breaks most, whom a person has to look at, and where the reports are."""
    say(out)
    title = f"{one_line(klass.title)}: " * bool(klass.title)
    counts = f"{_many(len(klass.students), 'student')}, {_many(len(klass.labs), 'lab')}"
    say(out, Text(f"{title}{counts}, tier {one_line(klass.tier)}", "bold"))
    for note in filter(None, (klass.warning, *klass.notes)):
        say(out, Text(f" ! {one_line(note)}", "yellow"))
    say(out)
    out.print(_table(klass))
    _say_what_breaks(out, klass)
    _say_who_is_to_be_looked_at(out, klass)
    for report in reports:
        say(out, one_line(report))


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _table(klass: Class) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("lab", overflow="ellipsis", max_width=22, no_wrap=True)
    for name in ("graded", "nothing", "undecided", "late", "median", "of"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("0 to all", no_wrap=True, min_width=BINS)
    for lab in klass.labs:
        marks = [mark for student in klass.students if (mark := student.labs.get(lab.number))]
        states = [sum(mark.state is state for mark in marks) for state in (State.GRADED, State.NOTHING)]
        undecided = sum(mark.points is None for mark in marks)
        counts = [*states, undecided, sum(mark.late_days > 0 for mark in marks)]
        table.add_row(
            Text(f"{lab.number} {one_line(lab.title)}"),
            *(str(count) if count else "" for count in counts),
            *_figures(marks_of(klass, lab.number), lab.max_points),
        )
    if len(klass.labs) > 1:
        table.add_section()
        table.add_row("total", *[""] * 4, *_figures(marks_of(klass, None), klass.max_total))
    return table


def _figures(marks: Sequence[float], most: float) -> tuple[str, str, str]:
    if not marks:
        return "–", points(most), ""
    return points(median(marks)), points(most), sparkline(spread(marks, most))


def sparkline(counts: Sequence[int]) -> str:
    """Draw counts as bars in a line of text; where somebody is, there is a bar."""
    top = max(counts, default=0)
    return "".join(BARS[-(-count * (len(BARS) - 1) // top) if count else 0] for count in counts)


def _say_what_breaks(out: Console, klass: Class) -> None:
    found = troubles(klass)
    if not found:
        return
    say(out)
    say(out, Text("What breaks most", "bold"))
    for trouble in found[:MOST_CAUSES]:
        first = trouble.causes[0]
        line = Text(f" {len(trouble.students)} of {trouble.graded}".ljust(14), "red")
        line.append(f"lab {trouble.lab.number}, {trouble.check.step}  ", "dim")
        line.append(one_line(trouble.check.title))
        say(out, line)
        say(out, Text(f"{'':14}{len(first.students)} of them: {first.message}", "dim"))


def _say_who_is_to_be_looked_at(out: Console, klass: Class) -> None:
    found = [student for student in klass.students if student.to_be_looked_at]
    say(out)
    if not found:
        say(out, "No mark has to be decided by a person.")
        return
    say(out, Text(f"To be decided by a person, no zero meanwhile: {_many(len(found), 'student')}", "bold yellow"))
    for student in found[:MOST_NAMES]:
        reasons = (f"lab {number}: {mark.reason}" for number, mark in student.labs.items() if mark.points is None)
        say(out, Text(f" ! {one_line(student.name, NAME)}  ", "yellow").append(one_line("; ".join(reasons)), "dim"))
    if len(found) > MOST_NAMES:
        say(out, Text(f"   and {len(found) - MOST_NAMES} more, in the report", "dim"))
