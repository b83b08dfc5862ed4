"""The kernel's own answer about TCP sockets, by netlink: sock_diag(7), inet_diag.h (Linux).

/proc/net/tcp says the same, but has to be written and read whole; on a machine with thousands of sockets in
TIME_WAIT that takes milliseconds, and this 20 microseconds.
"""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from harness.launch.processes import LINUX, figures_of

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
REQUEST, DUMP = 0x1, 0x300
ERROR, DONE = 2, 3
LISTEN = 10  # of enum tcp_state
ALL_STATES = 0xFFFFFFFF
HEADER = struct.Struct("=IHHII")
MESSAGE = 72  # bytes of a struct inet_diag_msg
TCP_INFO = 1 << 1  # asks for the attribute INET_DIAG_INFO, which is number 2
BYTES_RECEIVED = (
    128  # where tcpi_bytes_received stands in a struct tcp_info (RFC 4898, tcpEStatsAppHCThruOctetsReceived)
)
NO_COOKIE = b"\xff" * 8

Address = tuple[str, int]


@dataclass(frozen=True)
class Entry:
    """One TCP socket: `unread` bytes wait in its receive queue, `unsent` ones in its send queue (or on their way).

    An `inode` of 0 belongs to no process. Of a connection, `received` bytes have arrived so far (and the end of the
    stream, which counts as one); None where the kernel was not asked, or does not tell.

    `state` counts as enum tcp_state does: 1 is ESTABLISHED, 8 CLOSE_WAIT, 10 LISTEN.
    """

    host: str
    port: int
    unread: int
    unsent: int
    inode: int
    state: int
    received: int | None = None
    user: int = 0  # who made it


def connection(server: Address, client: Address, channel: socket.socket | None = None) -> Entry | None:
    """Return the server's side of an IPv4 connection, be the server's socket of IPv4 or of IPv6.

    A `channel` of another network namespace asks about that one.
    """
    for family, width in ((socket.AF_INET, 4), (socket.AF_INET6, 16)):
        ends = struct.pack(">HH", server[1], client[1]) + _packed(server[0], width) + _packed(client[0], width)
        for entry in _ask(family, ALL_STATES, REQUEST, ends, channel, extensions=TCP_INFO):
            if entry.state != LISTEN:  # the kernel's answer where there is no such connection (any more)
                return entry
    return None


def listeners(channel: socket.socket | None = None) -> list[Entry]:
    """Return every listening socket of this network namespace, or of that of the `channel`."""
    everything = struct.pack(">HH", 0, 0) + bytes(32)
    families = (socket.AF_INET, socket.AF_INET6)
    return [entry for family in families for entry in _ask(family, 1 << LISTEN, REQUEST | DUMP, everything, channel)]


def can_ask() -> bool:
    """Whether this system answers (some sandboxes do not)."""
    if not LINUX:
        return False
    try:
        listeners()
    except OSError:
        return False
    return True


def sees(pid: int) -> bool:
    """Whether a process lives in the network namespace that this process asks about."""
    try:
        return os.readlink(f"{figures_of(pid)}/ns/net") == os.readlink("/proc/self/ns/net")
    except OSError:
        return False


_local = threading.local()


def _own_channel() -> socket.socket:
    channel: socket.socket | None = getattr(_local, "channel", None)
    if channel is None:
        channel = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
        _local.channel = channel
    return channel


def _ask(
    family: int, states: int, flags: int, ends: bytes, channel: socket.socket | None = None, extensions: int = 0
) -> Iterator[Entry]:
    """Yield the sockets that the kernel names; `ends` is ports and addresses as inet_diag_sockid begins."""
    channel = channel or _own_channel()
    ident = ends[:4] + _padded(ends[4:])
    body = (
        struct.pack("=BBBBI", family, socket.IPPROTO_TCP, extensions, 0, states)
        + ident
        + struct.pack("=I", 0)
        + NO_COOKIE
    )
    channel.send(HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, flags, 0, 0) + body)
    more = True
    while more:
        data = channel.recv(1 << 17)
        more = bool(flags & DUMP)
        while len(data) >= HEADER.size:
            length, kind, _, _, _ = HEADER.unpack_from(data)
            if kind == ERROR and flags & DUMP:
                (number,) = struct.unpack_from("=i", data, HEADER.size)
                raise OSError(-number, os.strerror(-number))
            if kind in (DONE, ERROR):
                more = False
            else:
                yield _entry(data[HEADER.size : length])
            data = data[(length + 3) & ~3 :]


def _padded(addresses: bytes) -> bytes:
    """Put two addresses of 4 or 16 bytes into the 16 bytes that each has in the request."""
    half = len(addresses) // 2
    return addresses[:half].ljust(16, b"\0") + addresses[half:].ljust(16, b"\0")


def _packed(host: str, width: int) -> bytes:
    raw = socket.inet_aton(host)
    return raw if width == 4 else b"\0" * 10 + b"\xff\xff" + raw


def _entry(message: bytes) -> Entry:
    """Read a struct inet_diag_msg."""
    family = message[0]
    (port,) = struct.unpack_from(">H", message, 4)
    width = 4 if family == socket.AF_INET else 16
    host = socket.inet_ntop(family, message[8 : 8 + width])
    _expires, unread, unsent, user, inode = struct.unpack_from("=IIIII", message, 52)
    return Entry(host, port, unread, unsent, inode, message[1], _received(message[MESSAGE:]), user)


def _received(attributes: bytes) -> int | None:
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("=HH", attributes)
        if kind == 2 and length >= 4 + BYTES_RECEIVED + 8:
            (received,) = struct.unpack_from("=Q", attributes, 4 + BYTES_RECEIVED)
            return int(received)
        attributes = attributes[(length + 3) & ~3 or 4 :]
    return None
