"""Marks in the forms that others read: each format is read again by a reader of its own, with names of every kind.

The archive for Gradescope is unpacked and run as there: in a namespace that has /autograder, with hand-ins that are
right, wrong, empty, no Python, stuck, and dishonest. What its setup.sh does is seen with stand-ins for its tools.
"""

import csv
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ROOT, SOLUTIONS, lab

from harness.classroom.exports import FORMATS, Export, Request, autograder
from harness.classroom.exports.cells import guarded, key, number, plain
from harness.classroom.exports.prairielearn import MOST_BYTES
from harness.classroom.marks import CheckInfo, CheckMark, Class, LabInfo, LabMark, State, StudentMark
from harness.course import load_course
from harness.errors import UsageError
from harness.launch.tiers import BOX, TIERS, hindrance

NAMES = [
    "Ann Smith",
    "Smith, Ann",
    'Ann "the root" Smith',
    "Ann\nSmith",
    "Ann\r\nSmith",
    "=1+1",
    "+49 30 1",
    "-2+3",
    "@SUM(A1)",
    "\tAnn",
    "\rAnn",
    "'=1+1",
    "''@x",
    "' Ann",
    "李小龙",
    "عمر بن الخطاب",
    "אבא \u202e evil",
    "Zoe\u0308 Ångström",
    "🧑‍💻 Ann",
    ";,|\t#",
    " Ann ",
    "NULL",
    "0123",
]
SECRET = "counts-the-moons"  # a hidden check

CHECKS = (
    CheckInfo("echoes", "What is sent comes back.", "1.2", 4),
    CheckInfo("next-client", "Then comes the next.", "1.3", 3),
    CheckInfo("leaks-nothing", "Nothing is left behind.", "1.4", 2),
    CheckInfo(SECRET, "It counts the moons.", "", 1, hidden=True),
)
LAB = LabInfo(1, "An echo", "lab01.md", 10, 20, CHECKS)
OTHER = LabInfo(3, "Threads", "lab03.md", 8, 8, ())
MADE = {
    "echoes": CheckMark("pass", 4, 4),
    "next-client": CheckMark("fail", 0, 3, "ann got \x1b[31mnothing\x00 ]]> <b>"),
    "leaks-nothing": CheckMark("blocked", 0, 2, "'next-client' does not hold"),
    SECRET: CheckMark("fail", 0, 1, "no moons"),
}


def graded(**fields: Any) -> LabMark:
    """Return a mark with 4 of 10 points."""
    return replace(LabMark(State.GRADED, 4, 10, checks=MADE, seconds=1.5, tier="box"), **fields)


UNDECIDED = LabMark(State.REVIEW, 4, 10, reason="the kit failed", checks=MADE)


def student(number: int, name: str = "", *marks: LabMark, **fields: Any) -> StudentMark:
    """Return a student with marks in the labs 1 and 3."""
    known: dict[str, Any] = {
        "id": f"{7000 + number}",
        "login": f"user{number}",
        "email": f"user{number}@example.org",
        "sid": f"S{number}",
    }
    known["labs"] = dict(zip((1, 3), marks or (graded(),), strict=False))
    return StudentMark(key=f"hand-in-{number}", name=name or f"Student {number}", **(known | fields))


def of(*students: StudentMark, labs: tuple[LabInfo, ...] = (LAB,), **fields: Any) -> Request:
    """Return a request for the marks of students."""
    marks = Class("Networks", "2026-11-24T10:00:00+00:00", 1, "box", "0.1", 1, "all", labs, students)
    return Request(marks, **fields)


def made(form: str, request: Request) -> Export:
    """Return what a format makes of a request."""
    return FORMATS[form].make(request)


def text_of(export: Export) -> str:
    """Return the text of a single file, as its readers get it."""
    assert isinstance(export.content, str | bytes)
    data = export.content.encode("utf-8", "backslashreplace") if isinstance(export.content, str) else export.content
    return data.decode("utf-8")


def table_of(export: Export) -> list[list[str]]:
    """Read a file as a spreadsheet would, without a byte order mark."""
    return list(csv.reader(io.StringIO(text_of(export).removeprefix("\ufeff"), newline="")))


# Names


names = st.one_of(
    st.sampled_from(NAMES),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.builds(str.__add__, st.sampled_from(["=", "+", "-", "@", "\t", "\r", "'"]), st.text(max_size=5)),
).filter(lambda name: max(name) < "\ud800" or max(name) > "\udfff")


@given(names)
def test_no_text_is_a_formula_and_every_text_can_be_read_again(name: str) -> None:
    assert guarded(name)[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert plain(guarded(name)) == name
    assert key(name) in ("", name)


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=4))
@pytest.mark.parametrize(("form", "column", "heading_rows"), [("csv", 1, 1), ("canvas", 0, 2)])
def test_names_survive_in_tables(form: str, column: int, heading_rows: int, people: list[str]) -> None:
    rows = table_of(made(form, of(*(student(place, name) for place, name in enumerate(people)))))
    assert len({len(row) for row in rows}) == 1
    cells = [row[column] for row in rows[heading_rows:]]
    assert [plain(cell) for cell in cells] == people
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=4))
def test_names_survive_in_json_and_xml(people: list[str]) -> None:
    request = of(*(student(place, name) for place, name in enumerate(people)))
    told = json.loads(text_of(made("json", request)))
    assert [one["name"] for one in told["students"]] == people
    suites = ElementTree.fromstring(text_of(made("junit", request)))
    legal = [re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", name) for name in people]
    assert [suite.get("name", "").removesuffix(": lab 1") for suite in suites] == legal


def test_half_a_character_harms_no_format(tmp_path: Path) -> None:
    request = of(student(1, "Ann \ud83d"))
    for form in ("csv", "canvas", "brightspace", "json", "junit", "gradescope", "prairielearn"):
        assert text_of(made(form, request)), form


# Numbers and who has none


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (4, "4"), (4.5, "4.5"), (3.14159, "3.14"), (100, "100"), (1e6, "1000000"), (None, "")]
)
def test_points_are_written_short(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize("form", ["canvas", "brightspace"])
def test_who_has_no_mark_has_no_zero_and_nobody_else_is_touched(form: str) -> None:
    request = of(
        student(1, "Ann", graded(), graded()),
        student(2, "Bob", UNDECIDED, LabMark(State.NOTHING, max_points=8)),
        student(3, "Cat", UNDECIDED),
        student(4, "Dan", labs={}),
        labs=(LAB, OTHER),
    )
    rows = table_of(made(form, request))
    of_students = {row[1]: row for row in rows[1:] if row[0].strip() != "Points Possible"}
    at = rows[0].index("Lab 1" if form == "canvas" else "Lab 1 Points Grade")
    known = ["7001", "7002"] if form == "canvas" else ["#user1", "#user2"]
    assert [(name, row[at : at + 2]) for name, row in of_students.items()] == [
        (known[0], ["4", "4"]),
        (known[1], ["", "0"]),
    ]
    assert [sentence.split(" has")[0] for sentence in request.undecided()] == ["Bob", "Cat"]


@pytest.mark.parametrize("form", ["gradescope", "prairielearn"])
def test_a_hand_in_without_a_mark_has_no_file(form: str) -> None:
    content = made(form, of(student(1), student(2, "", UNDECIDED))).content
    assert not isinstance(content, str | bytes)
    assert list(content) == ["hand-in-1-lab1.json"]
    with pytest.raises(UsageError, match="nothing of what is asked for has a mark"):
        made(form, of(student(2, "", UNDECIDED)))


def test_files_of_hand_ins_have_names_of_their_own_and_lead_nowhere() -> None:
    keys = ["../../etc/x", "..-..-etc-x", "a b", "A-B", "", "/"]
    content = made("gradescope", of(*(replace(student(place), key=name) for place, name in enumerate(keys)))).content
    assert not isinstance(content, str | bytes)
    assert len({name.casefold() for name in content}) == len(keys)
    assert not [name for name in content if re.search(r"[^A-Za-z0-9_.-]|\.\.", name)]


# Formats


def test_gradescope_has_its_form_and_hides_what_is_hidden() -> None:
    told = json.loads(text_of(made("gradescope", of(student(1, "", graded(late_days=2, deduction=1.0))))))
    assert (told["score"], told["execution_time"], told["stdout_visibility"]) == (3.0, 2, "hidden")
    assert "2 days late, which costs 1 of its 4 points" in told["output"]
    assert [test["status"] for test in told["tests"]] == ["passed", "failed", "failed", "failed"]
    assert [test["visibility"] for test in told["tests"]] == ["visible"] * 3 + ["hidden"]
    assert told["tests"][1]["output"] == r"ann got \x1b[31mnothing\x00 ]]> <b>"
    assert (told["tests"][1]["number"], told["tests"][1]["max_score"]) == ("1.3", 3)


def test_gradescope_gives_no_points_and_no_zero_for_what_the_kit_could_not_check() -> None:
    broken = graded(
        checks=MADE | {"echoes": CheckMark("error", 0, 4, "KeyError")}, override={"points": 9, "reason": "ok"}
    )
    told = json.loads(text_of(made("gradescope", of(student(1, "", broken)))))
    assert told["score"] == 9
    assert not {"score", "max_score", "status"} & set(told["tests"][0])
    assert "KeyError" not in told["tests"][0]["output"]
    assert "by hand: ok" in told["output"]


RUNNER = {
    "CLASSROOM": "networks",
    "ASSIGNMENT": "lab1",
    "SUBMISSION_TAG": "submit/2026-11-24T10-00-00Z-abc",
    "COMMIT_URL": "https://example.org/commit/abc",
    "RELEASE_URL": "https://example.org/releases/abc",
}


def test_classroom_50_has_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    request = of(student(1, "", graded(raw=4.5)))
    with pytest.raises(UsageError, match="CLASSROOM is not set"):
        made("classroom50", request)
    for name, value in RUNNER.items():
        monkeypatch.setenv(name, value)
    told = json.loads(text_of(made("classroom50", request)))
    assert told["schema"] == "classroom50/result/v1"
    assert (told["score"], told["max-score"], told["owner"]) == (5, 10, "user1")
    assert told["review"] == told["commit"] == RUNNER["COMMIT_URL"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["datetime"])
    for one in [told, *told["tests"]]:
        assert type(one["score"]) is type(one["max-score"]) is int
        assert 0 <= one["score"] <= one["max-score"]
    assert all(type(test["passed"]) is bool and test["test-name"] for test in told["tests"])
    with pytest.raises(UsageError, match="is of one hand-in"):
        made("classroom50", of(student(1), student(2)))


def test_prairielearn_has_its_form_and_its_size() -> None:
    told = json.loads(text_of(made("prairielearn", of(student(1)))))
    assert (told["gradable"], told["score"]) == (True, 0.4)
    assert sum(test["points"] for test in told["tests"]) == 4
    assert all({"name", "points", "max_points"} <= set(test) for test in told["tests"])
    checks = {f"c{place}": CheckMark("fail", 0, 1, "\u4e00" * 30_000) for place in range(200)}
    large = replace(LAB, checks=tuple(CheckInfo(name, name, "1.1", 1) for name in checks))
    text = text_of(made("prairielearn", of(student(1, "", graded(checks=checks)), labs=(large,))))
    assert len(text.encode()) <= MOST_BYTES
    assert len(json.loads(text)["tests"]) == 200


@pytest.mark.parametrize("form", ["prairielearn", "classroom50"])
def test_hidden_checks_have_no_names_where_they_would_be_seen(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RUNNER.items():
        monkeypatch.setenv(name, value)
    text = text_of(made(form, of(student(1))))
    assert "moons" not in text
    assert "Further checks" in text


def test_canvas_has_its_headings_and_names_assignments() -> None:
    request = of(student(1, "Ann", section="A, B"), titles={1: "Echo (4711)"}, out_of=50)
    rows = table_of(made("canvas", request))
    assert rows == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Echo (4711)"],
        ["    Points Possible", "", "", "", "", "50"],
        ["Ann", "7001", "S1", "user1", "A, B", "20"],
    ]
    assert made("canvas", request).told == ()
    assert "Canvas makes an assignment" in made("canvas", of(student(1))).told[0]


def test_keys_stay_as_they_are_or_are_not_written() -> None:
    request = of(
        student(1, "Ann", id="x1", login="-dash"),
        student(2, "Bob", id="", sid="=2", login="@bob"),
        student(3, "Cat", on_roster=False),
    )
    export = made("canvas", request)
    assert [row[:4] for row in table_of(export)[2:]] == [["Ann", "", "S1", ""]]
    assert any("Bob" in sentence and "nobody would find them" in sentence for sentence in export.told)
    assert any("Cat" in sentence and "on no roster" in sentence for sentence in export.told)
    with pytest.raises(UsageError, match="nobody is left"):
        made("canvas", of(*request.students[1:]))


def test_brightspace_has_its_form() -> None:
    rows = table_of(made("brightspace", of(student(1), student(2, sid="#9", login=""), titles={1: "Echo"})))
    assert rows == [
        ["OrgDefinedId", "Username", "Echo Points Grade", "End-of-Line Indicator"],
        ["#S1", "#user1", "4", "#"],
        ["#9", "", "4", "#"],
    ]


def test_junit_is_as_pytest_writes_it() -> None:
    request = of(student(1), student(2, "", UNDECIDED), student(3, "", LabMark(State.NOTHING, max_points=10)))
    top = ElementTree.fromstring(text_of(made("junit", request)))
    assert top.tag == "testsuites"
    counts = [[suite.get(name) for name in ("tests", "failures", "errors", "skipped")] for suite in top]
    assert counts == [["4", "2", "0", "1"], ["5", "2", "1", "1"], ["1", "1", "0", "0"]]
    failure = top.find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == failure.text == "ann got [31mnothing ]]> <b>"
    for case in top.iter("testcase"):
        assert case.get("classname")
        assert float(case.get("time", "x")) == 0


def test_the_table_for_oneself_has_everything() -> None:
    request = of(student(1, "Ann", graded(override={"points": 7, "reason": "=hers"})), student(2, "Bob", UNDECIDED))
    text = text_of(made("csv", request))
    assert text.startswith("\ufeff")
    ann, bob = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert (ann["lab 1: points"], ann["lab 1: raw points"], ann["total"], ann["max total"]) == ("7", "4", "14", "20")
    assert ann["lab 1: reason"] == "'=hers"
    assert (bob["lab 1: points"], bob["total"], bob["lab 1: state"]) == ("", "", "to be looked at")
    assert bob["lab 1: reason"] == "the kit failed"


# Moodle's worksheet

ENGLISH = ["Identifier", "Full name", "ID number", "Email address", "Status", "Grade", "Maximum grade"]
GERMAN = ["ID", "Vollständiger Name", "Matrikelnummer", "E-Mail", "Status", "Bewertung", "Bestwertung"]
END = {"Identifier": ["Grade can be changed", "Last modified (grade)", "Feedback comments"]}


def row_of(number: int, name: str = "", grade: str = "", most: str = "10.00", **cells: str) -> list[str]:
    """Return a participant's row as Moodle writes it."""
    identifier, email = (
        cells.get("identifier", f"Participant {7000 + number}"),
        cells.get("email", f"user{number}@example.org"),
    )
    row = [identifier, name or f"Student {number}", cells.get("sid", ""), email, "Submitted", grade, most]
    return [*row, "Yes", "-", cells.get("feedback", "")]


@pytest.fixture
def worksheet(tmp_path: Path) -> Any:
    """Write a worksheet, and return its path."""

    def write(*rows: list[str], headings: list[str] = ENGLISH, start: str = "", end: str = "\r\n") -> Path:
        text = io.StringIO()
        csv.writer(text, lineterminator=end).writerows([[*headings, *END["Identifier"]], *rows])
        file = tmp_path / "worksheet.csv"
        file.write_bytes((start + text.getvalue()).encode())
        return file

    return write


def test_a_worksheet_is_filled_in_and_otherwise_left_alone(worksheet: Any) -> None:
    rows = [
        row_of(1, feedback='=well, done\n"indeed"'),
        row_of(2, grade="3,00"),
        row_of(9, "Somebody else", grade="5.00"),
        row_of(3),
        row_of(4, grade="1"),
    ]
    file = worksheet(*rows, start="\ufeff", end="\n")
    before = file.read_bytes()
    request = of(
        student(1, "=Ann"),
        student(2),
        student(3, "", UNDECIDED),
        student(4, labs={}),
        student(5, "Lost"),
        worksheet=file,
    )
    export = made("moodle", request)
    after = text_of(export)
    assert (after.count("\r"), after.startswith("\ufeff"), file.read_bytes()) == (0, True, before)
    expected = [list(row) for row in rows]
    expected[0][5] = expected[1][5] = "4"
    assert table_of(export)[1:] == expected
    assert table_of(export)[0] == [*ENGLISH, *END["Identifier"]]
    told = "; ".join(export.told)
    assert "1 grade that was there before" in told
    assert "Somebody else" in told
    assert "not to be found in the worksheet: Lost" in told


def test_headings_in_another_language_are_found_by_what_stands_below(worksheet: Any) -> None:
    rows = [
        row_of(1, most="10,00", identifier="Teilnehmer/in 7001"),
        row_of(2, grade="3", most="10,00", identifier="Teilnehmer/in 7002"),
    ]
    file = worksheet(*rows, headings=GERMAN)
    export = made("moodle", of(student(1), student(2), worksheet=file))
    assert [row[5] for row in table_of(export)] == ["Bewertung", "4", "4"]
    assert "stand under 'Bewertung'" in export.told[0]
    unclear = worksheet(*([*row[:6], "", *row[7:]] for row in rows), headings=GERMAN)
    with pytest.raises(UsageError, match=r"--grade-column HEADING.*Bewertung"):
        made("moodle", of(student(1), worksheet=unclear))
    export = made("moodle", of(student(1), worksheet=unclear, grade_column="Bewertung"))
    assert [row[5] for row in table_of(export)] == ["Bewertung", "4", "3"]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (row_of(1), "4"),
        (row_of(1, "Whoever", email="other@example.org"), "4"),  # by the number
        (row_of(8, "Whoever", email="USER1@example.org"), "4"),
        (row_of(8, "Whoever", email="", sid="S1"), "4"),
        (row_of(8, "  zoe\u0308  ANGSTRÖM ", email=""), "4"),  # by a name that only one has
        (row_of(8, "Twin", email=""), ""),
        (row_of(1, email="user2@example.org"), ""),  # two people
        (row_of(8, "'=x", email=""), "4"),
    ],
)
def test_participants_are_matched_and_never_guessed(row: list[str], found: str, worksheet: Any) -> None:
    people = [student(1, "Zoë Angström"), student(2, "Twin"), student(3, "Twin"), student(4, "=x")]
    file = worksheet(row, row_of(3, "Twin"))
    rows = table_of(made("moodle", of(*people, worksheet=file)))
    assert rows[1][5] == found


def test_two_rows_of_one_student_are_nobodys(worksheet: Any) -> None:
    file = worksheet(row_of(1), row_of(8, email="user1@example.org"), row_of(2))
    export = made("moodle", of(student(1), student(2), worksheet=file))
    assert [row[5] for row in table_of(export)[1:]] == ["", "", "4"]
    assert "Student 1" in "".join(export.told)


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=4))
def test_names_survive_in_a_worksheet(people: list[str]) -> None:
    rows = [[*ENGLISH], *(row_of(place, name)[:7] for place, name in enumerate(people))]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "worksheet.csv")
        with file.open("w", encoding="utf-8", newline="") as opened:
            csv.writer(opened).writerows(rows)
        filled = table_of(made("moodle", of(*(student(place) for place in range(len(people))), worksheet=file)))
    assert filled == [rows[0], *([*row[:5], "4", *row[6:]] for row in rows[1:])]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04", "no CSV in UTF-8"),
        ("Identifier;Grade;Größe\n1;2;3\n".encode("latin-1"), "no CSV in UTF-8"),
        (b"Identifier;Full name;Grade\nParticipant 1;Ann;\n", "with commas between them"),
        (b"", "no worksheet"),
        (b"Identifier,Full name,Grade\nParticipant 7001,Ann\n", "row 2 has not as many cells"),
        (b"Identifier,Full name,Grade,Maximum grade\nParticipant 1,Zed,,10\n", "is it the worksheet of this course"),
        (b"Identifier,Full name,Grade,Maximum grade\nParticipant 7001,Ann,,100.00\n", "add --out-of 100"),
    ],
)
def test_what_is_no_worksheet_is_told(data: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "sheet.csv"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=said):
        made("moodle", of(student(1), worksheet=file))


# The command


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of a class: somebody with marks, somebody to be looked at."""
    folder = tmp_path / "run"
    folder.mkdir()
    marks = of(student(1, "Ann", graded(), graded()), student(2, "Bob", UNDECIDED), labs=(LAB, OTHER)).marks
    (folder / "grades.json").write_text(json.dumps(marks.as_dict()), encoding="utf-8")
    return folder


def test_an_export_lies_beside_the_marks_and_is_not_written_over(run: Path) -> None:
    done = lab("export", "canvas", str(run))
    assert (done.returncode, "canvas.csv is written" in done.stdout) == (0, True), done.stderr
    assert "lab: Bob has no mark in lab 1, none is exported: the kit failed" in done.stderr
    first = (run / "canvas.csv").read_bytes()
    again = lab("export", "canvas", str(run), "--lab", "1")
    assert (again.returncode, "add --force" in again.stderr) == (2, True)
    assert (run / "canvas.csv").read_bytes() == first
    assert lab("export", "canvas", str(run), "--lab", "1", "--force").returncode == 0
    assert b"Lab 3" not in (run / "canvas.csv").read_bytes()
    assert sorted(path.name for path in run.iterdir()) == ["canvas.csv", "grades.json"]


def test_hand_ins_are_one_file_or_a_folder_of_them(run: Path, tmp_path: Path) -> None:
    one = tmp_path / "results.json"
    assert lab("export", "gradescope", str(run), "--student", "ANN", "--lab", "1", "-o", str(one)).returncode == 0
    assert json.loads(one.read_text(encoding="utf-8"))["score"] == 4
    assert lab("export", "gradescope", str(run)).returncode == 0
    assert sorted(path.name for path in (run / "gradescope").iterdir()) == [
        "hand-in-1-lab1.json",
        "hand-in-1-lab3.json",
    ]
    assert lab("export", "gradescope", str(run)).returncode == 2
    assert lab("export", "gradescope", str(run), "--force", "--lab", "3").returncode == 0
    assert [path.name for path in (run / "gradescope").iterdir()] == ["hand-in-1-lab3.json"]
    (run / "gradescope" / "notes.txt").write_text("mine")
    assert lab("export", "gradescope", str(run), "--force").returncode == 2
    assert (run / "gradescope" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["canvas"], "name the run"),
        (["canvas", "no-such-folder"], "cannot read no-such-folder"),
        (["canvas", "RUN", "--lab", "2"], "this run has no lab 2; it has 1, 3"),
        (
            ["canvas", "RUN", "--student", "Zed"],
            "nobody is 'Zed'; name one by key, id, login, email or name: Ann (hand-in-1)",
        ),
        (["canvas", "RUN", "--title", "2=x"], "--title is LAB=TITLE"),
        (["canvas", "RUN", "--out-of", "0"], "--out-of takes a number above 0"),
        (["canvas", "RUN", "--worksheet", "x.csv"], "--worksheet is for moodle alone"),
        (["moodle", "RUN"], "with --worksheet FILE"),
        (["moodle", "RUN", "--worksheet", "x.csv"], "say which lab's marks go into it"),
        (["moodle", "RUN", "--worksheet", "x.csv", "--lab", "1"], "cannot read the worksheet x.csv"),
        (["csv", "RUN", "-o", "no/such/folder/x.csv"], "cannot write no/such/folder/x.csv"),
        (["gradescope", "RUN", "--student", "Bob"], "nothing of what is asked for has a mark"),
        (["gradescope-autograder"], "say which lab gradescope-autograder is to grade"),
        (["gradescope-autograder", "RUN", "--lab", "1"], "leave"),
        (["gradescope-autograder", "--lab", "77"], "there is no lab 77"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_exported_is_told_and_leaves_nothing(
    words: list[str], said: str, run: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = lab("export", *(word.replace("RUN", str(run)) for word in words), cwd=Path.cwd())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lab: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_what_lab_grade_writes_is_found_by_its_keys(tmp_path: Path) -> None:
    roster, graded_run = tmp_path / "roster.csv", tmp_path / "marks"
    roster.write_text('Student,ID,SIS User ID,SIS Login ID\n"=Smith, Ann",4711,s1,ann\nDan,4714,s4,dan\n')
    hand_in = tmp_path / "class" / "ann" / ECHO
    hand_in.parent.mkdir(parents=True)
    hand_in.write_text("def (\n")
    words = ["--labs", "1", "--roster", str(roster), "-o", str(graded_run), "--tier", "plain", "--trust-everybody"]
    done = lab("grade", str(tmp_path / "class"), *words)
    assert (graded_run / "grades.json").is_file(), done.stderr
    for form in ("canvas", "brightspace"):
        assert lab("export", form, str(graded_run)).returncode == 0
    canvas = (graded_run / "canvas.csv").read_text(encoding="utf-8").splitlines()
    assert canvas[2:] == ['"\'=Smith, Ann",4711,s1,ann,,0', "Dan,4714,s4,dan,,0"]
    brightspace = (graded_run / "brightspace.csv").read_text(encoding="utf-8").splitlines()
    assert brightspace[1:] == ["#s1,#ann,0,#", "#s4,#dan,0,#"]


def test_grades_that_are_none_are_told(run: Path) -> None:
    for text in ("{", "[]", "{}", '{"title": 1}'):
        (run / "grades.json").write_text(text)
        done = lab("export", "csv", str(run))
        assert (done.returncode, "is not what `lab grade` writes" in done.stderr) == (2, True), done.stderr


# Graders for platforms

needs_bwrap = pytest.mark.skipif(bool(hindrance(BOX)), reason="there is no bubblewrap to make /autograder with")
ECHO = "lab01_blocking_echo.py"
GOOD = (SOLUTIONS / ECHO).read_text(encoding="utf-8")
TAKES_RESULTS = """
import json, os, threading, time
def take():
    while True:
        for folder in ("/autograder/results", "/autograder"):
            try:
                with open(folder + "/results.json", "w") as file:
                    json.dump({"score": 1000000, "output": "all passed"}, file)
            except OSError:
                pass
        try:
            os.kill(os.getppid(), 9)
        except OSError:
            pass
        time.sleep(0.01)
threading.Thread(target=take, daemon=True).start()
print("all passed: 1000000 points", flush=True)
"""
HAND_INS = {
    "perfect": ({ECHO: GOOD}, 47, "47 of 47 points"),
    "in a folder": ({f"my labs/{ECHO}": GOOD, "notes.txt": "hello"}, 47, "47 of 47 points"),
    "broken": ({ECHO: GOOD.replace("sendall(data)", "sendall(data.upper())")}, None, "of 47 points"),
    "empty": ({}, 0, f"There is no {ECHO} in what was handed in (nothing)"),
    "a second upload": ({"Lab01_blocking_echo (1).py": GOOD}, 47, "47 of 47 points"),
    "another file": ({"main.py": GOOD}, 0, f"There is no {ECHO} in what was handed in (main.py)"),
    "no Python": ({ECHO: "def main(:\n"}, 0, "0 of 47 points"),
    "stuck": ({ECHO: "import time\ntime.sleep(1000)\n"}, 0, "0 of 47 points"),
}


class Gradescope:
    """What Gradescope makes of the archive: /autograder, in a namespace without a network and without this checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "autograder"
        with zipfile.ZipFile(io.BytesIO(autograder.for_gradescope(load_course().lab(1)))) as archive:
            archive.extractall(self.folder / "source")
        shutil.copy(self.folder / "source" / "run_autograder", self.folder)
        (self.folder / "run_autograder").chmod(0o755)
        for name in ("submission", "results"):
            (self.folder / name).mkdir()
        self.python(f'exec "{sys.executable}" "$@"')

    def python(self, line: str) -> None:
        """Put a program in place of the Python that setup.sh makes."""
        python = self.folder / "source" / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f"#!/bin/sh\n{line}\n")
        python.chmod(0o755)

    def change(self, old: str, new: str) -> None:
        """Change how hand-ins are graded."""
        script = self.folder / "run_autograder"
        text = script.read_text()
        assert old in text
        script.write_text(text.replace(old, new))

    def grade(self, files: dict[str, str]) -> tuple[dict[str, Any], str]:
        """Grade a hand-in; return the results, and what run_autograder has printed."""
        for name, text in files.items():
            path = self.folder / "submission" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [*self._namespace(), "/autograder/run_autograder"], capture_output=True, text=True, timeout=150, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        results = self.folder / "results" / "results.json"
        return json.loads(results.read_text(encoding="utf-8")), done.stdout + done.stderr

    def _namespace(self) -> list[str]:
        words = ["bwrap", *(f"--unshare-{what}" for what in ("pid", "net", "ipc", "uts"))]
        words += ["--die-with-parent", "--tmpfs", "/"]
        for place in sorted(Path("/").iterdir()):
            if place.is_symlink():
                words += ["--symlink", os.readlink(place), str(place)]
            elif place.is_dir() and place.name not in ("proc", "dev", "tmp", "autograder"):
                words += ["--ro-bind", str(place), str(place)]
        words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", str(ROOT)]
        for prefix in (sys.base_prefix, sys.prefix):
            words += ["--ro-bind", prefix, prefix]
        return [*words, "--bind", str(self.folder), "/autograder", "--chdir", "/autograder"]


@pytest.fixture
def gradescope(tmp_path: Path) -> Gradescope:
    """Return a Gradescope that grades lab 1."""
    return Gradescope(tmp_path)


@needs_bwrap
@pytest.mark.slow
@pytest.mark.parametrize("name", HAND_INS)
def test_gradescope_grades_whatever_is_handed_in(name: str, gradescope: Gradescope) -> None:
    files, score, said = HAND_INS[name]
    told, printed = gradescope.grade(files)
    assert said in told["output"], printed
    assert told["extra_data"]["final"] is True, printed
    assert told["score"] == score or (score is None and 0 < told["score"] < 47)
    statuses = {test["status"] for test in told["tests"]}
    if score == 47:
        assert statuses == {"passed"}
        assert sum(test["max_score"] for test in told["tests"]) == 47
    if name == "broken":
        assert statuses == {"passed", "failed"}
        assert any("expected" in test["output"] and "Hint:" in test["output"] for test in told["tests"])
    if name == "no Python":
        assert "SyntaxError" in told["tests"][0]["output"]
    if name == "stuck":
        assert "does not listen" in told["tests"][0]["output"]


@needs_bwrap
@pytest.mark.slow
@pytest.mark.parametrize("tier", [tier for tier in TIERS if not hindrance(tier)])
def test_who_writes_the_results_is_the_grader_alone(tier: str, gradescope: Gradescope) -> None:
    gradescope.change("--tier best", f"--tier {tier}")
    told, printed = gradescope.grade({ECHO: GOOD})
    assert told["score"] == 47, printed
    assert told["extra_data"] == {"state": "graded", "tier": tier, "final": True}
    told, printed = gradescope.grade({ECHO: TAKES_RESULTS + GOOD.replace("sendall(data)", "sendall(data.upper())")})
    assert 0 < told["score"] < 47, printed
    assert told["extra_data"] == {"state": "graded", "tier": tier, "final": True}
    left = sorted(path.name for path in gradescope.folder.iterdir())
    assert left == ["results", "run_autograder", "source", "submission"]
    assert [path.name for path in (gradescope.folder / "results").iterdir()] == ["results.json"]


@needs_bwrap
@pytest.mark.slow
def test_a_grading_that_does_not_come_to_its_end_leaves_what_holds_so_far(gradescope: Gradescope) -> None:
    gradescope.change("--seconds 480", "--seconds 0.5")
    told, printed = gradescope.grade({ECHO: GOOD.replace("def main(", "import time\ntime.sleep(0.3)\n\n\ndef main(")})
    assert told["extra_data"]["final"] is False, printed
    assert 0 <= told["score"] < 47
    assert told["score"] == sum(test["score"] for test in told["tests"])
    assert "This is not a mark yet: the time for grading was over" in told["output"]


KILLED_MIDWAY = """"{python}" "$@" &
grader=$!
until grep -q listens /autograder/results/results.json; do sleep 0.05; done
kill -9 $grader"""


@needs_bwrap
@pytest.mark.slow
def test_a_grading_that_is_killed_leaves_what_held_so_far(gradescope: Gradescope) -> None:
    gradescope.python(KILLED_MIDWAY.format(python=sys.executable))
    told, printed = gradescope.grade({ECHO: f"import time\ntime.sleep(0.5)\n{GOOD.replace('data)', 'data.upper())')}"})
    assert told["extra_data"]["final"] is False, printed
    assert "listens" in [test["extra_data"]["check"] for test in told["tests"]]
    assert told["score"] == sum(test["score"] for test in told["tests"]) < 47


@needs_bwrap
@pytest.mark.parametrize("line", ["exit 1", "kill -9 $$", "exec sleep 100"], ids=["fails", "is killed", "hangs"])
def test_there_is_a_result_where_the_kit_itself_fails(line: str, gradescope: Gradescope) -> None:
    gradescope.python(line)
    gradescope.change("--kill-after=10 570", "--kill-after=10 1")
    told, _ = gradescope.grade({ECHO: GOOD})
    assert "This is not a mark" in told["output"]
    assert (told["tests"], told["extra_data"]) == ([], {"final": False})


def test_the_archive_holds_the_kit_without_answers_and_is_the_same_each_time(tmp_path: Path) -> None:
    done = lab("export", "gradescope-autograder", "--lab", "6", "-o", str(tmp_path / "autograder.zip"))
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "autograder.zip").read_bytes()
    assert data == autograder.for_gradescope(load_course().lab(6))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
        texts = {name: archive.read(name) for name in modes}
    assert {name for name, mode in modes.items() if mode & stat.S_IXUSR} == {"setup.sh", "run_autograder", "lab"}
    assert not [name for name in modes if re.match(r"solutions|tests|labs/.*\.py|runs|.*__pycache__", name)]
    assert {"harness/cli.py", "harness/course/course.toml", "requirements.lock", "labs/PROTOCOL.md"} <= set(modes)
    assert b"autograde 6 /autograder/submission" in texts["run_autograder"]
    assert not [name for name in ("setup.sh", "run_autograder") if re.search(rb"@[A-Z]+@|\r", texts[name])]


TOOLS = {  # stand-ins, which note how they are called
    "apt-get": "",
    "add-apt-repository": "",
    "python3": 'case "$1" in -c) exit 1 ;; -m) mkdir -p "$3/bin"; cp "$BIN/pip" "$BIN/uv" "$3/bin" ;; esac',
    "python3.13": "",
    "pip": "exit $PIP",
    "uv": 'case "$2" in find) echo "$BIN/python3.13" ;; esac',
}


@pytest.mark.parametrize("pip", [0, 1], ids=["by uv", "by deadsnakes"])
def test_setup_takes_a_newer_python_than_the_image_has(pip: int, tmp_path: Path) -> None:
    source, tools = tmp_path / "source", tmp_path / "bin"
    source.mkdir()
    tools.mkdir()
    text = (ROOT / "harness" / "classroom" / "exports" / "autograder" / "setup.sh").read_text(encoding="utf-8")
    (source / "setup.sh").write_text(text.replace("/opt/", f"{tmp_path}/opt/"))
    for name, does in TOOLS.items():
        (tools / name).write_text(f'#!/bin/bash\necho "{name} $*" >> "$LOG"\n{does}\n')
        (tools / name).chmod(0o755)
    (tmp_path / "opt").mkdir()
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "LOG": str(tmp_path / "log"), "BIN": str(tools), "PIP": str(pip)}
    done = subprocess.run(
        ["bash", source / "setup.sh"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    called = (tmp_path / "log").read_text().splitlines()
    assert called[-1] == "python3.13 lab --version"
    assert ("uv python install --no-bin 3.13" in called) is not pip
    assert ("add-apt-repository -y ppa:deadsnakes/ppa" in called) is bool(pip)


def test_classroom_50_runs_its_grader_in_a_checkout(kit: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(autograder.for_classroom50(load_course().lab(1)))) as archive:
        assert json.loads(archive.read("runtime.json"))["apt"] == ["bubblewrap"]
        (kit / "autograder.py").write_bytes(archive.read("autograder.py"))
    (kit / "lab").write_text("import sys\nfrom harness.cli import main\nsys.exit(main())\n")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "result.json").write_text("{}")  # which a student may have committed
    environment = os.environ | RUNNER | {"USERNAME": "ann"}
    command = [sys.executable, str(kit / "autograder.py")]
    for files, score in (({}, 0), ({ECHO: GOOD}, 47)):
        for name, text in files.items():
            (checkout / name).write_text(text, encoding="utf-8")
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads((checkout / "result.json").read_text(encoding="utf-8"))
        assert (told["score"], told["max-score"], told["owner"]) == (score, 47, "ann")
    environment.pop("COMMIT_URL")
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, (checkout / "result.json").exists()) == (2, False)


def test_what_is_no_file_of_a_hand_in_is_not_graded(tmp_path: Path) -> None:
    folder, results = tmp_path / "hand-in", tmp_path / "results.json"
    folder.mkdir()
    (folder / ECHO).symlink_to(SOLUTIONS / ECHO)
    os.mkfifo(folder / "lab02_line_server.py")
    for wanted in ("1", "2"):
        done = lab("autograde", wanted, str(folder), "-o", str(results))
        assert done.returncode == 0, done.stderr
        told = json.loads(results.read_text(encoding="utf-8"))
        assert (told["score"], "(nothing)" in told["output"]) == (0, True)


def test_which_of_two_files_counts_is_not_guessed(tmp_path: Path) -> None:
    for folder, text in (("a", GOOD), ("b", GOOD + "\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / ECHO).write_text(text, encoding="utf-8")
    done = lab("autograde", "1", str(tmp_path), "-o", str(tmp_path / "results.json"))
    assert done.returncode == 2
    told = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert (told["extra_data"]["final"], f"{ECHO} may be any of a/{ECHO}, b/{ECHO}" in told["output"]) == (False, True)


def test_a_hand_in_of_any_size_has_a_result_and_no_zero_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RUNNER.items():
        monkeypatch.setenv(name, value)
    folder, results = tmp_path / "hand-in", tmp_path / "results.json"
    folder.mkdir()
    with (folder / ECHO).open("wb") as file:
        file.truncate(1 << 40)
    for form, expected in (("gradescope", {"score": 0}), ("prairielearn", {"gradable": False})):
        done = lab("autograde", "1", str(folder), "-o", str(results), "--format", form)
        assert done.returncode == 2, done.stdout
        told = json.loads(results.read_text(encoding="utf-8"))
        assert expected.items() <= told.items()
        assert "not a mark yet: it holds more than 2,000 files or 64 MiB" in json.dumps(told)
    results.unlink()
    done = lab("autograde", "1", str(folder), "-o", str(results), "--format", "classroom50")
    assert (done.returncode, results.exists()) == (2, False)  # its runner tells an error then


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["1", "no-such-folder"], "there is no folder no-such-folder"),
        (["1.2", "."], "this takes a whole lab"),
        (["77", "."], "there is no lab 77"),
    ],
)
def test_what_cannot_be_graded_is_told(words: list[str], said: str) -> None:
    done = lab("autograde", *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
