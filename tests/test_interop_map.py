"""Everybody's client with everybody's server: who gets on with whom, what it is worth, and what one sees of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from classes import a_class, with_student
from support import SOLUTIONS, Page, lab

from harness.classroom.batch import Batch, Order
from harness.classroom.intake import open_intake
from harness.classroom.interop import IT, SERVER, Interop, drawn, lab_of, mark_of
from harness.classroom.journal import Journal
from harness.commands.choose import chosen_labs
from harness.launch.tiers import best
from harness.launch.workers import Workers
from harness.marks import REFERENCE, InteropMap, Meeting, State, class_from
from harness.report.marks.class_page import class_html
from harness.report.marks.feedback import feedback_html, feedback_markdown
from harness.report.marks.interop import heat_map, sides

CHAT, ROOM, CLIENT = "lab06_select_chat.py", "room.py", "lab07_chat_client.py"
Files = dict[str, str]
Change = tuple[str, str, str]


def handed_in(*names: str, change: Change = ("", "", "")) -> Files:
    files = {name: (SOLUTIONS / name).read_text(encoding="utf-8") for name in names}
    name, old, new = change
    if name:
        assert files[name].count(old) == 1
        files[name] = files[name].replace(old, new)
    return files


SERVERS = (CHAT, ROOM)
CLASS = {
    "ann": handed_in(*SERVERS, CLIENT),
    "bob": handed_in(*SERVERS, change=(ROOM, 'case "/nick":', 'case "/name":')),
    "cat": handed_in(CLIENT, change=(CLIENT, 'line.removesuffix(b"\\n") + b"\\n")', 'line.rstrip(b"\\n"))')),
    "dan": {CHAT: "import sys; sys.exit('not yet')", CLIENT: "raise SystemExit"},
    "eve": {"essay.txt": "It is not finished."},
}
NAMED, RENAMED, ALL = 1, 6, 8  # the scenes that hold before a name is given, before it is changed, and in all


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> tuple[InteropMap, Path, Callable[[Path], Interop]]:
    place = tmp_path_factory.mktemp("met")
    for name, files in CLASS.items():
        (place / "class" / name).mkdir(parents=True)
        for file, text in files.items():
            (place / "class" / name / file).write_text(text, encoding="utf-8")
    order = Order(chosen_labs("6,7"), 1, best())

    def interop(into: Path) -> Interop:
        return Interop(Batch(open_intake(place / "class", into), order, Journal(place)))

    return met_by(interop(place / "first"), Workers(2), []), place, interop


def by_names(found: InteropMap) -> InteropMap:
    """Return a map that calls each hand-in what its folder is called."""

    def called(key: str) -> str:
        return found.names.get(key, key)

    meetings = [replace(one, server=called(one.server), client=called(one.client)) for one in found.meetings]
    return replace(
        found,
        servers=tuple(map(called, found.servers)),
        clients=tuple(map(called, found.clients)),
        meetings=tuple(sorted(meetings, key=lambda one: (one.server, one.client))),
        names={},
    )


def met_by(interop: Interop, workers: Workers, steps: list[str]) -> InteropMap:
    with interop.batch.journal.open(), workers:
        found = interop.run(workers, steps.append)
    assert found is not None
    found = by_names(found)
    assert len(steps) in (0, interop.receptions)
    return found


def test_each_pair_holds_what_its_two_programs_can(met: tuple[InteropMap, Path, Callable[[Path], Interop]]) -> None:
    found, _, _ = met
    held = {(one.server, one.client): one.held for one in found.meetings}
    assert held == {
        (REFERENCE, REFERENCE): ALL,
        (REFERENCE, "ann"): ALL,
        (REFERENCE, "cat"): NAMED,
        (REFERENCE, "dan"): 0,
        ("ann", REFERENCE): ALL,
        ("ann", "ann"): ALL,
        ("ann", "cat"): NAMED,
        ("ann", "dan"): 0,
        ("bob", REFERENCE): RENAMED,
        ("bob", "ann"): RENAMED,
        ("bob", "cat"): NAMED,
        ("bob", "dan"): 0,
        ("dan", REFERENCE): 0,
        ("dan", "ann"): 0,
        ("dan", "cat"): 0,
        ("dan", "dan"): 0,
    }
    messages = {(one.server, one.client): one.message for one in found.meetings}
    assert "it does not listen" in messages["dan", "ann"]
    assert "it did not connect" in messages["ann", "dan"]
    assert messages["ann", "ann"] == ""
    assert found.sound_servers == {REFERENCE, "ann"}
    assert found.sound_clients == {REFERENCE, "ann"}


def test_nobody_loses_by_the_faults_of_others(met: tuple[InteropMap, Path, Callable[[Path], Interop]]) -> None:
    found, _, _ = met
    assert mark_of(found, "ann", 10).points == 10
    bob = mark_of(found, "bob", 10)
    assert bob.points == 5 * RENAMED / ALL  # the other half is for a client, and there is none
    assert "it stops at: /nick changes the name" in bob.checks[SERVER].message
    assert mark_of(found, "cat", 16).checks[IT].points == 8 * NAMED / ALL
    assert mark_of(found, "dan", 10).points == 0
    assert mark_of(found, "eve", 10).state is State.NOTHING


def test_what_was_met_is_not_met_again(
    met: tuple[InteropMap, Path, Callable[[Path], Interop]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, place, interop = met
    lines = (place / "journal.jsonl").read_bytes()
    steps: list[str] = []
    assert met_by(interop(place / "second"), Workers(1), steps).meetings == found.meetings
    assert len(steps) == 4
    assert (place / "journal.jsonl").read_bytes() == lines


def test_a_program_that_could_not_be_met_is_no_zero(met: tuple[InteropMap, Path, Callable[[Path], Interop]]) -> None:
    found, _, _ = met
    lost = replace(found, meetings=tuple(one for one in found.meetings if one.server != "ann"))
    assert mark_of(lost, "ann", 10).state is State.REVIEW
    unsound = replace(found, meetings=(Meeting(REFERENCE, REFERENCE, 3, "a busy machine"), *found.meetings[1:]))
    assert mark_of(replace(unsound, meetings=unsound.meetings[:1]), "ann", 10).state is State.REVIEW


@pytest.mark.parametrize(("servers", "clients", "partners"), [(40, 40, 15), (7, 31, 5), (31, 7, 5), (3, 3, 0)])
def test_everybody_has_about_as_many_partners(servers: int, clients: int, partners: int) -> None:
    plan = drawn([f"s{n}" for n in range(servers)], [f"c{n}" for n in range(clients)], partners, seed=1)
    assert {len(set(those)) for those in plan.values()} == {partners or clients}
    times = [sum(f"c{n}" in those for those in plan.values()) for n in range(clients)]
    assert max(times) - min(times) <= 1
    assert min(times) >= (partners or clients) * servers // clients


def test_the_page_and_the_feedback_show_it(met: tuple[InteropMap, Path, Callable[[Path], Interop]]) -> None:
    found, _, _ = met
    names = {"ann": "Ann <script>", "bob": "Bob", "cat": "Cat", "dan": "Dan"}
    klass = a_class(4)
    info, mark = lab_of(10), mark_of(found, "bob", 10)
    klass = replace(klass, interop=replace(found, names=names), labs=(*klass.labs, info))
    klass = with_student(klass, 0, labs={**klass.students[0].labs, info.number: mark})
    assert class_from(json.loads(json.dumps(klass.as_dict()))) == klass
    page = class_html(klass)
    assert Page(page).policy
    assert "Ann &lt;script&gt;, client, with Bob, server: 6 of 8, then: /nick changes the name" in page
    assert "In 4 of 16 meetings all 8 scenes held." in page
    for told in (feedback_markdown(klass, klass.students[0], {}), feedback_html(klass, klass.students[0], {})):
        assert "All programs together" in told
        assert "lab check 0" not in told  # no command makes it again
        assert "Ann" not in told


def test_the_map_of_a_large_class_is_small() -> None:
    keys = [f"s{number}" for number in range(500)]
    plan = drawn(keys, keys, 15, seed=1)
    meetings = tuple(Meeting(server, client, 8) for server, those in plan.items() for client in those)
    found = InteropMap(6, 7, ("scene",) * ALL, tuple(keys), tuple(keys), meetings, {}, 15)
    assert len(heat_map(found)) < 200_000
    servers, _ = sides(found)
    assert (len(servers), servers[1].through) == (501, 15)


def test_programs_meet_where_both_labs_are_graded(tmp_path: Path) -> None:
    (tmp_path / "class" / "ann").mkdir(parents=True)
    done = lab("grade", str(tmp_path / "class"), "-o", str(tmp_path / "out"), "--labs", "6", "--interop")
    assert done.returncode == 2
    assert "lab 7 and a chat (lab 4, 6, 8 or 9)" in done.stderr
    assert not (tmp_path / "out").exists()
