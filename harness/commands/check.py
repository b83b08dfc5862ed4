"""`lab check`."""

import argparse
import json
import random
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import results
from harness.checks.bench import Starter
from harness.checks.verdict import LINUX_ONLY, Status, Verdict
from harness.commands.choose import lab_and_step, limits_of, next_step, program_of, shown, tier_of, todo_line
from harness.course import Lab, Step
from harness.course.progress import load_progress
from harness.course.stubs import is_untouched
from harness.errors import UsageError
from harness.launch import LaunchError
from harness.shell import LAB

if TYPE_CHECKING:
    from harness.checks.plugin import Run
    from harness.report.terminal import Progress

Around = Callable[[], AbstractContextManager[None]]


def check(args: argparse.Namespace) -> int:
    """Make the checks of a lab, print what holds and what does not, and why."""
    lab, step = lab_and_step(args.lab)
    if args.repeat < 1:
        raise UsageError("--repeat takes a number from 1 on")
    status = examine(args, lab, step)
    if _is_progress(args):
        from harness.report.terminal import console

        say_what_next(console(to_stderr=args.json == "-"), next_step())
    return status


def examine(args: argparse.Namespace, lab: Lab, step: Step | None, around: Around = nullcontext) -> int:
    """Make the checks, each inside of `around`, print what holds and what does not, and note it; return the status."""
    command = program_of(lab, args.target, args.solution)
    try:
        with Starter(command, lab.kind, tier=tier_of(args.tier), limits=limits_of(lab)) as starter:
            return _examine(args, lab, step, starter, around)
    except LaunchError as error:
        raise UsageError(str(error)) from None


def _examine(args: argparse.Namespace, lab: Lab, step: Step | None, starter: Starter, around: Around) -> int:
    from harness.checks.plugin import Run  # these imports take a while, in which the first servers start
    from harness.report.terminal import Progress, console, draw, explain, say, summarise

    out = console(to_stderr=args.json == "-")
    if _is_own(args) and is_untouched(lab.program) and not args.keyword:
        program = shown(starter.command.folder / lab.program)
        say(out, f"{program} is still the untouched stub: begin with step {lab.number}.1.")
    seed = random.randrange(10**6) if args.seed is None else args.seed
    run = Run(lab, starter, step, args.any_model, seed, args.draw, around=around)
    verdicts = run_rounds(run, args.repeat, Progress(out), args.keyword, args.stop)
    if not verdicts:
        raise UsageError(f"no check of lab {lab.number} matches -k {args.keyword!r}")
    folder, outcome, report = keep(run, verdicts, _target(args, starter), _is_progress(args))
    explain(out, outcome, shown(folder), f"`{LAB} check {lab.number} -k NAME`", args.explained)
    summarise(out, outcome)
    if args.draw:
        draw(out, outcome)
    if report:
        say(out, f"{'All of them' if args.draw else 'What failed'}, drawn: {shown(report)}")
    _write_json(outcome, args.json)
    return status_of(verdicts)


def keep(
    run: "Run", verdicts: list[Verdict], target: str, is_progress: bool = True
) -> tuple[Path, dict[str, Any], Path | None]:
    """Write what came out into the folder of a run, and note the progress; return the folder, results and report."""
    from harness.checks.run import write_results

    folder = results.new_run(f"check-{run.lab.number}")
    outcome = write_results(run, verdicts, folder, target)
    failed = any(verdict.status is Status.FAIL for verdict in verdicts)
    report = _write_report(outcome, folder) if failed or run.draws else None
    if is_progress:
        _note_progress(run.lab, verdicts)
    return folder, outcome, report


def _is_own(args: argparse.Namespace) -> bool:
    return args.target is None and not args.solution


def _is_progress(args: argparse.Namespace) -> bool:
    return _is_own(args) and not args.any_model


def _write_report(outcome: dict[str, Any], folder: Path) -> Path:
    from harness.report.check_page import render

    report = folder / "report.html"
    results.write_whole(report, render(outcome, shown(folder)))
    return report


def _target(args: argparse.Namespace, starter: Starter) -> str:
    if args.target is not None:
        return str(args.target)
    return f"{'solutions' if args.solution else 'labs'}: {starter.command}"


def run_rounds(
    run: "Run", rounds: int, progress: "Progress", keyword: str = "", stop_at_first: bool = False
) -> list[Verdict]:
    """Make the checks once or several times; each verdict is printed as it comes (of several rounds at the end)."""
    from harness.checks.run import KitError, make_checks, merge
    from harness.report.terminal import say

    made = []
    run.on_verdict = (lambda verdict: progress.add(verdict.as_dict())) if rounds == 1 else lambda verdict: None
    try:
        for number in range(rounds):
            made.append(make_checks(run, keyword, stop_at_first))
            if rounds > 1:
                held = sum(verdict.status is Status.PASS for verdict in made[-1])
                say(progress.out, f"round {number + 1} of {rounds}: {held} of {len(made[-1])} checks hold")
    except KitError as error:
        raise UsageError(str(error)) from None
    verdicts = merge(made)
    if rounds > 1:
        for verdict in verdicts:
            progress.add(verdict.as_dict())
    progress.finish()
    return verdicts


def status_of(verdicts: list[Verdict]) -> int:
    """Return the exit status: 2 if a check could not be made, 1 if one does not hold."""
    if any(verdict.status is Status.ERROR for verdict in verdicts):
        return 2
    return int(any(verdict.status is not Status.PASS for verdict in verdicts))


def _note_progress(lab: Lab, verdicts: list[Verdict]) -> None:
    """Note which steps hold; what no system but Linux can check keeps nobody elsewhere from the next step."""
    progress = load_progress()
    holds = {verdict.id: verdict.status is Status.PASS or verdict.message == LINUX_ONLY for verdict in verdicts}
    for step in lab.steps:
        if set(step.checks) <= set(holds):
            progress.mark(step.id, all(holds[name] for name in step.checks))
    progress.save()


def say_what_next(out: Any, step: Step | None, within: Lab | None = None) -> None:
    """Print which step comes next (None: all of a lab, or of all labs, hold), and where it begins."""
    from harness.report.terminal import say

    say(out, what_next(step, within) + (f". A hint: {LAB} hint {step.id}" if step else ""))


def what_next(step: Step | None, within: Lab | None = None) -> str:
    """Say which step comes next, and where it begins."""
    if step is None:
        return f"All steps of {f'lab {within.number}' if within else 'all labs'} hold. Well done!"
    place = todo_line(step)
    return f"Next: step {step.id}, {step.title}" + (f" ({place})" if place else "")


def _write_json(outcome: dict[str, Any], target: str | None) -> None:
    if target == "-":
        json.dump(outcome, sys.stdout, indent=1, ensure_ascii=False)
        print()
    elif target:
        try:
            results.write_whole(Path(target), json.dumps(outcome, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            raise UsageError(f"--json: cannot write {target}: {error.strerror}") from None
