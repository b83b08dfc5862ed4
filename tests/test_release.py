"""The copy that students get: no answer is in it, everything works in it, and it is always the same."""

import argparse
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ROOT, SOLUTIONS, in_kit, lab
from test_documents import LINK, anchors, prose, typed
from test_watch import after, in_place, watching

from harness import cli
from harness.course import load_course
from harness.course.answers import PUBLIC, answers, found_in, public, revealed, squeezed
from harness.course.release import BESIDE, NAME, ReleaseError, write
from harness.course.stubs import places_in, pristine

COURSE = load_course()
ECHO = "lab01_blocking_echo.py"
GIVEN = "harness/course/given"
ANSWER = "listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)"  # of step 1.1
LOCKED = """with self.lock:  # of step 4.7, of which no line alone tells anything
    act(*what)
    for connection, piece in self.room.collect():
        with contextlib.suppress(OSError):
            connection.sendall(piece)
"""
posix_only = pytest.mark.skipif(os.name == "nt", reason="modes, signals, and ./lab")


def released(folder: Path, *words: str) -> Path:
    """Make a release in a folder as people do; return the zip."""
    target = folder / "kit.zip"
    done = lab("release", "-o", str(target), *words)
    assert done.returncode == 0, done.stderr
    return target


def texts(archive: Path) -> dict[str, str]:
    """Return the files of a zip by their names below its one folder; what is no text is a failure."""
    with zipfile.ZipFile(archive) as opened:
        return {name.removeprefix(f"{NAME}/"): opened.read(name).decode("utf-8") for name in opened.namelist()}


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack a zip as unzip does, with the modes; return the folder that was in it."""
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            path = Path(opened.extract(entry, folder))
            path.chmod(stat.S_IMODE(entry.external_attr >> 16))
    [inside] = folder.iterdir()
    return inside


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of all labs."""
    return released(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def files(archive: Path) -> dict[str, str]:
    """The texts of that release."""
    return texts(archive)


@pytest.fixture
def copy(archive: Path, tmp_path: Path) -> Path:
    """That release, unpacked by a student."""
    return unpacked(archive, tmp_path / "student")


@pytest.fixture
def whole(kit: Path) -> Path:
    """A copy of the kit that has all that a release is made of."""
    for name in BESIDE:
        shutil.copy(ROOT / name, kit / name)
    shutil.copytree(ROOT / "notebooks", kit / "notebooks")
    return kit


# What is in it


def test_no_line_of_an_answer_is_in_it(files: dict[str, str]) -> None:
    assert len(answers()) > 100
    assert {answer.step for answer in answers()} == {step.id for lab in COURSE.labs for step in lab.steps}
    assert not revealed(files)
    assert not [name for name, text in files.items() if "\0" in text], "something packed"


@pytest.mark.parametrize("file", COURSE.files)
def test_no_answer_as_a_whole_is_in_it_whatever_is_public(files: dict[str, str], file: str) -> None:
    inside = {name: squeezed(text) for name, text in files.items()}
    places = places_in((SOLUTIONS / file).read_text(encoding="utf-8"))
    assert places
    for place in places:
        if len(place.solution) > 2:  # two lines of step 1.2 are in harness/launch/yardstick.py, see public.toml
            answer = squeezed("\n".join(place.solution))
            assert not [name for name, text in inside.items() if answer in text], place.task


def test_what_may_be_seen_all_the_same_is_seen_and_has_to_be_listed(files: dict[str, str]) -> None:
    seen = {(name.rpartition("/")[2], answer.code) for name, answer in found_in(files)}
    assert public() == seen, "solutions/public.toml lists what is nowhere"
    assert all(entry["why"] for entry in tomllib.loads(PUBLIC.read_text(encoding="utf-8"))["public"])


@pytest.mark.parametrize(
    ("page", "planted"),
    [
        ("labs/lab02.md", f"Do you remember `{ANSWER}`?"),
        ("labs/pictures/lab01-calls.svg", "<!-- if len(line) &gt; limit: -->"),
        ("harness/load/scenarios.toml", "x = '''" + ANSWER.replace(", ", ",\n    ") + "'''"),
        ("harness/wire/ready.py", f"    {ANSWER}  # as in lab 1"),
        ("labs/lab03.md", LOCKED),
        ("labs/lab09.md", "while data := connection.recv(65536):"),  # which is public elsewhere
    ],
)
def test_an_answer_that_is_planted_is_found_and_nothing_is_written(whole: Path, page: str, planted: str) -> None:
    with (whole / page).open("a", encoding="utf-8") as file:
        file.write(f"\n{planted}\n")
    done = in_kit(whole, "release")
    assert done.returncode == 2
    assert f"{page} has a line of the answer to step" in done.stderr
    assert not (whole / "socket-lab-kit.zip").exists()


def test_it_has_what_a_student_needs_and_nothing_else(files: dict[str, str]) -> None:
    assert {name.partition("/")[0] for name in files} == {*BESIDE, "README.md", "harness", "labs", "notebooks"}
    for file in COURSE.files:
        assert files[f"labs/{file}"] == files[f"{GIVEN}/{file}"] == pristine(file)
    handouts = {f"labs/{lab.handout}" for lab in COURSE.labs}
    pages = {"labs/README.md", "labs/PROTOCOL.md", "labs/GLOSSARY.md"}
    for name in {name for name in files if name.startswith("labs/") and not name.endswith((".py", ".svg"))}:
        assert name in handouts | pages
    changed = [name for name in handouts | pages if files[name] != (ROOT / name).read_text(encoding="utf-8")]
    assert changed == ["labs/GLOSSARY.md"]  # which also leads to INSTRUCTORS.md


def dirt(kit: Path) -> None:
    """Leave behind what people leave behind: their own programs, runs, caches, hidden checks, archives."""
    (kit / "labs" / ECHO).write_text((SOLUTIONS / ECHO).read_text(encoding="utf-8"), encoding="utf-8")
    for name in (
        "labs/progress.txt",
        f"labs/{ECHO}.kept-1",
        "labs/notes.md",
        "labs/pictures/mine.svg",
        "runs/latest/results.json",
        "harness/course/__pycache__/stubs.cpython-311.pyc",
        "harness/course/stubs.py~",
        "harness/checks/.check_echo.py.swp",
        "harness/checks/hidden/check_more.py",
        "harness/classroom/intake.py",
        ".git/config",
        "tests/mutants/lab1.toml",
        "notebooks/predictions.txt",
        "INSTRUCTORS.md",
    ):
        (kit / name).parent.mkdir(parents=True, exist_ok=True)
        (kit / name).write_text(ANSWER, encoding="utf-8")


def test_the_same_kit_gives_the_same_bytes_whoever_has_worked_in_it(archive: Path, whole: Path) -> None:
    dirt(whole)
    for path in whole.rglob("*"):
        os.utime(path, (1e9, 1e9))
        path.chmod(path.stat().st_mode | 0o111)
    assert in_kit(whole, "release", "-o", "dirty.zip").returncode == 0
    assert (whole / "dirty.zip").read_bytes() == archive.read_bytes()


def test_a_folder_holds_the_same_as_a_zip(copy: Path, tmp_path: Path) -> None:
    assert lab("release", "-o", str(tmp_path / "folder")).returncode == 0
    both = [
        {str(path.relative_to(folder)): (path.read_bytes(), os.access(path, os.X_OK)) for path in folder.rglob("*.*")}
        | {"lab": ((folder / "lab").read_bytes(), os.access(folder / "lab", os.X_OK))}
        for folder in (copy, tmp_path / "folder")
    ]
    assert both[0] == both[1]


# Some labs only


@pytest.mark.parametrize("chosen", ["1", "1-3", "1-3,7", None])
def test_every_link_leads_somewhere_and_no_page_promises_what_needs_solutions(
    chosen: str | None, tmp_path: Path
) -> None:
    kit = unpacked(released(tmp_path, *(["--labs", chosen] if chosen else [])), tmp_path / "student")
    pages = list(kit.rglob("*.md"))
    assert pages
    for page in pages:
        for _, _, target in LINK.findall(prose(page)):
            file, _, place = target.partition("#")
            led_to = page.parent / file if file else page
            assert "://" in target or led_to.exists(), f"{page.name}: {target}"
            assert not place or place in anchors(led_to), f"{page.name}: {target}"
        for words in typed(page):
            args = cli.parser().parse_args(words)
            assert args.verb not in cli.FOR_TEACHERS | cli.FOR_GRADERS, words
            assert not getattr(args, "solution", False), words
            assert args.verb != "bench.bench" or args.own, words


def test_some_labs_are_a_course_of_their_own(tmp_path: Path) -> None:
    kit = unpacked(released(tmp_path, "--labs", "7, 1-3"), tmp_path / "student")
    where = in_kit(kit).stdout
    assert [line.split()[1] for line in where.splitlines() if line.startswith("  Lab ")] == ["1", "2", "3", "7"]
    assert "there is no lab 4; the labs are 1, 2, 3, 7" in in_kit(kit, "check", "4").stderr
    assert {path.name for path in (kit / "labs").glob("*.py")} == {file for n in "1237" for file in COURSE.lab(n).files}
    rows = [line for line in (kit / "labs" / "README.md").read_text(encoding="utf-8").splitlines() if "](lab0" in line]
    assert [row[2] for row in rows] == ["1", "2", "3", "7"]
    assert in_kit(kit, "check", "7.1", "-x").returncode == 1
    assert in_kit(kit, "reset", "7").returncode == 0


def test_without_lab_7_there_is_no_client_to_chat_with(tmp_path: Path) -> None:
    done = in_kit(unpacked(released(tmp_path, "--labs", "1"), tmp_path / "student"), "chat")
    assert (done.returncode, "no lab in which one writes a client" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--labs", "3"], "lab 3 goes on with what one writes in lab 1: name that, too"),
        (["--labs", "1,2,6"], "lab 6 goes on with what one writes in lab 4 and 5: name that, too"),
        (["--labs", "1-99"], "there is no lab 99; the labs are 1, 2, 3"),
        (["--labs", "3-1"], "--labs takes numbers of labs, such as 1-3,7; not '3-1'"),
        (["--labs", ""], "--labs takes numbers of labs, such as 1-3,7; not ''"),
        (["-o", "no/such/kit.zip"], "there is no folder"),
        (["-o", ".", "--force"], "is there already, and is no release"),
        (["-o", "labs", "--force"], "is there already, and is no release"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_released_is_told_in_one_sentence(whole: Path, words: list[str], said: str) -> None:
    before = sorted(whole.rglob("*.*"))
    done = in_kit(whole, "release", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lab: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path for path in sorted(whole.rglob("*.*")) if path.suffix != ".pyc"] == before


def spoil_a_mark(kit: Path) -> str:
    with (kit / "solutions" / ECHO).open("a", encoding="utf-8") as file:
        file.write("### END SOLUTION\n")
    return f"{ECHO}, line "


def lose_a_handout(kit: Path) -> str:
    (kit / "labs" / "lab03.md").unlink()
    return "lab03.md: No such file"


def write_latin(kit: Path) -> str:
    (kit / "labs" / "lab03.md").write_bytes("né".encode("latin-1"))
    return "labs/lab03.md is no text in UTF-8"


@pytest.mark.parametrize("spoil", [spoil_a_mark, lose_a_handout, write_latin])
def test_a_kit_that_is_not_sound_is_told_and_nothing_is_written(whole: Path, spoil: Callable[[Path], str]) -> None:
    said = spoil(whole)
    done = in_kit(whole, "release")
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
    assert not (whole / "socket-lab-kit.zip").exists()


# Writing


@pytest.mark.parametrize("name", ["kit.zip", "kit"])
def test_what_is_there_is_replaced_by_force_only(name: str, tmp_path: Path) -> None:
    target = tmp_path / name
    first, second = {"lab": "one", f"{GIVEN}/{ECHO}": "stub", "old": ""}, {"lab": "two", f"{GIVEN}/{ECHO}": "stub"}
    write(first, target)
    written = read(target)
    with pytest.raises(ReleaseError, match="--force"):
        write(second, target)
    assert read(target) == written
    write(second, target, replace=True)
    assert read(target) == second
    assert [path.name for path in tmp_path.iterdir()] == [name]


def read(target: Path) -> dict[str, str]:
    if target.is_file():
        return texts(target)
    return {path.relative_to(target).as_posix(): path.read_text() for path in target.rglob("*") if path.is_file()}


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(("name", "breaks"), [("kit.zip", "replace"), ("kit", "chmod"), ("kit", "replace")])
def test_it_is_written_whole_or_not_at_all(
    name: str, breaks: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, texts = tmp_path / name, {"lab": "one", f"{GIVEN}/{ECHO}": "stub"}
    if there:
        write(texts, target)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, breaks, full)
        with pytest.raises(OSError, match="no space"):
            write({**texts, "more": "two"}, target, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ([name] if there else [])
    assert not there or read(target) == texts


# In it


@pytest.mark.parametrize(
    "words",
    [
        "build", "build --check", "demo", "test", "release", "grade class -o out", "export csv run", "autograde 1 labs",
        "similarity class",
        "check 1 --solution", "diff 1 --solution", "run 1 --solution", "chat --solution",
        "bench 1 3", "bench", "bench 1 --target python3",
    ],
)  # fmt: skip
def test_what_needs_the_solutions_says_so(copy: Path, words: str) -> None:
    done = in_kit(copy, *words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert "this copy of the kit has no solutions" in done.stderr or "it has no solutions" in done.stderr
    assert done.stderr.count("\n") == 1


def verbs(told: str) -> set[str]:
    """Return the commands that a help names."""
    return set(re.findall(r"^    (\w+)", told, re.MULTILINE))


def test_help_tells_only_what_is_there(copy: Path) -> None:
    here, whole = verbs(in_kit(copy, "--help").stdout), verbs(lab("--help").stdout)
    assert whole - here == {"demo", "test", "build", "release", "grade", "export", "autograde", "similarity"}
    assert here >= {"check", "watch", "diff", "hint", "reset", "bench", "doctor"}
    for verb in here:
        assert "solution" not in in_kit(copy, verb, "--help").stdout


def test_nothing_that_its_help_tells_needs_what_was_left_out(copy: Path) -> None:
    [told] = [action.choices for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)]
    functions = {one.get_default("verb") for one in told.values()} - cli.FOR_TEACHERS - cli.FOR_GRADERS
    modules = ", ".join(sorted({f"harness.commands.{function.partition('.')[0]}" for function in functions}))
    code = f"import sys; sys.path.insert(0, {str(copy)!r}); import {modules}"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_watch_and_loads_work_without_solutions(copy: Path) -> None:
    with watching(copy) as watched:
        assert "is still the untouched stub" in watched.until("Next: step 1.1, Listen")
        in_place(watched.file, after("1.1", "1.2", "1.3"))
        watched.until("Step 1.3 holds.")
        watched.until("Next: step 1.4")
    done = in_kit(copy, "bench", "1", "--own", "--clients", "2", "--rounds", "1", "--duration", "0.1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "yours (lab 1)" in done.stdout
    assert (copy / "runs" / "latest" / "report.html").is_file()
    assert in_kit(copy, "doctor").returncode == 0


def prepare(kit: Path) -> None:
    """Let the launcher make its environment, with the packages that these tests run with in place of fetched ones."""
    launcher = {"__name__": "launcher", "__file__": str(kit / "lab")}
    exec(compile((kit / "lab").read_text(encoding="utf-8"), "lab", "exec"), launcher)

    def install(*_: object) -> None:
        packages = Path(launcher["site_packages"]()) / "packages.pth"  # type: ignore[operator]
        packages.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    launcher["install"] = install  # type: ignore[assignment]
    launcher["prepare"]("first start")  # type: ignore[operator]


@posix_only
def test_a_student_comes_from_the_zip_to_a_lab_that_holds(copy: Path, tmp_path: Path) -> None:
    prepare(copy)
    (tmp_path / "home").mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8"}

    def typing(line: str) -> tuple[int, str]:
        done = subprocess.run(
            line, shell=True, cwd=copy, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout

    told = [words for words in typed(copy / "README.md") if words[:1] not in (["bench"], ["notebook"])]
    assert ["check", "1.1"] in told
    for words in told:
        status, said = typing(" ".join(["./lab", *words]))
        assert status == int(words[:1] == ["check"]), said
        if words == ["check", "1"]:
            assert "Step 1.1 is not written yet: look for `TODO 1.1`" in said
    (copy / "labs" / ECHO).write_text((SOLUTIONS / ECHO).read_text(encoding="utf-8"), encoding="utf-8")
    status, said = typing("./lab check 1")
    assert status == 0, said
    assert "Next: step 2.1" in said
    assert "✓ 1.5" in typing("./lab")[1]
    assert "+    listener.listen(128)" in typing("./lab diff 1")[1]
    assert "yours is kept as labs/lab01_blocking_echo.py.kept-1" in typing("./lab reset 1")[1]
    assert (copy / "labs" / ECHO).read_text(encoding="utf-8") == pristine(ECHO)
    assert not list((tmp_path / "home").iterdir())
