"""Lab 4: a chat server with a thread for each client, and one lock for all that they share.

Run it:  python3 lab04_threaded_chat.py [--host HOST] [--port PORT]
"""

import contextlib
import functools
import socket
import threading
from collections.abc import Callable

from lab01_blocking_echo import run
from lab03_threaded_echo import serve
from room import ChatRoom, Client


class ThreadedChat:
    """One room, and a thread for everyone in it."""

    def __init__(self) -> None:
        self.room = ChatRoom()
        self.lock = threading.Lock()

    def attend(self, connection: socket.socket) -> None:
        """The work of one thread: bring to the room what its client sends, from the first byte to the last."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # let no send wait for an ACK (tcp(7))
        client = Client(connection)
        try:
            ### BEGIN SOLUTION 4.1: let the client enter() the room: self.do(self.room.enter, client). Then, as long
            ### as it is not `leaving` and recv() brings data, let the room receive() that, in the same way.
            self.do(self.room.enter, client)
            while not client.leaving and (data := connection.recv(65536)):
                self.do(self.room.receive, client, data)
            ### END SOLUTION
        finally:
            self.do(self.room.leave, client)

    def do(self, act: Callable[..., None], *what: object) -> None:
        """Let something happen to the room, and send everybody what comes of it."""
        ### BEGIN SOLUTION 4.7: all threads come here. Hold the lock from the first line to the last: what
        ### one thread has begun with the room, and with the sockets, no other may come between.
        with self.lock:
            act(*what)
            for connection, piece in self.room.collect():
                with contextlib.suppress(OSError):  # it has gone, which its own thread will see
                    connection.sendall(piece)
        ### STUB
        #: act(*what)
        #: for connection, piece in self.room.collect():
        #:     with contextlib.suppress(OSError):  # it has gone, which its own thread will see
        #:         connection.sendall(piece)
        ### END SOLUTION


if __name__ == "__main__":
    run(functools.partial(serve, handle=ThreadedChat().attend))
