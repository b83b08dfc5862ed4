"""Real sockets to look at, all in this process: pairs of them, and what the kernel tells of each."""

import errno
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.launch import sockdiag

Address = tuple[str, int]
HOST = "127.0.0.1"
UNREAD, UNSENT = 0x541B, 0x5411  # the ioctls SIOCINQ and SIOCOUTQ of tcp(7) and unix(7)
STATES = (
    *("", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSED", "CLOSE_WAIT"),
    *("LAST_ACK", "LISTEN", "CLOSING"),
)  # as enum tcp_state counts; what RFC 9293 calls them, with an underscore


@contextmanager
def listening(backlog: int = 16, host: str = HOST) -> Iterator[socket.socket]:
    """A socket that listens on a free port, until the end of the block."""
    with socket.create_server((host, 0), backlog=backlog) as listener:
        yield listener


@contextmanager
def connected(
    receive_buffer: int | None = None, send_buffer: int | None = None
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of one TCP connection over the loopback: who connected, and who accepted.

    The buffers (bytes) are those of the one who accepted and of the one who connected; without them, the kernel's own.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        if receive_buffer:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        door.bind((HOST, 0))
        door.listen(1)
        caller = socket.socket()
        if send_buffer:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        caller.connect(door.getsockname())
        called, _ = door.accept()
    with caller, called:
        yield caller, called


def state(own: Address, other: Address) -> str:
    """Return the state of one end of a connection, whether or not a program still has it (Linux: sock_diag(7))."""
    entry = sockdiag.connection(own, other)
    return STATES[entry.state] if entry else "CLOSED"


def until(holds: Callable[[], object], patience: float = 10.0) -> bool:
    """Wait until something holds that nobody announces; False if it does not in so many seconds."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0005)  # between two looks
    return True


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function; return what it returns, or the name of the error that it raises: "ECONNRESET", "timeout"."""
    try:
        return function(*args)
    except TimeoutError as error:
        return errno.errorcode.get(error.errno or 0, "timeout")
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)


def unread(sock: socket.socket) -> int:
    """Return how many bytes have arrived and were not read (Linux)."""
    return _ask(sock, UNREAD)


def unsent(sock: socket.socket) -> int:
    """Return how many bytes were handed to send() and are not acknowledged (Linux)."""
    return _ask(sock, UNSENT)


def _ask(sock: socket.socket, what: int) -> int:
    if sys.platform != "linux":
        raise OSError("only Linux tells how full a socket's queues are")
    import fcntl

    (number,) = struct.unpack("i", fcntl.ioctl(sock, what, bytes(4)))
    return int(number)
