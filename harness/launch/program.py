"""One program under test, from its start to the certainty that nothing of it is left."""

import atexit
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from harness.launch import figures, processes, sockets
from harness.launch.command import Command, LaunchError
from harness.launch.limits import LIMITS, MIB, Limits
from harness.launch.network import Network
from harness.launch.output import KEPT, Output
from harness.launch.private import PrivateListener
from harness.launch.streams import Stdin, Streams
from harness.launch.tiers import PLAIN, open_place
from harness.launch.tiers.place import Place, Stored, open_places
from harness.launch.tiers.plain import Plain
from harness.launch.watch import watch

HOST = "127.0.0.1"
BY_KERNEL = {-getattr(signal, "SIGXCPU", 0): "cpu", -getattr(signal, "SIGXFSZ", 0): "file"}  # it ends who goes beyond


@atexit.register
def end_what_is_left() -> None:
    """End what an interruption kept from being closed, or even from being noted: nothing outlives us."""
    for place in list(open_places.values()):
        place.close()
    for child in processes.adopted():
        processes.kill(processes.tree(child))
        os.waitpid(child, 0)


class ProgramEnded(Exception):
    """A program ended while it was expected to go on."""


class Program:
    """A command in a process of its own (and of its own session), with all its descendants.

    Use it as a context manager: whatever happens in the block, at its end every process is gone,
    those included that forked twice and left the session (Linux).
    """

    def __init__(
        self,
        command: Command,
        host: str = HOST,
        port: int | None = None,
        defaults: bool = False,
        private: bool | PrivateListener = False,
        stdin: Stdin = Stdin.NOTHING,
        tier: str = PLAIN,
        limits: Limits = LIMITS,
        place: Place | None = None,
    ) -> None:
        """Start `command`, told to listen on `host` and on a port that is free (or `port`, where given).

        With `defaults` it is told nothing, and expected on `host` and `port`. With `private` it runs in a network
        of its own, where every port is free, but where nobody can talk to it but through a PrivateListener.
        With a `stdin` it can be typed at (`keyboard`), and all that it prints is kept. It is held in a `tier` of
        containment, or in the `place` that another one had which was killed, and is reached by new_socket() alone;
        beyond its `limits` it is ended. Raises LaunchError where the command cannot be executed.
        """
        processes.adopt_orphans()
        processes.let_children_heed_signals()
        self.command = command
        self.limits = limits
        self.ended_because: str | None = None
        self.limit: str | None = None  # the name of the one that it went beyond
        self.listens_on: sockets.Address | None = None
        with ExitStack() as stack:
            if place is None:
                place = Plain(limits, private) if private else open_place(tier, command, limits)
            stack.callback(place.close)
            if port is None or (defaults and not private):
                port = stack.enter_context(place.port(host, port))
            self.place, self.host, self.port = place, host, port
            words = command.arguments(*((None, None) if defaults else (host, port)))
            streams = Streams(stdin)
            stack.callback(streams.close)
            self._process = place.begin(words, command.folder, streams, port)
            self._resources = stack.pop_all()
        assert self._process.stderr is not None
        self.at_terminal = streams.is_terminal
        stdout, self.keyboard = streams.of(self._process)
        streams.close()
        kept = KEPT if stdin is Stdin.NOTHING else limits.output * MIB
        self.output = Output(stdout, self._process.stderr, limits.output * MIB, lambda: self.end("output"), kept)
        watch.add(self)

    @property
    def pid(self) -> int:
        """Its first process; raises LaunchError where it turns out that the command cannot be executed."""
        return self._process.pid

    def end(self, limit: str) -> None:
        """End it at once, for it went beyond a limit."""
        if self.limit is None:
            self.limit, self.ended_because = limit, self.limits.words(limit)
        self.place.kill()

    def members(self) -> list[int]:
        """Return the processes of this program, those left by parents that have ended included."""
        return self.place.members()

    def stored(self) -> Stored | None:
        """Return what it has written into files, where that can be told."""
        return self.place.stored()

    @property
    def status(self) -> int | None:
        """The exit status of the first process (minus the signal that ended it), None while it runs."""
        return self._process.poll()

    def is_running(self) -> bool:
        """Whether any process of this program is left."""
        return self._process.poll() is None or bool(self.members())

    def wait_listening(self, remaining: Callable[[], float]) -> bool:
        """Wait until the program listens on its port; no connection is made to find out.

        Returns False when no seconds are `remaining()`, raises ProgramEnded when the program ends instead.
        A port of 0 is replaced by the one that it chose.
        """
        pause = 0.001
        while True:
            ended = not self.is_running()
            for host, port in sorted(self.listening()):
                if self.port in (0, port):
                    self.port = port
                    self.listens_on = (host, port)
                    return True
            if ended:
                raise ProgramEnded(self.describe_end())
            left = remaining()
            if left <= 0:
                return False
            time.sleep(min(pause, left))  # polls a state that the kernel announces to nobody
            pause = min(pause * 1.5, 0.02)

    def listening(self) -> set[sockets.Address]:
        """Return every address on which the program listens now."""
        if self.place.uid:
            return sockets.listening_of(self.place.uid, self.place.of_network, self.place.diag())
        return sockets.listening(self.members(), self.place.diag())

    def connection(self, other: sockets.Address, own: sockets.Address | None = None) -> sockets.Connection | None:
        """Return the program's side of the connection to `other`, if the system shows it; `own` is its own address."""
        return sockets.connection(self.place.of_network, own or self.address, other, self.place.diag())

    def new_socket(self) -> socket.socket:
        """Return a TCP socket of the network in which the program lives."""
        return self.place.new_socket()

    def network(self) -> Network:
        """Return a way into the program's network for another process of ours."""
        return self.place.network()

    def allow_descriptors(self, number: int) -> None:
        """Let each of its processes open descriptors below `number` only. Raises descriptors.TooFew."""
        self.place.allow_descriptors(number)

    def port_was_taken(self) -> bool:
        """Whether somebody else holds its port, so that it cannot listen there."""
        return self.place.port_was_taken(self.host, self.port)

    @property
    def address(self) -> sockets.Address:
        """Where clients connect to."""
        return (self.host, self.port)

    def signal(self, number: int) -> None:
        """Send a signal to the first process of the program."""
        processes.send_signal([self.pid], number)

    def wait(self, timeout: float) -> bool:
        """Wait until the first process ends; False if it has not after `timeout` seconds."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait_settled(self, timeout: float = 0.1) -> None:
        """Wait until no thread of the program runs, or `timeout` seconds.

        A signal that reaches a Python program in the microsecond before a blocking call is seen only when that
        call returns (signal(7) and the documentation of Python's signal module): no fault of its author's.
        """
        deadline = time.monotonic() + timeout
        quiet, members = 0, self.members()
        while quiet < 3 and time.monotonic() < deadline:
            quiet = quiet + 1 if processes.all_asleep(members) else 0
            if quiet == 2 and members != (members := self.members()):
                quiet = 0
            time.sleep(0.001)  # between two looks at states that are announced to nobody

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep the program from executing anything while the block runs (SIGSTOP, SIGCONT)."""
        stopped: list[int] = []
        try:
            while fresh := [pid for pid in self.members() if pid not in stopped]:  # born while others were stopped
                stopped += fresh
                processes.stop(fresh)
                processes.wait_until_stopped(fresh)
            yield
        finally:
            processes.resume(stopped)

    def figures(self) -> figures.Figures:
        """Return what the program uses now."""
        return figures.figures(self.members())

    def switches(self) -> dict[int, int]:
        """Return the context switches of each thread so far (Linux; elsewhere none are told)."""
        return figures.switches(self.members())

    def runnable_seconds(self) -> float:
        """Return for how long the program has wanted a processor so far."""
        return figures.runnable_seconds(self.members())

    def describe_end(self) -> str:
        """Say in words whether and how the program has ended."""
        status = self.status
        if self.limit is None and status in BY_KERNEL:
            self.end(BY_KERNEL[status])
        if self.ended_because:
            return f"it was ended: {self.ended_because}"
        if status is None:
            return "it is still running"
        if status < 0:
            return f"it was ended by {_name_of(-status)}"
        return f"it exited with status {status}"

    def kill(self) -> None:
        """End the program at once, as a crash would (SIGKILL); what it printed stays readable."""
        self.place.end()

    def close(self) -> None:
        """End the program and everything it started; give its port back."""
        watch.remove(self)
        try:
            self.place.close()
            self.output.finish(1.0)
            if self.keyboard:
                self.keyboard.close(1.0)
        finally:
            self._resources.close()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have none
        return f"signal {number}"


def run_in_foreground(command: Command, host: str, port: int) -> int:
    """Run a server as a student would, on this terminal."""
    return become(command.arguments(host, port), command.folder)


def become(words: Sequence[str], folder: Path) -> int:
    """Run a command on this terminal, uncontained: on POSIX this process becomes it, elsewhere it waits for it."""
    try:
        if os.name == "posix":
            os.chdir(folder)
            os.execvp(words[0], list(words))
    except OSError as error:
        raise LaunchError(f"cannot run {words[0]!r}: {error.strerror or error}") from None
    return run_to_its_end(words, folder)


def run_to_its_end(words: Sequence[str], folder: Path) -> int:
    """Run a command on this terminal, uncontained: a tool of ours, or what its author runs; return its exit status."""
    try:
        with subprocess.Popen(words, cwd=folder) as process:
            while True:
                with suppress(KeyboardInterrupt):  # the program got the same Ctrl-C, and ends by itself
                    return process.wait()
    except OSError as error:
        raise LaunchError(f"cannot run {words[0]!r}: {error.strerror or error}") from None
