"""What the kit's own tests share: after the mutants, who caught which."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With -v, print a line for each mutant: its lab, its name, the clause that it breaks, the check that caught it."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    rows = sorted(row for report in reports for name, row in report.user_properties if name == "mutant")
    if rows and terminalreporter.verbosity > 0:
        terminalreporter.section("mutants")
        for lab, mutant, clause, check in rows:
            terminalreporter.write_line(f"MUTANT {lab} {mutant:38} {clause:3} {check}")
