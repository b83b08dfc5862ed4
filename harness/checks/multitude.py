"""Thousands of nameless clients of a chat, who are served and say nothing; no thread and no Peer for each of them."""

import errno
import selectors
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from harness.checks.chat import parse
from harness.checks.crowd import OTHERS, allow
from harness.checks.subject import Subject
from harness.checks.verdict import LINUX_ONLY, Blocked, Hindered
from harness.launch.descriptors import OURSELVES, can_limit, most_descriptors, own_descriptors
from harness.wire import Fault
from harness.wire.deadline import Deadline
from harness.wire.transcript import SERVER, Kind

UNASKED = 50  # clients at most that wait for their first line: every accept queue has room for them (C7)
ALL_ASKED = 30.0  # seconds; ten thousand take 1 to 4
LEAST = 1100  # clients, without whom nobody has a descriptor far above 1,024
SHUT = struct.pack("ii", 1, 0)  # close() resets: thousands of ports shall not lie in TIME_WAIT afterwards
DUE = "[HH:MM:SS] [SERVER] ... username ..."
WHY = "It is one of many, and silent: that is no reason to serve it otherwise."


class Multitude:
    """Clients that were asked for a name, and gave none."""

    def __init__(self, server: Subject) -> None:
        self.server = server
        self.sockets: dict[socket.socket, int] = {}  # each with its number, from 1
        self._heard: dict[socket.socket, bytes] = {}  # the beginning of a line, of those who are being asked

    def come(self, number: int) -> None:
        """Connect so many clients, a few at a time; each must be asked for its name. Raises Fault, Hindered."""
        self.server.transcript.act(f"crowd.come({number})")
        self.server.transcript.record(SERVER, Kind.ACT, note=f"gets {number} clients that say nothing, a few at a time")
        patience = self.server.patience
        soon, whole = patience.deadline(), patience.deadline(ALL_ASKED)
        with selectors.DefaultSelector() as waiting:
            while len(self.sockets) < number or waiting.get_map():
                if not soon.remaining() or not whole.remaining():
                    raise self._late(number, waiting, whole if soon.remaining() else soon)
                for _ in range(min(UNASKED - len(waiting.get_map()), number - len(self.sockets))):
                    waiting.register(self._connect(), selectors.EVENT_READ)
                ready = waiting.select(soon.remaining())
                for key, _ in ready:
                    if self._is_asked(key.fileobj):  # type: ignore[arg-type]
                        waiting.unregister(key.fileobj)
                if ready:
                    soon = patience.deadline()

    def _late(self, number: int, waiting: selectors.BaseSelector, deadline: Deadline) -> Fault:
        asked = len(self.sockets) - len(waiting.get_map())
        return Fault(
            f"{asked} of {number} clients were asked for a name, and nobody else within {deadline.seconds:.0f} s; "
            f"of the server: {self.server.describe_end()}",
            expected=DUE,
            received=b"".join(self._heard.values()) or "nothing",
            why="However many are connected, the next one must not wait for long.",
        )

    def _connect(self) -> socket.socket:
        try:
            sock = self.server.new_socket()
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, SHUT)
            error = sock.connect_ex(self.server.address)
        except OSError as failure:
            raise Hindered(f"this machine has no socket for one more client ({failure}): end other programs") from None
        if error == errno.EADDRNOTAVAIL:
            raise Hindered("this machine has no port for one more client: try again in a minute (TIME_WAIT)")
        self.sockets[sock] = len(self.sockets) + 1
        return sock

    def _is_asked(self, sock: socket.socket) -> bool:
        """Take what has come for a client; return whether it has been asked for its name by now."""
        *lines, rest = (self._heard.pop(sock, b"") + self._receive(sock)).split(b"\n")
        for raw in lines:
            self._parse(sock, raw)
        if lines and not rest and b"username" in lines[-1]:
            return True
        self._heard[sock] = b"".join(line + b"\n" for line in lines[-1:]) + rest
        return False

    def _receive(self, sock: socket.socket) -> bytes:
        try:
            if data := sock.recv(4096):
                return data
            how = "ended"
        except BlockingIOError:
            return b""
        except OSError as error:
            how = f"lost ({errno.errorcode.get(error.errno or 0, error)})"
        raise Fault(
            f"{self._name(sock)} came, and its connection was {how}; of the server: {self.server.describe_end()}",
            expected=DUE,
            received=self._heard.get(sock, b"") or "nothing",
            why=WHY,
        )

    def _parse(self, sock: socket.socket, raw: bytes) -> str:
        line = parse(raw, self._name(sock))
        if line.source != "SERVER":
            raise Fault(f"{self._name(sock)} got another line than was due", expected=DUE, received=raw, why=WHY)
        return line.text

    def _name(self, sock: socket.socket) -> str:
        return f"client {self.sockets[sock]}"

    def expect_undisturbed(self) -> None:
        """Expect that all are still connected, and were told nothing more but to say a name."""
        self.server.transcript.act("crowd.expect_undisturbed()")
        for sock in self.sockets:
            for raw in self._receive(sock).splitlines():
                if "username" not in self._parse(sock, raw):
                    raise Fault(
                        f"{self._name(sock)} has no name yet, and was told something",
                        expected="nothing",
                        received=raw,
                        why="Who has not registered receives no chat and no notices.",
                    )

    def vanish(self) -> None:
        """Let all of them reset their connections."""
        self.server.transcript.act("crowd.vanish()")
        self.server.transcript.record(SERVER, Kind.ACT, note=f"loses {len(self.sockets)} clients (they all reset)")
        self.drop()

    def drop(self) -> None:
        """Let go of all of them without a word."""
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()


@contextmanager
def multitude(server: Subject, number: int) -> Iterator[Multitude]:
    """Bring `number` clients, or as many as this machine has descriptors for; at the end of the block they are gone.

    Raises Hindered where that are not even LEAST.
    """
    if not can_limit():
        raise Blocked(LINUX_ONLY)
    most = most_descriptors([OURSELVES, *server.program.members()])
    if most < LEAST + OTHERS:
        raise Hindered(
            f"a process may have {most} descriptors on this machine (ulimit -Hn), and this check needs "
            f"{LEAST + OTHERS}: raise the hard limit (limits.conf(5)), or leave the check out"
        )
    number = min(number, most - OTHERS)
    server.transcript.act(f"with multitude({number}) as crowd:")
    allow(server, number + OTHERS)
    crowd = Multitude(server)
    with own_descriptors(number + OTHERS), server.transcript.indented():
        try:
            crowd.come(number)
            server.transcript.record(SERVER, Kind.ACT, note="has asked each of them for a name")
            yield crowd
        finally:
            crowd.drop()
