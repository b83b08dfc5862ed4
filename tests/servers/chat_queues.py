"""A chat with two threads per client: one reads, the other writes what lies in the client's queue.

Peculiar: who talks waits for nobody's socket, only puts lines in queues; a client that sends faster than it can be
written out is kept waiting between its own pieces; a line is refused when its LF arrives; `/nick` to one's own
name does nothing; who whispers to himself is told twice; at the limit of descriptors the one kept in
reserve is given up for the moment it takes to say `server-full`.
"""

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Iterator

from chat_threads_room import Client, Manner, Room, line, lines, listen, serve

LIMIT = 1024 * 1024  # bytes unsent at which a client still stays
CROWDED = 256 * 1024  # bytes unsent at which a flood is made to wait
PIECE = 16 * 1024  # bytes read at once; whoever fills them all may be flooding
FLOOD_WAIT = 0.05  # seconds that a piece waits at most for a client that does not read
LAST_WORDS = 1.0  # seconds for the queue to empty after /exit

MANNER = Manner(
    banner=("What is your username?",),
    again=("A different username, please.", "(letters, digits, _ and -)"),
    welcome=("Welcome {name}", "Type /help if you are new here.", "Be kind."),
    joined="-> {name} joined",
    left="<- {name} left",
    renamed="{old} is now {new}",
    help=("Commands: /help /list /whisper NAME TEXT /nick NAME /exit",),
    goodbye="Goodbye, come again",
    eager=False,
    too_long_a_name="name-invalid",
    two_nicks="usage",
    extra_is_usage=False,
    may_talk_to_oneself=True,
    tells_same_nick=False,
)


class QueuedClient(Client):
    """A client with a queue of bytes, which a thread of its own sends."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.queue = bytearray()
        self.changed = threading.Condition()
        self.ending = False  # nothing will be put in the queue any more
        self.lost = False

    def send(self, data: bytes) -> None:
        with self.changed:
            if self.lost:
                return
            self.queue += data
            if len(self.queue) > LIMIT:
                self.lose()
            self.changed.notify()

    def lose(self) -> None:
        """Give the client up: its reader will tell the others."""
        self.lost = True
        self.hang_up()

    def finish(self) -> None:
        """Let the writer end once the queue is empty."""
        with self.changed:
            self.ending = True
            self.changed.notify()

    def write(self) -> None:
        """The work of the writer: send what lies in the queue, and take out what the kernel took."""
        writable = select.poll()
        writable.register(self.connection, select.POLLOUT)
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.queue or self.ending or self.lost)
                if self.lost or not self.queue:
                    return
                data = bytes(self.queue[:CROWDED])
            try:
                sent = self.connection.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                writable.poll()
                continue
            except OSError:
                with self.changed:
                    self.lose()
                return
            with self.changed:
                del self.queue[:sent]

    def pieces(self, room: Room) -> Iterator[bytes]:
        """Yield what the client sends, as it comes, but no faster than the others can be told."""
        while not self.lost and (data := self.connection.recv(PIECE)):
            yield data
            if len(data) == PIECE:
                wait_for_writers(room)


def wait_for_writers(room: Room) -> None:
    """Wait until nobody is owed much, or for `FLOOD_WAIT` if somebody does not read."""
    end = time.monotonic() + FLOOD_WAIT
    while time.monotonic() < end:
        with room.lock:
            owed = [len(client.queue) for client in room.members.values() if isinstance(client, QueuedClient)]
        if max(owed, default=0) < CROWDED:
            return
        time.sleep(0.001)


def converse(connection: socket.socket, room: Room) -> None:
    """The work of the reader."""
    client = QueuedClient(connection)
    writer = threading.Thread(target=client.write, daemon=True)
    with connection:
        try:
            writer.start()
        except RuntimeError as error:
            print(f"no thread: {error}", flush=True)
            return
        room.greet(client)
        patience = None  # after the client's end of stream its answers may take as long as they need
        try:
            for text in lines(client.pieces(room), MANNER.eager):
                if client.lost:
                    break
                if not room.receive(client, text):
                    patience = LAST_WORDS
                    break
        except OSError:
            client.lost = True
        room.leave(client)
        client.finish()
        writer.join(patience)
        client.hang_up()
        writer.join()


def accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that come, for ever; refuse one that leaves no descriptor for the reserve."""
    reserve: int | None = os.open(os.devnull, os.O_RDONLY)
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if reserve is not None and error.errno in (errno.EMFILE, errno.ENFILE):
                os.close(reserve)
                reserve = None
            else:
                print(f"accept: {error}", flush=True)
                time.sleep(0.1)
            continue
        try:
            reserve = os.open(os.devnull, os.O_RDONLY) if reserve is None else reserve
        except OSError:
            refuse(connection)
        else:
            yield connection


def refuse(connection: socket.socket) -> None:
    """Say that there is no room."""
    with connection:
        try:
            connection.send(line("ERROR", "server-full: no room left, try again later"), socket.MSG_DONTWAIT)
        except OSError:
            pass


if __name__ == "__main__":
    here = Room(MANNER)
    door = listen()
    serve(door, accepted(door), lambda connection: converse(connection, here))
