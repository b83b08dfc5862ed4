"""The catalogue of hostile and unlucky programs: what each comes to in each tier, and that nothing of it is left."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hostile.case import TIERS, Case, Says
from hostile.catalogue import CASES
from hostile.forging import JUDGED, Judged
from hostile.starting import ALIKE
from hostile.surroundings import Surroundings, left_by, listens
from hostile.world import World, open_folder, outcome
from support import PATIENCE, ROOT, SOLUTIONS, check, lab, python

from harness.course.layout import RUNS
from harness.launch import Program
from harness.launch.command import python_program
from harness.launch.limits import Limits
from harness.launch.processes import state
from harness.launch.tiers import BOX, PLAIN, RULESET, hindrance

RUNS_OF_CASES = [(tier, case) for tier in TIERS for case in CASES if case.in_tier(tier)]


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[str, World]]:
    """Returns what there is to be reached, by tier; made when it is needed."""
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        yield _Worlds(folder, stack)


class _Worlds(dict[str, World]):
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__()
        self._folder, self._stack = folder, stack

    def __missing__(self, tier: str) -> World:
        folder = self._folder / tier
        folder.mkdir()
        self[tier] = World(tier, folder, self._stack)
        return self[tier]


@pytest.mark.parametrize(("tier", "case"), RUNS_OF_CASES, ids=lambda one: getattr(one, "name", one))
def test_a_hostile_program_comes_to_nothing_and_leaves_nothing(worlds: dict[str, World], tier: str, case: Case) -> None:
    if why := hindrance(tier):
        pytest.skip(why)
    world, expected = worlds[tier], case.in_tier(tier)
    file, mark = world.place(case)

    def around() -> Surroundings:
        return Surroundings.now([world.folder], world.bystander.pid, mark)

    before = around()
    with Program(python_program(file), tier=tier, limits=Limits(**case.limits)) as program:
        came_to = outcome(program, expected)
        members, uid = program.members(), getattr(program.place, "uid", 0)
    assert came_to == expected
    assert not [pid for pid in members if state(pid)]
    assert not listens(program.port)
    if tier != PLAIN:
        assert left_by(uid, file.parent) == []
        assert around() == before
    assert world.is_served(world.neighbour)
    assert world.serves_the_next()


def results_in(runs: Path) -> set[Path]:
    return set(runs.glob("*/results.json"))


@pytest.mark.parametrize("judged", JUDGED, ids=lambda judged: judged.name)
@pytest.mark.parametrize("tier", [BOX, RULESET])
def test_no_point_is_gained_for_nothing(worlds: dict[str, World], tier: str, judged: Judged) -> None:
    if why := hindrance(tier):
        pytest.skip(why)
    file, _ = worlds[tier].place(judged.case)
    began, runs = time.monotonic(), results_in(RUNS)
    status, results = check(1, python(file), "--tier", tier, "-k", judged.check)
    (verdict,) = results["checks"]
    assert (status, results["points"], verdict["points"], verdict["status"]) == (1, 0, 0, "fail")
    assert re.search(judged.tells, f"{verdict['message']} {verdict['server']}")
    assert verdict["limit"] == judged.limit
    assert not judged.limit or verdict["message"].startswith("ended: ")
    written = [json.loads(path.read_text(encoding="utf-8")) for path in results_in(RUNS) - runs]
    assert [one for one in written if one["target"] == results["target"]] == [results]
    assert time.monotonic() - began < 3 * PATIENCE
    assert left_by(0, file.parent) == []


@pytest.mark.parametrize("tier", TIERS)
def test_files_of_a_hand_in_are_none_of_the_judges(worlds: dict[str, World], tier: str) -> None:
    if why := hindrance(tier):
        pytest.skip(why)
    text = (SOLUTIONS / "lab01_blocking_echo.py").read_bytes()
    file, _ = worlds[tier].place(Case("correct", text, Says(None), files=ALIKE))
    words = [
        sys.executable,
        "-P",
        "-m",
        "harness",
        "check",
        "1",
        "--target",
        python(file),
        "--tier",
        tier,
        "-k",
        "echo",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*words, "-k", "listens"], cwd=file.parent, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("tier", [BOX, RULESET])
def test_what_is_printed_cannot_draw_on_the_terminal(worlds: dict[str, World], tier: str) -> None:
    if why := hindrance(tier):
        pytest.skip(why)
    (judged,) = [one for one in JUDGED if one.name == "prints-what-terminals-obey"]
    file, _ = worlds[tier].place(judged.case)
    done = lab("check", "1", "--target", python(file), "--tier", tier, "-k", "listens")
    assert "status 3" in done.stdout
    assert not [one for one in done.stdout if one in "\x1b\x07\r\u202e"]
