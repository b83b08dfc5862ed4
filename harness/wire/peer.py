"""A named client on a real socket, with deadlines, that says what it expected when it is disappointed."""

import re
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress

from harness.wire.deadline import Deadline, Patience
from harness.wire.link import FLOOD, Address, Link, Server
from harness.wire.ready import wait_ready
from harness.wire.segments import cut
from harness.wire.transcript import Fault, Kind, Transcript

STUCK = 0.05  # seconds in which a socket takes no more bytes
STUCK_LIMIT = 16 << 20  # bytes
STUCK_FOR_GOOD = 0.5  # seconds in which a server reads nothing; the first probes of a closed window come after 0.2 s
READS_AGAIN = 1 << 20  # bytes of receive buffer of a slow reader that has become a fast one


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
        accepted: socket.socket | None = None,
    ) -> None:
        """Connect to the server; `receive_buffer` (bytes) makes a reader that lags, and the server's buffer small.

        With a socket that was `accepted` this is the other end: the program under test is the client.
        """
        self.name = name
        self.transcript = transcript
        self._patience = patience or Patience()
        options = f", receive_buffer={receive_buffer}" if receive_buffer else ""
        if accepted is None:
            transcript.act(f"{name} = connect({name!r}{options})")
        self._link = Link(name, server, transcript, self._patience, receive_buffer, accepted)
        self.stuck_at = 0  # how many bytes the last send_until_stuck() has sent

    @property
    def local(self) -> Address:
        """The client's own address, by which the server's side is found."""
        return self._link.local

    @property
    def socket(self) -> socket.socket:
        """The client's socket."""
        return self._link.socket

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
            self._link.wait_eaten()

    def send_slowly(self, data: bytes) -> None:
        """Send `data` byte by byte, each in a segment of its own."""
        self.send(data, chunks=[1] * len(data))

    def _send(self, data: bytes) -> None:
        self.transcript.record(self.name, Kind.SEND, data)
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._link.send(rest) :]
            except BlockingIOError:
                if not self._link.wait_writable():
                    raise Fault(
                        f"{self.name} could send only {len(data) - len(rest)} of {len(data)} bytes: "
                        f"{self._link.other} has stopped reading",
                        why=f"It waits for something else than {self.name}; whoever sends to it has to wait, too.",
                    ) from None

    def send_until_stuck(self, unit: bytes, limit: int = STUCK_LIMIT) -> None:
        """Send `unit` again and again without reading, until the server and both kernels take no more.

        A server may keep as much as it likes: `limit` bytes are enough in any case.
        """
        told = "" if limit == STUCK_LIMIT else f", {limit}"
        self.transcript.act(f"{self.name}.send_until_stuck({{}}{told})", unit)
        sent, rest = 0, memoryview(b"")
        while sent < limit and wait_ready(self._link.socket, write=True, timeout=STUCK)[1]:
            rest = rest or memoryview(unit)
            with suppress(BlockingIOError):
                taken = self._link.send(rest)
                sent, rest = sent + taken, rest[taken:]
        self.stuck_at = sent
        self.transcript.record(self.name, Kind.SEND, unit, note=f"again and again, {sent} bytes, without reading")

    def trickle_until_stuck(self, unit: bytes, limit: int) -> None:
        """Send `unit` again and again without reading, each when the server has read the one before; `limit` bytes.

        What the server sends back fills its queue little by little: there comes a moment at which the kernel would
        take the next piece, and select() says that it would not (tcp(7): writable is a queue with a third free).
        """
        self.transcript.act(f"{self.name}.trickle_until_stuck({{}}, {limit})", unit)
        sent = 0
        with suppress(BlockingIOError):
            while sent < limit and self._link.unread_by_other() == 0:
                sent += self._link.send(memoryview(unit))
                self._link.wait_stuck(STUCK)
        self.transcript.record(self.name, Kind.SEND, unit, note=f"piece by piece, {sent} bytes, without reading")

    def exchange(self, data: bytes, why: str = "") -> None:
        """Send `data` and read at the same time; expect exactly `data` back."""
        self.transcript.act(f"{self.name}.exchange({{}})", data)
        self.transcript.record(self.name, Kind.SEND, data)
        deadline = self._patience.deadline()
        rest = memoryview(data)
        while rest:
            readable, writable = wait_ready(self._link.socket, read=True, write=True, timeout=deadline.remaining())
            if not readable and not writable:
                break
            if writable:
                with suppress(BlockingIOError):
                    rest = rest[self._link.send(rest) :]
                    deadline = self._patience.deadline()
            if readable:
                before = len(self._link.inbox)
                if not self._link.receive() or self._link.inbox[before:] != data[before : len(self._link.inbox)]:
                    break
                deadline = self._patience.deadline()
        with self.transcript.muted():
            self.expect(data, why)

    def half_close(self) -> None:
        """End the sending side (FIN); go on reading."""
        self.transcript.act(f"{self.name}.half_close()")
        self.transcript.record(self.name, Kind.HALF_CLOSE)
        try:
            self._link.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._link.lost(f"before {self.name} ended its stream", error) from None

    def close(self) -> None:
        """Close the socket: a FIN, or a reset if there is something that was not read."""
        if self._link.socket.fileno() >= 0:
            self.transcript.act(f"{self.name}.close()")
            self.transcript.record(self.name, Kind.CLOSE)
            self._link.socket.close()

    def reset(self) -> None:
        """End the connection at once (RST), as a crashed or unplugged client would."""
        self.transcript.act(f"{self.name}.reset()")
        self.transcript.record(self.name, Kind.RESET)
        self._link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._link.socket.close()

    def drop(self) -> None:
        """Let go of the socket without a word in the transcript (the end of a check)."""
        self._link.socket.close()

    # What a client expects

    def expect(self, data: bytes, why: str = "") -> None:
        """Expect exactly `data` as the next bytes."""
        self.transcript.act(f"{self.name}.expect({{}})", data)
        deadline = self._patience.deadline()
        while len(self._link.inbox) < len(data) and data.startswith(self._link.inbox[: len(data)]):
            before = len(self._link.inbox)
            goes_on = self._link.await_more(deadline)
            if len(self._link.inbox) > before:
                deadline = self._patience.deadline()
            elif not goes_on:
                break
        if self._link.inbox.startswith(data):
            self._link.inbox = self._link.inbox[len(data) :]
            return
        if self._link.inbox and not data.startswith(self._link.inbox):
            what = f"{self.name} got other bytes than were due"
        else:
            what = self._disappointment(f"only {len(self._link.inbox)} of {len(data)} bytes", deadline)
        raise Fault(what, expected=data, received=self._link.inbox, why=why)

    def expect_slowly(self, data: bytes, why: str = "", *, piece: int = 4096, pause: float = 0.001) -> None:
        """Expect exactly `data`, read in pieces of so many bytes with a pause (seconds) before each."""
        self.transcript.act(f"{self.name}.expect_slowly({{}}, {piece}, {pause})", data)
        deadline = self._patience.deadline()
        with self.transcript.muted():
            while len(self._link.inbox) < len(data) and not self._link.ended and deadline.remaining():
                time.sleep(pause)  # what a slow reader does
                if wait_ready(self._link.socket, read=True, timeout=deadline.remaining())[0]:
                    self._link.receive(piece)
                    deadline = self._patience.deadline()
            self.expect(data, why)

    def expect_through(self, *words: bytes, why: str = "") -> None:
        """Expect a line that contains all these words, whatever lines come before it, which are taken, too."""
        self.transcript.act(f"{self.name}.expect_through({', '.join(map(repr, words))})")
        due = f"a line with {' and '.join(word.decode() for word in words)}"
        while not all(word in line for line in (self.take_line(due, why),) for word in words):
            pass

    def take_line(self, due: str, why: str = "") -> bytes:
        """Return the next line, without its LF; when none comes, `due` says what should have come."""
        deadline = self._patience.deadline()
        while b"\n" not in self._link.inbox and len(self._link.inbox) < FLOOD and self._link.await_more(deadline):
            pass
        if b"\n" not in self._link.inbox:
            what = self._disappointment(f"{len(self._link.inbox)} bytes without the end of a line (LF)", deadline)
            raise Fault(what, expected=due, received=self._link.inbox, why=why)
        line, _, self._link.inbox = self._link.inbox.partition(b"\n")
        return line

    def expect_all_back(self, unit: bytes, why: str = "") -> None:
        """Read at last, and expect exactly the bytes that send_until_stuck(unit) has sent."""
        self.transcript.act(f"{self.name}.expect_all_back({{}})", unit)
        with suppress(OSError):
            self._link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READS_AGAIN)
        deadline, place, twice = self._patience.deadline(), 0, unit + unit
        while place < self.stuck_at:
            goes_on = self._link.inbox or self._link.await_more(deadline)
            came, self._link.inbox = self._link.inbox, b""
            start = place % len(unit)
            length = min(len(came), self.stuck_at - place, len(unit))
            due = twice[start : start + length]
            if came[:length] != due:
                raise Fault(
                    f"{self.name} got other bytes than were due, behind the first {place}",
                    expected=due,
                    received=came,
                    why=why,
                )
            if came:
                place, self._link.inbox = place + length, came[length:]
                deadline = self._patience.deadline()
            elif not goes_on:
                what = self._disappointment("", deadline).replace(
                    "got nothing", f"got only {place} of {self.stuck_at} bytes"
                )
                raise Fault(what, why=why)

    def expect_connected(self, why: str = "") -> None:
        """Expect that the server has not ended this connection up to now, whatever it has sent."""
        self.transcript.act(f"{self.name}.expect_connected()")
        if self.is_over():
            raise Fault(
                f"{self.name}'s connection was ended; of the server: {self._link.server.describe_end()}", why=why
            )

    def is_over(self) -> bool:
        """Whether the other side has ended this connection."""
        self._link.take_what_is_there()
        return bool(self._link.ended)

    def lines_there(self) -> list[bytes]:
        """Return all whole lines that have arrived, without their LFs; do not wait for others."""
        self._link.take_what_is_there()
        *lines, self._link.inbox = self._link.inbox.split(b"\n")
        return lines

    def expect_line(self, regex: bytes, words: str, why: str = "") -> bytes:
        """Expect a line (ended by LF) that matches `regex` as a whole; `words` describes it; return it."""
        self.transcript.act(f"{self.name}.expect_line({regex!r}, {words!r})")
        line = self.take_line(words, why)
        if not re.fullmatch(regex, line, re.DOTALL):
            raise Fault(f"{self.name} got another line than was due", expected=words, received=line, why=why)
        return line

    def expect_end(self, why: str = "") -> None:
        """Expect the end of the stream (FIN), and nothing before it."""
        self.transcript.act(f"{self.name}.expect_end()")
        deadline = self._patience.deadline()
        while not self._link.ended and not self._link.inbox and self._link.await_more(deadline):
            pass
        if self._link.inbox:
            raise Fault(
                f"{self.name} got bytes where the connection should end",
                expected="the end of the stream",
                received=self._link.inbox,
                why=why,
            )
        if self._link.ended == "reset":
            raise Fault(f"{self.name}'s connection was reset, not closed", expected="FIN", received="RST", why=why)
        if not self._link.ended:
            raise Fault(
                f"{self._link.other} did not close {self.name}'s connection within {deadline.seconds:.0f} s",
                expected="the end of the stream",
                received="nothing",
                why=why,
            )

    def expect_no_more(self, why: str = "") -> None:
        """Expect that nothing comes any more until the connection ends; whether it does end is not asked here."""
        self.transcript.act(f"{self.name}.expect_no_more()")
        deadline = self._patience.deadline()
        while not self._link.inbox and self._link.await_more(deadline):
            pass
        if self._link.inbox:
            raise Fault(f"{self.name} got bytes that it did not send", expected=b"", received=self._link.inbox, why=why)

    def expect_gone(self, why: str = "") -> None:
        """Expect that the connection is over, by FIN or by RST, whatever was sent before."""
        self.transcript.act(f"{self.name}.expect_gone()")
        deadline = self._patience.deadline()
        taken = 0
        while not self._link.ended and taken < 4 * FLOOD and self._link.await_more(deadline):
            taken, self._link.inbox = taken + len(self._link.inbox), b""
        if not self._link.ended:
            after = f"{deadline.seconds:.0f} s" + (f" and {taken} bytes" if taken else "")
            raise Fault(f"{self.name}'s connection is still open after {after}", why=why)

    def expect_nothing_so_far(self, why: str = "") -> None:
        """Expect that nothing has arrived up to now; use a fence first, to know that it would have."""
        self.transcript.act(f"{self.name}.expect_nothing_so_far()")
        self._link.take_what_is_there()
        if self._link.inbox or self._link.ended:
            raise Fault(
                f"{self.name} got something where nothing was due",
                expected=b"",
                received=self._link.inbox or f"the {self._link.ended} of the stream",
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
        self._link.wait_eaten()

    def wait_stuck(self) -> None:
        """Wait until the server has read nothing for a while, or has read all that was sent.

        Linux makes a send queue larger, little by little, while its other end does not read.
        """
        self.transcript.act(f"{self.name}.wait_stuck()")
        self._link.wait_stuck(STUCK_FOR_GOOD)

    def wait_accepted(self) -> bool:
        """Wait until the server has accepted this connection; False if it ended it or itself instead."""
        self.transcript.act(f"{self.name}.wait_accepted()")
        self._link.wait_accepted()
        return not self._link.ended

    def not_looked_at(self) -> bytes:
        """Return what has come and was not read, 64 KiB at most; it stays where it is."""
        try:
            return self.socket.recv(65536, socket.MSG_PEEK)
        except OSError:  # nothing, or the connection is over
            return b""

    def arrived(self) -> int:
        """Return how many bytes have arrived that no expectation has taken yet."""
        return len(self._link.inbox) + self._link.unread()

    def take_all(self) -> bytes:
        """Read to the end of the stream, be it an end or a reset; return all that came."""
        deadline = self._patience.deadline()
        while not self._link.ended and self._link.await_more(deadline):
            deadline = self._patience.deadline()
        if not self._link.ended:
            raise Fault(f"{self.name}'s connection is still open after {deadline.seconds:.0f} s")
        taken, self._link.inbox = self._link.inbox, b""
        return taken

    def unread_by_server(self) -> int | None:
        """Return how many bytes lie unread on the server's side; None where that cannot be seen."""
        connection = self._link.server.connection(self.local)
        return None if connection is None else connection.unread

    def in_kernels(self) -> int | None:
        """Return how many bytes on their way here or there wait in a kernel; None where that cannot be seen.

        What has arrived and is not acknowledged yet counts twice.
        """
        return self._link.in_kernels()

    def _disappointment(self, part: str, deadline: Deadline) -> str:
        """Say in one sentence why only a part came, or nothing."""
        link = self._link
        got = part if link.inbox else "nothing"
        if link.ended:
            how = "reset" if link.ended == "reset" else "closed"
            return (
                f"{self.name} got {got}, then the connection was {how}; of {link.other}: {link.server.describe_end()}"
            )
        return f"{self.name} got {got} within {deadline.seconds:.0f} s"
