"""The client under test, as a check handles it: typed at, interrupted, and looked at by what it shows."""

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from harness.checks.tested import Tested
from harness.launch import Command, Program
from harness.launch.limits import LIMITS, Limits
from harness.launch.private import PrivateListener, can_be_private
from harness.launch.processes import send_signal
from harness.launch.program import HOST
from harness.launch.sockets import Address, Connection, is_connecting
from harness.launch.streams import Stdin
from harness.launch.tiers import PLAIN, open_place
from harness.wire import Fault, Listener, Peer
from harness.wire.link import FLOOD
from harness.wire.transcript import Kind

CONNECT_PATIENCE = 10.0  # seconds until a program that was just started has connected
DEFAULT_PORT = 5555
AT_ONCE = 1.0  # seconds to end, from C8
WAITS = 2.0  # seconds for the server's close, from C8
GRACE = 0.5  # seconds: no check is about hundredths of them
STUCK = 0.1  # seconds in which nothing more of what was typed is taken
ENDED_WELL = (0,)  # exit statuses
CAN_INTERRUPT = os.name == "posix"
USER = "user"  # the lane of what is typed and shown

# What may stand between a shown line and its end: colours, blanks, and the CR that a terminal adds.
LINE_END = re.compile(rb"(?:\x1b\[[0-9;?]*[ -/]*[@-~])*[ \t]*\r*\n")
# Every control character but TAB, and what is no UTF-8: to some terminals the bytes 0x80 to 0x9F are C1 controls.
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\udc80-\udcff]")
WORDS = re.compile(rb"\S{2,}")


@dataclass
class Visit:
    """A client that was started, and the listener that it was told of (None: nobody listens there)."""

    program: Program
    listener: Listener | None

    @classmethod
    def begin(
        cls,
        command: Command,
        *,
        terminal: bool = False,
        timeout: float | None = None,
        host: str = HOST,
        receive_buffer: int | None = None,
        full: bool = False,
        nobody: bool = False,
        defaults: bool = False,
        tier: str = PLAIN,
        limits: Limits = LIMITS,
    ) -> "Visit":
        """Start a client that is told to connect to a listener (on `host`, the buffer of its connections that small).

        With `full` the listener answers nobody, with `nobody` there is none. With `defaults` the client is told
        nothing, and is expected on 127.0.0.1:5555 (of a network of its own, where it can have one).
        """
        if timeout is not None:
            command = replace(command, words=(*command.words, "--timeout", f"{timeout:g}"))
        start = partial(
            Program, command, stdin=Stdin.TERMINAL if terminal else Stdin.PIPE, limits=limits, defaults=defaults
        )
        if nobody:
            return cls(start(host, tier=tier), None)
        if defaults and tier == PLAIN and can_be_private():
            inside = PrivateListener(HOST, DEFAULT_PORT)
            program = start(HOST, DEFAULT_PORT, private=inside)
            return cls(program, Listener(sock=inside.receive()))
        with ExitStack() as stack:
            place = stack.enter_context(open_place(tier, command, limits))  # its network has to be there first
            port = DEFAULT_PORT if defaults else 0
            listener = Listener(host, port, receive_buffer, new_socket=place.new_socket)
            stack.callback(listener.close)
            if full:
                listener.fill()
            program = start(listener.host, listener.port, place=place)
            stack.pop_all()
        return cls(program, listener)

    def close(self) -> None:
        """End the client, and listen no more."""
        self.program.close()
        if self.listener:
            self.listener.close()


@dataclass
class Visitor(Tested):
    """One client under test, and the connection that it made."""

    listener: Listener | None
    host: Peer | None = None
    _local: Address | None = None
    _shown: int = 0  # bytes of its output that a check has looked at
    _heard: int = 0  # bytes of its standard error that came before the last line that was looked for
    _told: float = 0.0  # when the user did the last thing: what follows from it has not begun earlier

    role: ClassVar[str] = "client"

    # What a Peer needs to know of the program at the other end

    @property
    def address(self) -> Address:
        """Where it was told to connect to."""
        return self.program.address

    def connection(self, other: Address) -> Connection | None:
        """Return its side of the connection."""
        return self.program.connection(other, self._local)

    def accept(self) -> Peer:
        """Accept its connection; return the server's end of it."""
        self.transcript.act("host.accept()")
        self.host = Peer("host", self, self.transcript, self.patience, accepted=self.accept_socket())
        return self.host

    def accept_socket(self) -> socket.socket:
        """Accept its connection; return the socket."""
        assert self.listener is not None
        deadline = self.patience.deadline(CONNECT_PATIENCE)
        sock = self.listener.accept(deadline.remaining, lambda: self.program.status is None)
        if sock is None:
            where = f"{self.listener.host}:{self.listener.port}"
            raise Fault(
                f"it did not connect: {self.describe_end()}"
                if self.program.status is not None
                else f"it did not connect within {deadline.seconds:.0f} s",
                expected=f"a connection to {where}",
                received="nothing",
                why="The program is told where the server is by --host and --port.",
            )
        self._local = sock.getpeername()
        return sock

    # What a user does

    @property
    def _at_terminal(self) -> bool:
        return self.program.at_terminal

    def type(self, data: bytes) -> None:
        """Type bytes, or write them to its standard input; returns at once."""
        self.transcript.act("client.type({})", data)
        self._type(data)

    def _type(self, data: bytes, note: str = "") -> None:
        assert self.program.keyboard is not None
        self.transcript.record(USER, Kind.SEND, data, note)
        self.program.keyboard.type(data)

    def type_until_stuck(self, unit: bytes, limit: int = 4 << 20) -> None:
        """Type `unit` again and again, until neither the client nor both kernels take any more."""
        self.transcript.act("client.type_until_stuck({})", unit)
        keyboard = self.program.keyboard
        assert keyboard is not None
        for _ in range(limit // len(unit)):
            keyboard.type(unit)
        untaken = -1
        while keyboard.untaken not in (0, untaken) and self.program.status is None:
            untaken = keyboard.untaken
            time.sleep(STUCK)  # that nothing is taken for a while is announced to nobody
        self.transcript.record(USER, Kind.SEND, unit, note=f"again and again, {limit - keyboard.untaken} bytes")

    def end_input(self) -> None:
        """End its standard input (Ctrl-D at a terminal), behind all that was typed."""
        self.transcript.act("client.end_input()")
        self.transcript.record(USER, Kind.HALF_CLOSE)
        self._told = time.monotonic()
        assert self.program.keyboard is not None
        self.program.keyboard.end_input()

    def interrupt(self) -> None:
        """Press Ctrl-C: the character at a terminal, else the signal that it stands for (to all its processes)."""
        self._act("interrupt()", "gets Ctrl-C (SIGINT)")
        self.program.wait_settled()
        if self._at_terminal:
            assert self.program.keyboard is not None
            self.program.keyboard.type(b"\x03")
        else:
            send_signal(self.program.members(), signal.SIGINT)

    def wait_connecting(self) -> None:
        """Wait until its SYN is on the way to a listener that does not answer."""
        self.transcript.act("client.wait_connecting()")
        deadline = self.patience.deadline(CONNECT_PATIENCE)
        while (
            self.program.status is None
            and not is_connecting(self.address, self.program.place.of_network)
            and deadline.remaining()
        ):
            time.sleep(0.002)  # polls the kernel's table

    # What is expected of it

    def expect_shown(self, line: bytes, why: str = "") -> None:
        """Expect a line on its standard output, behind those that were expected before, whatever stands around them."""
        self.transcript.act("client.expect_shown({})", line)
        end = self._wait_shown(lambda printed: _end_of(line, printed, self._shown), line, why)
        self.transcript.record(USER, Kind.RECEIVE, line + b"\n")
        self._shown, self._heard = end, self.program.output.stderr.total

    def expect_line_with(self, *words: bytes) -> None:
        """Expect a line on its standard output, behind what was expected before, that has these words in this order."""
        pattern = re.compile(rb"[^\n]*".join(map(re.escape, words)) + rb"[^\n]*\n")

        def found(printed: bytearray) -> int:
            return match.end() if (match := pattern.search(printed, self._shown)) else -1

        self._shown = self._wait_shown(found, b" ... ".join(words), "")
        self.transcript.record(USER, Kind.RECEIVE, b" ... ".join(words) + b"\n")

    def expect_shown_harmless(self, before: bytes, after: bytes, why: str = "") -> None:
        """Expect that one line shows both words, and between them nothing that commands a terminal."""
        self.transcript.act(f"client.expect_shown_harmless({before!r}, {after!r})")
        pattern = re.compile(re.escape(before) + b"(.*?)" + re.escape(after), re.DOTALL)
        between = b""

        def found(printed: bytearray) -> int:
            nonlocal between
            if not (match := pattern.search(printed, self._shown)):
                return -1
            between = match[1]
            return match.end()

        self._shown = self._wait_shown(found, before + b"\xef\xbf\xbd" + after, why)
        self.transcript.record(USER, Kind.RECEIVE, before + between + after)
        if CONTROL.search(between.decode("utf-8", errors="surrogateescape")):
            raise Fault(
                "the client shows a control character as it came",
                expected=before + b"\xef\xbf\xbd" + after,
                received=before + between + after,
                why=why,
            )

    def expect_all_shown(self, lines: Sequence[bytes], why: str = "") -> None:
        """Expect many lines, in their order."""
        self.transcript.act("client.expect_all_shown({}.splitlines())", b"\n".join(lines))
        with self.transcript.muted():
            self._wait_shown(lambda printed: _end_of(lines[-1], printed, self._shown), lines[-1], why)
        printed, place = self.program.output.stdout.head, self._shown
        for number, line in enumerate(lines, start=1):
            end = _end_of(line, printed, place)
            if end < 0:
                raise Fault(
                    f"of {len(lines)} lines the client did not show number {number} in its place",
                    expected=line,
                    received=bytes(printed[place : place + 2 * len(line) + 80]),
                    why=why,
                )
            place = end
        self.transcript.record(USER, Kind.RECEIVE, lines[-1], note=f"the last of {len(lines)} lines")
        self._shown, self._heard = place, self.program.output.stderr.total

    def _wait_shown(self, found: Callable[[bytearray], int], line: bytes, why: str) -> int:
        output, deadline, end = self.program.output, self.patience.deadline(), -1
        seen = output.stdout.total

        def holds() -> bool:
            nonlocal end
            end = found(output.stdout.head)
            return end >= 0

        def remaining() -> float:
            nonlocal deadline, seen
            if output.stdout.total > seen:  # it shows something: however slowly, it is not stuck
                deadline, seen = self.patience.deadline(), output.stdout.total
            return deadline.remaining()

        if output.wait_until(holds, remaining):
            return end
        what = f"the client did not show a line of the server within {deadline.seconds:.0f} s"
        if self.program.status is not None:
            what = f"the client did not show a line of the server; {self.describe_end()}"
        raise Fault(what, expected=line, received=bytes(output.stdout.head[self._shown :][-FLOOD:]), why=why)

    def expect_shown_once(self, line: bytes, why: str = "") -> None:
        """Expect that a line which was shown stands only once in all that was printed."""
        self.transcript.act("client.expect_shown_once({})", line)
        times = self.program.output.stdout.head.count(line)
        if times != 1:
            raise Fault(f"the client has shown a line {times} times", expected=line, why=why)

    def expect_running(self, seconds: float = 0.0, why: str = "") -> None:
        """Expect that it goes on running, for so many seconds at least."""
        self.transcript.act(f"client.expect_running({seconds})")
        if self.program.wait(seconds):
            raise Fault(f"the client has ended: {self.describe_end()}", expected="that it goes on running", why=why)

    def expect_exit(
        self, statuses: Sequence[int], within: float = AT_ONCE, why: str = "", *, not_before: float = 0.0
    ) -> None:
        """Expect its end with one of the statuses, `within` seconds from now, and no traceback.

        It must not end sooner than `not_before` seconds after the end of its input.
        """
        self.transcript.act(f"client.expect_exit({tuple(statuses)}, {within}, {not_before})")
        deadline = self.patience.deadline(within + GRACE)
        while not self.program.wait(deadline.remaining()) and deadline.remaining():
            pass
        lasted = time.monotonic() - self._told
        due = " or ".join(map(str, statuses))
        if self.program.status is None:
            raise Fault(
                f"the client is still running after {deadline.seconds:.1f} seconds",
                expected=f"its end, with status {due}, within {within:.0f} s",
                received=f"{self.program.figures().threads} threads that live on",
                why=why,
            )
        self.transcript.record(self.role, Kind.ACT, note=f"ends: status {self.program.status}")
        self._expect_no_traceback("A message tells a user what happened; a traceback tells its author.")
        if self.program.status not in statuses:
            raise Fault(
                f"of the client: {self.program.describe_end()}",
                expected=f"exit status {due}",
                received=self._end(),
                why=why,
            )
        if lasted < not_before:
            raise Fault(f"the client ended after {lasted:.1f} s already, and should have waited longer", why=why)

    def _end(self) -> str:
        status = self.program.status
        return f"exit status {status}" if status is not None and status >= 0 else self.program.describe_end()

    def expect_message(self, why: str = "", *, on_stderr: bool = False) -> None:
        """Expect that it has said something, since the last line that it showed; any words will do."""
        self.transcript.act(f"client.expect_message({on_stderr})")
        output = self.program.output
        output.finish(1.0)
        said = bytes(output.stderr.head[self._heard :])
        if not on_stderr:
            said += bytes(output.stdout.head[self._shown :])
        if not WORDS.search(said):
            where = "on standard error" if on_stderr else "on standard output or error"
            raise Fault("the client ended without a word", expected=f"a message {where}", received="nothing", why=why)

    def expect_threads(self, number: int, why: str = "") -> None:
        """Expect that it has so many threads (or processes)."""
        self.transcript.act(f"client.expect_threads({number})")
        deadline = self.patience.deadline()
        while (threads := self.program.figures().threads) < number and deadline.remaining():
            time.sleep(0.005)  # polls figures that the kernel announces to nobody
        if threads < number:
            raise Fault("it has one thread", expected=f"{number} threads", received=f"{threads}", why=why)

    def close(self) -> None:
        """End it, and let go of the connection and the listener."""
        if self.host:
            self.host.drop()
        super().close()
        if self.listener:
            self.listener.close()


def _end_of(line: bytes, printed: bytearray, start: int) -> int:
    """Return where a line that is shown behind `start` ends, -1 if it is not shown there."""
    while (place := printed.find(line, start)) >= 0:
        if match := LINE_END.match(printed, place + len(line)):
            return match.end()
        start = place + 1
    return -1
