"""The catalogue of hostile and unlucky programs: what each comes to in each tier, and that nothing of it is left."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hostile.case import TIERS, Case
from hostile.catalogue import CASES
from hostile.surroundings import Surroundings, left_by, listens
from hostile.world import World, open_folder, outcome

from harness.launch import Program
from harness.launch.command import python_program
from harness.launch.limits import Limits
from harness.launch.processes import state
from harness.launch.tiers import PLAIN, hindrance

RUNS = [pytest.param(tier, case, id=f"{tier}-{case.name}") for tier in TIERS for case in CASES if case.in_tier(tier)]


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[str, World]]:
    """Returns what there is to be reached, by tier; made when it is needed."""
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        yield _Worlds(folder, stack)


class _Worlds(dict[str, World]):
    def __init__(self, folder, stack) -> None:
        super().__init__()
        self._folder, self._stack = folder, stack

    def __missing__(self, tier: str) -> World:
        folder = self._folder / tier
        folder.mkdir()
        self[tier] = World(tier, folder, self._stack)
        return self[tier]


@pytest.mark.parametrize(("tier", "case"), RUNS)
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
