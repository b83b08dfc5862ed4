"""What the system tells of another process's TCP sockets.

Linux: sock_diag(7) where the process shares our network namespace, else proc_pid_net(5); elsewhere: psutil,
which does not show what a program has not read.
"""

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from harness.launch import sockdiag
from harness.launch.processes import LINUX, figures_of

Address = tuple[str, int]
LISTEN = "0A"
SYN_SENT = "02"
OPEN = (1, 3, 8)  # ESTABLISHED, SYN_RECV, CLOSE_WAIT: without an owner, such a connection waits to be accepted


@dataclass(frozen=True)
class Connection:
    """The server's side of one connection."""

    unread: int  # bytes that arrived and that the program has not read
    accepted: bool  # whether the program has accepted it (and perhaps closed it since)
    unsent: int = field(default=0, compare=False)  # bytes that the program has sent and that have not arrived
    received: int | None = field(default=None, compare=False)  # bytes that have arrived so far, where that is shown
    ended: bool = field(default=False, compare=False)  # whether the program has closed it, or its sending side


def listening_of(user: int, pid: int, channel: socket.socket | None = None) -> set[Address]:
    """Return the addresses on which a user listens in the network of a process; a `channel` asks about it.

    Unlike listening() this needs no look at the user's processes, which not even root may always have (ptrace(2)).
    """
    return {address for address, _, owner in _listeners(pid, channel) if owner == user}


def listening(pids: Iterable[int], channel: socket.socket | None = None) -> set[Address]:
    """Return the addresses on which any of the processes listens; a `channel` asks about their network."""
    if not LINUX:
        return _listening_by_psutil(pids)
    found: set[Address] = set()
    for pid in pids:
        if inodes := set(_socket_inodes(pid)):
            found |= {address for address, inode, _ in _listeners(pid, channel) if inode in inodes}
    return found


def connection(pid: int, server: Address, client: Address, channel: socket.socket | None = None) -> Connection | None:
    """Return the server's side of a connection; None if there is none, or no way to know.

    `pid` is any process in the network namespace of the server, which a `channel` asks about where it is not ours.
    """
    if not LINUX:
        return None
    if _netlink(pid, channel):
        entry = sockdiag.connection(server, client, channel)
        if entry is None:
            return None
        ended = entry.state not in OPEN
        return Connection(entry.unread, entry.inode != 0 or ended, entry.unsent, entry.received, ended)
    wanted = {(_hex(server, mapped), _hex(client, mapped)) for mapped in (False, True)}
    for fields in _table(pid):
        if (fields[1], fields[2]) in wanted:
            ended = int(fields[3], 16) not in OPEN
            unsent, _, unread = fields[4].partition(":")
            return Connection(int(unread, 16), fields[9] != "0" or ended, int(unsent, 16), None, ended)
    return None


def is_connecting(server: Address, pid: int) -> bool:
    """Whether anybody's SYN to a server of the network namespace of a process waits for its answer (Linux)."""
    if not LINUX:
        return False
    wanted = _hex(server, False)
    return any(fields[2] == wanted and fields[3] == SYN_SENT for fields in _table(pid))


def holder(port: int) -> str | None:
    """Return who listens on a port of this machine, as `COMMAND (process PID)`, None if nobody does."""
    import psutil

    with suppress(psutil.Error):  # macOS shows the sockets of others to root alone
        for entry in psutil.net_connections(kind="tcp"):
            if entry.status == psutil.CONN_LISTEN and entry.laddr and entry.laddr.port == port:
                if entry.pid is None:
                    return "a process of another user"
                return f"{' '.join(psutil.Process(entry.pid).cmdline())} (process {entry.pid})"
    return None


def _listeners(pid: int, channel: socket.socket | None) -> Iterator[tuple[Address, str, int]]:
    """Yield each listening socket in the network namespace of a process, with its inode and its user."""
    if _netlink(pid, channel):
        for entry in sockdiag.listeners(channel):
            yield (entry.host, entry.port), str(entry.inode), entry.user
        return
    for fields in _table(pid):
        if fields[3] == LISTEN:
            yield _address(fields[1]), fields[9], int(fields[7])


@cache
def _can_ask() -> bool:
    return sockdiag.can_ask()


def _netlink(pid: int, channel: socket.socket | None) -> bool:
    return _can_ask() and (channel is not None or sockdiag.sees(pid))


def _table(pid: int) -> Iterator[list[str]]:
    """Yield the fields of each TCP socket in the network namespace of a process."""
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"{figures_of(pid)}/net/{name}").read_text().splitlines()[1:]:
                yield line.split()


def _socket_inodes(pid: int) -> Iterator[str]:
    with suppress(OSError):
        folder = f"{figures_of(pid)}/fd"
        for descriptor in os.listdir(folder):
            with suppress(OSError):
                target = os.readlink(f"{folder}/{descriptor}")
                if target.startswith("socket:["):
                    yield target[8:-1]


def _address(field: str) -> Address:
    host, port = field.split(":")
    words = bytes.fromhex(host)
    raw = b"".join(struct.pack(">I", word) for word in struct.unpack(f"={len(words) // 4}I", words))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw), int(port, 16)


def _hex(address: Address, mapped: bool) -> str:
    """Write an IPv4 address as the table does: host byte order, or mapped into IPv6."""
    (word,) = struct.unpack("=I", socket.inet_aton(address[0]))
    prefix = "0000000000000000FFFF0000" if mapped else ""
    return f"{prefix}{word:08X}:{address[1]:04X}"


def _listening_by_psutil(pids: Iterable[int]) -> set[Address]:
    import psutil

    found: set[Address] = set()
    for pid in pids:
        with suppress(psutil.Error):
            for entry in psutil.Process(pid).net_connections(kind="tcp"):
                if entry.status == psutil.CONN_LISTEN and entry.laddr:
                    found.add((entry.laddr.ip, entry.laddr.port))
    return found
