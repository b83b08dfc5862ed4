"""One hand-in's lab, graded: data in, data out, so that any process of any machine with the kit can do it."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.classroom.hidden import NOTHING_HIDDEN, Hidden
from harness.course import Lab
from harness.launch.command import Command, LaunchError, python_program
from harness.launch.limits import Limits

if TYPE_CHECKING:
    from harness.checks.plugin import Run

AGAIN = 1  # times that a lab is graded anew when the harness could not make a check


@dataclass(frozen=True)
class Task:
    """What is to be graded, and how."""

    key: str  # of the hand-in
    lab: Lab
    files: Mapping[str, bytes]  # by their paths: the program, what lies beside it, and the course's own modules
    seed: int
    tier: str
    rounds: int = 1
    majority: bool = False
    hidden: Hidden = NOTHING_HIDDEN
    seconds: float = 900.0  # after which no further check is begun


def grade(task: Task) -> dict[str, Any]:
    """Make the checks, and once more if the harness failed in one of them.

    Returns the results as `lab check` writes them, with `scripts` (by file name) for what failed, `over` where the time
    was over before all checks were made, and `seconds` that it took.
    """
    began = time.monotonic()
    for left in reversed(range(AGAIN + 1)):
        outcome = _grade_once(task, began + task.seconds)
        if not left or outcome["over"] or all(check["status"] != "error" for check in outcome["checks"]):
            break
    return outcome | {"seconds": round(time.monotonic() - began, 2)}


def _grade_once(task: Task, until: float) -> dict[str, Any]:
    from harness.checks.bench import Starter
    from harness.checks.plugin import Run

    lab = task.hidden.added_to(task.lab)
    with laid_out(task.files) as folder, laid_out(task.hidden.files) as hidden:
        command = python_program(folder / lab.program)
        limits = Limits().with_values(lab.limits)
        try:
            with Starter(command, lab.kind, tier=task.tier, limits=limits) as starter:
                further = task.hidden.modules_of(lab, hidden)
                return _made(task, Run(lab, starter, seed=task.seed, further=further), until)
        except LaunchError as error:
            return {"lab": lab.number, "checks": [], "over": False, "scripts": {}, "error": str(error)}


def _made(task: Task, run: "Run", until: float) -> dict[str, Any]:
    from harness.checks.byhand import script_of
    from harness.checks.diagnosis.diagnose import point_out
    from harness.checks.run import KitError, make_checks, merge, outcome_of, within
    from harness.checks.verdict import Status

    run.around = within(until - time.monotonic())
    made, over, error = [], False, ""
    try:
        for _ in range(task.rounds):
            made.append(make_checks(run))
    except KeyboardInterrupt:
        over = True
        made.append(list(run.verdicts.values()))
    except KitError as failed:
        error = str(failed)
    verdicts = merge(made, task.majority)
    point_out(verdicts, run.starter.command, task.tier)
    command = Command(("python3", task.lab.program), Path())
    scripts = {}
    for verdict in verdicts:
        if verdict.status is Status.FAIL and verdict.script:
            verdict.by_hand = f"{verdict.id}.py"
            scripts[verdict.by_hand] = script_of(verdict, run.lab.kind, command)
    return outcome_of(run, verdicts, task.lab.program) | {"over": over, "scripts": scripts, "error": error}


@contextmanager
def laid_out(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write files into a folder of their own, which everybody may read and which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="hand-in-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield folder
