"""`lab watch --tui`: a process of its own watches and tells what happens as lines of JSON; this one shows it."""

import argparse
import json
import os
import random
import sys
from datetime import datetime
from typing import Any

from harness.commands.choose import program_of, shown
from harness.commands.watch import Around, what_is_due
from harness.course import Lab, Step, load_course
from harness.course.progress import load_progress
from harness.errors import UsageError
from harness.launch.processes import end_with


class Events:
    """Tells what happens as lines of JSON, see WatchApp.take."""

    def __init__(self) -> None:
        end_with(os.getppid())  # nobody else listens
        self._out = sys.stdout  # while checks are made, it is another one

    def _tell(self, event: str, **fields: Any) -> None:
        print(json.dumps({"event": event, **fields}), file=self._out, flush=True)

    def say(self, text: str) -> None:
        """Tell what happens."""
        self._tell("said", text=text.strip())

    def begin(self, lab: Lab, step: Step | None) -> None:
        """Tell of the lab, its steps, and what is due."""
        done = load_progress().done
        self._tell(
            "begun",
            what=f"{datetime.now():%H:%M:%S}  {what_is_due(lab, step)}",
            title=f"Lab {lab.number}: {lab.title}",
            step=step.id if step else None,
            steps=[{"id": one.id, "title": one.title, "holds": one.id in done} for one in lab.steps],
        )

    def examine(self, lab: Lab, step: Step | None, around: Around) -> int:
        """Make the checks, tell each verdict as it comes, and all of them with their evidence at the end."""
        from harness.checks.bench import Starter
        from harness.checks.plugin import Run
        from harness.checks.run import KitError, make_checks
        from harness.commands.check import keep, status_of
        from harness.commands.choose import limits_of
        from harness.launch import LaunchError

        try:
            with Starter(program_of(lab), lab.kind, limits=limits_of(lab)) as starter:
                run = Run(lab, starter, step, seed=random.randrange(10**6), around=around)
                run.on_verdict = lambda verdict: self._tell("verdict", verdict=verdict.as_dict())
                verdicts = make_checks(run)
                folder, outcome, _ = keep(run, verdicts, f"labs: {starter.command}")
        except (KitError, LaunchError) as error:
            raise UsageError(str(error)) from None
        self._tell("made", checks=outcome["checks"], folder=shown(folder))
        return status_of(verdicts)

    def complain(self, text: str) -> None:
        """Tell why the checks cannot be made."""
        self._tell("complained", text=text)

    def end(self, step: Step | None, ahead: Step | None, within: Lab | None) -> None:
        """Tell which steps hold now, and what comes next."""
        from harness.commands.check import what_next

        self._tell(
            "ended", holds=sorted(load_progress().done), next=ahead.id if ahead else None, text=what_next(ahead, within)
        )


def watch_in_panes(args: argparse.Namespace) -> int:
    """Show what another process, which watches, tells."""
    from harness.launch.own import OwnCommand
    from harness.report.watching import WatchApp

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("--tui needs a terminal; without it `lab watch` prints to whatever there is")
    words = ["watch", "--events", *([args.lab] if args.lab else []), *(["--poll"] if args.poll else [])]
    with OwnCommand(*words) as watching:
        app = WatchApp(map(json.loads, watching.lines()), watching.interrupt, _hint)
        app.run()
        if app.has_lost_its_source and (error := watching.error()):
            raise UsageError(error)
    return 0


def _hint(step: str) -> str:
    """Return the next hint of a step, with its number."""
    from harness.commands.student import one_more_hint

    hints, left = one_more_hint(load_course().step(step))
    return f"{len(hints)} of {len(hints) + left}: {hints[-1]}"
