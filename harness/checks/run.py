"""Making the checks of a lab against a program, once or several times, and what comes out."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from harness import results
from harness.checks import plugin
from harness.checks.beside import Beside
from harness.checks.byhand import write_script
from harness.checks.diagnosis.diagnose import point_out
from harness.checks.plugin import RUN, Run
from harness.checks.verdict import Status, Verdict
from harness.course import Lab
from harness.course.layout import CHECKS
from harness.launch.processes import LINUX

NOT_NEEDED = (  # parts of pytest that cost time here and serve nothing
    "terminal",
    "cacheprovider",
    "faulthandler",
    "unraisableexception",
    "threadexception",
    "doctest",
    "junitxml",
    "pastebin",
)


def within(seconds: float) -> Callable[[], AbstractContextManager[None]]:
    """Return what stands around each check of a run (Run.around): so many seconds from now on it is interrupted."""
    until = time.monotonic() + seconds

    @contextmanager
    def in_time() -> Iterator[None]:
        if time.monotonic() > until:
            raise KeyboardInterrupt
        yield

    return in_time


class KitError(Exception):
    """The kit itself could not do its work; the text says what happened."""


class _HandOver:
    """Gives the run to the plugin."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[RUN] = self.run
        config.option.tbstyle = "native"  # pytest's own account of a failure is read by nobody; this one is made fast


def modules_of(lab: Lab) -> list[str]:
    """Return the modules in which the checks of a lab stand: pytest need not import the others."""
    names = [f"def check_{name.replace('-', '_')}(" for step in lab.steps for name in step.checks]
    modules = {path: path.read_text(encoding="utf-8") for path in sorted(CHECKS.glob("check_*.py"))}
    return [str(path) for path, text in modules.items() if any(name in text for name in names)]


def make_checks(run: Run, keyword: str = "", stop_at_first: bool = False) -> list[Verdict]:
    """Make the checks once; return the verdicts in order. Raises KitError when pytest itself fails."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    arguments = [
        *("-c", str(CHECKS / "pytest.ini")),  # further files may lie anywhere
        *modules_of(run.lab),
        *map(str, run.further),
        *(word for name in NOT_NEEDED for word in ("-p", f"no:{name}")),
    ]
    arguments += ["-k", keyword] * bool(keyword) + ["-x"] * stop_at_first
    run.verdicts, run.beside = {}, Beside()
    run.starter.begin_round()
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        status = pytest.main(arguments, plugins=[_HandOver(run), plugin])
    if status == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise KitError(f"the checks could not be made:\n{said.getvalue().strip()}")
    places = run.places()
    return sorted(run.verdicts.values(), key=lambda verdict: places[verdict.id])


def merge(rounds: list[list[Verdict]], majority: bool = False) -> list[Verdict]:
    """Merge several rounds of the same checks; how often each did not hold is noted.

    The worst outcome of each counts; with `majority`, one that held in more than half of its rounds holds.
    """
    by_id: dict[str, list[Verdict]] = {}
    for verdict in (one for verdicts in rounds for one in verdicts):
        by_id.setdefault(verdict.id, []).append(verdict)
    return [_merged(made, majority) for made in by_id.values()]


def _merged(made: list[Verdict], majority: bool) -> Verdict:
    order = [Status.PASS, Status.BLOCKED, Status.FAIL, Status.ERROR]
    failures = sum(one.status is not Status.PASS for one in made)
    holds = majority and 2 * failures < len(made)
    counts = (min if holds else max)(made, key=lambda one: order.index(one.status))
    counts.attempts, counts.failures = len(made), failures
    return counts


def write_results(run: Run, verdicts: list[Verdict], folder: Path, target: str) -> dict[str, Any]:
    """Write results.json, and a script for each failure, into the folder of the run; return the results."""
    point_out(verdicts, run.starter.command, run.starter.tier)
    for verdict in verdicts:
        if verdict.status is Status.FAIL and verdict.script:
            verdict.by_hand = write_script(verdict, run.lab.kind, run.starter.command, folder).name
    outcome = outcome_of(run, verdicts, target)
    results.save(folder, outcome)
    return outcome


def outcome_of(run: Run, verdicts: list[Verdict], target: str) -> dict[str, Any]:
    """Return the results of a run as they stand in results.json."""
    return {
        "lab": run.lab.number,
        "step": run.step.id if run.step else None,
        "title": run.lab.title,
        "target": target,
        "seed": run.seed,
        "tier": run.starter.tier,
        "limits": run.starter.limits.as_dict(),
        "recipes": "exact" if LINUX else "short waits",  # how it is known what the server has read
        "any_model": run.any_model,
        "versions": results.surroundings(),
        "points": sum(verdict.points for verdict in verdicts),
        "max_points": sum(verdict.max_points for verdict in verdicts),
        "checks": [verdict.as_dict() for verdict in verdicts],
    }
