"""Limits of descriptors: how many the server may have, and clients that say nothing, more than it can take."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from harness.checks.subject import Subject
from harness.checks.verdict import LINUX_ONLY, Blocked
from harness.launch.descriptors import TooFew, can_limit, own_descriptors
from harness.wire import Fault, Peer
from harness.wire.transcript import SERVER, Kind

AT_ONCE = 50  # connections, which every accept queue has room for (C7 asks for 100)
OTHERS = 300  # descriptors that the harness may need for everything else


def limit_descriptors(server: Subject, spare: int) -> None:
    """Let the server open so many descriptors more than it has now, and no others."""
    server.transcript.act(f"server.limit_descriptors({spare})")
    allow(server, server.program.figures().descriptors + spare)
    server.transcript.record(SERVER, Kind.ACT, note=f"may have {spare} descriptors more (RLIMIT_NOFILE)")


def allow(server: Subject, number: int) -> None:
    """Let each process of the server have so many descriptors; raises Blocked."""
    if not can_limit():
        raise Blocked(LINUX_ONLY)
    try:
        server.program.allow_descriptors(number)
    except TooFew as error:
        raise Blocked(str(error)) from None


@contextmanager
def crowd(server: Subject, number: int, *, raising_limits: bool = False) -> Iterator[None]:
    """Connect `number` clients that say nothing, and let go of them at the end of the block.

    No more of them come once the server leaves some waiting. With `raising_limits`, it has descriptors for all of them.
    """
    server.transcript.act(f"with crowd({number}, {raising_limits}):")
    with ExitStack() as stack:
        if raising_limits:
            allow(server, number + OTHERS)
            try:
                stack.enter_context(own_descriptors(number + OTHERS))
            except TooFew as error:
                raise Blocked(str(error)) from None
        came = 0
        for start in range(0, number, AT_ONCE):
            for _ in range(start, min(number, start + AT_ONCE)):
                sock = stack.enter_context(server.new_socket())
                sock.setblocking(False)
                sock.connect_ex(server.address)
                came += 1
            if not _has_taken(server, sock):
                break
        server.transcript.record(SERVER, Kind.ACT, note=f"gets {came} clients that say nothing")
        with server.transcript.indented():
            yield
    server.transcript.record(SERVER, Kind.ACT, note="has lost them again")


def _has_taken(server: Subject, sock: socket.socket) -> bool:
    """Whether the server accepts a connection, once it has come to rest."""
    for _ in range(2):
        connection = server.connection(sock.getsockname())
        if connection is None or connection.accepted:
            return server.is_running()
        server.program.wait_settled(server.patience.deadline().seconds)
    return False


def greet_unless_refused(server: Subject, peer: Peer, why: str) -> None:
    """Let a client do the smallest exchange, unless the server has closed its connection."""
    server.transcript.act(f"with refusal_allowed({peer.name}):")
    try:
        with server.transcript.indented():
            server.greet(peer, why)
    except Fault:
        if not peer.is_over():
            raise
