"""One TCP connection to the program under test: bytes, deadlines, and what the kernel shows of the other side."""

import errno
import random
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from harness.wire.deadline import Deadline, Patience
from harness.wire.ready import wait_ready
from harness.wire.transcript import Fault, Kind, Transcript

Address = tuple[str, int]
CONNECT_PATIENCE = 5.0  # seconds: a SYN that finds the accept queue full is sent again after 1 s, then 3 s
SHORT_WAIT = 0.02  # seconds: where the system does not show what the server has read
SEGMENT = 1400  # bytes, as on an Ethernet: the loopback's 64 KiB earn a server a send buffer of megabytes
FLOOD = 8 << 20  # bytes that nobody asked for, after which a client takes no more
LOOK_AGAIN = 0.0002  # seconds between two looks at the kernel's table


def keep_buffers_small(sock: socket.socket, receive_buffer: int) -> None:
    """Prepare a socket that is not connected yet: little shall fit between what its peer sends and what it reads.

    Its own receive buffer is small, and with small segments so is the send buffer that the peer gets.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    with suppress(OSError, AttributeError):  # some systems do not let a program say this
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)


def address_like(host: str) -> str:
    """Return an address that reaches the same machine and that nobody else uses, where there is one.

    For two addresses between which much has gone already, Linux gives a new connection large buffers at once
    (ip-tcp_metrics(8)). There, all of 127.0.0.0/8 is the loopback.
    """
    if sys.platform != "linux" or not host.startswith("127."):
        return host
    return ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])


class Connection(Protocol):
    """The server's side of a connection, as the kernel shows it."""

    @property
    def unread(self) -> int:
        """Bytes that have arrived and that the server has not read."""

    @property
    def accepted(self) -> bool:
        """Whether the server has accepted it."""

    @property
    def unsent(self) -> int:
        """Bytes that the server has sent and that have not arrived."""

    @property
    def received(self) -> int | None:
        """Bytes that have arrived so far, read or not; None where the system does not tell."""


class Server(Protocol):
    """What a client needs to know of the program that it talks to."""

    @property
    def address(self) -> Address:
        """Where it listens."""

    def new_socket(self) -> socket.socket:
        """Return a TCP socket of the network in which it lives."""

    def connection(self, client: Address) -> Connection | None:
        """Return its side of the connection from `client`, None where that cannot be seen."""

    def is_running(self) -> bool:
        """Whether it is still there."""

    def describe_end(self) -> str:
        """Say whether and how it has ended."""


class Link:
    """The socket of a client, what has come in on it, and how the stream ended."""

    def __init__(
        self,
        name: str,
        server: Server,
        transcript: Transcript,
        patience: Patience,
        receive_buffer: int | None,
        accepted: socket.socket | None = None,
    ) -> None:
        """Connect, unless a socket is given that was `accepted`; raise Fault if that cannot be done in time."""
        self.name = name
        self.server = server
        self.other = "the client" if accepted else "the server"
        self.inbox = b""
        self._sent = 0  # bytes that the kernel took
        self.ended = ""  # "" while the stream goes on, then "end" or "reset"
        self._transcript = transcript
        self._patience = patience
        self.socket = accepted or server.new_socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer and accepted is None:
            keep_buffers_small(self.socket, receive_buffer)
            self.socket.bind((address_like(server.address[0]), 0))
        self.socket.setblocking(False)
        try:
            if accepted is None:
                self._connect()
        except Fault:
            self.socket.close()
            raise
        self.local: Address = self.socket.getsockname()

    def _connect(self) -> None:
        deadline = self._patience.deadline(CONNECT_PATIENCE)
        error = self.socket.connect_ex(self.server.address)
        if error in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            if not self._is_connected_by(deadline):
                raise Fault(
                    f"{self.name} could not connect within {deadline.seconds:.0f} s",
                    why="The accept queue is full (listen()'s backlog), or nobody accepts.",
                )
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error == errno.ECONNRESET:  # it was accepted (else it would be refused), and reset before we looked
            self._transcript.record(self.name, Kind.CONNECT)
            self._see_reset(error)
            return
        if error:
            self._transcript.record(self.name, Kind.REFUSED, note=errno.errorcode.get(error, str(error)))
            raise Fault(
                f"{self.name} could not connect: {errno.errorcode.get(error, error)}; "
                f"of the server: {self.server.describe_end()}",
                why="Nobody listens there any more." if error == errno.ECONNREFUSED else "",
            )
        self._transcript.record(self.name, Kind.CONNECT)

    def _is_connected_by(self, deadline: Deadline) -> bool:
        while not wait_ready(self.socket, write=True, timeout=deadline.remaining())[1]:
            if deadline.remaining() <= 0:
                return False
        return True

    def send(self, data: memoryview) -> int:
        """Hand over what the socket takes at once; return how much that is. Raises BlockingIOError, or Fault."""
        try:
            taken = self.socket.send(data)
            self._sent += taken
            return taken
        except BlockingIOError:
            raise
        except OSError as error:
            raise self.lost(f"while {self.name} was sending", error) from None

    def wait_writable(self) -> bool:
        """Wait until the socket takes more; as long as the server reads at all, however slowly, it has time."""
        deadline, before = self._patience.deadline(), self._unsent()
        while not wait_ready(self.socket, write=True, timeout=min(deadline.remaining(), 0.2))[1]:
            now = self._unsent()
            if now < before:
                deadline, before = self._patience.deadline(), now
            elif deadline.remaining() <= 0:
                return False
        return True

    def await_more(self, deadline: Deadline) -> bool:
        """Wait for bytes or for the end; False when the deadline has passed or the stream has ended."""
        while not self.ended:
            left = deadline.remaining()
            self._acknowledge()
            if wait_ready(self.socket, read=True, timeout=left)[0]:
                return self.receive() and left > 0
            if left <= 0:
                return False
        return False

    def _acknowledge(self) -> None:
        """Tell the other side at once what has come (tcp(7), TCP_QUICKACK).

        Without TCP_NODELAY it sends no second small segment before, and a kernel may take 40 ms to say so (RFC 896,
        RFC 1122, 4.2.3.2).
        """
        if hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):  # the connection is over: that shows itself
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def receive(self, most: int = 1 << 20) -> bool:
        """Take what has come, at most so many bytes; False at the end of the stream."""
        try:
            data = self.socket.recv(most)
        except BlockingIOError:
            return True
        except OSError as error:
            self._see_reset(error.errno or 0)
            return False
        if not data:
            self.ended = "end"
            self._transcript.record(self.name, Kind.END_SEEN)
            return False
        self._transcript.record(self.name, Kind.RECEIVE, data)
        self.inbox += data
        return True

    def _see_reset(self, error: int) -> None:
        self.ended = "reset"
        self._transcript.record(self.name, Kind.RESET_SEEN, note=errno.errorcode.get(error, ""))

    def take_what_is_there(self) -> None:
        """Take what has come up to now, without waiting."""
        while not self.ended and len(self.inbox) < FLOOD and wait_ready(self.socket, read=True, timeout=0)[0]:
            self.receive()

    def wait_eaten(self) -> None:
        """Wait until the server has read all that was sent."""
        self._wait_for(self._is_eaten, f"{self.other} does not read what {self.name} sends")

    def _is_eaten(self, connection: Connection) -> bool:
        if connection.received is None:
            return connection.unread == 0 and connection.accepted and self._unsent() == 0
        if connection.received < self._sent or connection.unread or not connection.accepted:
            return False
        again = self.server.connection(self.local)  # the last byte may have come in the middle of the first look
        return again is None or again.unread == 0

    def wait_stuck(self, window: float) -> None:
        """Wait until the server has read nothing for `window` seconds, or has read all that was sent."""
        unread, since = -1, time.monotonic()
        while (connection := self.server.connection(self.local)) and time.monotonic() < since + window:
            if self._is_eaten(connection):
                return
            if connection.unread != unread:
                unread, since = connection.unread, time.monotonic()
            time.sleep(window / 20)  # polls the kernel's table: that nobody reads is announced by nothing

    def unread_by_other(self) -> int:
        """Return how many bytes have arrived and were not read by the server; 0 where that is not shown."""
        connection = self.server.connection(self.local)
        return connection.unread if connection else 0

    def wait_accepted(self) -> None:
        """Wait until the server has accepted this connection, or has ended it."""
        self._wait_for(lambda connection: connection.accepted, f"the server does not accept {self.name}")

    def _wait_for(self, holds: Callable[[Connection], bool], otherwise: str) -> None:
        deadline, before = self._patience.deadline(), (0, 0)
        while True:
            connection = self.server.connection(self.local)
            if connection is None:  # it is over, or this system does not show it
                if wait_ready(self.socket, read=True, timeout=SHORT_WAIT)[0]:
                    self.receive()
                return
            if holds(connection):
                return
            self.take_what_is_there()
            if self.ended:  # by the server: what it still owes is for the next expectation to tell
                return
            now = (connection.unread, self._unsent())
            if now != before:  # it reads: however slowly, it is not stuck
                deadline, before = self._patience.deadline(), now
            if deadline.remaining() <= 0:
                raise Fault(f"{otherwise}: {connection.unread} bytes lie there since {deadline.seconds:.0f} s")
            time.sleep(LOOK_AGAIN)  # polls the kernel's table: a read by another process is announced to nobody

    def _unsent(self) -> int:
        """Return how many bytes wait in our own socket, or are not acknowledged (tcp(7), SIOCOUTQ)."""
        return self._count(termios.TIOCOUTQ) if fcntl else 0

    def unread(self) -> int:
        """Return how many bytes have come that nobody has received (tcp(7), SIOCINQ); 0 where that cannot be seen."""
        return self._count(termios.FIONREAD) if fcntl else 0

    def _count(self, what: int) -> int:
        (count,) = struct.unpack("i", fcntl.ioctl(self.socket, what, bytes(4)))
        return int(count)

    def in_kernels(self) -> int | None:
        """Return how many bytes, of both directions, wait in the kernels' four queues; None where that is not shown."""
        connection = self.server.connection(self.local)
        if connection is None or fcntl is None:
            return None
        return self._unsent() + connection.unread + connection.unsent + self.unread()

    def lost(self, when: str, error: OSError) -> Fault:
        """Return the Fault that a failed call on the socket means."""
        self.take_what_is_there()
        name = errno.errorcode.get(error.errno or 0, str(error))
        return Fault(
            f"{self.other} ended the connection {when} ({name}); of {self.other}: {self.server.describe_end()}",
            received=self.inbox,
        )
