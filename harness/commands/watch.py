"""`lab watch`: the step at which a student is, checked at every save."""

import argparse
import ast
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from harness.commands.choose import next_step, shown, todo_line, whole_lab
from harness.commands.saves import Saves
from harness.course import Lab, Step
from harness.course.layout import LABS
from harness.errors import UsageError

Around = Callable[[], AbstractContextManager[None]]
LARGEST = 1 << 20  # bytes of a file that is compiled before it is run


def watch(args: argparse.Namespace) -> int:
    """Make the checks of the step at which a student is whenever a file is saved, until Ctrl-C."""
    if args.lab is not None:
        whole_lab(args.lab)
    if args.tui:
        from harness.commands.watch_tui import watch_in_panes

        return watch_in_panes(args)
    with Saves(LABS, args.poll) as saves:
        import harness.checks.run  # noqa: F401 - now, since an import is not to be cut short
        from harness.launch.program import end_what_is_left

        voice = _voice(args)
        voice.say(f"Watching {shown(LABS)}: save a file there, and its step is checked. Ctrl-C ends it.")
        while not saves.stopped:
            try:
                _check_what_is_due(args, saves, voice)
                saves.wait()
            except KeyboardInterrupt:
                end_what_is_left()
                voice.say("\nStopped." if saves.stopped else "Saved again: the checks begin anew.")
    return 0


def _check_what_is_due(args: argparse.Namespace, saves: Saves, voice: "Voice") -> None:
    """Check the step that comes next, and the one after it, as long as they hold and no TODO is left in them."""
    saves.begin()
    while True:
        lab = whole_lab(args.lab)
        within = None if args.lab is None else lab
        step = next_step(within)
        voice.begin(lab, step)
        try:
            if flaw := first_flaw(lab):
                raise UsageError(flaw)
            status = voice.examine(lab, step, saves.cut_short)
        except UsageError as error:
            if not saves.is_fresh():  # pytest takes some interruptions for faults of its own
                voice.complain(str(error))
            return
        ahead = next_step(within)
        voice.end(step, ahead, within)
        if status or ahead in (None, step) or todo_line(ahead):
            return


class Voice(Protocol):
    """Who tells the student how it goes."""

    def say(self, text: str) -> None:
        """Tell what happens."""

    def begin(self, lab: Lab, step: Step | None) -> None:
        """A step (None: all of a lab) is about to be checked."""

    def examine(self, lab: Lab, step: Step | None, around: Around) -> int:
        """Make the checks, each inside of `around`, and tell what comes of them; return the status."""

    def complain(self, text: str) -> None:
        """The checks cannot be made, for a reason that the student can do something about."""

    def end(self, step: Step | None, ahead: Step | None, within: Lab | None) -> None:
        """The checks were made: `ahead` is now the step that comes next, of all labs or `within` one."""


def _voice(args: argparse.Namespace) -> Voice:
    if args.events:
        from harness.commands.watch_tui import Events

        return Events()
    return Printed(args)


class Printed:
    """Tells it line by line."""

    def __init__(self, args: argparse.Namespace) -> None:
        from harness.report.terminal import console

        self._args, self._out = args, console()

    def say(self, text: str) -> None:
        """Print it."""
        from harness.report.terminal import say

        say(self._out, text)

    def begin(self, lab: Lab, step: Step | None) -> None:
        """Print the time, and what it is."""
        self.say(f"\n{datetime.now():%H:%M:%S}  {what_is_due(lab, step)}")

    def examine(self, lab: Lab, step: Step | None, around: Around) -> int:
        """Print verdicts and evidence."""
        from harness.commands.check import examine

        return examine(self._args, lab, step, around)

    def complain(self, text: str) -> None:
        """Print it behind a cross."""
        self._mark(False, text)

    def end(self, step: Step | None, ahead: Step | None, within: Lab | None) -> None:
        """Print whether the step holds, and what comes next."""
        from harness.commands.check import say_what_next

        if step and ahead != step:
            self._mark(True, f"Step {step.id} holds.")
        say_what_next(self._out, ahead, within)

    def _mark(self, good: bool, text: str) -> None:
        from harness.report.terminal import say, status_line

        say(self._out, status_line(good, text))


def what_is_due(lab: Lab, step: Step | None) -> str:
    """Say what is checked."""
    return f"step {step.id}, {step.title}" if step else f"all of lab {lab.number}"


def first_flaw(lab: Lab) -> str | None:
    """Say where the first file of a lab, or of what these import, is no Python; None if all are."""
    ahead = list(lab.places)
    for file in ahead:
        path = LABS / file
        if not path.is_file() or path.stat().st_size > LARGEST:
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(path.read_bytes(), file)
                compile(tree, file, "exec", dont_inherit=True)
        except SyntaxError as error:
            line = f", line {error.lineno}," if error.lineno else ""
            return f"{shown(path)}{line} does not compile: {error.msg}"
        except (ValueError, RecursionError, MemoryError) as error:  # null bytes; brackets within thousands of brackets
            return f"{shown(path)} does not compile: {error or type(error).__name__}"
        ahead += [name for name in imported(tree) if name not in ahead]
    return None


def imported(tree: ast.Module) -> list[str]:
    """Return the files in which the modules would stand that a program imports."""
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return [f"{name}.py" for name in dict.fromkeys(names)]
