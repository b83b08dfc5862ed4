"""A server that one check leaves as it was found serves the next one: fewer starts, and the same verdicts."""

import shlex
import sys
from pathlib import Path

import pytest
from support import ROOT, check, of_status

from harness.checks.bench import Bench, Starter
from harness.launch import parse_command
from harness.wire import Transcript

NOT_MEANT = ("-k", "not (default or stops or idles)")  # what these servers have nothing to do with
MANY = {  # each brings more than five clients of its own
    "says-nothing-and-leaves",
    "burst-of-100",
    "survives-reset",
    "survives-reset-in-reply",
    "survives-reset-before-accept",
    "leaks-nothing",
    "does-not-spin",
}

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="what a server holds can be seen on Linux alone")


def target(behaviour: str, notes: Path) -> str:
    """Return a command line for --target."""
    return shlex.join([sys.executable, str(ROOT / "tests" / "programs" / "keeping.py"), behaviour, str(notes)])


def starts(notes: Path) -> int:
    """Return how often the server was started."""
    return len(notes.read_text(encoding="utf-8").splitlines())


@linux_only
def test_a_server_that_is_as_it_was_serves_the_next_check(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    status, results = check(1, target("well", notes), *NOT_MEANT)
    assert status == 0
    assert starts(notes) < len(results["checks"])


@linux_only
def test_a_server_that_keeps_something_of_a_check_serves_no_other(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    _, results = check(1, target("lingers", notes), *NOT_MEANT)
    assert of_status(results, "fail") == {"leaks-nothing"}
    assert starts(notes) >= len(results["checks"])


def test_what_a_server_is_worn_out_by_is_no_fault_in_the_next_check(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    _, results = check(1, target("five_clients", notes), *NOT_MEANT)
    assert of_status(results, "fail") | of_status(results, "blocked") == MANY


def test_a_port_that_somebody_took_in_the_meantime_is_no_fault(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    status, results = check(1, target("finds_its_port_taken", notes), "-k", "echoes or leaks or half_close")
    assert status == 0, results["checks"]
    assert "no place" in notes.read_text(encoding="utf-8")


def test_a_port_that_somebody_took_on_another_address_is_no_fault_either(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with Starter(parse_command(target("finds_its_port_taken", notes)), "echo", ahead=0) as starter:
        for _ in range(2):
            bench = Bench(starter, Transcript())
            assert bench.start(host="127.0.0.2").program.listens_on
            bench.close()
    assert "no place" in notes.read_text(encoding="utf-8")
