"""Programs under test: started, watched and ended for real; each one here goes wrong in its own way."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from harness.launch import (
    Command,
    LaunchError,
    Program,
    ProgramEnded,
    parse_command,
    ports,
    processes,
    sockdiag,
    sockets,
)
from harness.launch.limits import MIB, Limits
from harness.launch.output import KEPT, Stream
from harness.launch.ports import reserved_port
from harness.launch.private import can_be_private
from harness.launch.tiers.place import PASSED_ON, open_places
from harness.launch.tiers.plain import MARK, Plain
from harness.launch.yardstick import MOST, slowness

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="daemons, /proc and namespaces are Linux")

PROGRAMS = Path(__file__).resolve().parent / "programs"
PATIENCE = 20.0  # seconds, for what takes milliseconds: only a failure waits for it
HOST = "127.0.0.1"
LIMIT = Limits().output * MIB
PRINT_LIMIT = "it was ended: it printed more than 32 MiB"


def scripted(file: str, behaviour: str, *words: object) -> Command:
    """Return the command of one of the programs in tests/programs."""
    return Command((sys.executable, str(PROGRAMS / f"{file}.py"), behaviour, *map(str, words)), PROGRAMS)


def eventually(holds: Callable[[], object], what: str = "") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what or "it did not come true"
        time.sleep(0.002)


def listens(program: Program, patience: float = PATIENCE) -> bool:
    """Wait until a program listens."""
    limit = time.monotonic() + patience
    return program.wait_listening(lambda: limit - time.monotonic())


def first_line(program: Program) -> str:
    """Wait for the first line of a program's output."""
    line = program.output.first_line(PATIENCE)
    assert line is not None, program.output.stderr.text()
    return line


@contextmanager
def running(command: Command, **told: object) -> Iterator[Program]:
    """Start a program and wait until it listens."""
    with Program(command, **told) as program:  # type: ignore[arg-type]
        assert listens(program), program.output.stderr.text()
        yield program


def ask(client: socket.socket, question: bytes) -> bytes:
    client.sendall(question)
    return client.recv(100)


def is_gone(pid: int) -> bool:
    """Whether a process is no more, not even as a zombie."""
    return not Path(f"/proc/{pid}").exists()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def clients_of(program: Program) -> socket.socket:
    return socket.create_connection(program.address, timeout=PATIENCE)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """After every test this process has as many children (zombies included) and open files as before."""
    before, open_before = set(processes.children(os.getpid())), descriptors()
    yield
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert left == []
    assert not open_places
    eventually(lambda: descriptors() <= open_before + 1, "descriptors are left")  # 1: the netlink channel


# Readiness


def test_it_is_ready_without_a_connection_made_to_find_out() -> None:
    with running(scripted("starting", "counts_clients")) as program, clients_of(program) as first:
        assert first.recv(10) == b"0"
        with clients_of(program) as second:
            assert second.recv(10) == b"1"


def test_a_slow_starter_is_waited_for(tmp_path: Path) -> None:
    with Program(scripted("starting", "waits_for_a_file", tmp_path / "go")) as program:
        assert first_line(program) == "waiting"
        assert not listens(program, 0)
        threading.Timer(0.05, (tmp_path / "go").touch).start()
        assert listens(program)
        assert program.listens_on == (HOST, program.port)


def test_a_program_that_never_listens() -> None:
    with Program(scripted("starting", "never_listens")) as program:
        assert first_line(program) == "here"
        assert not listens(program, 0.05)
        assert program.listening() == set()
        assert program.is_running()
        assert program.describe_end() == "it is still running"


def test_a_program_that_exits_at_once() -> None:
    with Program(scripted("starting", "exits", 3)) as program:
        with pytest.raises(ProgramEnded, match=r"^it exited with status 3$"):
            listens(program)
        program.output.finish(PATIENCE)
        assert program.output.stdout.text() == "the last line\n"
        assert program.output.stderr.text() == "the last error\n"
        assert (program.status, program.is_running()) == (3, False)
    assert program.describe_end() == "it exited with status 3"


def test_a_program_with_a_syntax_error(tmp_path: Path) -> None:
    source = tmp_path / "broken.py"
    source.write_text("def f(:\n")
    with Program(Command((sys.executable, str(source)), tmp_path)) as program:
        with pytest.raises(ProgramEnded, match="status 1"):
            listens(program)
        program.output.finish(PATIENCE)
        assert "SyntaxError" in program.output.stderr.text()


def _no_such_program(folder: Path) -> tuple[str, str]:
    return str(folder / "nothing"), "No such file"


def _a_folder(folder: Path) -> tuple[str, str]:
    return str(folder), "Permission denied"


def _not_executable(folder: Path) -> tuple[str, str]:
    (folder / "text").write_text("#!/bin/sh\n")
    return str(folder / "text"), "Permission denied"


def _no_program_format(folder: Path) -> tuple[str, str]:
    (folder / "text").write_text("hello")
    (folder / "text").chmod(0o755)
    return str(folder / "text"), "Exec format error"


@pytest.mark.parametrize("make", [_no_such_program, _a_folder, _not_executable, _no_program_format])
def test_a_program_that_cannot_be_run(tmp_path: Path, make: Callable[[Path], tuple[str, str]]) -> None:
    word, reason = make(tmp_path)
    with pytest.raises(LaunchError, match=re.escape(f"cannot run {word!r}: {reason}")):
        Program(Command((word,), tmp_path))


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=re.escape(str(tmp_path / "nowhere"))):
        Program(Command((sys.executable,), tmp_path / "nowhere"))


def test_a_port_is_free_again_when_its_program_could_not_be_started(tmp_path: Path) -> None:
    with reserved_port() as port:
        pass
    with pytest.raises(LaunchError):
        Program(Command(("/nothing",), tmp_path), port=port, defaults=True)
    with _lock_within(port, PATIENCE):
        pass


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGKILL, "SIGKILL"), (signal.SIGRTMIN + 6, "signal 40")],
)
def test_a_program_that_ends_by_a_signal(number: int, name: str) -> None:
    with Program(scripted("starting", "dies_of", int(number))) as program:
        with pytest.raises(ProgramEnded, match=f"^it was ended by {name}$"):
            listens(program)
        assert program.status == -number


# Where it listens


def test_a_program_that_listens_on_another_port() -> None:
    with Program(scripted("starting", "elsewhere", HOST, 0)) as program:
        eventually(program.listening)
        assert not listens(program, 0)
        ((host, port),) = program.listening()
        assert host == HOST
        assert port != program.port


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.2", "::"])
def test_a_program_that_listens_on_another_host(host: str) -> None:
    if host == "::" and not has_ipv6():
        pytest.skip("no IPv6 here")
    with running(scripted("starting", "elsewhere", host)) as program:
        assert program.listens_on == (host, program.port)
        assert program.listening() == {(host, program.port)}


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_port_0_is_replaced_by_the_one_chosen() -> None:
    with running(scripted("starting", "echo"), port=0) as program, clients_of(program) as client:
        assert program.port > 0
        assert ask(client, b"hello") == b"hello"


def test_only_its_own_listeners_count() -> None:
    with running(scripted("starting", "echo")) as one, running(scripted("starting", "echo")) as other:
        assert one.listening() == {one.address}
        assert other.listening() == {other.address}


def test_a_child_that_listens_while_its_parent_has_gone() -> None:
    with running(scripted("starting", "hands_over")) as program:
        eventually(lambda: program.status == 0)
        assert program.is_running()
        assert listens(program)
        with clients_of(program) as client:
            assert ask(client, b"hello") == b"hello"
            side = program.connection(client.getsockname())
            assert side == sockets.Connection(unread=0, accepted=True)
        (child,) = program.members()
    assert is_gone(child)
    assert not program.is_running()


def test_who_listens_on_a_port_is_named() -> None:
    with running(scripted("starting", "echo")) as program:
        named = sockets.holder(program.port)
        assert named is not None
        assert "starting.py echo" in named
        assert named.endswith(f"(process {program.pid})")
    assert sockets.holder(program.port) is None


# Its world


def test_its_environment_holds_only_what_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_TOKEN", "sesame")
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("PYTHONSTARTUP", "/ours")
    with running(scripted("starting", "echo")) as program:
        block = Path(f"/proc/{program.pid}/environ").read_bytes().rstrip(b"\0").decode()
        found = dict(line.split("=", 1) for line in block.split("\0"))
    own = {MARK, "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING"}
    assert set(found) <= own | set(PASSED_ON)
    assert own <= set(found)
    assert found["PATH"] == os.environ["PATH"]
    assert "sesame" not in block


def test_it_starts_with_three_descriptors_no_input_and_a_session_of_its_own(tmp_path: Path) -> None:
    with socket.socket() as ours, _standard_input(b"ours"):
        os.set_inheritable(ours.fileno(), True)
        words = scripted("starting", "shows_its_world").words
        with running(Command(words, tmp_path)) as program:
            eventually(lambda: program.output.stdout.text().count("\n") == 4)
            shown = program.output.stdout.text().splitlines()
    assert shown == ["0,1,2", "''", "True", str(tmp_path)]


@contextmanager
def _standard_input(data: bytes) -> Iterator[None]:
    """Let this process have something on its own standard input."""
    kept = os.dup(0)
    read, write = os.pipe()
    os.write(write, data)
    os.dup2(read, 0)
    os.close(read)
    os.close(write)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


@pytest.mark.skipif(not can_be_private(), reason="no network namespace can be made here")
def test_in_a_network_of_its_own_every_port_is_free_and_all_is_seen() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with running(scripted("starting", "is_its_own_client"), port=port, private=True) as program:
            assert program.listening() == {(HOST, port)}
            client = (HOST, int(first_line(program)))
            assert program.connection(client) == sockets.Connection(unread=3, accepted=False)
            assert program.connection((HOST, 1)) is None


# Containment


@pytest.mark.parametrize("bare", [False, True], ids=["marked", "bare"])
def test_a_daemon_is_gone_after_close(bare: bool) -> None:
    with running(scripted("multiplying", "daemon", *["bare"] * bare)) as program:
        daemon = int(first_line(program).split()[1])
        assert processes.session_of(daemon) not in (program.pid, None)
        assert daemon in program.members()
    assert is_gone(daemon)


def test_a_daemon_of_one_program_of_several_is_gone_after_its_close() -> None:
    with running(scripted("starting", "echo")) as bystander:
        with running(scripted("multiplying", "daemon")) as program:
            daemon = int(first_line(program).split()[1])
            assert daemon not in bystander.members()
        assert is_gone(daemon)
        assert bystander.is_running()
        with clients_of(bystander) as client:
            assert ask(client, b"hello") == b"hello"


def test_a_daemon_that_nothing_gives_away_is_gone_with_the_last_program() -> None:
    with running(scripted("starting", "echo")) as bystander:
        with Program(scripted("multiplying", "daemon", "bare")) as program:
            daemon = int(first_line(program).split()[1])
        assert bystander.is_running()
    assert is_gone(daemon)


def test_a_crowd_that_ignores_signals_is_gone_after_close() -> None:
    with running(scripted("multiplying", "crowd", 30)) as program:
        pids = [int(word) for word in first_line(program).split()]
        assert len(pids) == 30
        eventually(lambda: {program.pid, *pids} == set(program.members()))
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert all(map(is_gone, [program.pid, *pids]))


def test_a_program_that_runs_away_from_child_to_child_is_caught() -> None:
    with Program(scripted("multiplying", "runs_away", 100_000)) as program:
        first_line(program)
        eventually(lambda: program.status is not None)
        assert program.is_running()
        assert isinstance(program.place, Plain)
        mark = program.place.mark
    assert [pid for pid in psutil.pids() if processes.carries(pid, mark)] == []


def test_a_program_that_does_not_want_to_stop() -> None:
    with running(scripted("starting", "will_not_stop")) as program:
        assert first_line(program) == "ready"
        for name in ("SIGINT", "SIGTERM"):
            program.wait_settled(PATIENCE)  # see there: a signal just before accept() would be seen after it
            program.signal(getattr(signal, name))
            ignored = f"I ignore {name}"
            eventually(lambda ignored=ignored: ignored in program.output.stdout.text())  # type: ignore[misc]
        assert program.is_running()
        assert not program.wait(0)
    assert program.status == -signal.SIGKILL


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_program_does_not_inherit_that_a_signal_is_ignored(name: str) -> None:
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with running(scripted("printing", "greets")) as program:
            os.kill(os.getpid(), number)  # here it is still ignored
            program.signal(number)
            assert program.wait(PATIENCE)
    finally:
        signal.signal(number, before)


def test_a_program_does_not_inherit_that_signals_are_blocked() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    try:
        with running(scripted("printing", "greets")) as program:
            program.signal(signal.SIGTERM)
            assert program.wait(PATIENCE)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])


def test_a_program_that_stopped_itself_is_ended() -> None:
    with Program(scripted("starting", "dies_of", int(signal.SIGSTOP))) as program:
        eventually(lambda: processes.state(program.pid) == "T")
    assert program.describe_end() == "it was ended by SIGKILL"


def test_kill_leaves_what_was_printed_and_close_may_come_twice() -> None:
    with running(scripted("printing", "greets")) as program:
        program.kill()
        assert not program.is_running()
        assert program.describe_end() == "it was ended by SIGKILL"
        program.output.finish(PATIENCE)
        assert program.output.stdout.text() == f"listening on {HOST}:{program.port}\n"
        program.close()
        program.close()


def test_what_a_signal_finds_asleep_has_settled(tmp_path: Path) -> None:
    with running(scripted("using", "spins")) as program:
        began = time.monotonic()
        program.wait_settled(0.05)
        assert time.monotonic() - began >= 0.05
    with running(scripted("starting", "echo")) as program:
        program.wait_settled(PATIENCE)
        assert processes.all_asleep(program.members())


# What it prints


def test_a_program_without_standard_streams() -> None:
    with running(scripted("starting", "closes_its_output")) as program, clients_of(program) as client:
        assert program.output.first_line(PATIENCE) is None
        assert ask(client, b"hello") == b"hello"


@pytest.mark.parametrize("streams", [("1",), ("2",), ("1", "2")], ids=["stdout", "stderr", "both"])
def test_a_program_that_prints_too_much_is_ended(streams: tuple[str, ...]) -> None:
    tracemalloc.start()
    try:
        with Program(scripted("printing", "floods", 40, *streams)) as program:
            with pytest.raises(ProgramEnded, match=PRINT_LIMIT):
                listens(program)
            assert program.describe_end() == PRINT_LIMIT
            program.output.finish(PATIENCE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    output = program.output
    assert LIMIT < output.stdout.total + output.stderr.total <= LIMIT + (1 << 20)
    assert peak < 2 << 20
    for stream in (output.stdout, output.stderr):
        if stream.total:
            _is_kept_in_part(stream)


def _is_kept_in_part(stream: Stream) -> None:
    """The first and the last 64 KiB of numbered lines are there, and the gap between them is told."""
    head, missing, tail = re.split(r"\n\n\.\.\. (\d+) bytes left out \.\.\.\n", stream.text())
    assert len(head) + 1 == len(tail) == KEPT
    assert int(missing) == stream.total - 2 * KEPT
    _is_counting(f"{head}\n")
    _is_counting(tail[tail.index("\n") + 1 : tail.rindex("\n")])


def _is_counting(text: str) -> None:
    numbers = [int(line, 16) for line in text.split()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_program_that_prints_a_lot_but_not_too_much_goes_on() -> None:
    with running(scripted("printing", "floods", 31)) as program:
        assert program.output.stdout.total == 31 << 20
        assert program.ended_because is None
        assert program.is_running()


def test_a_line_without_an_end_is_kept_like_any_other_text() -> None:
    with running(scripted("printing", "endless_line")) as program:
        eventually(lambda: program.output.stderr.text() == "done\n")
        eventually(lambda: program.output.stdout.total == 200_000)
        text = program.output.stdout.text()
        assert text.startswith("x" * KEPT + f"\n... {200_000 - 2 * KEPT} bytes left out ...\n")
        assert text.endswith("\n" + "x" * KEPT)
        assert program.output.first_line(0) is None


def test_bytes_that_are_no_text_are_replaced() -> None:
    with Program(scripted("printing", "exact", b"caf\xe9 \xff\n\xf0\x9f\x98\x80".hex())) as program:
        assert first_line(program) == "caf� �"
        eventually(lambda: program.output.stdout.text() == "caf� �\n😀")


def test_the_first_line_counts_when_it_is_complete(tmp_path: Path) -> None:
    half, rest = b"listening on ".hex(), b"1.2.3.4:5\nmore\n".hex()
    with Program(scripted("printing", "exact", half, f"until={tmp_path / 'go'}", rest)) as program:
        eventually(lambda: program.output.stdout.text() == "listening on ")
        assert program.output.first_line(0.02) is None
        (tmp_path / "go").touch()
        assert first_line(program) == "listening on 1.2.3.4:5"


def test_a_first_line_that_was_not_flushed_has_not_come() -> None:
    with Program(scripted("printing", "keeps_it")) as program:
        eventually(lambda: program.output.stderr.text() == "printed\n")
        assert program.output.first_line(0.02) is None
        assert program.output.stdout.text() == ""


def test_a_first_line_that_can_never_be_complete_is_not_waited_for() -> None:
    with Program(scripted("printing", "tells_then_ends", "listening", "on")) as program:
        began = time.monotonic()
        assert program.output.first_line(PATIENCE) is None
        assert time.monotonic() - began < PATIENCE / 2
        program.output.finish(PATIENCE)
        assert program.output.stdout.text() == "listening on"


# Frozen


def _numbers(file: Path) -> list[int]:
    data = file.read_bytes()
    return [int.from_bytes(data[start : start + 8], "little") for start in range(0, len(data), 8)]


def _all_stopped(pids: list[int]) -> bool:
    """Whether every thread of the processes is stopped."""
    return all(
        (task / "stat").read_text().rpartition(")")[2].split()[0] in "TZ"
        for pid in pids
        for task in Path(f"/proc/{pid}/task").iterdir()
    )


def test_nothing_executes_while_it_is_frozen_neither_thread_nor_child_nor_grandchild(tmp_path: Path) -> None:
    file = tmp_path / "numbers"
    file.write_bytes(bytes(24))
    with running(scripted("multiplying", "family_counts", file)) as program:
        eventually(lambda: all(_numbers(file)))
        with program.frozen():
            assert len(program.members()) == 3
            seen = _numbers(file)
            time.sleep(0.05)  # the window in which nothing may happen
            assert _numbers(file) == seen
        eventually(lambda: all(now > then for now, then in zip(_numbers(file), seen, strict=True)))


def test_every_thread_is_stopped_when_the_block_begins() -> None:
    with running(scripted("multiplying", "many_threads_work")) as program:
        for _ in range(100):
            with program.frozen():
                assert _all_stopped(program.members())


def test_a_program_whose_first_thread_has_ended_is_frozen_too(tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_bytes(bytes(8))
    with Program(scripted("starting", "leader_ends_first", file)) as program:
        eventually(lambda: processes.state(program.pid) == "Z" and _numbers(file)[0])
        for _ in range(20):
            with program.frozen():
                assert _all_stopped([program.pid])


def test_a_program_that_forks_without_a_pause_is_frozen_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "births"
    with running(scripted("multiplying", "breeds", file)) as program:
        eventually(file.exists)
        for _ in range(20):
            before = file.stat().st_size
            with program.frozen():
                assert _all_stopped(program.members())
                seen = file.stat().st_size
                time.sleep(0.005)  # the window in which nothing may happen
                assert file.stat().st_size == seen
            eventually(lambda before=before: file.stat().st_size > before)  # type: ignore[misc]


def test_what_a_frozen_program_is_sent_waits_for_it() -> None:
    with running(scripted("starting", "echo")) as program, clients_of(program) as client:
        assert ask(client, b"hello") == b"hello"
        with program.frozen():
            client.sendall(b"abc")
            client.sendall(b"de")
            eventually(lambda: program.connection(client.getsockname()) == sockets.Connection(5, True))
        assert client.recv(100) == b"abcde"


# Figures


def test_figures_grow_with_what_is_used() -> None:
    with running(scripted("using", "obeys")) as program, clients_of(program) as client:
        assert ask(client, b"threads 1\n") == b"done\n"
        before = program.figures()
        assert (before.threads, before.processes) == (2, 1)

        assert ask(client, b"threads 20\n") == b"done\n"
        assert program.figures().threads == 22

        assert ask(client, b"files 30\n") == b"done\n"
        assert program.figures().descriptors == before.descriptors + 30

        pss = program.figures().pss
        assert ask(client, b"memory 24\n") == b"done\n"
        assert 22 << 20 < program.figures().pss - pss < 32 << 20

        cpu = program.figures().cpu
        assert ask(client, b"spin 0.2\n") == b"done\n"
        assert 0.15 <= program.figures().cpu - cpu < 0.6

        assert ask(client, b"children 2\n") == b"done\n"
        after = program.figures()
        assert (after.processes, after.threads) == (3, 24)
        assert after.descriptors > before.descriptors + 30 + 2 * 30
        assert after.pss < pss + (40 << 20), "pages that are shared count once"
        pid = program.pid
    assert processes.state(pid) == ""
    assert program.figures().processes == 0


def test_wanting_a_processor_shows_on_a_busy_machine_too() -> None:
    with ExitStack() as stack:
        for _ in range(2 * len(os.sched_getaffinity(0))):
            first_line(stack.enter_context(Program(scripted("using", "spins"))))
        spinning = stack.enter_context(Program(scripted("using", "spins")))
        first_line(spinning)
        idle = stack.enter_context(running(scripted("starting", "echo")))
        before, began = (spinning.runnable_seconds(), idle.runnable_seconds()), time.monotonic()
        cpu = spinning.figures().cpu
        time.sleep(0.4)  # the window of the measurement
        window = time.monotonic() - began
        assert (spinning.runnable_seconds() - before[0]) / window > 0.8
        assert (idle.runnable_seconds() - before[1]) / window < 0.05
        assert (spinning.figures().cpu - cpu) / window < 0.8, "the machine was not busy: this tests nothing"


def test_the_yardstick_measures_slowness_within_its_limits() -> None:
    assert 1.0 <= slowness() <= MOST


# Ports

HOLDS_PORTS = """
import sys
from contextlib import ExitStack
from harness.launch import ports
ports.RANGE = range(20_000, 20_000 + int(sys.argv[2]))
with ExitStack() as stack:
    print(*[stack.enter_context(ports.reserved_port()) for _ in range(int(sys.argv[1]))], flush=True)
    sys.stdin.read()
"""


@contextmanager
def _holder(number: int, of: int = 12_000) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds `number` ports out of `of`, prints them, and waits."""
    words = [sys.executable, "-c", HOLDS_PORTS, str(number), str(of)]
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _lock_within(port: int, seconds: float) -> Iterator[bool]:
    """Try, in a thread, to reserve a port; say whether it was had in time, and keep it while the block runs."""
    entered, leave = threading.Event(), threading.Event()

    def reserve() -> None:
        with reserved_port(port=port):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=reserve)
    thread.start()
    try:
        yield entered.wait(seconds)
    finally:
        leave.set()
        _threads.append(thread)


_threads: list[threading.Thread] = []


def test_twenty_programs_at_a_time_have_twenty_ports() -> None:
    with ExitStack() as stack:
        programs = [stack.enter_context(Program(scripted("starting", "echo"))) for _ in range(20)]
        assert all(map(listens, programs))
        assert len({program.port for program in programs}) == 20
        for program in programs:
            with clients_of(program) as client:
                assert ask(client, b"hello") == b"hello"


def test_several_processes_never_have_the_same_port() -> None:
    with ExitStack() as stack:
        holders = [stack.enter_context(_holder(300, of=2_000)) for _ in range(3)]
        held = [process.stdout.readline().split() for process in holders if process.stdout]
        assert [len(ports) for ports in held] == [300, 300, 300]
        assert len({port for ports in held for port in ports}) == 900


def test_a_reservation_excludes_others_until_its_holder_is_killed() -> None:
    with _holder(1) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with _lock_within(port, 0.1) as had:
            assert not had
            process.kill()
    _threads.pop().join(PATIENCE)
    with _lock_within(port, PATIENCE) as had:
        assert had
    _threads.pop().join(PATIENCE)


def _served_once_and_closed(program: Program) -> None:
    """Be the first client of a server that closes first: its port is in TIME_WAIT then."""
    with clients_of(program) as client:
        assert client.recv(1) == b""
    with clients_of(program) as client:
        assert ask(client, b"hello") == b"hello"


def test_a_program_is_started_again_on_its_port() -> None:
    with running(scripted("starting", "leaves_time_wait")) as before:
        _served_once_and_closed(before)
        before.kill()
        with running(scripted("starting", "echo"), port=before.port) as again, clients_of(again) as client:
            assert again.address == before.address
            assert ask(client, b"hello") == b"hello"


def test_a_port_in_time_wait_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(scripted("starting", "leaves_time_wait")) as program:
        _served_once_and_closed(program)
    with socket.socket() as probe, pytest.raises(OSError) as refused:
        probe.bind(program.address)
    assert refused.value.errno == errno.EADDRINUSE, "the port is not in TIME_WAIT: this tests nothing"
    with reserved_port() as free:
        pass
    monkeypatch.setattr(ports, "_candidates", lambda: iter([program.port, free]))
    with reserved_port() as given:
        assert given == free


def test_no_free_port_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as taken:
        monkeypatch.setattr(ports, "_candidates", lambda: iter([taken.getsockname()[1]]))
        with pytest.raises(OSError, match=r"free on 127\.0\.0\.1"), reserved_port():
            pass


# What the kernel shows


@pytest.fixture(params=["netlink", "proc"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of asking the kernel."""
    if request.param == "proc":
        monkeypatch.setattr(sockets, "_can_ask", lambda: False)
    else:
        assert sockets._can_ask(), "this system does not answer by netlink"
    return str(request.param)


@pytest.fixture(params=["IPv4", "IPv6, mapped"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A listening socket of this process that IPv4 clients can connect to."""
    if request.param == "IPv4":
        with socket.create_server((HOST, 0)) as listening:
            yield listening
        return
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        yield listening


def test_unread_bytes_and_acceptance_are_seen(way: str, server: socket.socket) -> None:
    address = (HOST, server.getsockname()[1])
    with socket.create_connection(address) as client:

        def side() -> tuple[int, bool] | None:
            seen = sockets.connection(os.getpid(), address, client.getsockname())
            return None if seen is None else (seen.unread, seen.accepted)

        assert side() == (0, False)
        client.sendall(b"hello")
        eventually(lambda: side() == (5, False))
        connection, _ = server.accept()
        with connection:
            assert side() == (5, True)
            connection.recv(2)
            assert side() == (3, True)
            client.sendall(b"more")
            eventually(lambda: side() == (7, True))
            client.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b"llomore"
            eventually(lambda: (side() or (9, True))[1])


def test_a_connection_that_the_server_closed_was_accepted(way: str, server: socket.socket) -> None:
    address = (HOST, server.getsockname()[1])
    with socket.create_connection(address) as client:
        server.accept()[0].close()
        eventually(lambda: client.recv(1) == b"")
        assert sockets.connection(os.getpid(), address, client.getsockname()) == sockets.Connection(0, True)


def test_a_connection_that_there_is_not_is_not_seen(way: str, server: socket.socket) -> None:
    address = (HOST, server.getsockname()[1])
    with socket.create_connection(address) as client:
        local = client.getsockname()
        connection, _ = server.accept()
        with connection:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    eventually(lambda: sockets.connection(os.getpid(), address, local) is None)
    assert sockets.connection(os.getpid(), (HOST, 1), (HOST, 2)) is None


def test_a_connection_that_is_still_being_made_is_not_accepted(way: str, server: socket.socket) -> None:
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
    address = (HOST, server.getsockname()[1])
    with socket.create_connection(address) as client:
        seen = sockets.connection(os.getpid(), address, client.getsockname())
        assert seen is None or not seen.accepted


def test_both_ways_see_the_same_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = [HOST, "0.0.0.0", *["::", "::1"] * has_ipv6()]
    with ExitStack() as stack:
        own = set()
        for host in hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listening = stack.enter_context(socket.create_server((host, 0), family=family))
            own.add((host, listening.getsockname()[1]))
        by_netlink = sockets.listening([os.getpid()])
        inodes = {os.stat(f"/proc/self/fd/{name}").st_ino for name in _socket_descriptors()}
        assert {(entry.host, entry.port) for entry in sockdiag.listeners() if entry.inode in inodes} == by_netlink
        monkeypatch.setattr(sockets, "_can_ask", lambda: False)
        by_table = sockets.listening([os.getpid()])
    assert own <= by_netlink
    assert by_netlink == by_table


def _socket_descriptors() -> list[str]:
    names = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                names.append(name)
        except OSError:
            pass
    return names


def test_thousands_of_sockets_do_not_hide_one() -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limit[1]), limit[1]))
    try:
        with ExitStack() as stack:
            many = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(1500)]
            expected = {one.getsockname() for one in many}
            assert expected <= {(entry.host, entry.port) for entry in sockdiag.listeners()}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def test_a_kernel_that_does_not_answer_is_not_taken_for_one_without_listeners() -> None:
    unknown = 44  # a family of sockets that nobody answers for
    with pytest.raises(OSError):
        list(sockdiag._ask(unknown, sockdiag.ALL_STATES, sockdiag.REQUEST | sockdiag.DUMP, bytes(36)))
    assert sockdiag.can_ask()


# Command lines


def test_a_command_places_the_address_or_is_given_it() -> None:
    assert parse_command("./a 'b c'").arguments(HOST, 7) == ["./a", "b c", "--host", HOST, "--port", "7"]
    assert parse_command("./a {host}:{port} x").arguments(HOST, 7) == ["./a", f"{HOST}:7", "x"]
    assert parse_command("./a {host} x").arguments(HOST, 7) == ["./a", "{host}", "x", "--host", HOST, "--port", "7"]
    assert parse_command("./a").arguments(None, None) == ["./a"]
    assert str(parse_command("./a 'b c'")) == "./a 'b c'"


@pytest.mark.parametrize(("text", "reason"), [("", "is empty"), ("a 'b", "is not a command line: No closing")])
def test_a_text_that_is_no_command(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_command(text)
