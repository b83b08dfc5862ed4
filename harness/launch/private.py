"""A network of its own for a program: nobody else is there, so that every port is free (Linux).

A namespace of network_namespaces(7) that holds a loopback interface and nothing else; for an ordinary user
inside a user namespace (user_namespaces(7)).
"""

import socket
import subprocess
import sys
from functools import cache

from harness.launch.processes import LINUX

# Runs in place of the program, and becomes it. Without a namespace it gives up (status 125) before anything starts.
ENTER = """
import ctypes, fcntl, os, socket, struct, sys
NEWUSER, NEWNET, SIOCSIFFLAGS, IFF_UP = 0x10000000, 0x40000000, 0x8914, 0x1
libc = ctypes.CDLL(None)
if libc.unshare(NEWNET) and libc.unshare(NEWUSER | NEWNET):
    sys.exit(125)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
if sys.argv[1:2] == ["--listen"]:
    with socket.socket(fileno=int(sys.argv[2])) as channel:
        with socket.create_server((sys.argv[3], int(sys.argv[4]))) as listener:
            socket.send_fds(channel, [b"."], [listener.fileno()])
    del sys.argv[1:5]
if sys.argv[1:]:
    os.execvp(sys.argv[1], sys.argv[1:])
"""


class PrivateListener:
    """A socket that listens in the network of its own of a program that is about to be started."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._ours, self._its = socket.socketpair()

    @property
    def descriptor(self) -> int:
        """What the program has to inherit until it is itself."""
        return self._its.fileno()

    def words(self) -> list[str]:
        """Return what asks for the socket, before the program's own words."""
        return ["--listen", str(self.descriptor), *map(str, self._address)]

    def receive(self) -> socket.socket:
        """Return the socket, once the program was started."""
        self._its.close()
        with self._ours:
            _, (descriptor,), _, _ = socket.recv_fds(self._ours, 1, 1)
        return socket.socket(fileno=descriptor)


def in_private_network(words: list[str], listener: PrivateListener | None = None) -> list[str]:
    """Return the command line that runs `words` in a network of its own, where we may listen."""
    return [sys.executable, "-I", "-S", "-c", ENTER, *(listener.words() if listener else []), *words]


@cache
def can_be_private() -> bool:
    """Whether this machine lets us make such a network; found out by making one."""
    return LINUX and subprocess.run(in_private_network([]), check=False, capture_output=True).returncode == 0
