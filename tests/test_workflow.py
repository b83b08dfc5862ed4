"""The workflow for hosted machines: well formed, pinned, without secrets, and true to what the kit is for."""

import re
import shlex
from typing import Any

import pytest
from support import ROOT

from harness import cli
from harness.course import load_course

yaml = pytest.importorskip("yaml")

FILE = ROOT / ".github" / "workflows" / "tests.yml"
TEXT = FILE.read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
TYPED = [
    shlex.split(line)[words:]
    for step in STEPS
    for line in str(step.get("run", "")).splitlines()
    for start, words in (("./lab ", 1), ("python lab ", 2))
    if line.startswith(start)
]


def test_it_has_what_a_workflow_needs() -> None:
    assert set(WORKFLOW[True]) == {"push", "pull_request", "workflow_dispatch"}  # `on` is a truth value in YAML 1.1
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for job in JOBS.values():
        assert set(job) == {"runs-on", "timeout-minutes", "strategy", "steps"}
        assert not job["strategy"]["fail-fast"]
    assert all(("run" in step) != ("uses" in step) for step in STEPS)
    assert "secrets" not in TEXT


def test_actions_are_pinned_and_packages_kept() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", action) for action in used)
    kept = [step["with"]["cache-dependency-path"] for step in STEPS if "setup-python" in step.get("uses", "")]
    assert kept == ["requirements.lock"] * len(JOBS)


def test_every_system_and_every_python_is_there() -> None:
    [candidates] = re.findall(r"^CANDIDATES = (\[.+\])$", (ROOT / "lab").read_text(encoding="utf-8"), re.MULTILINE)
    supported = re.findall(r"python(3\.\d+)", candidates)
    for job in JOBS.values():
        assert sorted(job["strategy"]["matrix"]["python"]) == sorted(supported)
    systems = [JOBS["linux"]["runs-on"], *JOBS["elsewhere"]["strategy"]["matrix"]["system"]]
    assert [system.partition("-")[0] for system in systems] == ["ubuntu", "macos", "windows"]


@pytest.mark.parametrize("words", TYPED, ids=shlex.join)
def test_what_it_types_is_there(words: list[str]) -> None:
    args, files = cli.parser().parse_known_args(words)
    assert all((ROOT / file).is_file() for file in files), files
    told = vars(args)
    if told.get("lab"):
        checks = {name for step in load_course().lab(told["lab"]).steps for name in step.checks}
        assert told["keyword"] in {"", None, *checks}
