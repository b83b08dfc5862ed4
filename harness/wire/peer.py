"""A named client on a real socket, with deadlines, that says what it expected when it is disappointed."""

import errno
import re
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from harness.wire.deadline import PATIENCE, Deadline, Patience
from harness.wire.ready import wait_ready
from harness.wire.segments import cut
from harness.wire.transcript import SERVER, Fault, Kind, Transcript

Address = tuple[str, int]
CONNECT_PATIENCE = 5.0  # seconds: a SYN that finds the accept queue full is sent again after 1 s, then 3 s
SHORT_WAIT = 0.02  # seconds: where the system does not show what the server has read
STUCK = 0.05  # seconds in which a socket takes no more bytes
SEGMENT = 1400  # bytes, as on an Ethernet: the loopback's 64 KiB earn a server a send buffer of megabytes
FLOOD = 8 << 20  # bytes that nobody asked for, after which a client takes no more
LOOK_AGAIN = 0.0002  # seconds between two looks at the kernel's table


class Connection(Protocol):
    """The server's side of a connection, as the kernel shows it."""

    @property
    def unread(self) -> int:
        """Bytes that have arrived and that the server has not read."""

    @property
    def accepted(self) -> bool:
        """Whether the server has accepted it."""


class Server(Protocol):
    """What a peer needs to know of the program that it talks to."""

    @property
    def address(self) -> Address:
        """Where it listens."""

    def connection(self, client: Address) -> Connection | None:
        """Return its side of the connection from `client`, None where that cannot be seen."""

    def is_running(self) -> bool:
        """Whether it is still there."""

    def describe_end(self) -> str:
        """Say whether and how it has ended."""


class Peer:
    """One client. Every method that waits has a deadline, and raises Fault when the server is to blame."""

    def __init__(
        self,
        name: str,
        server: Server,
        transcript: Transcript,
        patience: Patience | None = None,
        *,
        receive_buffer: int | None = None,
    ) -> None:
        """Connect to the server; `receive_buffer` (bytes) makes a reader that lags, and the server's buffer small."""
        self.name = name
        self.transcript = transcript
        self._server = server
        self._patience = patience or Patience()
        self._inbox = b""
        self._ended = ""  # "" while the stream goes on, then "end" or "reset"
        options = f", receive_buffer={receive_buffer}" if receive_buffer else ""
        transcript.act(f"{name} = connect({name!r}{options})")
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            with suppress(OSError, AttributeError):  # some systems do not let a program say this
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        self.socket.setblocking(False)
        self._connect()
        self.local: Address = self.socket.getsockname()

    def _connect(self) -> None:
        deadline = self._patience.deadline(CONNECT_PATIENCE)
        error = self.socket.connect_ex(self._server.address)
        if error in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            if not self._writable(deadline):
                raise Fault(
                    f"{self.name} could not connect within {deadline.seconds:.0f} s",
                    why="The accept queue is full (listen()'s backlog), or nobody accepts.",
                )
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error == errno.ECONNRESET:  # it was accepted (else it would be refused), and reset before we looked
            self.transcript.record(self.name, Kind.CONNECT)
            self._see_reset(error)
            return
        if error:
            self.transcript.record(self.name, Kind.REFUSED, note=errno.errorcode.get(error, str(error)))
            raise Fault(
                f"{self.name} could not connect: {errno.errorcode.get(error, error)}; "
                f"of the server: {self._server.describe_end()}"
            )
        self.transcript.record(self.name, Kind.CONNECT)

    # What a client does

    def send(self, data: bytes, chunks: Sequence[int] | None = None) -> None:
        """Send `data`, whole or cut into segments of the given sizes.

        A segment is sent when the server has read the one before, so that each arrives alone.
        """
        told = f", chunks={list(chunks)!r}" if chunks is not None else ""
        self.transcript.act(f"{self.name}.send({{}}{told})", data)
        if chunks is None:
            self._send(data)
            return
        for piece in cut(data, chunks):
            self._send(piece)
            self._wait_eaten()

    def send_slowly(self, data: bytes) -> None:
        """Send `data` byte by byte, each in a segment of its own."""
        self.send(data, chunks=[1] * len(data))

    def _send(self, data: bytes) -> None:
        self.transcript.record(self.name, Kind.SEND, data)
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.socket.send(rest) :]
            except BlockingIOError:
                if not self._writable_in_time():
                    raise Fault(
                        f"{self.name} could send only {len(data) - len(rest)} of {len(data)} bytes: "
                        f"the server has stopped reading"
                    ) from None
            except OSError as error:
                raise self._lost(f"while {self.name} was sending", error) from None

    def send_until_stuck(self, unit: bytes, limit: int = 16 << 20) -> None:
        """Send `unit` again and again without reading, until the server and both kernels take no more.

        A server may keep as much as it likes: `limit` bytes are enough in any case.
        """
        self.transcript.act(f"{self.name}.send_until_stuck({{}})", unit)
        sent, rest = 0, memoryview(b"")
        while sent < limit and wait_ready(self.socket, write=True, timeout=STUCK)[1]:
            rest = rest or memoryview(unit)
            try:
                taken = self.socket.send(rest)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._lost(f"while {self.name} was sending", error) from None
            sent, rest = sent + taken, rest[taken:]
        self.transcript.record(self.name, Kind.SEND, unit, note=f"again and again, {sent} bytes, without reading")

    def exchange(self, data: bytes, why: str = "") -> None:
        """Send `data` and read at the same time; expect exactly `data` back."""
        self.transcript.act(f"{self.name}.exchange({{}})", data)
        self.transcript.record(self.name, Kind.SEND, data)
        deadline = self._patience.deadline()
        rest = memoryview(data)
        while rest:
            readable, writable = wait_ready(self.socket, read=True, write=True, timeout=deadline.remaining())
            if not readable and not writable:
                break
            if writable:
                try:
                    rest = rest[self.socket.send(rest) :]
                    deadline = self._patience.deadline()
                except BlockingIOError:
                    pass
                except OSError as error:
                    raise self._lost(f"while {self.name} was sending", error) from None
            if readable:
                before = len(self._inbox)
                if not self._receive() or self._inbox[before:] != data[before : len(self._inbox)]:
                    break
                deadline = self._patience.deadline()
        with self.transcript.muted():
            self.expect(data, why)

    def half_close(self) -> None:
        """End the sending side (FIN); go on reading."""
        self.transcript.act(f"{self.name}.half_close()")
        self.transcript.record(self.name, Kind.HALF_CLOSE)
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._lost(f"before {self.name} ended its stream", error) from None

    def close(self) -> None:
        """Close the socket: a FIN, or a reset if there is something that was not read."""
        if self.socket.fileno() >= 0:
            self.transcript.act(f"{self.name}.close()")
            self.transcript.record(self.name, Kind.CLOSE)
            self.socket.close()

    def reset(self) -> None:
        """End the connection at once (RST), as a crashed or unplugged client would."""
        self.transcript.act(f"{self.name}.reset()")
        self.transcript.record(self.name, Kind.RESET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def drop(self) -> None:
        """Let go of the socket without a word in the transcript (the end of a check)."""
        self.socket.close()

    # What a client expects

    def expect(self, data: bytes, why: str = "") -> None:
        """Expect exactly `data` as the next bytes."""
        self.transcript.act(f"{self.name}.expect({{}})", data)
        deadline = self._patience.deadline()
        while len(self._inbox) < len(data) and data.startswith(self._inbox[: len(data)]):
            before = len(self._inbox)
            goes_on = self._await_more(deadline)
            if len(self._inbox) > before:
                deadline = self._patience.deadline()
            elif not goes_on:
                break
        if self._inbox.startswith(data):
            self._inbox = self._inbox[len(data) :]
            return
        if self._inbox and not data.startswith(self._inbox):
            what = f"{self.name} got other bytes than were due"
        else:
            what = self._disappointment(f"only {len(self._inbox)} of {len(data)} bytes", deadline)
        raise Fault(what, expected=data, received=self._inbox, why=why)

    def expect_line(self, regex: bytes, words: str, why: str = "") -> bytes:
        """Expect a line (ended by LF) that matches `regex` as a whole; `words` describes it; return it."""
        self.transcript.act(f"{self.name}.expect_line({regex!r}, {words!r})")
        deadline = self._patience.deadline()
        while b"\n" not in self._inbox and len(self._inbox) < FLOOD and self._await_more(deadline):
            pass
        if b"\n" not in self._inbox:
            what = self._disappointment(f"{len(self._inbox)} bytes without the end of a line", deadline)
            raise Fault(what, expected=words, received=self._inbox, why=why)
        line, _, self._inbox = self._inbox.partition(b"\n")
        if not re.fullmatch(regex, line, re.DOTALL):
            raise Fault(f"{self.name} got another line than was due", expected=words, received=line, why=why)
        return line

    def expect_end(self, why: str = "") -> None:
        """Expect the end of the stream (FIN), and nothing before it."""
        self.transcript.act(f"{self.name}.expect_end()")
        deadline = self._patience.deadline()
        while not self._ended and not self._inbox and self._await_more(deadline):
            pass
        if self._inbox:
            raise Fault(
                f"{self.name} got bytes where the connection should end",
                expected="the end of the stream",
                received=self._inbox,
                why=why,
            )
        if self._ended == "reset":
            raise Fault(f"{self.name}'s connection was reset, not closed", expected="FIN", received="RST", why=why)
        if not self._ended:
            raise Fault(
                f"the server did not close {self.name}'s connection within {deadline.seconds:.0f} s",
                expected="the end of the stream",
                received="nothing",
                why=why,
            )

    def expect_no_more(self, why: str = "") -> None:
        """Expect that nothing comes any more until the connection ends; whether it does end is not asked here."""
        self.transcript.act(f"{self.name}.expect_no_more()")
        deadline = self._patience.deadline()
        while not self._inbox and self._await_more(deadline):
            pass
        if self._inbox:
            raise Fault(f"{self.name} got bytes that it did not send", expected=b"", received=self._inbox, why=why)

    def expect_gone(self, why: str = "") -> None:
        """Expect that the connection is over, by FIN or by RST, whatever was sent before."""
        self.transcript.act(f"{self.name}.expect_gone()")
        deadline = self._patience.deadline()
        taken = 0
        while not self._ended and taken < 4 * FLOOD and self._await_more(deadline):
            taken, self._inbox = taken + len(self._inbox), b""
        if not self._ended:
            after = f"{deadline.seconds:.0f} s" + (f" and {taken} bytes" if taken else "")
            raise Fault(f"{self.name}'s connection is still open after {after}", why=why)

    def expect_nothing_so_far(self, why: str = "") -> None:
        """Expect that nothing has arrived up to now; use a fence first, to know that it would have."""
        self.transcript.act(f"{self.name}.expect_nothing_so_far()")
        self._take_what_is_there()
        if self._inbox or self._ended:
            raise Fault(
                f"{self.name} got something where nothing was due",
                expected=b"",
                received=self._inbox or f"the {self._ended} of the stream",
                why=why,
            )

    def fence(self, question: bytes, answer: bytes, why: str = "") -> None:
        """Prove that nothing was sent before: ask for an answer of one's own; it must be the next to come.

        Holds where the lines of one connection are carried out in order.
        """
        self.send(question)
        self.expect(answer, why)

    # What the kernel shows of the server's side

    def wait_eaten(self) -> None:
        """Wait until the server has read all that was sent."""
        self.transcript.act(f"{self.name}.wait_eaten()")
        self._wait_eaten()

    def _wait_eaten(self) -> None:
        self._wait_for(
            lambda connection: connection.unread == 0 and connection.accepted and self._unsent() == 0,
            f"the server does not read what {self.name} sends",
        )

    def wait_accepted(self) -> bool:
        """Wait until the server has accepted this connection; False if it ended it or itself instead."""
        self.transcript.act(f"{self.name}.wait_accepted()")
        self._wait_for(lambda connection: connection.accepted, f"the server does not accept {self.name}")
        return not self._ended

    def unread_by_server(self) -> int | None:
        """Return how many bytes lie unread on the server's side; None where that cannot be seen."""
        connection = self._server.connection(self.local)
        return None if connection is None else connection.unread

    def _wait_for(self, holds: Callable[[Connection], bool], otherwise: str) -> None:
        deadline, before = self._patience.deadline(), (0, 0)
        while True:
            connection = self._server.connection(self.local)
            if connection is None:
                self._await_more_shortly()
                return
            if holds(connection):
                return
            self._take_what_is_there()
            if self._ended:  # by the server: what it still owes is for the next expectation to tell
                return
            now = (connection.unread, self._unsent())
            if now != before:  # it reads: however slowly, it is not stuck
                deadline, before = self._patience.deadline(), now
            if deadline.remaining() <= 0:
                raise Fault(f"{otherwise}: {connection.unread} bytes lie there since {deadline.seconds:.0f} s")
            time.sleep(LOOK_AGAIN)  # polls the kernel's table: a read by another process is announced to nobody

    def _unsent(self) -> int:
        """Return how many bytes wait in our own socket, or are not acknowledged (tcp(7), SIOCOUTQ)."""
        if fcntl is None:
            return 0
        (count,) = struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4)))
        return int(count)

    def _await_more_shortly(self) -> None:
        """The connection cannot be seen: it is over, or this system does not show it."""
        if wait_ready(self.socket, read=True, timeout=SHORT_WAIT)[0]:
            self._receive()

    # The socket

    def _await_more(self, deadline: Deadline) -> bool:
        """Wait for bytes or for the end; False when the deadline has passed or the stream has ended."""
        while not self._ended:
            left = deadline.remaining()
            if wait_ready(self.socket, read=True, timeout=left)[0]:
                return self._receive() and left > 0
            if left <= 0:
                return False
        return False

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return True
        except OSError as error:
            self._see_reset(error.errno or 0)
            return False
        if not data:
            self._ended = "end"
            self.transcript.record(self.name, Kind.END_SEEN)
            return False
        self.transcript.record(self.name, Kind.RECEIVE, data)
        self._inbox += data
        return True

    def _see_reset(self, error: int) -> None:
        self._ended = "reset"
        self.transcript.record(self.name, Kind.RESET_SEEN, note=errno.errorcode.get(error, ""))

    def _take_what_is_there(self) -> None:
        while not self._ended and len(self._inbox) < FLOOD and wait_ready(self.socket, read=True, timeout=0)[0]:
            self._receive()

    def _writable(self, deadline: Deadline) -> bool:
        while not wait_ready(self.socket, write=True, timeout=deadline.remaining())[1]:
            if deadline.remaining() <= 0:
                return False
        return True

    def _writable_in_time(self) -> bool:
        """Wait until the socket takes more; as long as the server reads at all, however slowly, it has time."""
        deadline, before = self._patience.deadline(), self._unsent()
        while not wait_ready(self.socket, write=True, timeout=min(deadline.remaining(), 0.2))[1]:
            now = self._unsent()
            if now < before:
                deadline, before = self._patience.deadline(), now
            elif deadline.remaining() <= 0:
                return False
        return True

    def _lost(self, when: str, error: OSError) -> Fault:
        self._take_what_is_there()
        name = errno.errorcode.get(error.errno or 0, str(error))
        return Fault(
            f"the server ended the connection {when} ({name}); of the server: {self._server.describe_end()}",
            received=self._inbox,
        )

    def _disappointment(self, part: str, deadline: Deadline) -> str:
        """Say in one sentence why only a part came, or nothing."""
        got = part if self._inbox else "nothing"
        if self._ended:
            how = "reset" if self._ended == "reset" else "closed"
            return f"{self.name} got {got}, then the connection was {how}; of the server: {self._server.describe_end()}"
        return f"{self.name} got {got} within {deadline.seconds:.0f} s"


__all__ = ["PATIENCE", "SERVER", "Address", "Connection", "Peer", "Server"]
