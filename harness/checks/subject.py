"""The server under test, as a check handles it: every act and expectation is also a line of the script."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness.launch import Figures, Program
from harness.launch.sockets import Address, Connection
from harness.wire import Fault, Patience, Peer, Transcript
from harness.wire.transcript import SERVER, Kind

SPIN_WINDOW = 0.1  # seconds of a first look; a program that seems to spin gets a second, longer one
SPIN_CONFIRMED = 1.0
SPINNING = 0.3  # of the time: a healthy program shows 0.00, a spinning one 0.95 or more
SETTLED = 2.0  # seconds; a program that is never at rest is told so by other checks
STOP_PATIENCE = 2.0  # seconds, from C7
MEMORY_WINDOW = 3.0  # seconds
MEMORY_NOISE = 4 << 20  # bytes
NOISE = 5  # descriptors or threads that a program may keep for itself; a leak has one for each client
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Exchange:
    """The smallest thing to ask of a service, and its answer on a new connection."""

    question: bytes
    answer: bytes


EXCHANGES = {
    "echo": Exchange(b"hello\n", b"hello\n"),
    "lines": Exchange(b"hello\n", b"1 hello\n"),
}


@dataclass
class Subject:
    """One server under test, the transcript of the check, and the peers that were connected to it."""

    program: Program
    transcript: Transcript
    patience: Patience
    exchange: Exchange
    peers: list[Peer] = field(default_factory=list)

    # What a Peer needs to know

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.program.address

    def connection(self, client: Address) -> Connection | None:
        """Return its side of a connection."""
        return self.program.connection(client)

    def is_running(self) -> bool:
        """Whether it is still there."""
        return self.program.is_running()

    def describe_end(self) -> str:
        """Say whether and how it ended (a server that just closed everything gets a moment to end)."""
        self.program.wait(0.1)
        return self.program.describe_end()

    # Clients

    def connect(self, name: str, receive_buffer: int | None = None) -> Peer:
        """Connect a named client."""
        peer = Peer(name, self, self.transcript, self.patience, receive_buffer=receive_buffer)
        self.peers.append(peer)
        return peer

    def greet(self, peer: Peer, why: str = "") -> None:
        """Let a new client do the smallest exchange that this service knows."""
        peer.send(self.exchange.question)
        peer.expect(self.exchange.answer, why)

    def serve_in_turn(self, number: int, why: str = "") -> None:
        """Let `number` clients ask one after another: a thread that is about to end the server gets its turn, too."""
        question, answer = self.exchange.question, self.exchange.answer
        with self.transcript.muted(f"server.serve_in_turn({number}, {question!r}, {answer!r})"):
            for _ in range(number):
                peer = self.connect("bob")
                self.greet(peer, why)
                peer.close()

    def serve_crowd(self, number: int) -> None:
        """Connect `number` clients before any is accepted; each asks, must get its answer, and ends its stream."""
        question, answer = self.exchange.question, self.exchange.answer
        self.transcript.act(f"server.serve_crowd({number}, {question!r}, {answer!r})")
        with self.transcript.muted():
            with self.frozen():
                crowd = [self.connect(f"client{turn}") for turn in range(1, number + 1)]
                for peer in crowd:
                    peer.send(question)
            for peer in crowd:
                peer.expect(answer, f"Each of the {number} clients has to be served, in its turn at the latest.")
                peer.half_close()

    def drop_clients(self) -> None:
        """Let go of all clients."""
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

    def settle(self) -> None:
        """Wait until it has done all that is to be done: every thread of it waits for something."""
        self.transcript.act("server.settle()")
        self.program.wait_settled(SETTLED)

    def kill(self) -> None:
        """End it as a crash would."""
        self._act("kill()", "killed (SIGKILL)")
        self.program.kill()

    def _act(self, call: str, note: str) -> None:
        self.transcript.act(f"server.{call}")
        self.transcript.record(SERVER, Kind.ACT, note=note)

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

    def expect_idle(self, why: str = "", window: float = SPIN_WINDOW) -> None:
        """Expect that it uses no processor time while nothing is to be done (for `window` seconds)."""
        self.transcript.act("server.expect_idle()")
        share = self._runnable_share(window)
        if share >= SPINNING:
            share = self._runnable_share(SPIN_CONFIRMED)
        if share >= SPINNING:
            raise Fault(
                "it spins: it uses the processor though there is nothing to do",
                expected="0 % of a processor",
                received=f"{100 * share:.0f} % of a processor",
                why=why or "A loop goes round without ever waiting in accept(), recv() or select().",
            )

    def _runnable_share(self, window: float) -> float:
        before, began = self.program.runnable_seconds(), time.monotonic()
        time.sleep(window)  # the window of the measurement
        return (self.program.runnable_seconds() - before) / (time.monotonic() - began)

    def held(self) -> Figures:
        """Return what it holds now, to be compared later."""
        self.transcript.act("held = server.held()")
        return self.program.figures()

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
            while sent < times * len(unit) and time.monotonic() - began < MEMORY_WINDOW:
                peer.send(unit)
                sent += len(unit)
            peer.wait_eaten()
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
        self.program.output.finish(1.0)
        if TRACEBACK in self.program.output.stderr.text():
            raise Fault(
                f"it ended with a traceback after {name}",
                expected="no traceback",
                received=f"a traceback that ends with {self.program.output.stderr.text().split()[-1]}",
                why="Stopping a server is no error: its operator should not be shown one.",
            )


def _kept(before: Figures, now: Figures) -> str:
    """Say what there is more of now than before, "" if it is no more than noise."""
    rows = [
        (now.descriptors - before.descriptors, "descriptors"),
        (now.threads - before.threads, "threads"),
        (now.processes - before.processes, "processes"),
    ]
    return ", ".join(f"{more} more {name}" for more, name in rows if more > NOISE)
