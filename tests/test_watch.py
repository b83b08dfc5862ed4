"""`lab watch` and `lab diff` in a copy of the kit: saves as editors make them, read from what the commands print."""

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support import PATIENCE, SOLUTIONS, children_of, in_kit, lab_of

from harness.commands.saves import _is_save
from harness.course.stubs import fill
from harness.launch.processes import state

FILE = "lab01_blocking_echo.py"
ECHO = (SOLUTIONS / FILE).read_text(encoding="utf-8")
NEVER_LISTENS = "import time\ntime.sleep(600)\n"  # a check waits ten seconds for it


class Watching:
    """A `lab watch` that runs; its output is read line by line."""

    def __init__(self, kit: Path, *words: str) -> None:
        self.file = kit / "labs" / FILE
        self.process = subprocess.Popen(
            lab_of(kit, "watch", *words), cwd=kit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def until(self, text: str, patience: float = 3 * PATIENCE) -> str:
        """Return what is printed up to the first line with `text`."""
        said, deadline = "", time.monotonic() + patience
        while text not in said.rpartition("\n")[2]:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"{text!r} does not come; what did:\n{said}"
            said += f"\n{line.rstrip()}"
        return said

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal; return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def wait_for_programs(self) -> list[int]:
        """Return the programs that it has started, as soon as there are any."""
        deadline = time.monotonic() + PATIENCE
        while not (started := children_of(self.process.pid)) and time.monotonic() < deadline:
            time.sleep(0.01)  # polls a state that nobody announces
        assert started
        return started


@contextmanager
def watching(kit: Path, *words: str) -> Iterator[Watching]:
    """Run `lab watch`, and end it."""
    watched = Watching(kit, *words)
    try:
        yield watched
    finally:
        with suppress(ProcessLookupError):
            watched.process.send_signal(signal.SIGTERM)
        watched.process.wait(PATIENCE)


def after(*steps: str) -> str:
    """Return lab 1 with some of its steps written."""
    return fill(ECHO, steps)


def in_place(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def in_two_pieces(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as opened:
        opened.write(text[: len(text) // 2])
        opened.flush()
        opened.write(text[len(text) // 2 :])


def renamed_over(file: Path, text: str) -> None:
    fresh = file.with_name(f".{file.name}.tmp")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


def as_vim_does(file: Path, text: str) -> None:
    probe, backup = file.with_name("4913"), file.with_name(f"{file.name}~")
    probe.touch()
    probe.unlink()
    file.rename(backup)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)
    backup.unlink()


def as_pycharm_does(file: Path, text: str) -> None:
    fresh, old = file.with_name(f"{file.name}___jb_tmp___"), file.with_name(f"{file.name}___jb_old___")
    fresh.write_text(text, encoding="utf-8")
    file.rename(old)
    fresh.rename(file)
    old.unlink()


@pytest.mark.parametrize("save", [in_place, in_two_pieces, renamed_over, as_vim_does, as_pycharm_does])
def test_a_save_turns_a_step_green_and_the_next_one_comes(kit: Path, save: Callable[[Path, str], None]) -> None:
    with watching(kit) as watched:
        before = watched.until("Next: step 1.1, Listen")
        assert "step 1.1, Listen" in before
        assert "Step 1.1 is not written yet" in before
        save(watched.file, after("1.1"))
        said = watched.until("Next: step 1.2, Echo one client until its end (labs/lab01_blocking_echo.py, line ")
        assert " ✓ 1.1  " in said
        assert "✓ Step 1.1 holds." in said
        assert "step 1.2," not in said.rpartition("\n")[0]  # it waits with the next one until something is written
        save(watched.file, after("1.1") + "# more\n")
        assert "step 1.2, Echo one client" in watched.until("echoes")
    assert "1.1 done" in (kit / "labs" / "progress.txt").read_text()


def test_polling_sees_a_save_too(kit: Path) -> None:
    with watching(kit, "1", "--poll") as watched:
        watched.until("Next: step 1.1")
        in_place(watched.file, after("1.1"))
        watched.until("Step 1.1 holds.")


def test_steps_that_are_written_already_follow_each_other_and_the_lab_has_an_end(kit: Path) -> None:
    with watching(kit, "1") as watched:
        watched.until("Next: step 1.1")
        in_place(watched.file, after("1.1", "1.2", "1.3", "1.4", "1.5"))
        for number in range(1, 6):
            watched.until(f"Step 1.{number} holds.")
        watched.until("All steps of lab 1 hold.")
        in_place(watched.file, after("1.1", "1.2", "1.3", "1.4"))
        said = watched.until("Next: step 1.5")
        assert "all of lab 1" in said
        assert " ✗ 1.5  " in said


def test_a_save_in_the_middle_of_a_check_ends_it_and_begins_anew(kit: Path) -> None:
    swallows = after("1.1", "1.2").replace("        connection.sendall(data)\n", "        pass\n")
    in_place(kit / "labs" / FILE, swallows)
    (kit / "labs" / "progress.txt").write_text("1.1 done 2026-09-01 14:05\n")
    with watching(kit) as watched:
        watched.until(" ✓ 1.1  ")  # the next check waits for what does not come
        started = watched.wait_for_programs()
        in_place(watched.file, after("1.1", "1.2"))
        said = watched.until("Step 1.2 holds.")
        assert "Saved again: the checks begin anew." in said
        assert "✗" not in said.partition("Saved again")[0]
        assert not [pid for pid in started if state(pid) not in ("", "Z")]


def test_runs_that_are_cut_short_at_many_places_leave_nothing_behind(kit: Path) -> None:
    with watching(kit) as watched:
        watched.until("Next: step 1.1")
        in_place(watched.file, after("1.1", "1.2"))
        for number in range(12):
            said = watched.until(", " if number % 2 else " ✓ 1.")  # the beginning of a run, or a verdict of it
            assert "Traceback" not in said
            in_place(watched.file, after("1.1", "1.2") + f"# {number}\n")
        said = watched.until("Next: step 1.3")
        assert "Traceback" not in said
        assert "not checked" not in said
        assert not children_of(watched.process.pid)


def test_a_file_that_is_no_python_is_told_with_its_line_and_not_run(kit: Path) -> None:
    with watching(kit) as watched:
        watched.until("Next: step 1.1")
        in_place(watched.file, after("1.1").replace("listener.listen(128)", "listener.listen((128)"))
        said = watched.until("does not compile")
        line = after("1.1").splitlines().index("    listener.listen(128)") + 1
        assert f"labs/{FILE}, line {line}, does not compile: '(' was never closed" in said
        assert " 1.1  " not in said  # no verdict
        in_place(watched.file, after("1.1"))
        watched.until("Step 1.1 holds.")


def test_a_file_that_an_earlier_lab_lends_is_looked_at_too(kit: Path) -> None:
    with watching(kit, "3") as watched:  # lab 3 imports what lab 1 has
        watched.until("Next: step 3.1")
        in_place(watched.file, "def\n")
        assert f"labs/{FILE}, line 1, does not compile: invalid syntax" in watched.until("does not compile")


def test_a_file_that_is_gone_is_told_and_comes_back(kit: Path) -> None:
    (kit / "labs" / FILE).unlink()
    with watching(kit) as watched:
        watched.until(f"labs/{FILE} is missing; `./lab reset 1` puts the stub there")
        in_place(watched.file, after("1.1"))
        watched.until("Step 1.1 holds.")


def test_interrupted_it_leaves_nothing_behind(kit: Path) -> None:
    in_place(kit / "labs" / FILE, NEVER_LISTENS)
    with watching(kit) as watched:
        watched.until("step 1.1, Listen")
        started = watched.wait_for_programs()
        assert watched.end() == 0
        assert "Traceback" not in watched.until("Stopped.")
        assert not [pid for pid in started if state(pid) not in ("", "Z")]


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_ends_while_it_waits(kit: Path, number: int, expected: int) -> None:
    with watching(kit) as watched:
        watched.until("Next: step 1.1")
        assert watched.end(number) == expected


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("room.py", True),
        ("mine.py", True),
        ("room.py~", False),
        (".#room.py", False),  # Emacs' lock
        (".room.py.swp", False),
        ("room.py.kept-1", False),
        ("progress.txt", False),
        ("room.cpython-311.pyc", False),
    ],
)
def test_only_python_files_are_saves(name: str, saved: bool) -> None:
    assert _is_save(1, f"/a kit/labs/{name}") is saved


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["watch", "99"], "there is no lab 99"),
        (["watch", "1.2"], "this takes a whole lab, and no step of it: 1"),
        (["diff", "1.2"], "this takes a whole lab, and no step of it: 1"),
        (["diff", "99"], "there is no lab 99"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_misuse(kit: Path, words: list[str], said: str) -> None:
    done = in_kit(kit, *words)
    assert (done.returncode, done.stderr.startswith("lab: ")) == (2, True)
    assert said in done.stderr


# lab diff


def lines_of(text: str, sign: str) -> set[str]:
    return {line[1:] for line in text.splitlines() if line.startswith(sign) and not line.startswith(sign * 3)}


def test_diff_shows_what_was_changed(kit: Path) -> None:
    file = kit / "labs" / FILE
    untouched = in_kit(kit, "diff", "1")
    assert (untouched.returncode, untouched.stdout) == (0, f"labs/{FILE} is as the stub is\n")
    in_place(file, after("1.2"))
    changed = in_kit(kit, "diff", "1")
    assert changed.returncode == 0
    assert f"+++ labs/{FILE}" in changed.stdout
    stub, own = set(after().splitlines()), set(after("1.2").splitlines())
    assert lines_of(changed.stdout, "+") == own - stub
    assert lines_of(changed.stdout, "-") >= stub - own


def test_diff_looks_at_every_file_of_a_lab(kit: Path) -> None:
    done = in_kit(kit, "diff", "6")
    assert "labs/lab06_select_chat.py is as the stub is" in done.stdout
    assert "labs/room.py is as the stub is" in done.stdout


def test_diff_shows_the_solution_of_steps_that_hold_and_of_no_other(kit: Path) -> None:
    file = kit / "labs" / FILE
    in_place(file, after("1.1").replace("listen(128)", "listen(5)"))
    none = in_kit(kit, "diff", "1", "--solution")
    assert (none.returncode, "listen" in none.stdout) == (0, False)
    assert "No step of lab 1 holds yet" in none.stdout
    (kit / "labs" / "progress.txt").write_text("1.1 done 2026-09-01 14:05\n")
    done = in_kit(kit, "diff", "1", "--solution")
    assert done.returncode == 0
    assert lines_of(done.stdout, "-") == {"    listener.listen(128)"}
    assert lines_of(done.stdout, "+") == {"    listener.listen(5)"}
    assert "sendall" not in done.stdout
    assert "Not shown is the solution of what does not hold yet: 1.2, 1.3, 1.4, 1.5" in done.stdout


def test_a_difference_is_harmless_and_coloured_only_where_somebody_looks(
    kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place(kit / "labs" / FILE, after() + "# \x1b[2J caf\xe9\n")
    assert "+# \\x1b[2J café" in in_kit(kit, "diff", "1").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m+# \\x1b[2J café\x1b[0m" in in_kit(kit, "diff", "1").stdout


def test_without_solutions_there_is_nothing_to_compare_with(kit: Path) -> None:
    os.rename(kit / "solutions", kit / "elsewhere")
    for words in (["diff", "1"], ["diff", "1", "--solution"]):
        done = in_kit(kit, *words)
        assert (done.returncode, "no solutions" in done.stderr) == (2, True)
