"""The server that the harness plays for a client under test: a socket that listens, on a port of its own."""

import socket
from collections.abc import Callable
from contextlib import suppress

from harness.wire.link import address_like, keep_buffers_small
from harness.wire.ready import wait_ready

LOOK = 0.02  # seconds between two looks at whether anybody is left who could connect


class Listener:
    """A listening socket for one client."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        receive_buffer: int | None = None,
        sock: socket.socket | None = None,
        new_socket: Callable[[], socket.socket] = socket.socket,
    ) -> None:
        """Listen; `receive_buffer` (bytes) is that of the connections, and makes the client's small;
        they are then made to an address of their own.

        A `sock` that listens already is taken over; others are of the network in which `new_socket` makes them.
        """
        self._filling: list[socket.socket] = []
        self._new_socket = new_socket
        if sock is None:
            sock = new_socket()
            if receive_buffer:
                keep_buffers_small(sock, receive_buffer)
                host = address_like(host)
            sock.bind((host, port))
            sock.listen(0)
        self._socket = sock
        self.host, self.port = sock.getsockname()

    def fill(self) -> None:
        """Keep everybody waiting from now on: with a full accept queue Linux answers no SYN (listen(2))."""
        while True:
            visitor = self._new_socket()
            visitor.setblocking(False)
            visitor.connect_ex((self.host, self.port))
            if not wait_ready(visitor, write=True, timeout=LOOK)[1]:
                visitor.close()
                return
            self._filling.append(visitor)

    def accept(self, remaining: Callable[[], float], goes_on: Callable[[], bool]) -> socket.socket | None:
        """Return the connection of the client; None if it does not come in time, or not at all any more."""
        while True:
            last = not goes_on() or remaining() <= 0
            if wait_ready(self._socket, read=True, timeout=0 if last else LOOK)[0]:
                return self._socket.accept()[0]
            if last:
                return None

    def close(self) -> None:
        """Listen no more."""
        for sock in (self._socket, *self._filling):
            with suppress(OSError):
                sock.close()
