"""A chat with a thread per client, and one lock under which everything is sent.

Peculiar: no buffer of its own, so a client that does not read stops the room once the kernel's buffers are full (lab 4
asks nothing about that); a line is refused the moment it is too long; `/list x` is refused; nobody whispers to
himself; `/nick` to one's own name is announced to all; after `/exit` it reads on until the client closes, for a
second at most, so that its Goodbye survives; at the limit of descriptors new clients wait in the accept queue.
"""

import socket
import time
from collections.abc import Iterator

from chat_threads_room import Client, Manner, Room, lines, listen, serve

LINGER = 1.0  # seconds for the client's own close after /exit
PAUSE = 0.1  # seconds without accept() when no descriptor is left

MANNER = Manner(
    banner=("*** The locked room ***", "Choose a username and press Enter:"),
    again=(),
    welcome=("Welcome to the locked room, {name}!",),
    joined="{name} has joined the chat",
    left="{name} has left the chat",
    renamed="{old} is now known as {new}",
    help=(
        "/help                 this text",
        "/list                 who is here",
        "/whisper NAME TEXT    a word to one of them",
        "/nick NAME            another name for you",
        "/exit                 leave",
        "Anything else is for everybody.",
    ),
    goodbye="Goodbye!",
    eager=True,
    too_long_a_name="line-too-long",
    two_nicks="name-invalid",
    extra_is_usage=True,
    may_talk_to_oneself=False,
    tells_same_nick=True,
)


class DirectClient(Client):
    """A client that is sent to by whoever has something for it."""

    def send(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except OSError:
            self.hang_up()  # its own thread will notice, and tell the others

    def pieces(self) -> Iterator[bytes]:
        """Yield what the client sends, as it comes."""
        while data := self.connection.recv(4096):
            yield data

    def linger(self) -> None:
        """Read what nobody asked for until the client closes."""
        self.connection.shutdown(socket.SHUT_WR)
        end = time.monotonic() + LINGER
        while (left := end - time.monotonic()) > 0:
            self.connection.settimeout(left)
            if not self.connection.recv(65536):
                break


def converse(connection: socket.socket, room: Room) -> None:
    """The work of one thread."""
    client = DirectClient(connection)
    with connection:
        try:
            room.greet(client)
            for text in lines(client.pieces(), MANNER.eager):
                if not room.receive(client, text):
                    client.linger()
                    break
        except OSError as error:
            print(f"lost {client.name or 'a client'}: {error}", flush=True)
        finally:
            room.leave(client)


def accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that come, for ever."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            print(f"nobody accepted: {error}", flush=True)
            time.sleep(PAUSE)
        else:
            yield connection


if __name__ == "__main__":
    here = Room(MANNER)
    door = listen()
    serve(door, accepted(door), lambda connection: converse(connection, here))
