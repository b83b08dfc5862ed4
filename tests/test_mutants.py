"""Every check catches a mistake of the kind it is there for, and every mutant of the solutions is caught.

Of the checks those are made that the mutant names, and what they need; that no other check meets it first is told by
`mutation.py --seeded`, by hand. For one mutant of each check the script that shows the fault by hand is run as well:
against the mutant, and against the solution. What is told of the most frequent faults is compared with golden/*.txt.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from golden import Fault, load_faults, steady, told
from mutants.catalogue import PROGRAMS, SOLUTIONS, Mutant, load_mutants
from mutation import FILES, PYTHON, command_of, equivalents, first_to_fail, mutations

from harness.checks.byhand import write_script
from harness.checks.verdict import Status, Verdict
from harness.course import load_course
from harness.launch.ports import reserved_port
from harness.launch.sockets import holder

IMPATIENT = 0.5  # times as long as a check waits for what does not come
TRIES = 2  # some faults show by chance: which thread runs first, how much a kernel takes; 98 of 100 times at least
DEFAULT_ADDRESS, DEFAULT_SERVER, DEFAULT_PORT = "has-default-address", "has-default-server", 5555
MUTANTS = load_mutants()
CHATS = [lab.number for lab in load_course().labs if lab.kind == "chat"]
FAULTS = {fault.mutant: fault for fault in load_faults()}
EXEMPLARS = {mutant.caught_by[0]: mutant for mutant in reversed(MUTANTS)}  # the first mutant of each check

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere some checks only hope to catch a mutant")


@linux_only
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    program = mutant.write(tmp_path)
    lab = load_course().lab(str(mutant.lab))
    named = " or ".join((lab.gate, *mutant.caught_by))  # a mutant that does not even start is none
    tries = (first_to_fail(mutant.lab, program, [named], patience=IMPATIENT) for _ in range(TRIES))
    verdict = next((verdict for verdict in tries if verdict), None)
    assert verdict, f"{mutant.caught_by} did not catch {mutant}: {mutant.story}"
    assert verdict.status is Status.FAIL, verdict.message
    assert verdict.id in mutant.caught_by, verdict.message
    assert verdict.clause == mutant.seen_as or verdict.id != mutant.caught_by[0], verdict.message
    if str(mutant) in FAULTS:
        expect_golden(FAULTS[str(mutant)], mutant, verdict, program)
    if EXEMPLARS.get(verdict.id) == mutant:
        script = write_script(verdict, lab.kind, command_of(program), tmp_path)
        with ThreadPoolExecutor(1 if uses_default_port(script) else 2) as threads:
            shown = threads.submit(run_until_it_fails, hurried(script, tmp_path), program)
            gone = threads.submit(run_by_hand, script, SOLUTIONS / program.name)
        said = shown.result().stdout + shown.result().stderr
        assert (shown.result().returncode, "The fault shows:" in said) == (1, True), said
        assert gone.result().returncode == 0, f"it blames the solution: {gone.result().stdout}{gone.result().stderr}"


def expect_golden(fault: Fault, mutant: Mutant, verdict: Verdict | None, program: Path) -> None:
    """Expect that a student is told what was read and found good (`golden.py` writes it down anew).

    On a machine with no time, something else may come first: then once more, with more patience.
    """
    read, text = steady(fault.path.read_text(encoding="utf-8"), fault.varies), ""
    for patience in (IMPATIENT, 1.0, 2.0):
        if verdict is not None:
            text = told(verdict, program, fault)
            if read == steady(text, varies=False) or (fault.varies and set(read) <= set(text.splitlines())):
                return
        verdict = first_to_fail(mutant.lab, program, [" or ".join(mutant.caught_by)], patience=patience)
    assert steady(text, fault.varies) == read, text


def hurried(script: Path, folder: Path) -> Path:
    """Write a copy of a script that waits less long for what does not come."""
    text = script.read_text(encoding="utf-8")
    assert text.count("PATIENCE = 5.0") == 1
    copy = folder / f"hurried-{script.name}"
    copy.write_text(text.replace("PATIENCE = 5.0", "PATIENCE = 1.5"), encoding="utf-8")
    return copy


def run_until_it_fails(script: Path, program: Path) -> CompletedProcess[str]:
    """Run a script up to three times: what depends on the order of threads does not show each time."""
    for _ in range(2):
        if (done := run_by_hand(script, program)).returncode:
            return done
    return run_by_hand(script, program)


def uses_default_port(script: Path) -> bool:
    """Whether a script starts the program without arguments, so that only one can run at a time."""
    return script.stem.endswith((DEFAULT_ADDRESS, DEFAULT_SERVER))


def run_by_hand(script: Path, program: Path) -> CompletedProcess[str]:
    """Run such a script against a program."""
    default = uses_default_port(script)
    with reserved_port(port=DEFAULT_PORT) if default else nullcontext():
        if default and (user := holder(DEFAULT_PORT)):
            pytest.skip(f"port {DEFAULT_PORT} is in use by {user}")
        words = [sys.executable, str(script), *PYTHON, str(program)]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


@linux_only
@pytest.mark.parametrize("number", PROGRAMS)
def test_unchanged_copy_passes(number: int, tmp_path: Path) -> None:
    program = Mutant(number, "no-mutant", "", "", "", (), ()).write(tmp_path)
    verdict = first_to_fail(number, program, [f"not {DEFAULT_ADDRESS}"])  # others may use that address
    assert verdict is None, f"{verdict.id}: {verdict.message}"


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
