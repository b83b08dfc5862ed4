"""What several tests need: the kit's own commands, run as people run them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOLUTIONS = ROOT / "solutions"


def lab(*words: str, cwd: Path = ROOT, timeout: float = 180) -> subprocess.CompletedProcess[str]:
    """Run `lab WORDS`, in `cwd`; return its output and status."""
    command = [sys.executable, "-m", "harness", *words]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, encoding="utf-8", timeout=timeout, check=False
    )


def check(number: int, target: str, *options: str, timeout: float = 180) -> tuple[int, dict[str, Any]]:
    """Run `lab check` against a program; return its exit status and its results."""
    done = lab("check", str(number), "--target", target, "--json", "-", "--seed", "1", *options, timeout=timeout)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def python(file: Path) -> str:
    """Return a command line for --target that runs a Python file."""
    return f"'{sys.executable}' '{file}'"


def of_status(results: dict[str, Any], status: str) -> set[str]:
    """Return the ids of the checks with a verdict."""
    return {one["id"] for one in results["checks"] if one["status"] == status}
