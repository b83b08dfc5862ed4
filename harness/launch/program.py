"""One program under test, from its start to the certainty that nothing of it is left."""

import atexit
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from harness.launch import figures, limits, processes, sockets
from harness.launch.box import Box, BoxedProcess
from harness.launch.command import Command, LaunchError
from harness.launch.output import KEPT, LIMIT, Output
from harness.launch.ports import any_port, is_free, reserved_port
from harness.launch.private import PrivateListener, in_private_network
from harness.launch.streams import Stdin, Streams

HOST = "127.0.0.1"
MARK = "SOCKET_LAB_KIT_PROGRAM"
PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "SYSTEMROOT",
    "PATHEXT",
    "COMSPEC",
    "TEMP",
    "USERPROFILE",
)

_started: dict[int, "Program"] = {}  # those that have not been closed yet, by the id of the child that each is to us


@atexit.register
def end_what_is_left() -> None:
    """End what an interruption kept from being closed, or even from being noted: nothing outlives us."""
    for program in list(_started.values()):
        program.close()
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
        boxed: bool | Box = False,
    ) -> None:
        """Start `command`, told to listen on `host` and on a port that is free (or `port`, where given).

        With `defaults` it is told nothing, and expected on `host` and `port`. With `private` it runs in a network
        of its own, where every port is free, but where nobody can talk to it but through a PrivateListener.
        With a `stdin` it can be typed at (`keyboard`), and all that it prints is kept. A program that is `boxed` (in a
        box of its own, or in that of a program which was killed) sees little, and is reached by new_socket() alone.
        Raises LaunchError where the command cannot be executed.
        """
        processes.adopt_orphans()
        processes.let_children_heed_signals()
        self.command = command
        self.ended_because: str | None = None
        self.listens_on: sockets.Address | None = None
        self._mark = f"{MARK}={os.urandom(8).hex()}"
        self.box: Box | None = None
        self._process: subprocess.Popen[bytes] | BoxedProcess
        with ExitStack() as stack:
            if boxed:
                port = port if port is not None else any_port()
            elif port is None or (defaults and not private):
                port = stack.enter_context(reserved_port(host, port))
            self.host, self.port = host, port
            words = command.arguments(*((None, None) if defaults else (host, port)))
            streams = Streams(stdin)
            stack.callback(streams.close)
            if boxed:
                self.box = boxed if isinstance(boxed, Box) else Box(command, self._environment())
                stack.callback(self.box.close)
                self._process = BoxedProcess(self.box, words, command.folder)
                stack.callback(self._process.close)
            else:
                self._process = self._begin(words, private, streams)
            self._resources = stack.pop_all()
        self._child = self.box.pid if self.box else self._process.pid
        assert self._process.stderr is not None
        self.at_terminal = streams.is_terminal
        stdout, self.keyboard = streams.of(self._process)
        streams.close()
        kept = KEPT if stdin is Stdin.NOTHING else LIMIT
        self.output = Output(stdout, self._process.stderr, self._print_limit, kept)
        _started[self._child] = self

    def _begin(self, words: list[str], private: bool | PrivateListener, streams: Streams) -> "subprocess.Popen[bytes]":
        inside = private if isinstance(private, PrivateListener) else None
        if private:
            words = in_private_network(words, inside)
        try:
            return subprocess.Popen(
                streams.before(words),
                stdin=streams.stdin,
                stdout=streams.stdout,
                stderr=subprocess.PIPE,
                cwd=self.command.folder,
                env=self._environment() | {"TERM": "xterm"} if streams.is_terminal else self._environment(),
                start_new_session=True,
                pass_fds=[inside.descriptor] if inside else [],
            )
        except OSError as error:
            place = "" if self.command.folder.is_dir() else f" in {str(self.command.folder)!r}"
            raise LaunchError(f"cannot run {words[0]!r}{place}: {error.strerror or error}") from None

    @property
    def pid(self) -> int:
        """Its first process; raises LaunchError where a box turns out not to stand, or not to execute the command."""
        return self._process.pid

    def _environment(self) -> dict[str, str]:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        name, value = self._mark.split("=")
        return environment | {name: value, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}

    def _print_limit(self) -> None:
        self.ended_because = f"it printed more than {LIMIT // 1024 // 1024} MiB"
        processes.kill(self.members())

    def members(self) -> list[int]:
        """Return the processes of this program, those left by parents that have ended included."""
        if self.box:
            return self.box.members()
        found = processes.tree(self.pid) if self._process.poll() is None else []
        for orphan in processes.adopted():
            if orphan not in _started and self._owns(orphan):
                found += processes.tree(orphan)
        return list(dict.fromkeys(found))

    def _owns(self, orphan: int) -> bool:
        if processes.session_of(orphan) == self.pid or processes.carries(orphan, self._mark):
            return True
        # It left the session and cleared its environment: with one program running there is no doubt whose it is.
        return set(_started) == {self.pid}

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
        return sockets.listening(self.members(), self.box.diag() if self.box else None)

    def connection(self, other: sockets.Address, own: sockets.Address | None = None) -> sockets.Connection | None:
        """Return the program's side of the connection to `other`, if the system shows it; `own` is its own address."""
        own = own or self.address
        if self.box:
            return sockets.connection(self.box.init, own, other, self.box.diag())
        return sockets.connection(self.pid if self.status is None else os.getpid(), own, other)

    def new_socket(self) -> socket.socket:
        """Return a TCP socket of the network in which the program lives."""
        return self.box.new_socket() if self.box else socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def allow_descriptors(self, number: int) -> None:
        """Let each of its processes open descriptors below `number` only. Raises limits.TooFew."""
        if not self.box:
            limits.allow_descriptors(self.members(), number)
            return
        limits.check_descriptors(self.members(), number)
        self.box.allow_descriptors(number)

    def port_was_taken(self) -> bool:
        """Whether somebody else holds its port, so that it cannot listen there."""
        return self.box is None and not is_free(self.host, self.port)

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
        if self.ended_because:
            return f"it was ended: {self.ended_because}"
        if status is None:
            return "it is still running"
        if status < 0:
            return f"it was ended by {_name_of(-status)}"
        return f"it exited with status {status}"

    def kill(self) -> None:
        """End the program at once, as a crash would (SIGKILL); what it printed stays readable."""
        self._end_processes()

    def _end_processes(self) -> None:
        deadline = time.monotonic() + 5
        ended: set[int] = set()  # not waited for yet; a zombie has no environment that would tell whose it is
        while (members := self.members()) or ended:
            processes.kill(members)
            ended.update(pid for pid in members if pid not in _started)
            ended = {pid for pid in ended if not processes.reap(pid)}
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.002)
            if time.monotonic() > deadline:
                raise RuntimeError(f"cannot end the processes {members or ended} of {self.command}")
        self._process.wait()

    def close(self) -> None:
        """End the program and everything it started; give its port back."""
        try:
            if self.box:
                self.box.close()
            else:
                self._end_processes()
            self.output.finish(1.0)
            if self.keyboard:
                self.keyboard.close(1.0)
        finally:
            _started.pop(self._child, None)
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
    """Run a server as a student would, on this terminal: on POSIX this process becomes the server."""
    words = command.arguments(host, port)
    try:
        if os.name == "posix":
            os.chdir(command.folder)
            os.execvp(words[0], words)
        with subprocess.Popen(words, cwd=command.folder) as process:
            while True:
                with suppress(KeyboardInterrupt):  # the program got the same Ctrl-C, and ends by itself
                    return process.wait()
    except OSError as error:
        raise LaunchError(f"cannot run {words[0]!r}: {error.strerror or error}") from None
