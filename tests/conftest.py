"""What the kit's own tests share: signals that are heeded and, after the mutants, who caught which."""

import shutil
from pathlib import Path

import pytest
from support import ROOT

from harness.launch.processes import let_children_heed_signals


def pytest_configure() -> None:
    """Let what the tests start end on Ctrl-C, also where the tests themselves run in the background of a script."""
    let_children_heed_signals()


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A copy of the kit in which a student works."""
    folder = tmp_path / "a kit"
    for name in ("harness", "labs", "solutions"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "progress.txt", "*.kept-*")
        )
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With -v, print a line for each mutant: its lab, its name, the clause that it breaks, the check that caught it."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    rows = sorted(row for report in reports for name, row in report.user_properties if name == "mutant")
    if rows and terminalreporter.verbosity > 0:
        terminalreporter.section("mutants")
        for lab, mutant, clause, check in rows:
            terminalreporter.write_line(f"MUTANT {lab} {mutant:38} {clause:3} {check}")
