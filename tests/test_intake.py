"""Hand-ins, taken in from every layout, with every archive; who handed in what, and which labs."""

import io
import os
import shutil
import sys
import time
import unicodedata
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packing import by_origin, contents, folder_of, from_ann, tarred, zipped

from harness.classroom.intake import Intake, Limits, Roster, Student, find_labs, lay_out, load_roster, open_intake
from harness.classroom.intake.gradescope import LONGEST, bounded_lines, read_metadata, scalar
from harness.classroom.intake.names import Refused, does_not_count, folded, judged
from harness.course import load_course
from harness.errors import UsageError

LAB01, LAB06, LAB07 = "lab01_blocking_echo.py", "lab06_select_chat.py", "lab07_chat_client.py"

CANVAS = {
    f"smithann_1001_70001_{LAB01}": b"first",
    "smithann_1001_70003_lab01_blocking_echo-1.py": b"again",
    f"smithann_1001_70004_{LAB06}": b"chat",
    "jonesbob_LATE_1002_70002_my work.zip": zipped({f"my work/{LAB01}": b"bob's"}),
    "o_leary_cora_1003_70009_notes_1_2.txt": b"?",
    "leedan_1004_text.html": b"<p>",
    "LATE_anon_xK9_70011_a.py": b"anonymous",
}
MOODLE = {
    f"Ann Smith_501_assignsubmission_file_/{LAB01}": b"ann's",
    "Ann Smith_501_assignsubmission_onlinetext_/onlinetext.html": b"<p>",
    "Zoë Ó Dónaill_502_assignsubmission_file_hw.zip": zipped({LAB06: b"zoe's"}),
    f"Participant_503_assignsubmission_file/deep/{LAB01}": b"blind",
}
METADATA = """---
submission_31:
  :submitters:
  - :name: Ann Smith
    :sid: '1001'
    :email: ann@example.org
  - :name: "Zo\\xEB O'Dónaill"
    :email: &1 zoe@example.org
    :sid:
  :created_at: 2026-09-21 10:15:00.123456000 -07:00
  :score: 3.0
  :results:
    tests:
    - name: a name
      output: |-
        submission_32:
          :submitters:
          - :name: Mallory
  :history:
  - :id: 29
    :created_at: 2026-09-20 10:15:00 Z
    :submitters: no
  - :id: 30
submission_32:
  :submitters:
  - :name: Bob
    :email: bob@example.org
  :created_at: !ruby/object:ActiveSupport::TimeWithZone
    utc: 2026-09-22 10:15:00 Z
"submission_33":
  :submitters:
  - :name: 'D''Arc, Jeanne: a name that is so long that it was folded by the library which writes these
      files, as it does'
"""
GRADESCOPE = {
    "submission_metadata.yml": METADATA.encode(),
    f"submission_31/{LAB01}": b"ann's and zoe's",
    f"submission_32/src/{LAB01}": b"bob's",
    "submission_34/a.py": b"nobody's",
}
SCORES = (
    "username,first_name,last_name,email,section,score,max_score,datetime,submission_tag,submitted_by,review_url,late,override\n"
    "ann-lee,Ann,Lee,ann@example.org,,3,5,2026-09-21T10:15:00Z,submit/2,ann-lee,,true,\n"
    "ann-lee,Ann,Lee,ann@example.org,,2,5,2026-09-20T10:15:00Z,submit/1,ann-lee,,false,\n"
    "bob,,,,,,,,,,,,\n"
)
CLONES = {
    f"chat-ann-lee/{LAB06}": b"ann's",
    "chat-ann-lee/.git/config": b"[core]",
    f"chat-bob/{LAB06}": b"bob's",
    "chat-bob/result.json": b"{}",
}


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


@pytest.fixture(params=["folder", "zip", "tar", "tgz", "tar.bz2", "tar.xz"])
def packed(request: pytest.FixtureRequest, tmp_path: Path):
    """Packs a class in each of the ways."""

    def pack(files: dict[str, bytes], name: str = "class") -> Path:
        if request.param == "folder":
            return folder_of(files, tmp_path / name)
        compression = {"tgz": "gz"}.get(request.param, request.param.removeprefix("tar").removeprefix("."))
        path = tmp_path / f"{name}.{request.param}"
        path.write_bytes(zipped(files) if request.param == "zip" else tarred(files, compression))
        return path

    return pack


def taken(source: Path, **options) -> Intake:
    into = source.parent / "into"
    intake = open_intake(source, into, **options)
    assert {path.name for path in into.iterdir()} == {one.key for one in intake.hand_ins}
    assert all(one.key.removeprefix("hand-in-").isalnum() for one in intake.hand_ins)
    return intake


# ---- layouts


def test_canvas(packed) -> None:
    intake = taken(packed(CANVAS))
    assert intake.layout == "canvas"
    somebody, bob, dan, cora, ann = intake.hand_ins
    assert contents(ann) == {"lab01_blocking_echo-1.py": b"again", LAB06: b"chat"}
    assert "2 versions of lab01_blocking_echo.py" in ann.notes[0]
    assert (ann.student, ann.late) == (Student("1001", "smithann"), False)
    assert contents(bob) == {f"my work/{LAB01}": b"bob's"}
    assert (bob.student, bob.late) == (Student("1002", "jonesbob"), True)
    assert (cora.student.name, contents(cora)) == ("o_leary_cora", {"notes_1_2.txt": b"?"})
    assert (dan.student.id, contents(dan)) == ("1004", {"text.html": b"<p>"})
    assert (somebody.student, somebody.late) == (Student("", "anon_xK9"), True)


def test_moodle(packed) -> None:
    intake = taken(packed(below("IN2000-Lab 1-77", MOODLE)))
    assert intake.layout == "moodle"
    hand_ins = {one.student.id: one for one in intake.hand_ins}
    assert contents(hand_ins["501"]) == {LAB01: b"ann's", "onlinetext.html": b"<p>"}
    assert hand_ins["501"].student.name == "Ann Smith"
    assert contents(hand_ins["502"]) == {LAB06: b"zoe's"}
    assert contents(hand_ins["503"]) == {f"deep/{LAB01}": b"blind"}
    assert len(hand_ins) == 3


def test_gradescope(packed) -> None:
    intake = taken(packed(below("assignment_9_export", GRADESCOPE)))
    assert intake.layout == "gradescope"
    hand_ins = by_origin(intake)
    two = hand_ins["submission_31"]
    assert two.students == (
        Student(name="Ann Smith", email="ann@example.org", sid="1001"),
        Student(name="Zoë O'Dónaill", email="zoe@example.org"),
    )
    assert (two.handed_in, two.attempt) == (datetime(2026, 9, 21, 17, 15, 0, 123456, tzinfo=UTC), 3)
    assert contents(two) == {LAB01: b"ann's and zoe's"}
    assert (hand_ins["submission_32"].student.name, hand_ins["submission_32"].handed_in) == ("Bob", None)
    assert hand_ins["submission_33"].status == "unreadable"
    assert hand_ins["submission_33"].student.name.endswith("writes these files, as it does")
    assert (hand_ins["submission_34"].students, hand_ins["submission_34"].status) == ((), "ok")
    assert len(hand_ins) == 4


@pytest.mark.parametrize("name", ["chat-submissions", "net-chat_submissions_2026_09_21_T_14_30_45"])
def test_github(packed, name: str) -> None:
    prefix = "chat-" if name.startswith("chat") else "net-chat-"
    files = {file.replace("chat-", prefix, 1): content for file, content in CLONES.items()}
    classroom50 = {"scores.csv": SCORES.encode()} if prefix != "chat-" else {}
    intake = taken(packed(files | classroom50, name))
    assert intake.layout == "github"
    ann, bob = intake.hand_ins
    assert contents(ann) == {LAB06: b"ann's"}
    assert (ann.student.login, bob.student.login) == ("ann-lee", "bob")
    assert "left out: .git" in ann.notes
    if classroom50:
        assert ann.student == Student(name="Ann Lee", email="ann@example.org", login="ann-lee")
        assert (ann.handed_in, ann.late, ann.attempt) == (datetime(2026, 9, 21, 10, 15, tzinfo=UTC), True, 2)
        assert (bob.handed_in, bob.late, bob.attempt) == (None, None, None)
        assert set(contents(bob)) == {LAB06}
    else:
        assert set(contents(bob)) == {LAB06, "result.json"}


def test_clones_beside_each_other_need_no_telling_name(tmp_path: Path) -> None:
    folder = folder_of({f"lab-1-{who}/.git/config": b"" for who in ("ann", "bob-x", "cora")}, tmp_path / "downloads")
    assert [one.student.login for one in taken(folder).hand_ins] == ["ann", "bob-x", "cora"]


def test_no_layout_in_particular(packed) -> None:
    files = {
        f"ann smith/{LAB01}": b"ann's",
        "bob.zip": zipped({LAB01: b"bob's"}),
        "cora.tar.gz": tarred({LAB01: b"cora's"}, "gz"),
        f"dan_{LAB06}": b"dan's",
        "dan_room.py": b"dan's room",
        "eve.py": b"eve's",
        "classroom.py": b"no room",
        "fay.docx": zipped({"word/document.xml": b"<w>"}),
        "guy.7z": b"7z\xbc\xaf\x27\x1c",
        "hal.rar": b"Rar!\x1a\x07\x00",
        ".DS_Store": b"",
    }
    intake = taken(packed(files))
    assert intake.layout == "plain"
    hand_ins = {one.student.name: one for one in intake.hand_ins}
    assert contents(hand_ins["ann smith"]) == {LAB01: b"ann's"}
    assert contents(hand_ins["bob"]) == {LAB01: b"bob's"}
    assert contents(hand_ins["cora"]) == {LAB01: b"cora's"}
    assert contents(hand_ins["dan"]) == {f"dan_{LAB06}": b"dan's", "dan_room.py": b"dan's room"}
    assert contents(hand_ins["eve"]) == {"eve.py": b"eve's"}
    assert contents(hand_ins["classroom"]) == {"classroom.py": b"no room"}
    assert set(contents(hand_ins["fay"])) == {"fay.docx"}
    assert "guy.7z is a 7z archive" in hand_ins["guy"].reason
    assert "hal.rar is a RAR archive" in hand_ins["hal"].reason
    assert len(hand_ins) == 9


def test_a_folder_that_was_packed_with_the_class_is_no_student(tmp_path: Path) -> None:
    for name, files in {
        "week 1": {"hand-ins/ann/a.py": b"", "hand-ins/bob.zip": zipped({"b.py": b"b"})},
        "class": {"class/ann/a.py": b""},
        "lonely": {"ann/a.py": b""},
    }.items():
        source = tmp_path / name / f"{name}.zip"
        source.parent.mkdir()
        source.write_bytes(zipped(files))
        intake = taken(source)
        assert intake.hand_ins[0].origin == "ann"
        assert (
            intake.notes
            == {
                "week 1": ("each thing in hand-ins/ is taken for a hand-in",),
                "class": ("each thing in class/ is taken for a hand-in",),
                "lonely": (),
            }[name]
        )


def test_files_of_the_course_by_themselves_are_one_hand_in(tmp_path: Path) -> None:
    (one,) = taken(folder_of({LAB01: b"1", "framing.py": b"2", "helper.py": b"3"}, tmp_path / "ann")).hand_ins
    assert (one.student.name, set(contents(one))) == ("ann", {LAB01, "framing.py", "helper.py"})


def test_a_folder_and_files_of_one_student_are_two_hand_ins(tmp_path: Path) -> None:
    files = {"smith/a.py": b"1", f"smith_{LAB06}": b"2", "jones/a.py": b"3"}
    intake = taken(folder_of(files, tmp_path / "class"))
    assert [one.student.name for one in intake.hand_ins] == ["jones", "smith", "smith"]
    assert len({one.key for one in intake.hand_ins}) == 3
    assert [one.counts for one in intake.hand_ins].count(True) == 2


def test_a_layout_can_be_named(tmp_path: Path) -> None:
    files = {"smithann_1_2_a.py": b"1", "a/x": b"2", "b/x": b"3", "c/x": b"4"}
    folder = folder_of(files, tmp_path / "class")
    assert open_intake(folder, tmp_path / "by itself").layout == "plain"
    named = open_intake(folder, tmp_path / "named", "canvas")
    assert [one.student.id for one in named.hand_ins] == ["", "", "", "1"]
    assert "whose it is is not known" in named.hand_ins[0].notes[0]
    with pytest.raises(UsageError, match="nothing in class that looks as if moodle"):
        open_intake(folder, tmp_path / "wrong", "moodle")
    with pytest.raises(UsageError, match="no layout blackboard; the layouts are gradescope, moodle"):
        open_intake(folder, tmp_path / "unknown", "blackboard")
    assert list((tmp_path / "wrong").iterdir()) == []


def test_what_is_no_source_is_told(tmp_path: Path) -> None:
    (tmp_path / "class.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    (tmp_path / "class.rar").write_bytes(b"")
    (tmp_path / "class.zip").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "class.tgz").write_bytes(tarred({f"ann/{n}": os.urandom(9999) for n in range(9)}, "gz")[:50_000])
    (tmp_path / "notes.txt").write_bytes(b"no archive")
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("mine")
    for name, sentence in {
        "class.7z": "is a 7z archive, which is not opened",
        "class.rar": "is a RAR archive, which is not opened",
        "class.zip": "is no zip that can be read",
        "class.tgz": r"is no archive that can be read \(.*, after ann/\d\)",
        "notes.txt": "is no archive that can be read",
        "empty": "there are no hand-ins in",
        "nowhere": "there is no .*nowhere; name the folder, zip or tar",
    }.items():
        with pytest.raises(UsageError, match=sentence):
            open_intake(tmp_path / name, tmp_path / "into")
        assert list((tmp_path / "into").iterdir()) == []
    with pytest.raises(UsageError, match="full is not empty; name a new folder"):
        open_intake(tmp_path / "empty", tmp_path / "full")
    assert (tmp_path / "full" / "precious").read_text() == "mine"


# ---- what counts


def test_what_programs_leave_lying_about_does_not_count(packed) -> None:
    litter = ["__MACOSX/ann/._a.py", ".DS_Store", ".git/objects/aa", "src/__pycache__/a.pyc", "b.pyc", "._c.py"]
    venvs = ["my env/pyvenv.cfg", "my env/lib/site.py", ".venv/lib/a.py", "env/a.py"]
    intake = taken(packed(below("ann", dict.fromkeys(["a.py", *litter, *venvs], b"x")) | {"bob/a.py": b"y"}))
    assert set(contents(intake.hand_ins[0])) == {"a.py", "env/a.py"}
    told = next(note for note in intake.hand_ins[0].notes if note.startswith("left out: "))
    assert set(told.removeprefix("left out: ").split(", ")) == {
        *("__MACOSX", ".DS_Store", ".git", "__pycache__", "b.pyc", "._c.py", "my env", ".venv")
    }


def test_whatever_it_is_it_is_an_entry(tmp_path: Path) -> None:
    files = {
        "binary": bytes(range(256)),
        "empty.py": b"",
        "nested.zip": zipped({"inner.zip": zipped({"a.py": b"1"}), "b.py": b"2"}),
        "corrupt.zip": zipped({"a.py": b"import socket\n" * 99})[:60],
        "nothing.zip": zipped({}),
        "not.zip": b"print('no zip')",
        "not.tar.gz": b"print('no tar')",
    }
    folder = folder_of(files, tmp_path / "class")
    (folder / "nobody").mkdir()
    hand_ins = by_origin(taken(folder))
    assert contents(hand_ins["binary"]) == {"binary": bytes(range(256))}
    assert (hand_ins["empty.py"].status, contents(hand_ins["empty.py"])) == ("ok", {"empty.py": b""})
    assert set(contents(hand_ins["nested.zip"])) == {"inner.zip", "b.py"}
    assert "in nested.zip: inner.zip is an archive in an archive and stays as it is" in hand_ins["nested.zip"].notes
    reasons = {name: one.reason for name, one in hand_ins.items() if one.status == "unreadable"}
    assert set(reasons) == {"corrupt.zip", "nothing.zip", "not.zip", "not.tar.gz", "nobody"}
    assert reasons["nobody"] == "it is empty"
    assert reasons["nothing.zip"] == "nothing.zip holds no file that counts"
    assert "corrupt.zip is no zip that can be read" in reasons["corrupt.zip"]
    assert "not.tar.gz is no archive that can be read" in reasons["not.tar.gz"]
    assert all(not any(one.folder.iterdir()) for one in hand_ins.values() if one.status == "unreadable")


def test_several_archives_lie_beside_each_other(tmp_path: Path) -> None:
    files = {"ann/lab.zip": zipped({LAB01: b"1"}), "ann/lab.tar": tarred({LAB01: b"2"}), "ann/lab": b"3", "bob/x": b""}
    one = by_origin(taken(folder_of(files, tmp_path / "class")))["ann"]
    assert contents(one) == {"lab": b"3", f"lab-2/{LAB01}": b"2", f"lab-3/{LAB01}": b"1"}


def test_a_bad_archive_beside_good_files_is_told(tmp_path: Path) -> None:
    files = {f"ann/{LAB01}": b"1", "ann/old.zip": b"PK\x03\x04", "bob/x": b""}
    one = by_origin(taken(folder_of(files, tmp_path / "class")))["ann"]
    assert (one.status, contents(one)) == ("ok", {LAB01: b"1"})
    assert "old.zip is no zip that can be read" in one.notes[-1]


def test_the_latest_of_one_student_counts_and_both_are_told(tmp_path: Path) -> None:
    folder = folder_of({"ann.zip": zipped({"a": b"old"}), "ann (1).zip": zipped({"a": b"new"})}, tmp_path / "class")
    os.utime(folder / "ann.zip", (1_000_000, 1_000_000))
    new, old = taken(folder).hand_ins
    assert (new.counts, old.counts) == (True, False)
    assert new.notes[0] == (
        "one of 2 hand-ins of this student: the latest, which counts (by the times of their files); also there: ann.zip"
    )
    assert "not the latest" in old.notes[0]


def test_the_platforms_time_decides_before_all_else(tmp_path: Path) -> None:
    person = "  :submitters:\n  - :name: Ann\n    :email: ann@example.org\n  :created_at: 2026-09-2{} 10:15:00 Z\n"
    metadata = f"submission_2:\n{person.format(1)}submission_1:\n{person.format(2)}"
    files = {"submission_metadata.yml": metadata.encode(), "submission_1/a": b"new", "submission_2/a": b"old"}
    intake = taken(folder_of(files, tmp_path / "export"))
    assert [contents(one) for one in intake.counting] == [{"a": b"new"}]
    assert "by the platform's times" in intake.counting[0].notes[0]


def test_a_key_and_a_digest_stay_the_same(tmp_path: Path) -> None:
    files = {"b.py": b"2", "sub/a.py": b"1"}
    ways = {"folder": None, "zip": zipped(files), "tar.xz": tarred(dict(reversed(files.items())), "xz")}
    seen = set()
    for way, archive in ways.items():
        folder = folder_of(below("ann", files) if archive is None else {f"ann.{way}": archive}, tmp_path / way)
        (one,) = open_intake(folder, tmp_path / f"into {way}").hand_ins
        seen.add((one.student.name, one.digest))
    assert len(seen) == 1
    first, again = (open_intake(tmp_path / "folder", tmp_path / f"again {n}").hand_ins[0] for n in range(2))
    assert (first.key, first.digest) == (again.key, again.digest)
    (tmp_path / "folder" / "ann" / "b.py").write_bytes(b"3")
    changed = open_intake(tmp_path / "folder", tmp_path / "changed").hand_ins[0]
    assert changed.key == first.key
    assert changed.digest != first.digest


def test_a_digest_is_the_same_on_a_system_that_splits_letters(tmp_path: Path) -> None:
    forms = [unicodedata.normalize(form, "Übung.py") for form in ("NFC", "NFD")]
    of = [from_ann(zipped({name: b"1"}), tmp_path / str(number)) for number, name in enumerate(forms)]
    assert [list(one.files) for one in of] == [[name] for name in forms]
    assert of[0].digest == of[1].digest


def test_memory_stays_flat(tmp_path: Path) -> None:
    import tracemalloc

    source = tmp_path / "class.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for number in range(4):
            archive.writestr(f"student {number}/big.bin", os.urandom(15 * 1024 * 1024))
    tracemalloc.start()
    try:
        intake = taken(source)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert [one.status for one in intake.hand_ins] == ["ok"] * 4


def test_300_hand_ins_of_3_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = Path(__file__).read_bytes()[:8000]
    source = tmp_path / "class.zip"
    source.write_bytes(zipped({f"student_{n}_{n}_{lab}.py": program for n in range(300) for lab in (1, 2, 3)}))
    begin = time.perf_counter()
    intake = taken(source)
    with capsys.disabled():
        print(f"\n300 hand-ins of 3 files in a zip taken in in {time.perf_counter() - begin:.2f} s")
    assert len(intake.hand_ins) == 300


# ---- names


def is_legal(name: str) -> bool:
    try:
        return judged(name, Limits()) == tuple(name.split("/")) and not does_not_count(tuple(name.split("/")))
    except Refused:
        return False


PARTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"), min_size=1, max_size=40)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join).filter(is_legal)
CLASSES = st.dictionaries(NAMES.map(lambda name: f"{name}!"), st.binary(max_size=200), min_size=1, max_size=6)


def collide(names: list[str]) -> bool:
    plain = [tuple(map(folded, name.split("/"))) for name in names]
    return len(set(plain)) < len(plain) or any(a != b and b[: len(a)] == a for a in plain for b in plain)


@given(files=CLASSES.filter(lambda files: not collide(list(files))), way=st.sampled_from(["", "gz", "zip"]))
@settings(max_examples=100, deadline=None)
def test_what_is_legal_arrives_unchanged(files: dict[str, bytes], way: str, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("legal")
    archive = zipped(files) if way == "zip" else tarred(files, way)
    name = f"ann.{'zip' if way == 'zip' else 'tar'}"
    in_class = below("ann", files) | {"bob/b.py": b""}
    (folder / name).write_bytes(zipped(in_class) if way == "zip" else tarred(in_class, way))
    archives = folder_of({name: archive, "bob/b.py": b""}, folder / "class")
    for source in (folder / name, archives):
        one = open_intake(source, folder / f"into {source.name}", "plain").hand_ins[0]
        assert contents(one) == files
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("raw", "flag", "name"),
    [
        ("Übung.py".encode(), 0x800, "Übung.py"),
        ("Übung.py".encode(), 0, "Übung.py"),  # the mark was forgotten, as macOS did
        ("Übung.py".encode("cp437"), 0, "Übung.py"),
        ("Übung.py".encode("latin-1"), 0, "▄bung.py"),  # nobody can know; it does not crash
        (b"folder\\lab01.py", 0, "folder/lab01.py"),
    ],
)
def test_names_in_zips(raw: bytes, flag: int, name: str, tmp_path: Path) -> None:
    filler = "x" * len(raw)
    data = zipped({filler: b"1"}).replace(filler.encode(), raw)
    for header, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        where = data.index(header) + at
        data = data[:where] + flag.to_bytes(2, "little") + data[where + 2 :]
    assert contents(from_ann(data, tmp_path)) == {name: b"1"}


def test_latin_1_names_in_tars_and_folders(tmp_path: Path) -> None:
    odd = os.fsdecode("Übung.py".encode("latin-1"))
    assert contents(from_ann(tarred({odd: b"1"}), tmp_path, "ann.tar")) == {"Übung.py": b"1"}
    if sys.platform == "linux":
        source = folder_of({f"ann/{odd}": b"2"}, tmp_path / "odd")
        assert contents(open_intake(source, tmp_path / "of odd").hand_ins[0]) == {"Übung.py": b"2"}


# ---- Gradescope's metadata against a YAML library


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
PEOPLE = st.lists(st.fixed_dictionaries({":name": TEXTS, ":sid": TEXTS, ":email": TEXTS}), min_size=1, max_size=3)


@given(told=st.dictionaries(st.integers(0, 99).map("submission_{}".format), st.tuples(PEOPLE, TEXTS), max_size=3))
@settings(max_examples=100, deadline=None)
def test_metadata_is_read_as_a_yaml_library_writes_it(told: dict) -> None:
    yaml = pytest.importorskip("yaml")
    data = {
        key: {":submitters": people, ":results": {"output": printed}, ":history": [{":output": printed}]}
        for key, (people, printed) in told.items()
    }
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, line_break="\n")
    found = read_metadata(text.split("\n"))
    assert list(found) == list(data)
    for key, (people, _) in told.items():
        assert [one.name for one in found[key].students] == [" ".join(one[":name"].split()) for one in people]
        assert [one.email for one in found[key].students] == [" ".join(one[":email"].split()) for one in people]
        assert found[key].earlier == 1


def test_a_long_line_of_metadata_is_one_line() -> None:
    stream = io.BytesIO(b"      printed: ".ljust(LONGEST, b"x") + b"submission_9:\n  :submitters:\n")
    lines = list(bounded_lines(iter(lambda: stream.readline(LONGEST), b"")))
    assert [text[:14] for text in lines] == ["      printed:", "  :submitters:"]


def test_scalars() -> None:
    assert [scalar(text) for text in ("~", "''", "*1", "&1 a", "'it''s'", '"\\u00e9\\x41\\U0001F600\\\\x"')] == [
        *("", "", "", "a", "it's", "éA😀\\x")
    ]


# ---- rosters

ROSTERS = {
    "canvas": "Student,ID,SIS User ID,SIS Login ID,Section\n    Points Possible,,,,\n"
    '"Smith, Ann",1001,s-77,asmith,1\n"Ó Dónaill, Zoë",1002,s-78,zdonaill,1\n',
    "moodle": "\ufeffIdentifier,Full name,Email address,Status\n"
    "Participant 1001,Ann Smith,asmith@example.org,\nParticipant 1002,Zoë Ó Dónaill,zdonaill@example.org,\n",
    "github": "identifier,github_username,github_id,name\n"
    's-77,"asmith","1","Ann Smith"\ns-78,"zdonaill","2","Zoë Ó Dónaill"\n',
    "office": "Nachname;Vorname;Matrikelnummer;E-Mail\n"
    "Smith;Ann;s-77;asmith@example.org\nÓ Dónaill;Zoë;s-78;zdonaill@example.org\n",
    "brightspace": "OrgDefinedId\tUsername\tLast Name\tFirst Name\n"
    "#s-77\t#asmith\tSmith\tAnn\n#s-78\t#zdonaill\tÓ Dónaill\tZoë\n",
}


@pytest.mark.parametrize("name", ROSTERS)
def test_rosters(name: str, tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(ROSTERS[name], encoding="utf-8")
    roster = load_roster(path)
    assert len(roster.students) == 2
    ann, zoe = roster.students
    for known in ("id", "sid", "login", "email", "name"):
        if value := getattr(ann, known):
            assert roster.find(Student(**{known: value})) == ann, known
    for called in ("Zoe O Donaill", "O'Donaill, Zoe", "odonaillzoe", "ZOË Ó DÓNAILL"):
        assert roster.find(Student(name=called)) == zoe, called
    assert roster.find(Student(name="Zoe")) is None
    assert roster.find(Student(id="nobody", login="nobody")) is None


def test_a_roster_in_another_encoding(tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-16", "utf-8-sig"):
        (tmp_path / "roster.csv").write_bytes("Name,Email\nZoë,z@example.org\n".encode(encoding))
        assert load_roster(tmp_path / "roster.csv").students == (Student(name="Zoë", email="z@example.org"),)


def test_a_name_that_two_have_means_nobody() -> None:
    roster = Roster((Student(sid="s1", name="Ann Smith"), Student(sid="s2", name="Smith, Ann")))
    assert roster.find(Student(name="Ann Smith")) is None
    assert roster.find(Student(name="Ann Smith", sid="s2")) == roster.students[1]
    assert roster.find(Student(name="x"), ("lab1_s2_ann",)) == roster.students[1]
    assert roster.find(Student(), ("s1 and s2",)) is None


def test_who_is_missing_and_what_is_nobodys(tmp_path: Path) -> None:
    roster = tmp_path / "class" / "roster.csv"
    files = {"ann_smith.zip": zipped({"a": b"1"}), "s-78/a": b"2", "mallory/a": b"3", "asmith@example.org/a": b"4"}
    folder_of(files, tmp_path / "class")
    roster.write_text("name,sid,email\nAnn Smith,s-77,asmith@example.org\nBob,s-78,\nCora,s-79,\n")
    intake = taken(tmp_path / "class", roster=load_roster(roster), skip=[roster])
    hand_ins = by_origin(intake)
    assert set(hand_ins) == {"ann_smith.zip", "s-78", "mallory", "asmith@example.org"}
    assert hand_ins["ann_smith.zip"].student == Student("", "Ann Smith", "asmith@example.org", "", "s-77")
    assert hand_ins["s-78"].student.name == "Bob"
    assert [one.name for one in intake.missing] == ["Cora"]
    assert intake.unknown == (hand_ins["mallory"].key,)
    assert sum(one.student.sid == "s-77" and one.counts for one in intake.hand_ins) == 1
    assert "one of 2 hand-ins of this student" in hand_ins["ann_smith.zip"].notes[0]


def test_a_roster_without_headings_is_told(tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text("Ann,Smith\nBob,Jones\n")
    with pytest.raises(UsageError, match=r"no column that is known; .*and is: Ann,Smith"):
        load_roster(tmp_path / "roster.csv")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_roster(tmp_path / "none.csv")


# ---- labs


def labs(names: dict[str, bytes], tmp_path: Path):
    folder = folder_of(names, tmp_path / "one")
    return find_labs({name: folder / name for name in names}, load_course())


@pytest.mark.parametrize(
    "name",
    [
        LAB06,
        f"sub/folder/{LAB06}",
        "lab06_select_chat (1).py",
        "lab06_select_chat-1.py",
        "lab06_select_chat - Copy.py",
        f"smith_{LAB06}",
        "ann smith-lab06_select_chat_v2.PY",
        "LAB06_Select_Chat.py",
        "Lab06-select-chat.py",
        "lab06.py",
        "smith_lab6.py",
        "Lab 6 final.py",
    ],
)
def test_a_lab_is_found_by_its_name(name: str, tmp_path: Path) -> None:
    (found,) = labs({name: b"chat", "notes.txt": b""}, tmp_path)
    assert (found.lab, found.program, found.missing) == (6, name, ("room.py",))
    assert found.files[LAB06].read_bytes() == b"chat"
    assert bool(found.notes) == (Path(name).name != LAB06)
    assert lay_out(found, tmp_path / "run").read_bytes() == b"chat"
    assert (tmp_path / "run" / LAB06).is_file()


@pytest.mark.parametrize(
    "name", ["chat.py", "lab06_select_chat.txt", "lab66.py", "collab06.py", "lab06_select_chatter.py2"]
)
def test_what_is_no_lab_is_none(name: str, tmp_path: Path) -> None:
    assert labs({name: b""}, tmp_path) == ()


def test_all_labs_of_a_hand_in_are_found_with_their_modules(tmp_path: Path) -> None:
    files = {
        f"labs/{LAB01}": b"1",
        f"labs/{LAB06}": b"6",
        "labs/room.py": b"r",
        "labs/framing.py": b"f",
        "labs/own.py": b"o",
    }
    first, sixth = labs(files, tmp_path)
    assert (first.lab, first.program, sixth.lab, sixth.missing) == (1, f"labs/{LAB01}", 6, ())
    assert set(sixth.files) == {LAB01, LAB06, "room.py", "framing.py", "own.py"}
    assert (first.notes, sixth.notes) == ((), ())


def test_modules_get_the_names_by_which_they_are_imported(tmp_path: Path) -> None:
    (found,) = labs({f"smith_{LAB06}": b"6", "smith_room.py": b"r", "classroom.py": b"c"}, tmp_path)
    assert set(found.files) == {LAB06, "room.py", "classroom.py"}
    assert lay_out(found, tmp_path / "run").parent.joinpath("room.py").read_bytes() == b"r"


def test_what_may_be_two_things_is_told(tmp_path: Path) -> None:
    (found,) = labs({f"a/{LAB07}": b"1", f"b/{LAB07}": b"2"}, tmp_path)
    assert (found.lab, found.program, found.files) == (7, "", {})
    assert found.notes == (f"{LAB07} may be any of a/{LAB07}, b/{LAB07}: only who wrote them can tell",)


@pytest.mark.parametrize(
    ("files", "counts"),
    [
        ({LAB07: b"1", "lab07_chat_client (1).py": b"2"}, "lab07_chat_client (1).py"),
        ({LAB07: b"1", f"old/{LAB07}": b"2"}, LAB07),
        ({LAB07: b"1", f"my_{LAB07}": b"2"}, LAB07),
        ({f"a/{LAB07}": b"1", f"b/{LAB07}": b"1"}, f"a/{LAB07}"),
    ],
)
def test_what_counts_of_several_is_told(files: dict[str, bytes], counts: str, tmp_path: Path) -> None:
    (found,) = labs(files, tmp_path)
    assert found.program == counts
    assert found.notes == (f"{counts} is taken for {LAB07}, of {', '.join(sorted(files))}",)
