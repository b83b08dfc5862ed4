"""Where there is no Linux: the fallbacks, tried on Linux by not letting the kit know where it is."""

import json
import subprocess
import sys

import pytest
from support import ROOT

ELSEWHERE = """
import sys
from harness.launch import processes
processes.LINUX = False  # before the other modules take it from there
from harness.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_solutions_pass_with_the_fallbacks_of_other_systems(number: int) -> None:
    command = [sys.executable, "-c", ELSEWHERE, "check", str(number), "--solution", "--json", "-"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    results = json.loads(done.stdout)
    assert [(one["id"], one["message"]) for one in results["checks"] if one["status"] != "pass"] == []
    assert results["recipes"] == "short waits"
