"""What a person sees in a terminal while checks are made, and after."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from harness.report.evidence import evidence
from harness.report.lanes import lanes
from harness.report.safe import safe

SIGNS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "blocked": ("·", "dim"), "error": ("!", "yellow")}


def console(to_stderr: bool = False) -> Console:
    """Return a console that prints plainly: no markup, no highlighting, no emoji codes."""
    stream = sys.stderr if to_stderr else sys.stdout
    return Console(file=stream, highlight=False, markup=False, emoji=False)


class Progress:
    """Prints a line for each verdict as it comes; those that are blocked are counted by what blocks them."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self._blocked: Counter[str] = Counter()

    def add(self, verdict: dict[str, Any]) -> None:
        """Print one verdict."""
        if verdict["status"] == "blocked":
            self._blocked[verdict["message"]] += 1
            return
        sign, style = SIGNS[verdict["status"]]
        line = Text(f" {sign} ", style)
        line.append(f"{verdict['step']}  ", "dim")
        line.append(verdict["title"], "")
        if verdict["attempts"] > 1 and verdict["failures"]:
            line.append(f"  ({verdict['failures']} of {verdict['attempts']} times not)", style)
        say(self.out, line)
        if verdict["status"] == "error":
            say(self.out, Text(f"        not checked: {safe(verdict['message'])}", "yellow"))

    def finish(self) -> None:
        """Print how many checks were blocked, and by what."""
        for cause, number in self._blocked.items():
            checks = "1 more check" if number == 1 else f"{number} more checks"
            say(self.out, Text(f" ·      {checks} not made: {safe(cause)}", "dim"))
        self._blocked.clear()


def say(out: Console, text: Text | str = "") -> None:
    """Print a line; one that is too long for the terminal is wrapped by the terminal, not broken up."""
    out.print(text, soft_wrap=True)


@contextmanager
def progress(out: Console, steps: int) -> Iterator[Callable[[str], None]]:
    """Show how far something is and how long it may still take; what it yields is called before each step.

    Nothing is shown where nobody looks: when the output is not a terminal.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=out, transient=True, disable=not out.is_terminal) as shown:
        task = shown.add_task("", total=steps)
        begun = -1

        def step(text: str) -> None:
            nonlocal begun
            begun += 1
            shown.update(task, description=safe(text), completed=begun)

        yield step


def status_line(good: bool, text: str) -> Text:
    """Return a line with a green tick or a red cross before it."""
    sign, style = SIGNS["pass" if good else "fail"]
    return Text.assemble((f" {sign} ", style), safe(text))


def explain(out: Console, results: dict[str, Any], folder: str, again: str, most: int) -> None:
    """Print the evidence of the first failures, `most` at most; `again` is the command that tells of another one."""
    failed = [verdict for verdict in results["checks"] if verdict["status"] == "fail"]
    for verdict in failed[:most]:
        say(out)
        for style, line in evidence(verdict, folder, min(out.width, 110)):
            say(out, Text(line, style))
    if len(failed) > most:
        names = ", ".join(verdict["id"] for verdict in failed[most:])
        say(out)
        say(out, Text(f"Not explained here: {names} ({again} does it).", "dim"))


def draw(out: Console, results: dict[str, Any]) -> None:
    """Print who said what in the checks that hold."""
    for verdict in results["checks"]:
        if verdict["status"] == "pass" and verdict["transcript"]:
            say(out)
            say(out, Text(f"{verdict['step']}  {verdict['title']}", "bold"))
            for line in lanes(verdict["transcript"], min(out.width, 110) - 2):
                say(out, Text(f"  {line}", "cyan"))


def summarise(out: Console, results: dict[str, Any]) -> None:
    """Print how many checks hold and what that is worth."""
    checks = results["checks"]
    count = {status: sum(check["status"] == status for check in checks) for status in SIGNS}
    parts = [f"{count['pass']} of {len(checks)} checks hold"]
    parts += [
        f"{count[status]} {word}"
        for status, word in (("blocked", "blocked"), ("error", "could not be made"))
        if count[status]
    ]
    what = f"Step {results['step']}, with what it needs" if results["step"] else f"Lab {results['lab']}"
    tier = "" if results["tier"] == "plain" else f" (in the tier {results['tier']})"
    style = "bold green" if count["pass"] == len(checks) else "bold"
    say(out)
    say(
        out,
        Text(f"{what}: {', '.join(parts)}; {results['points']} of {results['max_points']} points{tier}.", style),
    )
