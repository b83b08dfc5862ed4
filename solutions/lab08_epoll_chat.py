"""Lab 8: the chat of lab 6 for thousands: the kernel remembers who is watched, and is told of changes alone.

Run it:  python3 lab08_epoll_chat.py [--host HOST] [--port PORT]
"""

import contextlib
import math
import selectors
import socket
from collections.abc import Callable
from typing import Any, cast

from lab01_blocking_echo import run
from lab06_select_chat import ChatServer

Tell = Callable[[socket.socket], None]


class Readers(set[socket.socket]):
    """Those who are watched for reading: a set that tells of each change."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self.tell = tell

    def add(self, connection: socket.socket) -> None:
        """Watch a connection; it may be watched already."""
        ### BEGIN SOLUTION 8.1: super().add() it, and tell() of it; of one that is in the set already, there is
        ### nothing to tell.
        if connection not in self:
            super().add(connection)
            self.tell(connection)
        ### END SOLUTION

    def discard(self, connection: Any) -> None:
        """Watch a connection no more; it may not be watched at all."""
        ### BEGIN SOLUTION 8.1: the counterpart.
        if connection in self:
            super().discard(connection)
            self.tell(connection)
        ### END SOLUTION


class Unsent(dict[socket.socket, bytearray]):
    """What is unsent for whom: a dict that tells of each client that comes in or goes out."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self.tell = tell

    def __setitem__(self, connection: socket.socket, rest: bytearray) -> None:
        """Keep this for a client: `unsent[connection] = rest`."""
        super().__setitem__(connection, rest)
        ### BEGIN SOLUTION 8.2: tell() of it.
        self.tell(connection)
        ### STUB
        ### END SOLUTION

    def pop(self, connection: socket.socket, default: Any = None) -> Any:
        """Forget what is kept for a client, and return it, or the default if there is nothing."""
        ### BEGIN SOLUTION 8.2: if something is kept for it, super().pop() it, tell() of it, and return it.
        if connection in self:
            rest = super().pop(connection)
            self.tell(connection)
            return rest
        return default
        ### STUB
        #: return super().pop(connection, default)
        ### END SOLUTION


class EpollChatServer(ChatServer):
    """Lab 6's chat, the loop aside."""

    ### BEGIN SOLUTION 8.3: epoll and kqueue have no table of 1,024 bits: let `watchable` be math.inf.
    watchable = math.inf
    ### STUB
    ### END SOLUTION

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener)
        self.selector = selectors.DefaultSelector()  # epoll on Linux, kqueue on macOS and the BSDs
        self.readers = Readers(self.tell)
        self.unsent = Unsent(self.tell)
        self.readers.add(listener)

    def tell(self, connection: socket.socket) -> None:
        """Tell the kernel for what it is to watch a connection from now on; it remembers that."""
        events = 0
        ### BEGIN SOLUTION 8.1: EVENT_READ, if it is one of the readers.
        if connection in self.readers:
            events |= selectors.EVENT_READ
        ### END SOLUTION
        ### BEGIN SOLUTION 8.2: EVENT_WRITE, too, if something is unsent for it.
        if connection in self.unsent:
            events |= selectors.EVENT_WRITE
        ### STUB
        ### END SOLUTION
        ### BEGIN SOLUTION 8.1: unregister() it, if there is nothing to watch it for. If there is: modify() it where
        ### the selector knows it (it is in get_map()), register() it where not.
        if not events:
            self.selector.unregister(connection)
        elif connection in self.selector.get_map():
            self.selector.modify(connection, events)
        else:
            self.selector.register(connection, events)
        ### END SOLUTION

    def serve(self) -> None:
        """Wait until something can be done, do it, and so on for ever."""
        while True:
            ### BEGIN SOLUTION 8.1: what select() of the selector returns is pairs: a key, whose `fileobj` is the
            ### connection, and the events that have come. Do as in lab 5, with one loop for both kinds of them.
            for key, events in self.selector.select(self.timeout):
                connection = cast(socket.socket, key.fileobj)
                if events & selectors.EVENT_WRITE:
                    self.flush(connection)
                if connection is self.listener:
                    self.accept()
                elif events & selectors.EVENT_READ and connection in self.readers:  # flush() may have lost it
                    self.read(connection)
            ### END SOLUTION
            self.end_turn()


def allow_descriptors() -> None:
    """Let this process have as many descriptors as the system allows (`ulimit -Hn`), where it can be asked."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such module, macOS its own rules
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    allow_descriptors()
    run(lambda listener: EpollChatServer(listener).serve())
