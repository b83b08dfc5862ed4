"""Time lines: what a recorded server's threads wait for, what a scene's clients wait for, and how that is drawn."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support import PATIENCE, ROOT, SOLUTIONS, lab

from harness.launch import Command
from harness.launch.command import python_program
from harness.launch.tiers import best
from harness.report.sequence.text import columns
from harness.report.timeline.svg import svg
from harness.report.timeline.terminal import call_lines, lines
from harness.report.timeline.timeline import Bar, Lane, Look, Timeline, timeline
from harness.trace import NotServing, TraceError, recorder, trace

SERVERS = ROOT / "tests" / "servers"
SHOWS_WAITING = 0.05  # seconds


def traced(name: str, kind: str = "echo", **options: Any) -> Timeline:
    return timeline(trace(python_program(SOLUTIONS / name), kind, **options))


def lane(told: Timeline, name: str) -> Lane:
    (found,) = [lane for lane in told.lanes if lane.name == name]
    return found


def longest(told: Timeline, name: str, look: Look) -> Bar:
    """Return the longest stretch in which somebody was doing something."""
    return max((bar for bar in lane(told, name).bars if bar.look is look), key=lambda bar: bar.length)


def text(told: Timeline, width: int = 80) -> str:
    return "\n".join("".join(part for _, part in line) for line in lines(told, width))


def test_one_after_another_a_silent_client_makes_the_next_one_wait() -> None:
    told = traced("lab01_blocking_echo.py")
    blocked, waits = longest(told, "main thread", Look.RECEIVE), longest(told, "bob", Look.WAITS)
    assert blocked.who == ("ann",)
    assert waits.shared_with(blocked) > 0.5 * waits.length > SHOWS_WAITING / 2
    assert "the main thread was in recv() for ann." in told.sentences[0]
    assert longest(told, "main thread", Look.SEND).who == ("cat",), "cat does not read"


def test_with_threads_each_waits_for_its_own_client_and_nobody_for_another() -> None:
    told = traced("lab03_threaded_echo.py")
    assert longest(told, "main thread", Look.ACCEPT).length > SHOWS_WAITING
    assert longest(told, "thread of ann", Look.RECEIVE).who == ("ann",)
    stuck = longest(told, "thread of cat", Look.SEND)
    assert stuck.who == ("cat",)
    assert stuck.began < lane(told, "eve").marks[-1].seconds < stuck.ended, "eve comes and goes in the meantime"
    assert [one.name for one in told.lanes if one.is_client] == ["ann", "bob", "cat", "eve"]


@pytest.mark.parametrize(
    ("name", "kind", "call"),
    [
        ("lab05_select_echo.py", "echo", "select"),
        ("lab08_epoll_chat.py", "chat", "epoll"),
        ("lab09_asyncio_chat.py", "chat", "epoll"),
    ],
)
def test_one_thread_for_all_waits_for_whoever_is_ready(name: str, kind: str, call: str) -> None:
    told = traced(name, kind)
    (thread,) = [one for one in told.lanes if not one.is_client]
    waits = [bar for bar in thread.bars if bar.look is not Look.RUNS and bar.length > SHOWS_WAITING]
    assert {bar.look for bar in waits} == {Look.READY}
    if sys.platform == "linux":
        assert waits[0].label.startswith(call)


def test_a_lock_passes_on_one_client_s_delay_to_all() -> None:
    told = traced("lab04_threaded_chat.py", "chat")
    assert longest(told, "thread of bob", Look.SEND).who == ("eve",)
    assert longest(told, "thread of ann", Look.LOCK).label == "lock of thread of bob"
    assert any(
        one.startswith("ann waited")
        and one.endswith("waited for a lock that the thread of bob held, which was in sendall() for eve.")
        for one in told.sentences
    )


def test_lines_come_in_pieces_and_a_client_of_another_s_turn_waits() -> None:
    seen = trace(python_program(SOLUTIONS / "lab02_line_server.py"), "lines")
    pieces = [row["data"] for row in seen["calls"] if row["name"] == "recv" and row["who"] == ["ann"] and row["bytes"]]
    assert pieces == ["'hel'", "'lo\\nhow are'", "' you?\\n'"]
    shown = list(call_lines(seen["calls"]))
    assert any(line.endswith("main thread       recv(ann) = 3 bytes 'hel'") for line in shown), shown


def test_a_client_waits_for_a_key_and_for_the_server_at_once() -> None:
    told = traced("lab07_chat_client.py", "client")
    keys, bytes_ = longest(told, "main thread", Look.KEY), longest(told, "thread of server", Look.RECEIVE)
    assert keys.shared_with(bytes_) > SHOWS_WAITING
    assert told.sentences == (
        "Whenever the server sent something, a thread was waiting for it, whatever the user did.",
    )


def test_a_client_that_only_waits_for_keys_misses_what_comes(tmp_path: Path) -> None:
    program = tmp_path / "client.py"
    program.write_text(
        "import socket, sys\n"
        "with socket.create_connection((sys.argv[2], int(sys.argv[4]))) as server:\n"
        "    print(server.recv(100))\n"
        "    server.sendall(input().encode() + b'\\n')\n"
        "    print(server.recv(100))\n"
        "    server.sendall(sys.stdin.readline().encode())\n"
        "    print(server.recv(100))\n"
    )
    told = timeline(trace(python_program(program), "client"))
    assert re.fullmatch(r"The server .* 5 times, and [23] of these times no thread waited for it\.", told.sentences[0])
    assert [bar.label for bar in lane(told, "main thread").bars if bar.look is Look.KEY] == ["readline", "readline"]


def test_processes_are_lanes_as_threads_are() -> None:
    told = timeline(trace(python_program(SERVERS / "echo_fork.py"), "echo"))
    assert {"process 1", "process of ann", "process of cat"} <= {one.name for one in told.lanes}


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_strace_sees_the_same_of_a_program_in_another_language() -> None:
    words = ("/usr/bin/env", sys.executable, str(SOLUTIONS / "lab03_threaded_echo.py"))  # it might be anything
    try:
        told = timeline(trace(Command(words, SOLUTIONS), "echo"))
    except (TraceError, NotServing) as error:
        pytest.skip(f"strace may not be used here: {error}")
    assert longest(told, "main thread", Look.ACCEPT).length > SHOWS_WAITING
    assert longest(told, "thread of ann", Look.RECEIVE).who == ("ann",)
    assert longest(told, "thread of cat", Look.SEND).who == ("cat",)


@pytest.mark.skipif(best() == "plain", reason="needs a tier that contains")
def test_a_contained_program_is_traced_as_well() -> None:
    assert longest(traced("lab01_blocking_echo.py", tier=best()), "main thread", Look.RECEIVE).who == ("ann",)


def test_the_recorder_leaves_a_program_as_it_is(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, beside\n"
        "if __name__ == '__main__':\n"
        "    print(sys.argv, __file__, sys.path[0], sys.modules['__main__'].__dict__ is globals())\n"
        "    sys.exit('over')\n"
    )
    (tmp_path / "beside.py").touch()
    printed = []
    for words in ([], [recorder.__file__]):
        command = [sys.executable, *words, str(program), "a", "--port"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        notes = done.stdout.rfind(recorder.END) + 1
        printed.append((done.stdout[notes:], done.stderr, done.returncode))
    assert printed[0] == printed[1]
    assert printed[0][2] == 1


def test_what_a_program_prints_is_not_taken_for_notes(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    forged = [
        "x",
        "[]",
        "null",
        '[1, 0, "recv", NaN, 1, [], 0, "", ""]',
        '[1, 0, "recv", 1e999, null, [], 0, "", ""]',
        '[1, 0, "recv", 5, 1, [], 0, "", ""]',
        '[1, 0, "recv", 1, 2, 3, 0, "", ""]',
        '["a", {}, "lock", 1, 2, [], 0, "", ""]',
        '[1, 0, "recv", 1, 2, [[]], 0, "", ""]',
        "[" * 3000,
    ]
    printing = (
        f"for one in {forged!r}:\n"
        f"    print('no end of line', {recorder.BEGIN!r} + one + {recorder.END!r}, end='', flush=True)\n"
    )
    program.write_text(printing + (SOLUTIONS / "lab01_blocking_echo.py").read_text(encoding="utf-8"), encoding="utf-8")
    told = timeline(trace(python_program(program), "echo"))
    assert [one.name for one in told.lanes] == ["main thread", "ann", "bob", "cat", "eve"]


def made_up(**changed: Any) -> dict[str, Any]:
    """Return what trace() might: a program that waits for a client whose name is nasty."""
    call = {
        "thread": "7.0",
        "name": "recv",
        "began": 0.0,
        "ended": 0.9,
        "who": ["<b>&\x1b"],
        "bytes": 0,
        "data": "",
        "note": "",
        "waits": True,
    }
    said = {"seconds": 0.1, "who": "<b>&\x1b", "kind": "send", "bytes": 1, "note": ""}
    return {"program": "x", "kind": "echo", "seconds": 1.0, "calls": [call | changed], "transcript": [said]}


def test_drawings_fit_and_hold_nothing_but_text() -> None:
    told = timeline(made_up())
    assert max(columns(line) for line in text(told, 60).splitlines()[:-1]) <= 60
    assert "\x1b" not in text(told) + svg(told, "t<")
    tree = ElementTree.fromstring(svg(told, "t<"))
    assert any("<b>&" in (one.text or "") for one in tree.iter()), "the name stands there as text"
    assert "the main thread" not in " ".join(told.sentences), "nobody waits for the one whose turn it is"


@pytest.mark.parametrize("changed", [{"ended": 0.05}, {"waits": False}])
def test_a_server_that_computes_is_told_from_one_that_waits(changed: dict[str, Any]) -> None:
    seen = made_up(who=["ann"], **changed)
    seen["transcript"][0]["who"] = "bob"
    assert timeline(seen).sentences == ("bob waited 900 ms for an answer: the main thread ran all the while.",)


def test_the_verb_draws_in_the_terminal_and_into_a_file(tmp_path: Path) -> None:
    picture = tmp_path / "trace.svg"
    server = f"'{sys.executable}' '{SOLUTIONS / 'lab01_blocking_echo.py'}'"
    done = lab("trace", "1", "--target", server, "-o", str(picture), "--calls", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "recv ann" in done.stdout
    assert "bob waited" in done.stdout
    assert "took  thread" in done.stdout
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_a_program_that_does_not_come_to_serve_is_at_fault(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("raise NotImplementedError('step 1.1')")
    done = lab("trace", "1", "--target", f"'{sys.executable}' program.py", cwd=tmp_path)
    assert done.returncode == 1
    assert (
        "the program ended before it listened: it exited with status 1 (NotImplementedError: step 1.1)" in done.stdout
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["7", "--tier", "best"], "a client can be traced in the tier plain only"),
        (["1", "-o", "picture.png"], "give it a name that ends in .svg"),
        (["1", "-o", "nowhere/picture.svg"], "there is no such folder"),
    ],
)
def test_what_cannot_be_traced_is_told_in_a_sentence(words: list[str], told: str, tmp_path: Path) -> None:
    done = lab("trace", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
