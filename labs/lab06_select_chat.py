"""Lab 6: the full chat in one thread: the room of lab 4 on the loop of lab 5.

Run it:  python3 lab06_select_chat.py [--host HOST] [--port PORT]
"""

import contextlib
import socket
import time
from collections import deque

from lab01_blocking_echo import run
from lab05_select_echo import SelectServer
from room import ChatRoom, Client, as_line

MOST_UNSENT = 1 << 20  # bytes that are kept for a client that does not read
GOODBYE = 1.0  # seconds in which a client can read its last lines after /exit


class ChatServer(SelectServer):
    """One room, and one thread for everyone in it."""

    at_a_time = 8192

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener)
        self.room = ChatRoom()
        self.clients: dict[socket.socket, Client] = {}
        self.goodbyes: deque[tuple[float, socket.socket]] = deque()  # until when who may stay after /exit

    def opened(self, connection: socket.socket) -> None:
        """Show a new client into the room."""
        # TODO 6.1: make it a Client, remember it in `clients`, and let it enter() the room.
        raise NotImplementedError("step 6.1")

    def received(self, connection: socket.socket, data: bytes) -> None:
        """Bring to the room what a client has sent."""
        # TODO 6.1: let the room receive() it; if the client is `leaving` then, end() its
        #   connection.
        raise NotImplementedError("step 6.1")

    def end(self, connection: socket.socket) -> None:
        """A client sends no more: it leaves the room, and gets what is still due to it."""
        client = self.clients[connection]
        self.room.leave(client)
        # TODO 6.6: after /exit it need not stay until it has read everything: put the time,
        #   time.monotonic() + GOODBYE, and the connection into `goodbyes`.
        super().end(connection)

    def lose(self, connection: socket.socket) -> None:
        """A client is gone, or let go of; the room is told, once."""
        client = self.clients.pop(connection, None)
        if client is not None:
            self.room.leave(client)
        super().lose(connection)

    def end_turn(self) -> None:
        """Send everybody, in one piece, what this turn of the loop has brought."""
        while pieces := self.room.collect():  # once more: whoever is lost here is missed by the others
            for connection, piece in pieces:
                # TODO 6.6: lose() a client for whom more than MOST_UNSENT bytes are kept.
                self.send(connection, piece)
        self.part()
        super().end_turn()

    def part(self) -> None:
        """Let go of those who said /exit and still have not read it all; wake up for the next one."""
        self.timeout = None
        while self.goodbyes:
            self.timeout = self.goodbyes[0][0] - time.monotonic()
            if self.timeout > 0:
                break
            self.lose(self.goodbyes.popleft()[1])
            self.timeout = None

    def refuse(self, connection: socket.socket) -> None:
        """Tell a client for whom there is no room that this is so, if it can be told at once."""
        with contextlib.suppress(OSError):  # it may be gone already
            connection.send(as_line("ERROR", "server-full: come back later"))


if __name__ == "__main__":
    run(lambda listener: ChatServer(listener).serve())
