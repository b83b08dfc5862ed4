"""Where things lie in a checkout of the kit."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LABS = ROOT / "labs"
SOLUTIONS = ROOT / "solutions"
CLASSROOM = ROOT / "harness" / "classroom"  # which students do not get
GIVEN = ROOT / "harness" / "course" / "given"  # of a student's copy: the stubs as they were handed out
NOTEBOOKS = ROOT / "notebooks"
RUNS = ROOT / "runs"
PROTOCOL = LABS / "PROTOCOL.md"
PROGRESS = LABS / "progress.txt"
CHECKS = ROOT / "harness" / "checks"
