"""A network of its own for a server and its clients, in which every packet is seen as it really is (Linux).

The kit's own Python makes the network, and opens what is needed in it while it still may: a socket that sees all
packets (packet(7)), and one for each client. It hands them over, and becomes the server. Nothing of that needs root
where users may have namespaces of their own (user_namespaces(7)).
"""

import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.launch import Command
from harness.launch.private import ENTER, can_be_private
from harness.wire.ready import wait_ready

TIMES = 35  # SO_TIMESTAMPNS of socket(7): each packet comes with its time
OUTGOING = 4  # PACKET_OUTGOING of packet(7): on a loopback, every packet is seen on its way out and in
SOL_PACKET, STATISTICS = 263, 6
LARGEST = 65535 + 14  # bytes
MOST = 256 << 20  # bytes that are kept
PATIENCE = 10.0  # seconds until the network is there
LOOK = 0.05  # seconds between two looks at whether there is more to come

# Runs in place of the server, and becomes it; ENTER makes the network, and becomes what sys.argv tells, if anything.
OPEN = """
import sys
path, number, *words = sys.argv[1:]
del sys.argv[1:]
"""
HAND_OVER = """
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
tap.bind(("lo", 0))
tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
try:
    tap.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
except OSError:
    pass
tap.setsockopt(socket.SOL_SOCKET, 35, 1)
clients = [socket.socket() for _ in range(int(number))]
with socket.socket(socket.AF_UNIX) as channel:
    channel.connect(path)
    socket.send_fds(channel, [b"."], [one.fileno() for one in (tap, *clients)])
os.execvp(words[0], words)
"""


class Tap:
    """The way into such a network: sockets for clients, and the packets that went there."""

    def __init__(self, folder: Path, clients: int) -> None:
        """Prepare one for so many clients, with a meeting point in a folder."""
        self._path, self._number = folder / "network", clients
        self._meeting = socket.socket(socket.AF_UNIX)
        self._meeting.bind(str(self._path))
        self._meeting.listen(1)
        self._clients: list[socket.socket] = []
        self._tap: socket.socket | None = None
        self._kept = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="tap", daemon=True)
        self.packets: list[tuple[int, bytes]] = []  # nanoseconds since 1970, an Ethernet frame
        self.dropped = 0

    def around(self, command: Command) -> Command:
        """Return the command that makes the network, and becomes a server in it."""
        words = (sys.executable, "-I", "-S", "-c", OPEN + ENTER + HAND_OVER, str(self._path), str(self._number))
        return Command((*words, *command.words), command.folder)

    def open(self) -> bool:
        """Take over the sockets, once the command was started; return whether that was possible."""
        if not wait_ready(self._meeting, read=True, timeout=PATIENCE)[0]:
            return False
        with self._meeting.accept()[0] as channel:
            _, descriptors, _, _ = socket.recv_fds(channel, 1, 1 + self._number)
        if len(descriptors) != 1 + self._number:
            return False
        self._tap, *self._clients = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        self._tap.setblocking(False)
        self._thread.start()
        return True

    def new_socket(self) -> socket.socket:
        """Return a TCP socket of the network."""
        return self._clients.pop()

    def finish(self) -> None:
        """Take what has come, and count what could not be taken."""
        self._over.set()
        if self._tap:
            self._thread.join()
            _, lost = struct.unpack("II", self._tap.getsockopt(SOL_PACKET, STATISTICS, 8))
            self.dropped += lost

    def close(self) -> None:
        """Close all that is left."""
        self.finish()
        for sock in (self._meeting, self._tap, *self._clients):
            if sock:
                sock.close()

    def _read(self) -> None:
        assert self._tap is not None
        while True:
            goes_on = not self._over.is_set()
            if wait_ready(self._tap, read=True, timeout=LOOK)[0]:
                self._take(self._tap)
            elif not goes_on:
                return

    def _take(self, tap: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                data, told, _, address = tap.recvmsg(LARGEST, socket.CMSG_SPACE(16))
                if address[2] == OUTGOING:
                    continue
                self._kept += len(data)
                if self._kept > MOST:
                    self.dropped += 1
                    continue
                seconds, nanoseconds = struct.unpack("qq", told[0][2])
                self.packets.append((seconds * 10**9 + nanoseconds, data))


@contextmanager
def tap(clients: int) -> Iterator[Tap]:
    """Prepare a network for a server and so many clients."""
    with TemporaryDirectory() as folder, closing(Tap(Path(folder), clients)) as made:
        yield made


def can_tap() -> bool:
    """Whether this machine lets us make such networks."""
    return hasattr(socket, "AF_PACKET") and can_be_private()
