"""Peers, transcripts and segments, against servers on real sockets that do exactly what a test tells them to."""

from __future__ import annotations

import base64
import gc
import os
import random
import socket
import struct
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.checks.verdict import compared
from harness.launch import Command, Program, sockets
from harness.launch.ports import reserved_port
from harness.wire import Deadline, Fault, Patience, Peer, Transcript
from harness.wire import link as link_module
from harness.wire.fuzz import under_all
from harness.wire.payload import pattern, source
from harness.wire.ready import wait_ready
from harness.wire.segments import cut, segmentations, shrink
from harness.wire.transcript import Event, Kind

PROGRAMS = Path(__file__).resolve().parent / "programs"
PATIENCE = 20.0  # seconds, for what takes milliseconds: only a failure waits for it
HASTE = 0.15  # seconds, where a test waits for a deadline to pass
HOST = "127.0.0.1"
MIB = 1 << 20
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="what the server has read shows on Linux only")

# A busy machine is slow, and that is no fault of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

Script = Callable[[socket.socket], None]  # what a server does with one connection


class Hasty(Patience):
    """Deadlines that are short, for tests in which they pass."""

    def deadline(self, seconds: float = HASTE) -> Deadline:
        """Start a deadline, a short one."""
        return super().deadline(min(seconds, HASTE))


@dataclass
class Scripted:
    """A server in a thread of this process; it serves its connections one after another, each by `script`."""

    script: Script
    listener: socket.socket
    failures: list[BaseException] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self.listener.getsockname()
        return host, port

    def new_socket(self) -> socket.socket:
        """Return a socket that can be connected to it."""
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def connection(self, client: tuple[str, int]) -> sockets.Connection | None:
        """Return its side of a connection."""
        return sockets.connection(os.getpid(), self.address, client)

    def is_running(self) -> bool:
        """It is there until the test ends."""
        return True

    def describe_end(self) -> str:
        """Say that it runs."""
        return "it is a thread"

    def serve(self) -> None:
        """Serve until the listener is closed; keep what goes wrong in a script."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(PATIENCE)
                try:
                    self.script(connection)
                except BaseException as error:
                    self.failures.append(error)


@dataclass
class Stage:
    """What a test works with: it starts servers and connects peers, and checks in the end that no script failed."""

    stack: ExitStack
    servers: list[Scripted] = field(default_factory=list)
    transcript: Transcript = field(default_factory=Transcript)

    def server(self, script: Script) -> Scripted:
        """Start a server."""
        listener = socket.create_server((HOST, 0))
        server = Scripted(script, listener)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        self.stack.callback(thread.join, PATIENCE)
        self.stack.callback(listener.close)
        self.stack.callback(listener.shutdown, socket.SHUT_RDWR)
        self.servers.append(server)
        return server

    def peer(self, server: object, patience: Patience | None = None, **options: int) -> Peer:
        """Connect a client."""
        peer = Peer("ann", server, self.transcript, patience, **options)  # type: ignore[arg-type]
        self.stack.callback(peer.drop)
        return peer

    def talk(self, script: Script, patience: Patience | None = None, **options: int) -> Peer:
        """Start a server and connect a client to it."""
        return self.peer(self.server(script), patience, **options)

    def program(self, file: str, *words: object) -> Program:
        """Start one of the programs in tests/programs; wait until it listens."""
        command = Command((sys.executable, str(PROGRAMS / f"{file}.py"), *map(str, words)), PROGRAMS)
        program = self.stack.enter_context(Program(command))
        limit = time.monotonic() + PATIENCE
        assert program.wait_listening(lambda: limit - time.monotonic())
        return program


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        stage = Stage(stack)
        yield stage
    assert [failure for server in stage.servers for failure in server.failures] == []


def eventually(holds: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def says(*pieces: bytes) -> Script:
    """A server that sends something, and then waits until its client has gone."""

    def script(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
        until_gone(connection)

    return script


def until_gone(connection: socket.socket) -> None:
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def floods(connection: socket.socket) -> None:
    """Send without an end, and read nothing (a test that fails shall end all the same)."""
    end = time.monotonic() + 8
    with suppress(ConnectionError, TimeoutError):
        while time.monotonic() < end:
            connection.sendall(b"x" * 65536)


class Gate:
    """Something that a script of a server waits for."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.open = self._event.set

    def __call__(self) -> None:
        assert self._event.wait(PATIENCE)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def faulted(act: Callable[[], object], *, within: float = PATIENCE / 2) -> Fault:
    """Return the Fault that something raises, in time."""
    began = time.monotonic()
    with pytest.raises(Fault) as caught:
        act()
    assert time.monotonic() - began < within
    return caught.value


# What is expected


def test_the_bytes_that_are_due_are_taken_and_no_more(stage: Stage) -> None:
    ann = stage.talk(says(b"hello wor", b"ld"))
    ann.expect(b"hello ")
    ann.expect(b"")
    ann.expect(b"world")
    ann.expect_nothing_so_far()


def test_other_bytes_are_noticed_at_once(stage: Stage) -> None:
    ann = stage.talk(says(b"help"))
    fault = faulted(lambda: ann.expect(b"hello, world", "Because."), within=1.5)
    assert fault.what == "ann got other bytes than were due"
    assert fault.why == "Because."
    assert (fault.expected, fault.received) == (b"hello, world", b"help")
    assert compared(fault.expected, fault.received) == ("'hello, world'", "'help'", 3)


def test_extra_bytes_are_the_fault_of_the_next_expectation(stage: Stage) -> None:
    ann = stage.talk(says(b"hello\nhello\n"))
    ann.expect(b"hello\n")
    fault = faulted(lambda: ann.expect(b"bye\n"), within=1.5)
    assert compared(fault.expected, fault.received) == (r"'bye\n'", r"'hello\n'", 0)


def test_bytes_that_do_not_come_cost_a_deadline(stage: Stage) -> None:
    ann = stage.talk(says(b"hel"), Hasty())
    assert faulted(lambda: ann.expect(b"hello")).what == "ann got only 3 of 5 bytes within 0 s"
    bob = stage.talk(says(), Hasty())
    fault = faulted(lambda: bob.expect(b"hello"))
    assert fault.what == "ann got nothing within 0 s"
    assert compared(fault.expected, fault.received) == ("'hello'", "", None)


def test_every_byte_that_comes_renews_the_deadline(stage: Stage) -> None:
    def slowly(connection: socket.socket) -> None:
        for place in range(8):
            connection.sendall(bytes([place]))
            time.sleep(0.06)  # the slowness that this is about; all of it takes longer than one deadline
        until_gone(connection)

    class Brief(Patience):
        def deadline(self, seconds: float = 0.25) -> Deadline:
            return super().deadline(0.25)

    stage.talk(slowly, Brief()).expect(bytes(range(8)))


def test_an_end_in_place_of_bytes(stage: Stage) -> None:
    ann = stage.talk(lambda connection: connection.sendall(b"he"))
    fault = faulted(lambda: ann.expect(b"hello"), within=1.5)
    assert fault.what == "ann got only 2 of 5 bytes, then the connection was closed; of the server: it is a thread"


def test_a_reset_in_place_of_bytes(stage: Stage) -> None:
    ann = stage.talk(reset)
    fault = faulted(lambda: ann.expect(b"hello"), within=1.5)
    assert fault.what == "ann got nothing, then the connection was reset; of the server: it is a thread"


def test_a_reset_right_after_the_connection_is_no_refusal(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def resets(connection: socket.socket) -> None:
        reset(connection)
        done.set()

    monkeypatch.setattr(link_module.Link, "_is_connected_by", lambda self, deadline: done.wait(PATIENCE))
    ann = stage.talk(resets)
    assert faulted(lambda: ann.expect(b"hello")).what.startswith("ann got nothing, then the connection was reset")
    assert [event.kind for event in stage.transcript.events] == [Kind.CONNECT, Kind.RESET_SEEN]


def test_the_end_is_expected_and_nothing_before_it(stage: Stage) -> None:
    stage.talk(lambda connection: None).expect_end()

    early = stage.talk(says(b"bye"))
    fault = faulted(lambda: early.expect_end(), within=1.5)
    assert (fault.expected, fault.received) == ("the end of the stream", b"bye")
    assert compared(fault.expected, fault.received) == ("the end of the stream", "'bye'", None)

    lost = stage.talk(reset)
    fault = faulted(lambda: lost.expect_end("Why."), within=1.5)
    assert (fault.what, fault.why) == ("ann's connection was reset, not closed", "Why.")
    assert (fault.expected, fault.received) == ("FIN", "RST")

    late = stage.talk(says(), Hasty())
    fault = faulted(lambda: late.expect_end())
    assert fault.what == "the server did not close ann's connection within 0 s"


@pytest.mark.parametrize("end", [lambda connection: connection.sendall(b"bye"), reset], ids=["end", "reset"])
def test_gone_is_gone_however_it_went(stage: Stage, end: Script) -> None:
    stage.talk(end).expect_gone()


def test_a_connection_that_stays_is_not_gone(stage: Stage) -> None:
    ann = stage.talk(says(b"hello"), Hasty())
    assert faulted(lambda: ann.expect_gone()).what == "ann's connection is still open after 0 s and 5 bytes"


def test_a_line_is_expected_by_its_form(stage: Stage) -> None:
    ann = stage.talk(says(b"12 he", b"llo\n13 \xff\n14 bye"), Hasty())
    assert ann.expect_line(rb"\d+ hello", "a number and hello") == b"12 hello"
    fault = faulted(lambda: ann.expect_line(rb"\d+ [a-z]+", "a number and letters", "Why."), within=1.5)
    assert (fault.what, fault.expected, fault.received) == (
        "ann got another line than was due",
        "a number and letters",
        b"13 \xff",
    )
    fault = faulted(lambda: ann.expect_line(rb".*", "any line"))
    assert (fault.what, fault.received) == ("ann got 6 bytes without the end of a line (LF) within 0 s", b"14 bye")


def test_nothing_is_expected_up_to_now(stage: Stage, gate: Gate) -> None:
    def script(connection: socket.socket) -> None:
        gate()
        connection.sendall(b"late")

    ann = stage.talk(script)
    ann.expect_nothing_so_far()
    gate.open()
    eventually(lambda: wait_ready(ann.socket, read=True, timeout=0)[0])
    fault = faulted(lambda: ann.expect_nothing_so_far("Why."))
    assert (fault.expected, fault.received) == (b"", b"late")
    ann.expect(b"late")
    ann.expect_end()
    assert faulted(lambda: ann.expect_nothing_so_far()).received == "the end of the stream"


@pytest.mark.parametrize(
    "act",
    [
        lambda ann: ann.expect_line(rb".*", "any line"),
        lambda ann: ann.expect_gone(),
        lambda ann: ann.expect_end(),
        lambda ann: ann.expect_nothing_so_far(),
        lambda ann: ann.expect(b"hello"),
        lambda ann: ann.exchange(b"hello" * MIB),
        lambda ann: ann.fence(b"?", b"!"),
    ],
    ids=["line", "gone", "end", "nothing", "bytes", "exchange", "fence"],
)
def test_a_server_that_floods_its_client_is_a_fault_in_time(stage: Stage, act: Callable[[Peer], None]) -> None:
    ann = stage.talk(floods, Hasty())
    eventually(lambda: wait_ready(ann.socket, read=True, timeout=0)[0])
    faulted(lambda: act(ann), within=5)
    assert sum(len(event.data) for event in stage.transcript.events) < 64 * MIB
    ann.drop()


# Fences


def test_a_fence_passes_where_nothing_was_sent_before_it(stage: Stage) -> None:
    ann = stage.talk(echo)
    ann.fence(b"ping\n", b"ping\n")
    ann.fence(b"pong\n", b"pong\n")


def test_a_fence_catches_a_leak_however_late_it_comes(stage: Stage) -> None:
    def leaks(connection: socket.socket) -> None:
        connection.recv(5)
        connection.sendall(b"leak\n")
        connection.sendall(b"ping\n")
        until_gone(connection)

    ann = stage.talk(leaks)
    fault = faulted(lambda: ann.fence(b"ping\n", b"ping\n", "Not yours."), within=1.5)
    assert fault.received in (b"leak\n", b"leak\nping\n")
    assert fault.why == "Not yours."


# Connecting


def test_a_refusal_is_a_fault_that_says_so(stage: Stage) -> None:
    server = stage.server(echo)
    with reserved_port() as nobody:
        gone = Scripted(echo, server.listener)
        gone.__class__ = type("Gone", (Scripted,), {"address": property(lambda self: (HOST, nobody))})
        gc.collect()  # what others left
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            fault = faulted(lambda: stage.peer(gone))
            fault.__traceback__ = None
            gc.collect()
    assert [str(warning.message) for warning in warned] == []
    assert fault.what == "ann could not connect: ECONNREFUSED; of the server: it is a thread"
    assert [(event.kind, event.note) for event in stage.transcript.events] == [(Kind.REFUSED, "ECONNREFUSED")]


@linux_only
def test_a_full_accept_queue_is_a_fault_that_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "CONNECT_PATIENCE", HASTE)
    with socket.create_server((HOST, 0), backlog=0) as listener, socket.create_connection(listener.getsockname()):
        fault = faulted(lambda: stage.peer(Scripted(echo, listener)))
    assert fault.what == "ann could not connect within 0 s"
    assert "accept queue is full" in fault.why


def test_a_machine_that_is_slow_gets_a_longer_deadline_once(stage: Stage) -> None:
    asked: list[float] = []

    def slowness() -> float:
        asked.append(time.monotonic())
        return 3.0

    began = time.monotonic()
    deadline = Deadline(0.05, slowness)
    assert 0 < deadline.remaining() <= 0.05
    assert asked == []
    eventually(lambda: time.monotonic() - began > 0.06)
    assert 0 < deadline.remaining() <= 0.1
    assert deadline.seconds == pytest.approx(0.15)
    eventually(lambda: deadline.remaining() == 0)
    assert time.monotonic() - began >= 0.15
    assert len(asked) == 1


def test_what_comes_in_the_longer_deadline_is_in_time(stage: Stage, gate: Gate) -> None:
    class Slow(Patience):
        def deadline(self, seconds: float = HASTE) -> Deadline:
            return Deadline(min(seconds, HASTE), self.slowness)

    def slowness() -> float:
        gate.open()
        return 100.0

    def answers_late(connection: socket.socket) -> None:
        gate()
        connection.sendall(b"hello")

    stage.talk(answers_late, Slow(slowness)).expect(b"hello")


# Sending


def test_a_server_that_stops_reading_is_a_fault(stage: Stage, gate: Gate) -> None:
    ann = stage.talk(lambda connection: gate(), Hasty())
    fault = faulted(lambda: ann.send(bytes(32 * MIB)))
    assert fault.what.startswith("ann could send only ")
    assert fault.what.endswith(f" of {32 * MIB} bytes: the server has stopped reading")


def test_a_server_that_reads_slowly_has_time(stage: Stage) -> None:
    def sips(connection: socket.socket) -> None:
        while connection.recv(16384):
            time.sleep(0.0005)  # the slowness that this is about; all of it takes longer than one deadline

    stage.talk(sips, Hasty()).send(bytes(16 * MIB))


def test_a_connection_that_breaks_while_sending_is_a_fault_with_the_last_words(stage: Stage) -> None:
    def refuses(connection: socket.socket) -> None:
        connection.sendall(b"no more")

    ann = stage.talk(refuses)
    fault = faulted(lambda: ann.send(bytes(32 * MIB)))
    assert fault.what.startswith("the server ended the connection while ann was sending (E")
    assert fault.received in (b"no more", b"")  # a reset may take back what was under way


def test_sending_until_stuck_ends_where_nobody_reads_and_loses_nothing(stage: Stage, gate: Gate) -> None:
    total: list[int] = []

    def reads_later(connection: socket.socket) -> None:
        gate()
        total.append(sum(iter(lambda: len(connection.recv(1 << 20)), 0)))

    ann = stage.talk(reads_later)
    ann.send_until_stuck(b"0123456789" * 100)
    (event,) = (event for event in stage.transcript.events if event.kind is Kind.SEND)
    sent = int(event.note.removeprefix("again and again, ").partition(" bytes")[0])
    assert 0 < sent < 16 * MIB
    assert not wait_ready(ann.socket, write=True, timeout=0)[1]
    gate.open()
    ann.half_close()
    ann.expect_end()
    assert total == [sent]


def test_sending_until_stuck_ends_where_all_is_read(stage: Stage) -> None:
    ann = stage.talk(until_gone)
    ann.send_until_stuck(bytes(65536), limit=MIB)
    assert stage.transcript.events[-1].note == f"again and again, {MIB} bytes, without reading"


@pytest.mark.parametrize("length", [1, 8 * MIB])
def test_an_exchange_sends_and_reads_at_the_same_time(stage: Stage, length: int) -> None:
    ann = stage.talk(echo)
    ann.exchange(pattern(length))
    ann.half_close()
    ann.expect_end()


def test_an_exchange_finds_the_one_byte_that_is_wrong(stage: Stage) -> None:
    place = 5 * MIB + 3

    def flips(connection: socket.socket) -> None:
        seen = 0
        while data := bytearray(connection.recv(65536)):
            if seen <= place < seen + len(data):
                data[place - seen] ^= 1
            seen += len(data)
            connection.sendall(data)

    def flips_until_gone(connection: socket.socket) -> None:
        with suppress(ConnectionError):
            flips(connection)

    ann = stage.talk(flips_until_gone)
    fault = faulted(lambda: ann.exchange(pattern(8 * MIB)))
    assert compared(fault.expected, fault.received)[2] == place
    ann.drop()


def test_an_exchange_that_is_cut_short_is_a_fault(stage: Stage) -> None:
    def half(connection: socket.socket) -> None:
        for _ in range(4):
            connection.sendall(connection.recv(1000))

    ann = stage.talk(half)
    fault = faulted(lambda: ann.exchange(pattern(100_000)))
    assert "connection" in fault.what


def test_chunks_arrive_one_at_a_time(stage: Stage) -> None:
    sizes: list[int] = []

    def counts(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            sizes.append(len(data))

    ann = stage.talk(counts)
    ann.send(b"x" * 1010, chunks=[1, 2, 3, 1000, 4])
    ann.send_slowly(b"hello")
    ann.half_close()
    ann.expect_end()
    assert sizes == [1, 2, 3, 1000, 4, *[1] * 5]


@pytest.mark.parametrize("chunks", [[1, 1], [4], [1, 0, 2], [4, -1], []])
def test_chunks_have_to_add_up(chunks: list[int]) -> None:
    with pytest.raises(ValueError, match="add up to 3 bytes"):
        cut(b"abc", chunks)


# Ending


def test_a_half_close_ends_one_direction(stage: Stage) -> None:
    def answers_at_the_end(connection: socket.socket) -> None:
        connection.sendall(str(sum(iter(lambda: len(connection.recv(100)), 0))).encode())

    ann = stage.talk(answers_at_the_end)
    ann.send(b"hello")
    ann.half_close()
    ann.expect(b"5")
    ann.expect_end()


def _how_it_ended(stage: Stage, act: Callable[[Peer], None], hello: bytes = b"") -> str:
    """Return how a server sees the end of a client that acts."""
    seen: list[str] = []

    def script(connection: socket.socket) -> None:
        try:
            connection.sendall(hello)
            while connection.recv(100):
                pass
            seen.append("end")
        except ConnectionResetError:
            seen.append("reset")

    ann = stage.talk(script)
    if hello:
        eventually(lambda: wait_ready(ann.socket, read=True, timeout=0)[0])
    act(ann)
    eventually(lambda: seen)
    return seen[0]


def test_a_reset_is_seen_as_one(stage: Stage) -> None:
    assert _how_it_ended(stage, Peer.reset) == "reset"


def test_a_close_is_an_end(stage: Stage) -> None:
    assert _how_it_ended(stage, Peer.close) == "end"


def test_a_close_with_something_unread_is_a_reset(stage: Stage) -> None:
    assert _how_it_ended(stage, Peer.close, hello=b"you have not read this") == "reset"


def test_a_second_close_is_nothing(stage: Stage) -> None:
    ann = stage.talk(until_gone)
    ann.close()
    ann.close()
    ann.drop()
    assert [event.kind for event in stage.transcript.events] == [Kind.CONNECT, Kind.CLOSE]
    assert stage.transcript.script == ["ann = connect('ann')", "ann.close()"]


# What the kernel shows of the server's side


@linux_only
def test_eaten_is_what_the_server_has_read_and_not_before(stage: Stage) -> None:
    program = stage.program("starting", "echo")
    ann = stage.peer(program)
    ann.fence(b"hello", b"hello")
    done = threading.Event()

    def wait() -> None:
        ann.wait_eaten()
        done.set()

    waiting = threading.Thread(target=wait)
    with program.frozen():
        ann.send(b"more")
        eventually(lambda: ann.unread_by_server() == 4)
        waiting.start()
        assert not done.wait(0.1)
    assert done.wait(PATIENCE)
    waiting.join()
    assert ann.unread_by_server() == 0
    ann.expect(b"more")


@linux_only
def test_a_server_that_does_not_read_is_a_fault(stage: Stage, gate: Gate) -> None:
    ann = stage.talk(lambda connection: gate(), Hasty())
    ann.send(b"hello")
    fault = faulted(lambda: ann.wait_eaten())
    assert fault.what.startswith("the server does not read what ann sends: 5 bytes lie there since ")


@linux_only
def test_eaten_means_all_of_it_and_not_only_what_the_window_let_in(stage: Stage) -> None:
    read = [0]

    def counts(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        while data := connection.recv(2000):
            read[0] += len(data)

    ann = stage.talk(counts)
    for turn in range(1, 6):
        ann.send(bytes(200_000))
        ann.wait_eaten()
        assert 0 <= turn * 200_000 - read[0] <= 2000  # the last recv() may not have been counted yet


@linux_only
def test_accepted_is_when_the_server_has_accepted(stage: Stage, gate: Gate) -> None:
    def one_at_a_time(connection: socket.socket) -> None:
        gate()
        until_gone(connection)

    server = stage.server(one_at_a_time)
    ann, bob = stage.peer(server, Hasty()), stage.peer(server, Hasty())
    assert ann.wait_accepted()
    assert faulted(lambda: bob.wait_accepted()).what.startswith("the server does not accept ann: 0 bytes")
    gate.open()
    ann.close()
    assert bob.wait_accepted()


@linux_only
@pytest.mark.parametrize("end", [lambda connection: None, reset], ids=["end", "reset"])
def test_a_server_that_ended_the_connection_is_not_waited_for(stage: Stage, end: Script) -> None:
    ann = stage.talk(end)
    eventually(lambda: wait_ready(ann.socket, read=True, timeout=0)[0])
    began = time.monotonic()
    ann.wait_eaten()
    accepted = ann.wait_accepted()
    assert time.monotonic() - began < 1.5
    assert accepted is (end is not reset)


def test_where_nothing_shows_a_short_wait_does(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "connection", lambda self, client: None)
    ann = stage.talk(echo)
    ann.send(b"hello", chunks=[2, 3])
    assert ann.wait_accepted()
    assert ann.unread_by_server() is None
    ann.expect(b"hello")


def test_a_small_receive_buffer_stays_small(stage: Stage, gate: Gate) -> None:
    def sends_much(connection: socket.socket) -> None:
        connection.setblocking(False)
        sent = 0
        with suppress(BlockingIOError):
            while sent < 16 * MIB:
                sent += connection.send(bytes(65536))
        results.append(sent)
        gate()

    results: list[int] = []
    small = stage.talk(sends_much, receive_buffer=4096)
    assert small.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * 4096  # Linux doubles it
    eventually(lambda: len(results) == 1)
    stage.talk(sends_much)
    gate.open()
    eventually(lambda: len(results) == 2)
    assert results[0] < results[1]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_waiting_works_for_a_descriptor_above_1023() -> None:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limit[1]), limit[1]))
    left, right = socket.socketpair()
    high = socket.socket(fileno=_duplicated(left.fileno(), 1500))
    try:
        with left, right, closing(high):
            assert wait_ready(high, read=True, timeout=0) == (False, False)
            right.sendall(b"x")
            assert wait_ready(high, read=True, write=True, timeout=PATIENCE) == (True, True)
            right.close()
            assert wait_ready(high, write=True, timeout=PATIENCE) == (False, True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def _duplicated(descriptor: int, lowest: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lowest)


# The transcript


def test_a_transcript_tells_the_dialogue_and_how_to_repeat_it(stage: Stage) -> None:
    ann = stage.talk(echo)
    ann.send(b"hi\n", chunks=[1, 2])
    ann.expect(b"hi\n")
    ann.half_close()
    ann.expect_end()
    ann.close()
    script = [
        "ann = connect('ann')",
        r"ann.send(b'hi\n', chunks=[1, 2])",
        r"ann.expect(b'hi\n')",
        "ann.half_close()",
        "ann.expect_end()",
        "ann.close()",
    ]
    assert stage.transcript.script == script
    events = stage.transcript.events
    assert [event.seconds for event in events] == sorted(event.seconds for event in events)
    assert {event.who for event in events} == {"ann"}
    sent = [event.data for event in events if event.kind is Kind.SEND]
    received = [event.data for event in events if event.kind is Kind.RECEIVE]
    assert sent == [b"h", b"i\n"]
    assert b"".join(received) == b"hi\n"
    assert [event.kind for event in events][-3:] == [Kind.HALF_CLOSE, Kind.END_SEEN, Kind.CLOSE]


def test_what_is_done_many_times_stands_once_under_a_loop() -> None:
    transcript = Transcript()
    for turn in transcript.times(3):
        transcript.act("ann.send({})", b"x" * 3)
        for _ in transcript.times(2):
            transcript.act("ann.turn()")
        transcript.record("ann", Kind.SEND, bytes([turn]))
    transcript.act("after()")
    assert transcript.script == [
        "for _ in range(3):",
        "    ann.send(b'xxx')",
        "    for _ in range(2):",
        "        ann.turn()",
        "after()",
    ]
    assert [event.data for event in transcript.events] == [b"\0", b"\1", b"\2"]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("leave_at", [None, 0, 1])
def test_a_loop_that_is_left_early_does_not_mute_what_follows(turns: int, leave_at: int | None) -> None:
    transcript = Transcript()
    with suppress(Fault):
        for turn in transcript.times(turns):
            transcript.act("step()")
            if turn == leave_at:
                raise Fault("here")
    transcript.act("after()")
    assert transcript.script[-1] == "after()"
    assert transcript.script.count("    step()") == min(turns, 1)


def test_muted_lines_are_replaced_by_one() -> None:
    transcript = Transcript()
    with suppress(ValueError), transcript.muted("all_of_it()"):
        transcript.act("one()")
        with transcript.muted("two()"):
            transcript.act("three()")
        transcript.record("ann", Kind.CONNECT)
        raise ValueError
    transcript.act("after()")
    assert transcript.script == ["all_of_it()", "after()"]
    assert len(transcript.events) == 1


def test_braces_in_data_are_data() -> None:
    transcript = Transcript()
    transcript.act("ann.send({}, why={})", b"{} {}")
    assert transcript.script == ["ann.send(b'{} {}', why={})"]


def test_a_restart_forgets_all() -> None:
    transcript = Transcript()
    transcript.act("before()")
    transcript.record("ann", Kind.CONNECT)
    transcript.restart()
    transcript.record("ann", Kind.CLOSE)
    ((_, kind),) = [(event.who, event.kind) for event in transcript.events]
    assert (kind, transcript.script) == (Kind.CLOSE, [])
    assert isinstance(transcript.events[0], Event)
    assert transcript.events[0].seconds < 1


# Segments


@given(length=st.integers(2, 300), seed=st.integers(), number=st.integers(2, 40))
def test_segmentations_are_different_ways_to_cut_the_same_bytes(length: int, seed: int, number: int) -> None:
    ways = list(segmentations(length, seed, number))
    assert ways[0] == [length]
    assert ways[1] == [1] * length
    assert all(sum(way) == length and min(way) >= 1 for way in ways)
    assert len({tuple(way) for way in ways}) == len(ways)
    assert ways == list(segmentations(length, seed, number))
    if length > 12:
        assert len(ways) == number
    else:
        assert len(ways) <= min(number, 2 ** (length - 1))


def test_another_seed_cuts_in_other_ways() -> None:
    assert list(segmentations(100, 1, 10)) != list(segmentations(100, 2, 10))


def places(chunks: list[int]) -> set[int]:
    """Where the cuts are."""
    return {sum(chunks[:count]) for count in range(1, len(chunks))}


@pytest.mark.parametrize(
    ("fails", "smallest"),
    [
        (lambda chunks: True, [100]),
        (lambda chunks: 37 in places(chunks), [37, 63]),
        (lambda chunks: {1, 50, 99} <= places(chunks), [1, 49, 49, 1]),
        (lambda chunks: len(chunks) >= 3, None),
        (lambda chunks: len(chunks) == 100, [1] * 100),
        (lambda chunks: any(20 <= place < 30 for place in places(chunks)), None),
    ],
)
def test_the_simplest_cut_that_fails_is_found(fails: Callable[[list[int]], bool], smallest: list[int] | None) -> None:
    found = shrink([1] * 100, fails, tries=500)
    assert fails(found)
    assert sum(found) == 100
    if smallest:
        assert found == smallest
    assert not any(fails(joined) for joined in joins(found))


def joins(chunks: list[int]) -> Iterator[list[int]]:
    """Every way to join two neighbours."""
    for place in range(len(chunks) - 1):
        yield [*chunks[:place], chunks[place] + chunks[place + 1], *chunks[place + 2 :]]


@settings(max_examples=300)
@given(chunks=st.lists(st.integers(1, 5), min_size=1, max_size=12), chance=st.integers(0, 2**32))
def test_what_is_found_fails_and_nothing_simpler_beside_it(chunks: list[int], chance: int) -> None:
    def fails(way: list[int]) -> bool:
        return way == chunks or random.Random(f"{chance} {way}").random() < 0.4

    found = shrink(chunks, fails, tries=10_000)
    assert fails(found)
    assert places(found) <= places(chunks)
    assert sum(found) == sum(chunks)
    assert not any(fails(joined) for joined in joins(found))


@given(chunks=st.lists(st.integers(1, 5), min_size=1, max_size=40), tries=st.integers(0, 30))
def test_no_more_tries_than_allowed(chunks: list[int], tries: int) -> None:
    asked: list[list[int]] = []

    def fails(way: list[int]) -> bool:
        asked.append(way)
        return len(way) > 2

    assert len(shrink(chunks, fails, tries)) <= len(chunks)
    assert len(asked) <= tries


def test_a_fault_under_some_segmentation_is_told_with_the_simplest(stage: Stage) -> None:
    def breaks_at_a_cut_after_7(connection: socket.socket) -> None:
        seen = 0
        with suppress(ConnectionError):
            while data := connection.recv(65536):
                seen += len(data)
                connection.sendall(data.upper() if seen == 7 else data)

    server, data = stage.server(breaks_at_a_cut_after_7), b"the quick brown fox"

    def exchange(chunks: list[int]) -> None:
        ann = stage.peer(server)
        try:
            ann.send(data, chunks)
            ann.expect(data)
        finally:
            ann.drop()

    fault = faulted(lambda: under_all(segmentations(len(data), 1, 10), exchange, stage.transcript))
    assert fault.what == "ann got other bytes than were due (sent with chunks=[7, 12])"
    sent = [event.data for event in stage.transcript.events if event.kind is Kind.SEND]
    assert sent == [b"the qui", b"ck brown fox"]
    assert stage.transcript.script == [
        "ann = connect('ann')",
        "ann.send(b'the quick brown fox', chunks=[7, 12])",
        "ann.expect(b'the quick brown fox')",
    ]


def test_all_segmentations_that_hold_are_no_fault(stage: Stage) -> None:
    seen: list[list[int]] = []
    under_all(segmentations(10, 1, 6), seen.append, stage.transcript)
    assert len(seen) == 6


def test_a_fault_that_does_not_come_back_is_told_as_a_race(stage: Stage) -> None:
    left = [2]

    def exchange(_: list[int]) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise Fault("it failed")

    fault = faulted(lambda: under_all([[1, 1, 1]], exchange, stage.transcript))
    assert "chunks=[" in fault.what
    assert "when repeated it did not" in fault.what
    assert "race" in fault.why


# Payloads


SCOPE = {"pattern": pattern, "base64": base64, "zlib": zlib}


def parts() -> st.SearchStrategy[bytes]:
    """Bytes of the kinds that checks send: short ones, runs, periods, patterns, noise."""
    return st.one_of(
        st.binary(max_size=40),
        st.builds(lambda unit, times: unit * times, st.binary(min_size=1, max_size=3), st.integers(1, 900)),
        st.integers(1, 5).map(lambda times: bytes(range(256)) * times),
        st.integers(0, 2000).map(pattern),
        st.builds(lambda seed, size: random.Random(seed).randbytes(size), st.integers(0, 99), st.integers(0, 900)),
        st.sampled_from([b"'", b'"', b"\\", b"{}", b"\n", b"\0"]),
    )


@settings(max_examples=300)
@given(st.lists(parts(), max_size=4).map(b"".join))
def test_the_source_of_bytes_gives_the_bytes(data: bytes) -> None:
    assert eval(source(data), dict(SCOPE)) == data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a'b", 'b"a\'b"'),
        (b"", "b''"),
        (pattern(MIB), f"pattern({MIB})"),
        (b"x" * 5000, "b'x' * 5000"),
        (b"ab" * 5000 + b"a", "b'ab' * 5000 + b'a'"),
        (b"x" * 5000 + b"\nend\n", r"b'x' * 5000 + b'\nend\n'"),
    ],
)
def test_the_source_of_bytes_is_short(data: bytes, text: str) -> None:
    assert source(data) == text


def test_no_nine_bytes_of_a_pattern_are_the_same() -> None:
    data = pattern(200_000)
    assert len(data) == 200_000
    assert data.startswith(b"00000000 00000009 00000012 0000001b ")
    assert len({data[start : start + 9] for start in range(len(data) - 8)}) == len(data) - 8


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_a_pattern_is_the_beginning_of_a_longer_one(one: int, other: int) -> None:
    assert pattern(max(one, other)).startswith(pattern(min(one, other)))


def test_a_slow_reader_takes_its_time_and_gets_everything(stage: Stage) -> None:
    data = pattern(40_000)
    peer = stage.talk(lambda connection: connection.sendall(data))
    began = time.monotonic()
    peer.expect_slowly(data, piece=1000, pause=0.002)
    assert time.monotonic() - began >= 0.08
    assert max(len(event.data) for event in peer.transcript.events) <= 1000
