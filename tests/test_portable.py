"""Where there is no Linux: what students type, on a Windows and a macOS that elsewhere.py plays on Linux.

On those systems themselves .github/workflows/tests.yml runs the tests that can be run there.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from elsewhere import ABSENT, MACOS, WINDOWS, missing, python_of
from support import HOST, PATIENCE, SOLUTIONS

from harness.checks.verdict import LINUX_ONLY
from harness.course import load_course
from harness.course.layout import LABS
from harness.launch.ports import reserved_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is played on Linux; elsewhere it is so")
SYSTEMS = [WINDOWS, MACOS]
ECHO = "lab01_blocking_echo.py"
DECODES = ("connection.sendall(data)", 'connection.sendall(data.decode("latin-1").encode())')

LOOK_AROUND = """
import asyncio, os, select, selectors, signal, socket, sys
there = {
    "platform": sys.platform, "fork": hasattr(os, "fork"), "epoll": hasattr(select, "epoll"),
    "poll": hasattr(select, "poll"), "SIGKILL": hasattr(signal, "SIGKILL"), "getuid": hasattr(os, "getuid"),
    "AF_UNIX": hasattr(socket, "AF_UNIX"), "affinity": hasattr(os, "sched_getaffinity"), "proc": True,
    "selector": selectors.DefaultSelector.__name__, "second": True, "pipe": True, "nothing": True, "module": True,
}
def tried(name, act):
    try:
        act()
    except (OSError, ImportError):
        there[name] = False
def select_a_pipe():
    select.select([os.pipe()[0]], [], [], 0)
def a_module():
    import fcntl
tried("proc", lambda: open("/proc/self/status").close())
tried("second", lambda: socket.create_server(("127.0.0.2", 0)).close())
tried("pipe", select_a_pipe)
tried("nothing", lambda: select.select([], [], [], 0))
tried("module", a_module)
print(there)
"""
IN_BOTH = {"epoll": False, "affinity": False, "proc": False}
THERE = {
    WINDOWS: {"platform": WINDOWS, "fork": False, "poll": False, "SIGKILL": False, "getuid": False, "AF_UNIX": False}
    | {"selector": "SelectOfWindows", "second": True, "pipe": False, "nothing": False, "module": False},
    MACOS: {"platform": MACOS, "fork": True, "poll": True, "SIGKILL": True, "getuid": True, "AF_UNIX": True}
    | {"selector": "PollSelector", "second": False, "pipe": True, "nothing": True, "module": True},
}


class Elsewhere:
    """A copy of the kit on another system."""

    def __init__(self, system: str, kit: Path) -> None:
        self.system, self.kit = system, kit
        self.python = str(python_of(system, kit.parent))
        self.lab = "py lab" if system == WINDOWS else "./lab"

    def run(self, *words: str, status: int | None = 0) -> str:
        """Run Python with these words; return all that it prints. A `status` of None may be any."""
        done = subprocess.run(
            [self.python, *words],
            cwd=self.kit,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        said = done.stdout.decode("utf-8")
        assert "Traceback" not in said or status, said
        assert status in (None, done.returncode), said
        return said

    def type(self, *words: str, status: int | None = 0) -> str:
        """Run `lab WORDS`."""
        return self.run("-m", "harness", *words, status=status)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `lab WORDS` in a group of processes of its own, for Ctrl-C."""
        command = [self.python, "-m", "harness", *words]
        return subprocess.Popen(command, cwd=self.kit, stdout=subprocess.PIPE, start_new_session=True)


@pytest.fixture(params=SYSTEMS)
def elsewhere(request: pytest.FixtureRequest, kit: Path) -> Elsewhere:
    return Elsewhere(request.param, kit)


def until(process: "subprocess.Popen[bytes]", text: str) -> str:
    """Return what a program prints up to a line with `text`."""
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line.decode("utf-8")
        if text in said:
            return said
    raise AssertionError(said)


@pytest.fixture
def ended(elsewhere: Elsewhere) -> Iterator[list["subprocess.Popen[bytes]"]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def test_what_is_absent_is_gone(elsewhere: Elsewhere) -> None:
    (elsewhere.kit / "labs" / "look.py").write_text(LOOK_AROUND, encoding="utf-8")
    there = dict(
        json.loads(elsewhere.run("labs/look.py").replace("'", '"').replace("T", "t").replace("False", "false"))
    )
    assert there == IN_BOTH | THERE[elsewhere.system]


def test_typeshed_says_what_is_absent() -> None:
    assert {"fork", "getsid", "O_CLOEXEC", "WNOHANG", "openpty", "sysconf"} <= missing("os", WINDOWS)
    assert not {"fork", "kill", "open", "getpid"} & missing("os", MACOS)
    assert {"prlimit"} <= missing("resource", MACOS)
    assert {"SIGSTOP", "SIGHUP", "pthread_kill"} <= missing("signal", WINDOWS)
    assert "resource" in ABSENT[WINDOWS]


def test_a_student_works_through_a_lab(elsewhere: Elsewhere) -> None:
    program = elsewhere.kit / "labs" / ECHO
    stub, solution = program.read_bytes(), (SOLUTIONS / ECHO).read_text(encoding="utf-8")
    assert f"{elsewhere.lab} check 1.1" in elsewhere.type()
    assert f"{elsewhere.lab} hint 1.1" in elsewhere.type("hint", "1.1")
    program.write_text(solution.replace(*DECODES), encoding="utf-8")
    said = elsewhere.type("check", "1", "-k", "every-byte-value", status=1)
    told = re.search(r"See it by hand: (py|python3) (\S+)", said)
    assert told
    assert told[1] == ("py" if elsewhere.system == WINDOWS else "python3")
    script = elsewhere.kit / told[2]
    assert f"COMMAND = ['{told[1]}'," in script.read_text(encoding="utf-8")
    assert "The fault shows: ann expected" in elsewhere.run(told[2], elsewhere.python, str(program), status=1)
    program.write_text(solution, encoding="utf-8")
    assert "Next: step 1.2" in elsewhere.type("check", "1.1")
    assert "+    listener.listen(128)" in elsewhere.type("diff", "1")
    elsewhere.type("reset", "1")
    assert program.read_bytes() == stub
    assert "Containment   plain    yes" in elsewhere.type("doctor")


def told(row: str, system: str) -> str:
    """Return a cell of the table in labs/README.md."""
    table = (LABS / "README.md").read_text(encoding="utf-8").partition("## Linux, macOS, Windows")[2]
    [line] = [line for line in table.splitlines() if line.startswith(f"| {row} |")]
    return line.split(" | ")[{MACOS: 2, WINDOWS: 3}[system]].rstrip(" |")


def test_the_table_tells_what_differs(elsewhere: Elsewhere) -> None:
    there = elsewhere.system
    code = "from harness.shell import *; print(LAB, PYTHON, NC, sep='|')"
    lab, python, nc = elsewhere.run("-c", code).strip().split("|")
    assert told("you type", there) == f"`{lab} check 1`"
    assert told("Python, by hand", there) == f"`{python} labs/...`"
    assert told("to talk to a server", there).startswith(f"`{nc} 127.0.0.1 5555`")
    assert ("raises" in told("`loop.add_signal_handler()` of asyncio", there)) == (there == WINDOWS)


def test_a_load_is_made(elsewhere: Elsewhere) -> None:
    said = elsewhere.type("bench", "8", "--clients", "2", "--rounds", "1", "--duration", "0.1")
    assert ("runs/latest" in said) == (elsewhere.system == MACOS)  # Windows lets only some users make links
    report = re.search(r"The report: (\S+)", said)
    assert report
    assert (elsewhere.kit / report[1]).is_file()


def test_a_server_is_started_and_stopped(elsewhere: Elsewhere, ended: list["subprocess.Popen[bytes]"]) -> None:
    with reserved_port() as port:
        process = elsewhere.start("run", "1", "--solution", "--port", str(port))
        ended.append(process)
        assert f"{'ncat' if elsewhere.system == WINDOWS else 'nc'} {HOST} {port}" in until(process, "listening on")
        with socket.create_connection((HOST, port), timeout=PATIENCE) as ann:
            ann.sendall(b"hello")
            assert ann.recv(5) == b"hello"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_saves_are_seen(elsewhere: Elsewhere, ended: list["subprocess.Popen[bytes]"]) -> None:
    process = elsewhere.start("watch")
    ended.append(process)
    until(process, "is still the untouched stub")
    until(process, "Next: step 1.1")
    (elsewhere.kit / "labs" / ECHO).write_bytes((SOLUTIONS / ECHO).read_bytes())
    until(process, "Step 1.1 holds.")
    os.killpg(process.pid, signal.SIGINT)
    until(process, "Stopped.")
    assert process.wait(PATIENCE) == 0


def test_what_linux_alone_can_check_keeps_nobody_from_going_on(elsewhere: Elsewhere) -> None:
    for file in load_course().files:
        (elsewhere.kit / "labs" / file).write_bytes((SOLUTIONS / file).read_bytes())
    assert "1 more check not made: the limit of another program's" in elsewhere.type("check", "9.5", status=1)
    progress = (elsewhere.kit / "labs" / "progress.txt").read_text(encoding="utf-8")
    assert "9.5 done" in progress


MODEL = " -k agrees-with-a-model"
CHECKED = [(WINDOWS, words) for words in ("1.2", "5.2", "7.3", "8" + MODEL, "9" + MODEL)]
CHECKED += [(MACOS, words) for words in ("2.2", "6" + MODEL, "8" + MODEL)]


@pytest.mark.parametrize(("system", "words"), CHECKED)
def test_the_solutions_pass(system: str, words: str, kit: Path) -> None:
    there = Elsewhere(system, kit)
    there.type("check", *words.split(), "--solution", "--json", "results.json", status=None)
    results = json.loads((kit / "results.json").read_text(encoding="utf-8"))
    untold = [one for one in results["checks"] if one["status"] != "pass" and one["message"] != LINUX_ONLY]
    assert [(one["id"], one["message"]) for one in untold] == []
    assert results["recipes"] == "short waits"
