"""A network of its own for a program: nobody else is there, so that every port is free (Linux).

A namespace of network_namespaces(7) that holds a loopback interface and nothing else; for an ordinary user
inside a user namespace (user_namespaces(7)).
"""

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
if sys.argv[1:]:
    os.execvp(sys.argv[1], sys.argv[1:])
"""


def in_private_network(words: list[str]) -> list[str]:
    """Return the command line that runs `words` in a network of its own."""
    return [sys.executable, "-I", "-S", "-c", ENTER, *words]


@cache
def can_be_private() -> bool:
    """Whether this machine lets us make such a network; found out by making one."""
    return LINUX and subprocess.run(in_private_network([]), check=False, capture_output=True).returncode == 0
