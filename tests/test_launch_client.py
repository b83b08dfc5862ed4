"""Programs that are typed at: on a pipe and at a terminal; and the listener that a client under test connects to."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.launch import Command, LaunchError, Program, processes, sockets
from harness.launch.limits import MIB
from harness.launch.output import KEPT
from harness.launch.private import PrivateListener, can_be_private
from harness.launch.streams import COLUMNS, LINES, Stdin
from harness.wire import Listener

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="terminals, /proc and namespaces as on Linux")

PATIENCE = 20.0  # seconds, for what takes milliseconds: only a failure waits for it
BOTH = pytest.mark.parametrize("kind", [Stdin.PIPE, Stdin.TERMINAL], ids=["pipe", "terminal"])

UPPER = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)\nprint('the end', flush=True)"
SILENT = "import time\nprint('here', flush=True)\ntime.sleep(60)"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nprint('here', flush=True)\ntime.sleep(60)"
)
ASKS_FOR_CTRL_C = """
import sys
print("here", flush=True)
try:
    sys.stdin.readline()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
TELLS_OF_ITS_TERMINAL = """
import os, sys
print(os.isatty(0), os.isatty(1), os.isatty(2), os.get_terminal_size(), os.environ.get("TERM"), flush=True)
print(os.getpgrp() == os.tcgetpgrp(0), flush=True)
"""


def python(code: str) -> Command:
    """Return the command that runs a few lines of Python."""
    return Command((sys.executable, "-S", "-c", code), Path.cwd())


def eventually(holds: Callable[[], object], what: str = "it did not come true") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.002)


def shows(program: Program, text: bytes) -> None:
    """Wait until a program has printed something."""
    deadline = time.monotonic() + PATIENCE
    found = program.output.wait_until(lambda: text in program.output.stdout.head, lambda: deadline - time.monotonic())
    assert found, (program.output.stdout.text(), program.output.stderr.text())


def type_at(program: Program, data: bytes) -> None:
    """Type."""
    assert program.keyboard is not None
    program.keyboard.type(data)


def end_input(program: Program) -> None:
    """End the input."""
    assert program.keyboard is not None
    program.keyboard.end_input()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """After every test this process has as many children and open files as before."""
    children, opened = set(processes.children(os.getpid())), descriptors()
    yield
    assert set(processes.children(os.getpid())) <= children
    eventually(lambda: descriptors() <= opened + 1, "descriptors are left")  # 1: the netlink channel


# Typing


@BOTH
def test_what_is_typed_is_read_line_by_line(kind: Stdin) -> None:
    with Program(python(UPPER), stdin=kind) as program:
        type_at(program, b"hello\n")
        shows(program, b"HELLO")
        type_at(program, "zürich\n".encode())
        shows(program, "ZÜRICH".encode())
        assert b"the end" not in program.output.stdout.head


@BOTH
def test_the_end_of_the_input_comes_behind_what_was_typed(kind: Stdin) -> None:
    with Program(python(UPPER), stdin=kind) as program:
        type_at(program, b"last\n")
        end_input(program)
        assert program.wait(PATIENCE)
        program.output.finish(PATIENCE)
        text = program.output.stdout.text()
        assert text.index("LAST") < text.index("the end")
        assert program.status == 0


def test_without_a_stdin_there_is_nothing_to_read_and_nobody_to_type() -> None:
    with Program(python(UPPER)) as program:
        assert program.wait(PATIENCE)
        assert program.keyboard is None
        assert not program.at_terminal


@BOTH
def test_a_program_that_does_not_read_delays_nobody(kind: Stdin) -> None:
    with Program(python(SILENT), stdin=kind) as program:
        shows(program, b"here")
        began = time.monotonic()
        type_at(program, b"nobody reads this\n" * 500_000)
        assert time.monotonic() - began < 1.0
        assert program.keyboard is not None
        assert program.keyboard.untaken > 8 << 20
    assert program.status == -signal.SIGKILL


def test_how_much_is_untaken_is_known() -> None:
    with Program(python(UPPER), stdin=Stdin.PIPE) as program:
        type_at(program, b"x" * 1_000_000 + b"\n")
        shows(program, b"X" * 1_000_000)
        assert program.keyboard is not None
        assert program.keyboard.untaken == 0


@BOTH
def test_typing_at_a_program_that_has_ended_does_no_harm(kind: Stdin) -> None:
    with Program(python("print('bye')"), stdin=kind) as program:
        assert program.wait(PATIENCE)
        type_at(program, b"too late\n" * 100_000)
        end_input(program)


def test_all_that_a_typed_at_program_prints_is_kept() -> None:
    with Program(python("print('0123456789\\n' * 100_000, 'done')"), stdin=Stdin.PIPE) as program:
        assert program.wait(PATIENCE)
        program.output.finish(PATIENCE)
        assert len(program.output.stdout.head) > 1_000_000 > 2 * KEPT


def test_one_that_prints_without_end_is_ended() -> None:
    with Program(python("while True: print('x' * 100_000)"), stdin=Stdin.TERMINAL) as program:
        assert program.wait(PATIENCE)
        assert "more than 32 MiB" in program.describe_end()
        assert len(program.output.stdout.head) <= program.limits.output * MIB


@BOTH
def test_one_that_cannot_be_started_leaves_nothing(kind: Stdin, tmp_path: Path) -> None:
    command = Command(("/no/such/program",), tmp_path)
    if kind is Stdin.PIPE:
        with pytest.raises(LaunchError):
            Program(command, stdin=kind)
    else:  # found out by the process that enters the terminal
        with Program(command, stdin=kind) as program:
            assert program.wait(PATIENCE)
            assert program.status not in (0, None)
    with pytest.raises(LaunchError):
        Program(Command((sys.executable,), tmp_path / "nowhere"), stdin=kind)


# The terminal


def test_a_terminal_is_one() -> None:
    with Program(python(TELLS_OF_ITS_TERMINAL), stdin=Stdin.TERMINAL) as program:
        assert program.wait(PATIENCE)
        program.output.finish(PATIENCE)
        first, second = program.output.stdout.text().splitlines()
        size = os.terminal_size((COLUMNS, LINES))
        assert first == f"True True False {size} xterm"
        assert second == "True"  # Ctrl-C would reach it
        assert program.at_terminal


def test_a_terminal_echoes_what_is_typed() -> None:
    with Program(python(SILENT), stdin=Stdin.TERMINAL) as program:
        type_at(program, b"typed")
        shows(program, b"typed")


def test_ctrl_c_at_a_terminal_is_a_signal() -> None:
    with Program(python(ASKS_FOR_CTRL_C), stdin=Stdin.TERMINAL) as program:
        shows(program, b"here")
        program.wait_settled(PATIENCE)
        type_at(program, b"half a li\x03")
        shows(program, b"interrupted")
        assert program.wait(PATIENCE)
        assert program.status == 0


def test_a_program_that_outlives_its_terminal_is_ended() -> None:
    with Program(python(STUBBORN), stdin=Stdin.TERMINAL) as program:
        shows(program, b"here")
    assert program.status == -signal.SIGKILL


# The listener


def test_a_client_is_accepted() -> None:
    listener = Listener()
    try:
        with socket.create_connection((listener.host, listener.port)) as client:
            accepted = listener.accept(lambda: PATIENCE, lambda: True)
            assert accepted is not None
            with accepted:
                assert accepted.getpeername() == client.getsockname()
    finally:
        listener.close()


def test_a_client_that_does_not_come_is_not_waited_for_for_ever() -> None:
    listener = Listener()
    try:
        assert listener.accept(lambda: 0.0, lambda: True) is None
        assert listener.accept(lambda: PATIENCE, lambda: False) is None
    finally:
        listener.close()


def test_a_listener_that_is_full_answers_nobody() -> None:
    listener = Listener()
    try:
        assert not sockets.is_connecting((listener.host, listener.port), os.getpid())
        listener.fill()
        with socket.socket() as client:
            client.setblocking(False)
            client.connect_ex((listener.host, listener.port))
            assert sockets.is_connecting((listener.host, listener.port), os.getpid())
    finally:
        listener.close()


def test_a_listener_in_a_network_of_its_own() -> None:
    if not can_be_private():
        pytest.skip("this machine does not allow it")
    connects = "import socket\nwith socket.create_connection(('127.0.0.1', 5555)) as s: s.sendall(b'hello')"
    private = PrivateListener("127.0.0.1", 5555)
    with Program(python(connects), port=5555, defaults=True, private=private, stdin=Stdin.PIPE) as program:
        listener = Listener(sock=private.receive())
        try:
            connection = listener.accept(lambda: PATIENCE, lambda: program.status is None)
            assert connection is not None, program.output.stderr.text()
            with connection:
                assert connection.recv(5) == b"hello"
        finally:
            listener.close()
