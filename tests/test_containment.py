"""Hostile programs in a box: none reaches what is not its own, and nothing of them is left.

Those that would do harm outside of a box run in one alone; the others show in the tier plain that they really do it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from ast import literal_eval
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import HOST, PATIENCE, ROOT, SOLUTIONS, check, lab, of_status, python

from harness.launch import LaunchError, Program, ProgramEnded
from harness.launch.command import python_program
from harness.launch.descriptors import own_descriptors
from harness.launch.processes import state
from harness.launch.tiers import BOX, PLAIN, hindrance

boxed = pytest.mark.skipif(bool(hindrance(BOX)), reason=hindrance(BOX))
in_each_tier = pytest.mark.parametrize("tier", [pytest.param(BOX, marks=boxed), PLAIN])

# Does its deed, and tells everybody who connects what came of it.
SERVER = """
import os, signal, socket, sys, time
port = int(sys.argv[sys.argv.index("--port") + 1])
found = None
def tries(deed, *arguments):
    try:
        return deed(*arguments)
    except OSError:
        return None
{deed}
with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(repr(found).encode())
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Any]:
    """Starts a program that does a deed."""
    folder = tmp_path / "hand-in"
    folder.mkdir()

    @contextmanager
    def started(deed: str, tier: str = BOX, listens: bool = True) -> Iterator[Program]:
        (folder / "server.py").write_text(SERVER.format(deed=deed), encoding="utf-8")
        with Program(python_program(folder / "server.py"), tier=tier) as program:
            if listens:
                assert wait_listening(program), program.output.stderr.text()
            yield program

    return started


def wait_listening(program: Program) -> bool:
    limit = time.monotonic() + PATIENCE
    return program.wait_listening(lambda: limit - time.monotonic())


def told(program: Program) -> Any:
    """Return what the program tells who connects."""
    with program.new_socket() as client:
        client.settimeout(PATIENCE)
        client.connect(program.address)
        return literal_eval(b"".join(iter(lambda: client.recv(65536), b"")).decode())


def eventually(holds: Callable[[], bool]) -> bool:
    limit = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < limit:
        time.sleep(0.002)  # polls: the end of a process that is not our child is announced to nobody
    return holds()


READS = """
import glob
places = {places!r}
found = [place for place in places if tries(lambda: open(place, "rb").read(1))]
for file in glob.glob("/proc/[0-9]*/environ"):
    if {secret!r}.encode() in (tries(lambda: open(file, "rb").read()) or b""):
        found.append("environment")
"""


@in_each_tier
def test_what_is_not_its_own_cannot_be_read(
    start: Any, tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "the-secret-" + "of-the-grader"
    other = tmp_path / "another hand-in" / "server.py"
    other.parent.mkdir()
    other.write_text("print()", encoding="utf-8")
    places = [
        str(place) for place in (ROOT / "harness/checks/check_echo.py", SOLUTIONS / "lab01_blocking_echo.py", other)
    ]
    words = [sys.executable, "-c", "input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=os.environ | {"SECRET": secret}) as grader:
        with start(READS.format(places=places, secret=secret), tier) as program:
            assert told(program) == ([] if tier == BOX else [*places, "environment"])
        grader.communicate(b"\n")


@boxed
def test_the_settings_of_the_system_can_be_read(start: Any) -> None:
    places = [place for place in ("/etc/hosts", "/etc/localtime", "/etc/ssl/openssl.cnf") if os.access(place, os.R_OK)]
    with start(f"found = [place for place in {places!r} if os.access(place, os.R_OK)]") as program:
        assert places
        assert told(program) == places


WRITES = """
found = []
for place in {places!r}:
    if tries(lambda: open(os.path.join(place, "left-behind"), "w").close() or True):
        found.append(place)
tries(lambda: open("/tmp/mine", "w").close())
found.append(os.path.exists("/tmp/mine"))
"""


@boxed
def test_nothing_can_be_written_but_a_private_tmp(start: Any, tmp_path: Path) -> None:
    places = [*map(str, (tmp_path, tmp_path / "hand-in", ROOT / "runs", Path.home())), "/", "/usr", "/etc", "/dev"]
    with start(WRITES.format(places=places)) as program:
        assert told(program) == [True]
    assert not Path("/tmp/mine").exists()
    assert not any(Path(place, "left-behind").exists() for place in places)


FILLS = """
def fill(place):
    with open(place, "wb") as file:
        for _ in range(4096):
            file.write(bytes(1 << 20))
            file.flush()
    return True
found = [tries(fill, place) for place in ("/tmp/much", "/dev/shm/much")]
"""


@boxed
def test_what_it_may_write_is_little(start: Any) -> None:
    with start(FILLS) as program:
        assert told(program) == [None, None]


KILLS = """
if os.fork() == 0:
    tries(os.kill, -1, signal.SIGKILL)
    os._exit(0)
time.sleep(60)
"""


@boxed
def test_who_kills_all_kills_itself_alone(start: Any) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        try:
            with start(KILLS, listens=False) as program:
                with pytest.raises(ProgramEnded, match="SIGKILL"):
                    wait_listening(program)
            assert bystander.poll() is None
        finally:
            bystander.kill()


ATTACKS = """
import resource
found = [
    bool(tries(lambda: os.kill(1, signal.SIGKILL) or time.sleep(0.05))),
    bool(tries(lambda: open("/proc/1/mem", "rb"))),
    bool(tries(lambda: os.listdir("/proc/1/fd"))),
    sorted(int(name) for name in os.listdir("/proc") if name.isdigit()) == [1, os.getpid()],
    os.getuid() != 0 or not {as_root},
]
"""


@boxed
def test_its_first_process_cannot_be_looked_into_nor_killed(start: Any) -> None:
    with start(ATTACKS.format(as_root=os.getuid() == 0)) as program:
        assert told(program) == [False, False, False, True, True]


CONNECTS = """
with socket.socket() as client:
    found = [tries(lambda: client.connect(("127.0.0.1", {port})) or True), len(socket.if_nameindex())]
"""


@in_each_tier
def test_ports_of_the_machine_cannot_be_reached(start: Any, tier: str) -> None:
    with (
        socket.create_server((HOST, 0)) as listener,
        start(CONNECTS.format(port=listener.getsockname()[1]), tier) as program,
    ):
        connected, interfaces = told(program)
    assert connected is (None if tier == BOX else True)
    assert tier == PLAIN or interfaces == 1


DAEMON = """
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
os.environ.clear()
"""


@in_each_tier
def test_a_daemon_that_keeps_the_port_is_ended(start: Any, tier: str) -> None:
    with start(DAEMON, tier) as program:
        members = program.members()
        assert members
        assert eventually(lambda: program.status == 0)
        assert program.is_running()
    assert not [pid for pid in members if state(pid)]
    with socket.create_server(program.address):
        pass


BOMB = """
import resource
assert os.getuid() and resource.getrlimit(resource.RLIMIT_NPROC)[0] <= 640, "never outside of a box"
refused, tell = os.pipe()
if os.fork() == 0:
    while True:
        try:
            os.fork()
        except OSError:
            os.write(tell, b"x")
            time.sleep(60)
found = os.read(refused, 1)
"""


@boxed
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give it a user of its own")
def test_a_fork_bomb_is_bounded_and_ended(start: Any) -> None:
    with start(BOMB) as program:
        assert told(program) == b"x"
        members = program.members()
        assert 100 < len(members) <= 640
    assert not [pid for pid in members if state(pid)]


@in_each_tier
def test_who_prints_without_end_is_ended(start: Any, tier: str) -> None:
    with start("while True: os.write(1, bytes(1 << 16))", tier, listens=False) as program:
        with pytest.raises(ProgramEnded, match="it printed more than 32 MiB"):
            wait_listening(program)


@in_each_tier
def test_how_it_ends_is_told(start: Any, tier: str) -> None:
    with start("sys.exit(7)", tier, listens=False) as program:
        with pytest.raises(ProgramEnded, match="it exited with status 7"):
            wait_listening(program)


STAYS = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
"""
GRADER = """
import sys, time
from pathlib import Path
from harness.launch import Program
from harness.launch.command import python_program
from harness.launch.descriptors import own_descriptors
with Program(python_program(Path(sys.argv[1])), tier=sys.argv[2]) as program:
    program.wait_listening(lambda: 20.0)
    print(program.place.child, program.place.init, *program.members(), flush=True)
    time.sleep(60)
"""


@boxed
def test_a_grader_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    program = tmp_path / "hand-in" / "server.py"
    program.parent.mkdir()
    program.write_text(SERVER.format(deed=STAYS), encoding="utf-8")
    words = [sys.executable, "-c", GRADER, str(program), BOX]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as grader:
        assert grader.stdout is not None
        pids = [int(word) for word in grader.stdout.readline().split()]
        assert len(pids) >= 3
        grader.send_signal(signal.SIGKILL)
    assert eventually(lambda: not [pid for pid in pids if state(pid) not in ("", "Z")])


@boxed
@pytest.mark.parametrize(("number", "file"), [(1, "lab01_blocking_echo.py"), (5, "lab05_select_echo.py")])
def test_the_solutions_pass_in_a_box(number: int, file: str) -> None:
    status, results = check(number, python(SOLUTIONS / file), "--tier", BOX)
    assert not [(one["id"], one["message"]) for one in results["checks"] if one["status"] != "pass"]
    assert (status, results["tier"]) == (0, BOX)


@boxed
@pytest.mark.slow
def test_the_chat_passes_in_a_box() -> None:
    done = lab("check", "6", "--solution", "--tier", BOX)
    assert done.returncode == 0, done.stdout
    assert "points (in the tier box)." in done.stdout


@in_each_tier
def test_a_harness_with_many_descriptors_can_start_programs(start: Any, tier: str) -> None:
    with own_descriptors(1500), ExitStack() as stack:
        for _ in range(1100):  # select() takes none from 1,024 on
            stack.enter_context(socket.socket())
        with start("found = 1", tier) as program:
            assert told(program) == 1


STUBBORN = [
    ("listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)", "pass"),
    ("signal.signal(signal.SIGTERM, signal.default_int_handler)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"),
]


@boxed
def test_verdicts_are_the_same_in_each_tier(tmp_path: Path) -> None:
    text = (SOLUTIONS / "lab01_blocking_echo.py").read_text(encoding="utf-8")
    for right, wrong in STUBBORN:
        assert right in text, right
        text = text.replace(right, wrong)
    program = tmp_path / "hand-in" / "server.py"
    program.parent.mkdir()
    program.write_text(text, encoding="utf-8")
    words = ("-k", "restarts or stops or listens or byte")
    (_, plain), (_, box) = (check(1, python(program), "--tier", tier, *words) for tier in (PLAIN, BOX))
    assert of_status(box, "fail") >= {"restarts-at-once", "stops-when-idle"}
    assert [(one["id"], one["status"]) for one in plain["checks"]] == [
        (one["id"], one["status"]) for one in box["checks"]
    ]


def test_a_tier_that_cannot_be_had_is_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = lab("check", "1", "--solution", "--tier", BOX)
    assert done.returncode == 2
    assert "install bubblewrap" in done.stderr or "needs Linux" in done.stderr
    said = lab("doctor").stdout
    assert "Containment   box      no: " in said
    assert "Containment   plain    yes" in said


@in_each_tier
@pytest.mark.slow
def test_a_client_passes_in_each_tier(tier: str) -> None:
    done = lab("check", "7", "--solution", "--tier", tier)
    assert done.returncode == 0, done.stdout


@boxed
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="others run a program as themselves")
def test_a_folder_that_is_closed_to_others_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(LaunchError, match=r"is closed to all but its owner.*chmod -R go\+rX"):
        Program(python_program(tmp_path / "server.py"), tier=BOX)


@boxed
def test_what_cannot_be_executed_in_a_box_is_told(tmp_path: Path) -> None:
    command = python_program(tmp_path / "server.py")
    words = (str(tmp_path / "no-such-program"), "x")
    tmp_path.chmod(0o755)
    with Program(type(command)(words, tmp_path), tier=BOX) as program:
        with pytest.raises(LaunchError, match="no-such-program' in a box: No such file"):
            wait_listening(program)
