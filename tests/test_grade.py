"""`lab grade`: a class in, marks out; killed and resumed, changed and graded again, never a zero by accident."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support import PATIENCE, ROOT, SOLUTIONS, cluster, lab

from harness.classroom.batch import reference_modules
from harness.classroom.hidden import read_hidden
from harness.classroom.journal import JOURNAL, Journal, identity_of
from harness.classroom.policy import Late, read_policy
from harness.classroom.task import Task
from harness.commands.choose import chosen_labs
from harness.course import load_course
from harness.errors import UsageError
from harness.launch.tiers import PLAIN, best
from harness.launch.workers import WorkerDied, Workers
from harness.marks import class_from

LAB01 = "lab01_blocking_echo.py"
SOLUTION = (SOLUTIONS / LAB01).read_text(encoding="utf-8")
STUB = (ROOT / "labs" / LAB01).read_text(encoding="utf-8")
REUSE = "listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)"
CLASS: dict[str, dict[str, str | bytes]] = {
    "ann": {LAB01: SOLUTION},
    "bob": {LAB01: SOLUTION.replace(REUSE, "pass")},
    "cat": {LAB01: "def ("},
    "dan": {"essay.docx": b"PK\x03\x04 no archive"},
    "eve": {},
}
BY_NUMBER = {one.number: one for one in load_course().labs}
WHOLE = BY_NUMBER[1].points
trusting = ["--trust-everybody"] if best() == PLAIN else []


def write_class(folder: Path, hand_ins: Mapping[str, Mapping[str, str | bytes]]) -> Path:
    for name, files in hand_ins.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (folder / name / file).write_bytes(data)
    return folder


def graded(out: Path) -> dict[str, Any]:
    return {one["name"]: one for one in json.loads((out / "grades.json").read_text())["students"]}


def grade(*words: str | Path, status: int = 0) -> str:
    done = lab("grade", *map(str, words), "--labs", "1", *trusting)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_every_hand_in_gets_what_it_earns_and_only_what_changes_is_graded_again(tmp_path: Path) -> None:
    source, out = write_class(tmp_path / "class", CLASS), tmp_path / "out"
    roster = tmp_path / "class.csv"
    roster.write_text("name,login\nAnn,ann\nBob,bob\nCat,cat\nDan,dan\nEve,eve\nFay,fay\n")
    said = grade(source, "-o", out, "--roster", roster, status=1)
    assert f"tier {best()}" in said
    marks = graded(out)
    mark = {name: marks[name]["labs"]["1"] for name in ("Ann", "Bob", "Cat", "Dan", "Eve", "Fay")}
    assert (mark["Ann"]["points"], mark["Ann"]["state"]) == (WHOLE, "graded")
    failed = [name for name, check in mark["Bob"]["checks"].items() if check["status"] != "pass"]
    assert failed == ["restarts-at-once"]
    assert mark["Bob"]["points"] == WHOLE - BY_NUMBER[1].steps[0].checks["restarts-at-once"]
    assert (mark["Cat"]["points"], mark["Cat"]["state"]) == (0, "graded")
    assert (mark["Dan"]["points"], mark["Dan"]["state"]) == (None, "to be looked at")
    assert "none has the name of a lab's program" in mark["Dan"]["reason"]
    assert (mark["Eve"]["points"], mark["Eve"]["state"]) == (None, "to be looked at")
    assert "could not be read" in mark["Eve"]["reason"]
    assert (mark["Fay"]["points"], mark["Fay"]["state"]) == (0, "not handed in")
    evidence = json.loads((out / mark["Bob"]["results"]).read_text())
    assert "restarts-at-once.py" in evidence["scripts"]
    assert "COMMAND = ['python3', 'lab01_blocking_echo.py']" in evidence["scripts"]["restarts-at-once.py"]

    assert "holds a grading already: --resume" in grade(source, "-o", out, "--roster", roster, status=2)
    (source / "cat" / LAB01).write_text(SOLUTION)
    (out / "overrides.csv").write_text("student,lab,points,reason\ndan,1,12.5,shown in the lab\n")
    said = grade(source, "-o", out, "--roster", roster, "--resume", status=1)
    assert "Graded before, and not changed since: 2." in said
    assert "Graded again, because of changes of the files: 1." in said
    again = graded(out)
    assert again["Cat"]["labs"]["1"]["points"] == WHOLE
    assert again["Dan"]["labs"]["1"]["points"] == 12.5
    assert again["Ann"]["labs"]["1"] == marks["Ann"]["labs"]["1"]
    assert class_from(json.loads((out / "grades.json").read_text())).seed == evidence["seed"]


@pytest.mark.slow
def test_a_grading_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    source = write_class(tmp_path / "class", {f"s{number}": CLASS["ann"] for number in range(3)})
    out, whole = tmp_path / "out", tmp_path / "whole"
    words = [sys.executable, "-m", "harness", "grade", str(source), "--labs", "1", "--seed", "5", *trusting]
    with subprocess.Popen([*words, "-o", str(out), "-j", "1"], cwd=ROOT, stdout=subprocess.DEVNULL) as grading:
        limit = time.monotonic() + 6 * PATIENCE
        while not _lines(out / JOURNAL) and time.monotonic() < limit:
            time.sleep(0.01)  # polls a file of another process
        grading.send_signal(signal.SIGKILL)
    assert 0 < _lines(out / JOURNAL) < 3
    with (out / JOURNAL).open("ab") as journal:
        journal.write(b'{"identity": {"hand-in"')  # as if it had been killed in the middle of a line
    before = _lines(out / JOURNAL)
    assert f"Graded before, and not changed since: {before}." in grade(source, "-o", out, "--resume")
    assert _lines(out / JOURNAL) == 3
    grade(source, "-o", whole, "--seed", "5")
    assert {name: one["total"] for name, one in graded(out).items()} == {
        name: one["total"] for name, one in graded(whole).items()
    }


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
def test_two_workers_of_a_cluster_grade_a_class_and_one_that_dies_costs_nobody_a_mark(tmp_path: Path) -> None:
    source = write_class(tmp_path / "class", {f"s{number}": CLASS["ann"] for number in range(4)})
    words = [
        sys.executable,
        "-m",
        "harness",
        "grade",
        str(source),
        "--labs",
        "1",
        *trusting,
        "-o",
        str(tmp_path / "out"),
    ]
    with cluster(2) as (scheduler, workers), subprocess.Popen([*words, "--scheduler", scheduler], cwd=ROOT) as grading:
        limit = time.monotonic() + 6 * PATIENCE
        while not _lines(tmp_path / "out" / JOURNAL) and time.monotonic() < limit:
            time.sleep(0.01)  # polls a file of another process
        workers[1].kill()  # it grades one, and one waits for it
        assert _lines(tmp_path / "out" / JOURNAL) < 4
        assert grading.wait(6 * PATIENCE) == 0
    marks = graded(tmp_path / "out")
    assert {name: one["total"] for name, one in marks.items()} == dict.fromkeys(("s0", "s1", "s2", "s3"), WHOLE)
    assert _lines(tmp_path / "out" / JOURNAL) == 4


def test_a_time_that_is_over_is_no_zero(tmp_path: Path) -> None:
    source = write_class(tmp_path / "class", {"ann": CLASS["ann"]})
    grade(source, "-o", tmp_path / "out", "--seconds", "0.3", status=1)
    mark = graded(tmp_path / "out")["ann"]["labs"]["1"]
    assert (mark["points"], mark["state"]) == (None, "to be looked at")
    assert re.fullmatch(r"the time was over when \d+ of 27 checks were made", mark["reason"])


HIDDEN = '''
from harness.checks.mark import check
from harness.checks.subject import Subject

@check("C1", "secret sentence", "secret hint")
def check_secret_of_the_teacher(server: Subject) -> None:
    """A secret title."""
    ann = server.connect("ann")
    ann.send(b"secret word")
    ann.expect(b"secret word")
'''


@pytest.mark.slow
def test_hidden_checks_count(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "check_more.py").write_text(HIDDEN)
    (hidden / "hidden.toml").write_text("[1]\nsecret-of-the-teacher = 7\n")
    source = write_class(tmp_path / "class", {"ann": CLASS["ann"]})
    grade(source, "-o", tmp_path / "out", "--hidden", hidden)
    mark = graded(tmp_path / "out")["ann"]["labs"]["1"]
    assert mark["points"] == WHOLE + 7
    assert mark["checks"]["secret-of-the-teacher"]["status"] == "pass"


# What is wrong with what was asked for is told before anything is done


@pytest.mark.parametrize(
    ("files", "words", "told"),
    [
        ({}, ("--labs", "1,x"), "--labs takes numbers of labs"),
        ({}, ("--labs", "12"), "there is no lab 12"),
        ({}, ("--repeat", "0"), "take numbers above 0"),
        ({}, ("--hidden", "nowhere"), "cannot read nowhere/hidden.toml"),
        ({"h/hidden.toml": "[1]\nnothing = 1"}, ("--hidden", "h"), "no module in h has its function"),
        ({"h/hidden.toml": "[1]\nechoes = 1"}, ("--hidden", "h"), "give yours another name"),
        ({"h/hidden.toml": "[1]\na = 1.5"}, ("--hidden", "h"), "a whole number of points"),
        ({"c.toml": "[weigths]\n1 = 2"}, ("--course", "c.toml"), "there is no 'weigths'"),
        ({"c.toml": "[weights]\n77 = 2"}, ("--course", "c.toml"), "there is no lab 77"),
        ({"c.toml": "[late]\ndeadlines.1 = 7"}, ("--course", "c.toml"), "a deadline is a date and a time"),
        ({"c.toml": "x = ["}, ("--course", "c.toml"), "is not TOML"),
        ({}, ("--tier", "plain"), "--trust-everybody"),
        ({"out/else": ""}, (), "is not empty"),
        ({}, ("--scheduler", "nowhere"), "--scheduler takes an address"),
    ],
)
def test_what_cannot_be_meant_is_told(
    tmp_path: Path, files: Mapping[str, str], words: tuple[str, ...], told: str
) -> None:
    for name, text in {"class/ann/" + LAB01: SOLUTION, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    full = [sys.executable, "-m", "harness", "grade", "class", "-o", "out", *words]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(full, cwd=tmp_path, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert told in done.stderr
    assert not (tmp_path / "out" / "grades.json").exists()


def test_labs_are_chosen_by_numbers_and_ranges() -> None:
    assert [one.number for one in chosen_labs("6, 1-3")] == [1, 2, 3, 6]
    with pytest.raises(UsageError):
        chosen_labs("")


# Modules of labs that are not graded


def test_a_program_gets_the_modules_that_it_needs_and_no_other_solution() -> None:
    lab6 = BY_NUMBER[6]
    files = {lab6.program: (SOLUTIONS / lab6.program).read_bytes(), "room.py": b"from framing import x"}
    found = reference_modules(lab6, files, own=False)
    assert set(found) == {"lab01_blocking_echo.py", "lab05_select_echo.py", "framing.py"}
    assert found["framing.py"] == (SOLUTIONS / "framing.py").read_bytes()
    own = reference_modules(lab6, files | {"framing.py": b"mine"}, own=True)
    assert own["framing.py"] == b"mine"
    assert reference_modules(BY_NUMBER[1], {LAB01: b"import socket"}, own=False) == {}


# The journal


@pytest.fixture
def task() -> Callable[..., Task]:
    def made(**changes: Any) -> Task:
        fields = {"key": "ann", "lab": BY_NUMBER[1], "files": {LAB01: b"x"}, "seed": 1, "tier": PLAIN}
        return Task(**fields | changes)

    return made


def test_what_a_result_depends_on_is_noticed(tmp_path: Path, task: Callable[..., Task]) -> None:
    identity = identity_of(task())
    with Journal(tmp_path).open() as journal:
        file = journal.add(identity, {"lab": 1})
        assert journal.known(identity_of(task())) == {"lab": 1}
    with Journal(tmp_path).open() as journal:
        assert journal.known(identity) == {"lab": 1}
        assert journal.seed == 1
        for changes, name in (
            ({"files": {LAB01: b"y"}}, "files"),
            ({"files": {LAB01: b"x", "more.py": b""}}, "files"),
            ({"seed": 2}, "seed"),
            ({"rounds": 3}, "rounds"),
            ({"majority": True}, "rule"),
            ({"tier": "box"}, "tier"),
        ):
            changed = identity_of(task(**changes))
            assert journal.known(changed) is None
            assert journal.changed(changed) == [name]
        assert journal.changed(identity_of(task(key="new"))) == []
        (tmp_path / file).write_text('{"lab": 1, "points": 100}')
        assert journal.known(identity) is None


def test_one_grading_at_a_time_writes_to_a_journal(tmp_path: Path) -> None:
    with (
        Journal(tmp_path).open(),
        pytest.raises(UsageError, match="another grading writes"),
        Journal(tmp_path).open(),
    ):
        pass


@pytest.mark.parametrize(
    "broken", [b"{}\n", b"[]\n", b'{"identity": 1, "file": "x", "digest": 2}\n', b"\xff\n", b"half"]
)
def test_a_line_that_cannot_be_read_is_a_task_that_is_not_done(
    tmp_path: Path, task: Callable[..., Task], broken: bytes
) -> None:
    identity = identity_of(task())
    with Journal(tmp_path).open() as journal:
        journal.add(identity, {"lab": 1})
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(broken)
    with Journal(tmp_path).open() as journal:
        assert journal.known(identity) == {"lab": 1}
        journal.add(identity_of(task(key="bob")), {"lab": 2})
    with Journal(tmp_path).open() as journal:
        assert journal.known(identity_of(task(key="bob"))) == {"lab": 2}


# Workers


def dies_or_tells(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 4:
        raise ValueError("four")
    return number * number


def test_a_worker_that_dies_takes_its_own_task_alone_with_it() -> None:
    from functools import partial

    with Workers(2) as workers:
        done = dict(workers.each(partial(dies_or_tells, number) for number in range(120)))
    assert isinstance(done.pop(3), WorkerDied)
    assert isinstance(done.pop(4), ValueError)
    assert done == {number: number * number for number in range(120) if number not in (3, 4)}


# Lateness, and what is decided by hand


def test_a_day_that_has_begun_is_late_after_the_grace() -> None:
    deadline = datetime(2026, 12, 1, 23, 59, tzinfo=UTC)
    late = Late({6: deadline}, grace=10, per_day=10, at_most=25)
    days = {-5: 0, 10: 0, 11: 1, 24 * 60 + 10: 1, 24 * 60 + 11: 2}  # by minutes after the deadline
    assert {minutes: late.days(6, deadline + timedelta(minutes=minutes)) for minutes in days} == days
    assert late.days(1, deadline) == late.days(6, None) == 0
    assert [late.deduction(days, 40) for days in (0, 1, 2, 3)] == [0, 4, 8, 10]


def test_overrides_are_read_with_their_reasons(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    file.write_text('student,lab,points,reason\n"Ó, Zoë",6,3.5,"said, ""ok"""\n\'=1,1,2,x\n')
    policy = read_policy(None, file, BY_NUMBER)
    found = policy.override(iter(["nobody", "ó, zoë"]), 6)
    assert found is not None
    assert (found.points, found.reason) == (3.5, 'said, "ok"')
    assert policy.override(iter(["=1"]), 1) is not None
    for line, told in (("a,6,x,y", "points is a number"), ("a,6,1,", "needs a reason"), ("a,99,1,y", "no lab 99")):
        file.write_text(f"student,lab,points,reason\n{line}\n")
        with pytest.raises(UsageError, match=told):
            read_policy(None, file, BY_NUMBER)


def test_hidden_checks_are_read(tmp_path: Path) -> None:
    (tmp_path / "check_more.py").write_text(HIDDEN)
    (tmp_path / "hidden.toml").write_text("[1]\nsecret-of-the-teacher = 7\n")
    hidden = read_hidden(tmp_path, BY_NUMBER)
    whole = hidden.added_to(BY_NUMBER[1])
    assert whole.points == WHOLE + 7
    assert hidden.modules_of(BY_NUMBER[1], Path("x")) == [Path("x/check_more.py")]
    assert hidden.added_to(BY_NUMBER[2]) is BY_NUMBER[2]
    assert hidden.modules_of(BY_NUMBER[2], Path("x")) == []
