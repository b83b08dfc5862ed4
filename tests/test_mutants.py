"""Every check catches a mistake of the kind it is there for, and every mutant of the solutions is caught.

Each mutant is checked as a student's program would be, by the command line. For one mutant of each check the
script that shows the fault by hand is run as well: against the mutant, and against the solution.

The chats have many checks and many mutants: of these only the checks are made that are named, all but the first mutant
of each check in this process. That no other check meets them first is told by `mutation.py --seeded`, by hand.
"""

import json
import re
import shlex
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from mutants.catalogue import PROGRAMS, SOLUTIONS, Mutant, load_mutants
from mutation import FILES, equivalents, first_to_fail, mutations
from support import ROOT, lab

from harness.checks.verdict import Status
from harness.course import load_course
from harness.launch.ports import reserved_port
from harness.launch.sockets import holder

PYTHON = (sys.executable, "-S")  # starts faster: mutants need nothing but the standard library
DEFAULT_ADDRESS, DEFAULT_SERVER, DEFAULT_PORT = "has-default-address", "has-default-server", 5555
OF_THE_PROCESS = (  # the checks of C7 that take longest
    "binds-what-it-is-told",
    DEFAULT_ADDRESS,
    "restarts-at-once",
    "idles",
    "burst-of-100",
    "stops-when-idle",
    "stops-with-clients",
)
MUTANTS = load_mutants()
CHATS = [lab.number for lab in load_course().labs if lab.kind == "chat"]
EXEMPLARS = {mutant.caught_by[0]: mutant for mutant in reversed(MUTANTS)}  # the first mutant of each check

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere some checks only hope to catch a mutant")


def check_up_to_first_failure(number: int, program: Path, *options: str) -> CompletedProcess[str]:
    """Check a program as a student would."""
    target = shlex.join((*PYTHON, str(program)))
    return lab("check", str(number), "--target", target, "--json", "-", "-x", "--seed", "1", *options)


def without(*names: str) -> tuple[str, str]:
    """Return the options that leave checks out."""
    return "-k", f"not ({' or '.join(names)})"


def left_out(mutant: Mutant) -> tuple[str, ...]:
    """Return the options that leave out what a mutant has nothing to do with, to save time."""
    if mutant.lab in CHATS:
        return "-k", " or ".join(mutant.caught_by)
    if mutant.clause != "C7":
        return without(*OF_THE_PROCESS)
    # Where a program cannot be given a network of its own, this check depends on who else is on the machine.
    return () if DEFAULT_ADDRESS in mutant.caught_by else without(DEFAULT_ADDRESS)


@linux_only
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_caught(mutant: Mutant, tmp_path: Path, record_property: Any) -> None:
    program = mutant.write(tmp_path)
    if mutant.lab in CHATS and mutant not in EXEMPLARS.values():
        verdict = first_to_fail(mutant.lab, program, [" or ".join(mutant.caught_by)])
        assert verdict, f"{mutant.caught_by} did not catch {mutant}: {mutant.story}"
        assert verdict.status is Status.FAIL, verdict.message
        assert verdict.clause == mutant.seen_as or verdict.id != mutant.caught_by[0], verdict.message
        return
    run = check_up_to_first_failure(mutant.lab, program, *left_out(mutant))
    assert run.stdout.startswith("{"), run.stderr
    failed = [verdict for verdict in json.loads(run.stdout)["checks"] if verdict["status"] != "pass"]
    assert failed, f"nobody caught {mutant}: {mutant.story}"
    first = failed[0]
    record_property("mutant", (mutant.lab, mutant.name, mutant.clause, first["id"]))
    assert (run.returncode, first["status"]) == (1, "fail"), run.stderr
    assert first["id"] in mutant.caught_by, run.stderr
    assert first["clause"] == mutant.seen_as or first["id"] != mutant.caught_by[0], run.stderr
    if EXEMPLARS.get(first["id"]) == mutant:
        script = script_of(first, run.stderr)
        shown, gone = run_by_hand(hurried(script, tmp_path), program), run_by_hand(script, SOLUTIONS / program.name)
        assert (shown.returncode, "The fault shows:" in shown.stdout) == (1, True), shown.stdout + shown.stderr
        assert gone.returncode == 0, f"it blames the solution: {gone.stdout}{gone.stderr}"


def script_of(verdict: dict[str, Any], told: str) -> Path:
    """Return the script that shows a fault by hand; in which folder it lies is told to people only."""
    found = re.search(rf"python3 (\S+/{re.escape(verdict['by_hand'])})", told)
    assert found, told
    return ROOT / found[1]


def hurried(script: Path, folder: Path) -> Path:
    """Write a copy of a script that waits less long for what does not come."""
    text = script.read_text(encoding="utf-8")
    assert text.count("PATIENCE = 5.0") == 1
    copy = folder / script.name
    copy.write_text(text.replace("PATIENCE = 5.0", "PATIENCE = 1.5"), encoding="utf-8")
    return copy


def run_by_hand(script: Path, program: Path) -> CompletedProcess[str]:
    """Run such a script against a program."""
    default = script.stem in (DEFAULT_ADDRESS, DEFAULT_SERVER)
    with reserved_port(port=DEFAULT_PORT) if default else nullcontext():
        if default and (user := holder(DEFAULT_PORT)):
            pytest.skip(f"port {DEFAULT_PORT} is in use by {user}")
        words = [sys.executable, str(script), *PYTHON, str(program)]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


@linux_only
@pytest.mark.parametrize("number", PROGRAMS)
def test_unchanged_copy_passes(number: int, tmp_path: Path) -> None:
    program = Mutant(number, "no-mutant", "", "", "", (), ()).write(tmp_path)
    run = check_up_to_first_failure(number, program, *without(DEFAULT_ADDRESS))
    assert run.returncode == 0, run.stderr


def test_every_check_catches_a_mutant() -> None:
    idle = []
    for course_lab in load_course().labs:
        same = CHATS if course_lab.number in CHATS else [course_lab.number]  # all chats have the same room
        proven = {mutant.caught_by[0] for mutant in MUTANTS if mutant.lab in same}
        if course_lab.gate != "listens":
            proven.add("listens")  # what fails it fails the gate, which is made first
        names = [name for step in course_lab.steps for name in step.checks]
        idle += [f"{course_lab.number}: {name}" for name in names if name not in proven]
    assert not idle, f"checks that catch nothing: {', '.join(idle)}"


def test_every_lab_has_enough_mutants() -> None:
    for number in PROGRAMS:
        assert sum(mutant.lab == number for mutant in MUTANTS) >= 22


def test_every_mutant_can_be_made(tmp_path: Path) -> None:
    for mutant in MUTANTS:
        mutant.write(tmp_path)  # names itself where it cannot
        known = {name for step in load_course().lab(mutant.lab).steps for name in step.checks}
        assert mutant.caught_by, mutant
        assert set(mutant.caught_by) <= known, mutant


def test_every_equivalent_mutation_still_applies() -> None:
    made = {mutation for file in FILES for mutation, _ in mutations(file)}
    assert not [str(mutation) for mutation in equivalents() if mutation not in made]
    assert all(equivalents().values()), "each has a reason"
