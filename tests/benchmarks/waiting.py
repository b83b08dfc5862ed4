"""How long a student waits: for the first verdict, for all of a lab, for the help.

    .venv/bin/python tests/benchmarks/waiting.py [--runs N]

Each figure is the median of several runs, beside what it should be, and as a multiple of what a bare Python needs to
start and to import pytest on this machine at this moment (the two are measured in turn).
"""

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.course import load_course
from harness.course.stubs import pristine

ROOT = Path(__file__).resolve().parents[2]
HARNESS = [sys.executable, "-m", "harness"]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        write_stubs(Path(folder))
        rows = [
            ("lab --help", [*HARNESS, "--help"], False, 0.15),
            ("lab", HARNESS, False, 0.15),
            ("lab --help, through the launcher", [bare_python(), str(ROOT / "lab"), "--help"], False, 0.30),
            ("lab check 1: first verdict", [*HARNESS, "check", "1", "--solution"], True, 0.7),
            ("lab check 1: all", [*HARNESS, "check", "1", "--solution"], False, 2.0),
            ("lab check 2: all", [*HARNESS, "check", "2", "--solution"], False, None),
            ("lab check 3: all", [*HARNESS, "check", "3", "--solution"], False, None),
        ]
        for lab in load_course().labs:
            number = str(lab.number)
            target = shlex.join([sys.executable, str(Path(folder) / number / lab.program)])
            command = [*HARNESS, "check", number, "--target", target]
            rows.append((f"lab check {number}: untouched stub", command, False, 2.0))
        peer = [sys.executable, "-c", "import pytest"]
        print(f"{'':<36} {'seconds':>8} {'from':>7} {'to':>7} {'goal':>6} {'ratio':>6}   (ratio to: import pytest)")
        for name, command, first_only, goal in rows:
            times, peers = [], []
            for _ in range(runs):
                times.append(seconds(command, first_only))
                peers.append(seconds(peer, False))
            middle = statistics.median(times)
            ratio = middle / statistics.median(peers)
            wanted = "" if goal is None else f"{goal:.2f}"
            print(f"{name:<36} {middle:8.2f} {min(times):7.2f} {max(times):7.2f} {wanted:>6} {ratio:6.1f}", flush=True)


def seconds(command: list[str], first_only: bool) -> float:
    """Return how long a command takes, to its end or to its first line of output."""
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = time.perf_counter() - began
        process.stdout.read()
        process.wait()
    return first if first_only else time.perf_counter() - began


def write_stubs(folder: Path) -> None:
    """Write, for each lab, a folder in which its own files are stubs and the others are solutions."""
    for lab in load_course().labs:
        (folder / str(lab.number)).mkdir()
        for file in load_course().files:
            solution = (ROOT / "solutions" / file).read_text(encoding="utf-8")
            text = pristine(file) if file in lab.files else solution
            (folder / str(lab.number) / file).write_text(text, encoding="utf-8")


def bare_python() -> str:
    """Return a Python to start the launcher with: not a wrapper script, which would be measured instead."""
    return os.path.realpath(sys.executable)


if __name__ == "__main__":
    main()
