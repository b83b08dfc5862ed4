"""The server under test, as a check handles it: every act and expectation is also a line of the script."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from harness.checks.tested import SETTLED, Tested
from harness.launch import Figures
from harness.launch.sockets import Address, Connection
from harness.wire import Fault, Peer
from harness.wire.transcript import SERVER, Kind

STOP_PATIENCE = 2.0  # seconds, from C7
MEMORY_WINDOW = 3.0  # seconds; four times as long while it has not been sent enough
MEMORY_NOISE = 4 << 20  # bytes
ENOUGH = 2 * MEMORY_NOISE  # bytes: who keeps them all is told from noise
NOISE = 5  # descriptors or threads that a program may keep for itself; a leak has one for each client


AnyPeer = TypeVar("AnyPeer", bound=Peer)


@dataclass(frozen=True)
class Exchange:
    """The smallest thing to ask of a service, and its answer on a new connection."""

    question: bytes
    answer: bytes
    numbered: bool = False  # `%d` in the question is another number each time; the answer is a part of a line


NO_EXCHANGE = Exchange(b"", b"")  # of programs that are no servers
EXCHANGES = {
    "echo": Exchange(b"hello\n", b"hello\n"),
    "lines": Exchange(b"hello\n", b"1 hello\n"),
    "chat": Exchange(b"guest%d\n", b"Welcome", numbered=True),
}


@dataclass
class Subject(Tested):
    """One server under test, the transcript of the check, and the peers that were connected to it."""

    exchange: Exchange
    peers: list[Peer] = field(default_factory=list)
    asked: int = 0  # how often the smallest exchange was begun

    role: ClassVar[str] = SERVER

    # What a Peer needs to know

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.program.address

    def connection(self, client: Address) -> Connection | None:
        """Return its side of a connection."""
        return self.program.connection(client)

    # Clients

    def connect(self, name: str, receive_buffer: int | None = None) -> Peer:
        """Connect a named client."""
        return self.connect_as(Peer, name, receive_buffer)

    def connect_as(self, kind: type[AnyPeer], name: str, receive_buffer: int | None = None) -> AnyPeer:
        """Connect a named client that knows how to speak to this kind of server."""
        peer = kind(name, self, self.transcript, self.patience, receive_buffer=receive_buffer)
        self.peers.append(peer)
        return peer

    def greet(self, peer: Peer, why: str = "") -> None:
        """Let a new client do the smallest exchange that this service knows."""
        self._ask(peer)
        self._expect_answer(peer, why)

    def _ask(self, peer: Peer) -> None:
        self.asked += 1
        question = self.exchange.question
        peer.send(question % self.asked if self.exchange.numbered else question)

    def _expect_answer(self, peer: Peer, why: str) -> None:
        if self.exchange.numbered:
            peer.expect_through(self.exchange.answer, why=why)
        else:
            peer.expect(self.exchange.answer, why)

    @property
    def _told(self) -> str:
        """The smallest exchange as the arguments of a call in the script."""
        return f"{self.exchange.question!r}, {self.exchange.answer!r}"

    def come_and_go(self, clients: int, seed: int) -> None:
        """Let clients come, most of them talk, and all of them leave: by an end, by a reset, without a word."""
        chance = random.Random(seed)
        with self.transcript.muted(f"server.come_and_go({clients}, {seed}, {self._told})"):
            for turn in range(clients):
                peer = self.connect(f"client{turn + 1}")
                way = chance.choice(("end", "reset", "close"))
                if way != "close":
                    self.greet(peer)
                peer.reset() if way == "reset" else peer.close()

    def serve_in_turn(self, number: int, why: str = "") -> None:
        """Let `number` clients ask one after another: a thread that is about to end the server gets its turn, too."""
        with self.transcript.muted(f"server.serve_in_turn({number}, {self._told})"):
            for _ in range(number):
                peer = self.connect("bob")
                self.greet(peer, why)
                peer.close()

    def serve_crowd(self, number: int) -> None:
        """Connect `number` clients before any is accepted; each asks, must get its answer, and ends its stream."""
        self.transcript.act(f"server.serve_crowd({number}, {self._told})")
        with self.transcript.muted():
            with self.frozen():
                crowd = [self.connect(f"client{turn}") for turn in range(1, number + 1)]
                for peer in crowd:
                    self._ask(peer)
            self.program.wait_settled(SETTLED)  # it has accepted as many at a time as it ever will
            for peer in crowd:
                self._expect_answer(peer, f"Each of the {number} clients has to be served, in its turn at the latest.")
                peer.half_close()

    def is_left_as(self, found: Figures, within: float) -> bool:
        """Let go of all clients; return whether it then rests, and holds what it held when it was `found`."""
        self._drop_peers()
        deadline = time.monotonic() + within
        while self.is_running() and time.monotonic() < deadline:
            self.program.wait_settled(within)
            if _holdings(self.program.figures()) == _holdings(found):
                return True
        return False

    def close(self) -> None:
        """Let go of all clients, and end it."""
        self._drop_peers()
        super().close()

    def _drop_peers(self) -> None:
        for peer in self.peers:
            peer.drop()

    # What is done to it

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep it from executing anything while the block runs, so that what is sent meets it in one batch."""
        if not hasattr(signal, "SIGSTOP"):  # Windows: what is sent at once mostly arrives at once
            yield
            return
        self._act("freeze()", "stopped (SIGSTOP)")
        with self.program.frozen():
            yield
            self._act("thaw()", "goes on (SIGCONT)")

    def kill(self) -> None:
        """End it as a crash would."""
        self._act("kill()", "killed (SIGKILL)")
        self.program.kill()

    # What is expected of it

    def expect_first_line(self) -> None:
        """Expect `listening on HOST:PORT` as the first line of its output, at once."""
        self.transcript.act("server.expect_first_line()")
        host, port = self.program.listens_on or self.program.address
        deadline = self.patience.deadline()
        line = None
        while line is None and deadline.remaining():
            line = self.program.output.first_line(min(deadline.remaining(), 0.2))
        if line != f"listening on {host}:{port}":
            raise Fault(
                "it listens, but its first line of output does not say so",
                expected=f"listening on {host}:{port}",
                received="nothing" if line is None else line,
                why="Whoever starts a server has to learn where it listens, at once. Python keeps what is printed "
                "to a pipe in a buffer: print(..., flush=True).",
            )

    def expect_listening_only_on(self, host: str) -> None:
        """Expect that it listens on the host that it was told, and nowhere else."""
        self.transcript.act(f"server.expect_listening_only_on({host!r})")
        found = self.program.listening()
        if found != {(host, self.program.port)}:
            raise Fault(
                "it does not listen where it was told to, and only there",
                expected=f"{host}:{self.program.port}",
                received=", ".join(f"{address}:{port}" for address, port in sorted(found)),
                why="A server on 0.0.0.0 or '' can be reached from the whole network.",
            )

    def expect_released(self, before: Figures, clients: int) -> None:
        """Expect that after `clients` more clients it holds no more than before."""
        self.transcript.act(f"server.expect_released(held, {clients})")
        deadline = self.patience.deadline()
        while (kept := _kept(before, self.program.figures())) and deadline.remaining():
            time.sleep(0.005)  # polls figures that the kernel announces to nobody
        if kept:
            raise Fault(
                f"it keeps something of clients that are gone: after {clients} more of them, {kept}",
                expected="no more than before",
                received=kept,
                why="What is left open adds up: at 1,024 descriptors a server cannot accept anybody any more.",
            )

    def expect_let_go(self, peer: Peer, why: str = "") -> None:
        """Expect that the server closes its side of a connection within 2 seconds, whether the client reads or not."""
        self.transcript.act(f"server.expect_let_go({peer.name})")
        deadline = self.patience.deadline(STOP_PATIENCE)
        while (side := self.connection(peer.local)) is not None and not side.ended:
            if not deadline.remaining():
                raise Fault(f"it has not closed {peer.name}'s connection within {deadline.seconds:.0f} s", why=why)
            time.sleep(0.005)  # polls the kernel's table: a close is announced to nobody who does not read

    def expect_thread_for_each(self, before: Figures, clients: int) -> None:
        """Expect one thread (or process) more for each of `clients` clients that are connected."""
        self.transcript.act(f"server.expect_thread_for_each(held, {clients})")
        deadline = self.patience.deadline()
        while (more := self.program.figures().threads - before.threads) < clients and deadline.remaining():
            time.sleep(0.005)  # polls, as above
        if more < clients:
            raise Fault(
                "it does not have a thread for each client",
                expected=f"{clients} threads more with {clients} clients more",
                received=f"{more} more",
                why="The idea of this lab is a thread per client (--any-model leaves this check out).",
            )

    def expect_bounded_memory(self, peer: Peer, unit: bytes, times: int) -> None:
        """Let `peer` send `unit` again and again; expect that the server keeps little of it.

        Garbage that a run-time system has not collected yet is tolerated: a program that keeps everything grows by
        what was sent, or more; three quarters of that is the limit.
        A slow server is not sent everything.
        """
        self.transcript.act(f"server.expect_bounded_memory({peer.name}, {{}}, {times})", unit)
        before, began, sent = self.program.figures().pss, time.monotonic(), 0
        with self.transcript.muted():
            while sent < times * len(unit) and time.monotonic() - began < MEMORY_WINDOW * (4 if sent < ENOUGH else 1):
                peer.send(unit)
                sent += len(unit)
                peer.wait_eaten()  # a slow one is not left with more than a unit when the time is over
        grown = self.program.figures().pss - before
        limit = max(MEMORY_NOISE, sent * 3 // 4)
        if grown > limit:
            raise Fault(
                "its memory grows with what a client sends",
                expected=f"at most {limit / 2**20:.0f} MiB more, after {sent / 2**20:.0f} MiB were sent",
                received=f"{grown / 2**20:.0f} MiB more",
                why="A single client could fill the memory of the machine, and end the server for everybody.",
            )

    def expect_stop(self, name: str) -> None:
        """Send SIGINT or SIGTERM; expect that it is gone within 2 seconds, without a traceback."""
        self._act(f"expect_stop({name!r})", f"gets {name}")
        self.program.wait_settled()
        if not self.program.is_running():
            raise Fault(f"it has ended by itself, before {name}: {self.program.describe_end()}")
        self.program.signal(getattr(signal, name))
        deadline = self.patience.deadline(STOP_PATIENCE)
        while self.program.is_running() and deadline.remaining():
            self.program.wait(min(deadline.remaining(), 0.02))
        if self.program.is_running():
            raise Fault(
                f"it is still running {deadline.seconds:.0f} seconds after {name}",
                expected="the end of the process",
                received=f"{self.program.figures().threads} threads that live on",
                why="Python ends when its last thread (daemon threads aside) has ended; one that waits in accept(), "
                "recv() or sendall() has to be woken.",
            )
        self.transcript.record(SERVER, Kind.ACT, note="is gone")
        self._expect_no_traceback(
            "Stopping a server is no error: its operator should not be shown one.", f" after {name}"
        )


def _holdings(figures: Figures) -> tuple[int, int, int]:
    return figures.descriptors, figures.threads, figures.processes


def _kept(before: Figures, now: Figures) -> str:
    """Say what there is more of now than before, "" if it is no more than noise."""
    rows = [
        (now.descriptors - before.descriptors, "descriptors"),
        (now.threads - before.threads, "threads"),
        (now.processes - before.processes, "processes"),
    ]
    return ", ".join(f"{more} more {name}" for more, name in rows if more > NOISE)
