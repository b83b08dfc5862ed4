"""A chat as an asyncio BufferedProtocol: callbacks only.

Peculiar: all clients are read into one and the same small buffer; a client's output of one turn of the loop is
gathered and written in one piece; bytes that are not UTF-8 become one U+FFFD a run; a line is refused when its LF
arrives; `/exit` closes as soon as all is written.
"""

import asyncio
import socket
from typing import cast

from asyncio_program import accept_no_more, run, stop_at_signal
from chat_asyncio_room import Choices, Member, Room, Wording

LIMIT = 1024 * 1024  # bytes unsent with which a client still stays
PIECE = 8192  # bytes read from one client before the others' turn
LAST_WORDS = 1.5  # seconds from /exit to the end of the connection, if the client does not read

WORDING = Wording(
    banner="Welcome to the protocol chat. Enter username",
    welcome="{0}, Welcome.\n/help shows what you can do.",
    joined="joined: {0}",
    left="left: {0}",
    renamed="{0} is now {1}",
    help="/whisper NAME TEXT, /nick NAME\n/list, /help, /exit",
    goodbye="Goodbye.",
    after_refused_name="Enter username",
    refusals={
        "name-invalid": "1 to 16 of A-Z a-z 0-9 _ -, beginning with a letter; reserved: server, error",
        "name-taken": "{0}",
        "line-too-long": "more than {0} bytes",
        "unknown-command": "{0}?",
    },
)
CHOICES = Choices(early_refusal=False, one_mark_a_run=True, announce_same_nick=False)


class ChatProtocol(asyncio.BufferedProtocol, Member):
    """A client with its transport."""

    buffer = memoryview(bytearray(PIECE))  # everybody's: what is in it is used up before the next one's turn

    def __init__(self, room: Room, transports: "set[asyncio.Transport]") -> None:
        Member.__init__(self, room)
        self.loop = asyncio.get_running_loop()
        self.transports = transports
        self.gathered: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transports.add(self.transport)
        self.room.enter(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.feed(bytes(self.buffer[:nbytes]))
        if self.leaving:
            self.flush()
            self.transport.close()
            self.loop.call_later(LAST_WORDS, self.transport.abort)

    def eof_received(self) -> bool:
        """Close once everything is sent, however long that takes."""
        self.room.leave(self)
        self.flush()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.transports.discard(self.transport)
        self.room.leave(self)

    def tell(self, data: bytes) -> None:
        if not self.gathered:
            self.loop.call_soon(self.flush)
        self.gathered.append(data)

    def flush(self) -> None:
        """Write what was gathered."""
        if self.gathered and not self.transport.is_closing():
            self.transport.write(b"".join(self.gathered))
            if self.transport.get_write_buffer_size() > LIMIT:
                self.transport.abort()
        self.gathered.clear()


async def main(host: str, port: int) -> None:
    """Serve until told to stop."""
    stopped = asyncio.Event()
    stop_at_signal(stopped)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: None if stopped.is_set() else print(context["message"], flush=True))
    room = Room(WORDING, CHOICES)
    transports: set[asyncio.Transport] = set()
    server = await loop.create_server(
        lambda: ChatProtocol(room, transports), host, port, family=socket.AF_INET, backlog=128
    )
    print("listening on {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await stopped.wait()
    await accept_no_more(server)
    for transport in transports.copy():
        transport.abort()
    await asyncio.sleep(0)  # connection_lost() of them all is called in this turn
    server.close()


if __name__ == "__main__":
    run(main)
