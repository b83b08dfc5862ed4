"""Lab 5: an echo server that serves all its clients in one thread, with select() and without ever blocking.

Run it:  python3 lab05_select_echo.py [--host HOST] [--port PORT]
"""

import contextlib
import select
import socket

from lab01_blocking_echo import run


class SelectServer:
    """One thread that waits for all clients at once, and for none of them alone.

    What is done for a client is said by the methods at the end; here they do nothing.
    """

    at_a_time = 65536  # bytes of one client that are received before it is another's turn
    timeout: float | None = None  # seconds after which a turn ends though nothing has happened
    watchable: float = 1024  # select() can only watch descriptors below this one (select(2), FD_SETSIZE)

    def __init__(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self.listener = listener
        self.readers = {listener}  # where something may come from
        self.unsent: dict[socket.socket, bytearray] = {}  # what the kernel did not take yet, for slow readers
        self.ended: set[socket.socket] = set()  # who is let go of as soon as nothing is unsent any more

    def serve(self) -> None:
        """Wait until something can be done, do it, and so on for ever."""
        while True:
            # TODO 5.1: let select() wait until one of the readers can be read, or one of those
            #   with something unsent can be written. flush() the latter; accept() for the
            #   listener; read() the others.
            raise NotImplementedError("step 5.1")
            self.end_turn()

    def accept(self) -> None:
        """Take in a new client."""
        # TODO 5.6: when there is no descriptor for one more client, let new ones wait in the
        #   accept queue: take the listener out of the readers (lose() puts it back). Who has
        #   gone again is no client.
        connection, _ = self.listener.accept()
        # TODO 5.6: refuse() and close a connection that select() could not watch (`watchable`).
        with contextlib.suppress(OSError):  # where it is gone already, macOS has no options any more
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # let no send wait for an ACK (tcp(7))
        # TODO 5.1: no call on this socket may block; and from now on, it is one of the readers.
        raise NotImplementedError("step 5.1")
        self.opened(connection)

    def read(self, connection: socket.socket) -> None:
        """Receive what a client has sent, or that it has ended its stream."""
        # TODO 5.3: a client that has reset its connection is lost; one that has nothing after
        #   all is not.
        data = connection.recv(self.at_a_time)
        # TODO 5.2: data is received(); b"" is the end() of the client's stream.
        raise NotImplementedError("step 5.2")

    def send(self, connection: socket.socket, data: bytes) -> int:
        """Send what can be sent at once and keep the rest; return how many bytes are kept."""
        # TODO 5.4: if something is unsent, `data` comes behind it. If not, offer() it; what is
        #   not taken is the beginning of what is unsent.
        connection.send(data)  # and if the kernel takes only a part?
        return 0

    def flush(self, connection: socket.socket) -> None:
        """Send more of what was kept."""
        # TODO 5.4: offer() what is unsent, and remove what was taken; when that was all, forget
        #   the rest, and say that the client has drained() it.
        raise NotImplementedError("step 5.4")

    def offer(self, connection: socket.socket, data: bytes | bytearray) -> int:
        """Return how many bytes the kernel takes now: none, some, or all; a client that has gone takes all."""
        # TODO 5.4: send(); it raises BlockingIOError when it takes none, and another OSError
        #   when the client is lost.
        raise NotImplementedError("step 5.4")

    def end(self, connection: socket.socket) -> None:
        """Read no more from a client, and let go of it when it has got all that is due to it."""
        self.readers.discard(connection)
        self.ended.add(connection)

    def lose(self, connection: socket.socket) -> None:
        """Let go of a client now; it may be gone already."""
        self.readers.discard(connection)
        self.ended.discard(connection)
        self.unsent.pop(connection, None)
        connection.close()
        self.readers.add(self.listener)  # if it rested: there is a free descriptor again

    def end_turn(self) -> None:
        """Let go of those who have ended, and who have got everything."""
        for connection in self.ended - self.unsent.keys():
            self.lose(connection)

    def opened(self, connection: socket.socket) -> None:
        """A client has come."""

    def refuse(self, connection: socket.socket) -> None:
        """A client has come for whom there is no room; its connection is about to be closed."""

    def received(self, connection: socket.socket, data: bytes) -> None:
        """A client has sent this."""

    def drained(self, connection: socket.socket) -> None:
        """A slow reader has got everything that was kept for it."""


class EchoServer(SelectServer):
    """Every client gets back what it sends."""

    def received(self, connection: socket.socket, data: bytes) -> None:
        """Send it back."""
        # TODO 5.5: a client for whom something is kept does not read. Do not read from it
        #   either: it is no reader until it has drained() what there is.
        self.send(connection, data)

    def drained(self, connection: socket.socket) -> None:
        """It reads again: so do we."""
        # TODO 5.5: the counterpart.


if __name__ == "__main__":
    run(lambda listener: EchoServer(listener).serve())
