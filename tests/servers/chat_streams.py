"""A chat on asyncio's streams: a coroutine per client, which reads; whoever has something for a client just writes.

Peculiar: it reads in small pieces and lets all others have their turn after each; write() is never followed by drain(),
for one would wait for another's client, and the transport's buffer is measured instead; a character that is not
UTF-8 becomes one U+FFFD a byte; after `/exit` only the writing half is closed first; asyncio leaves new clients waiting
for a second when no descriptor is left.
"""

import asyncio
import socket

from asyncio_program import run, stop_at_signal
from chat_asyncio_room import Choices, Member, Room, Wording

LIMIT = 1_000_000  # bytes in the transport's buffer that are still no reason to hang up
PIECE = 4096  # bytes read from one client before the others' turn
LINGER = 1.0  # seconds from /exit to the end of the connection, if the client does not close

WORDING = Wording(
    banner="This is a chat on asyncio streams.\nEverything you say is for everybody here.\nPlease tell your username.",
    welcome="Welcome among us, dear {0}.",
    joined="A newcomer: {0} just joined us.",
    left="{0} is gone (left us).",
    renamed="Please note: {0}'s new name is now {1}, says the registrar.",
    help="/help - this\n/list - names, /whisper NAME TEXT - to one of them\n/nick NAME - be somebody else\n/exit",
    goodbye="Goodbye and thank you.",
    refusals={
        "name-invalid": "'{0}' is not what a name looks like",
        "name-taken": "there is one {0} already",
        "line-too-long": "please be brief, {0} bytes are enough",
        "usage": "say {0}",
        "unknown-command": "'{0}' means nothing to me",
        "no-such-user": "no {0} in this room",
    },
)
CHOICES = Choices(early_refusal=True, one_mark_a_run=False, announce_same_nick=True)


class StreamMember(Member):
    """A client behind a StreamWriter."""

    def __init__(self, room: Room, writer: asyncio.StreamWriter) -> None:
        super().__init__(room)
        self.writer = writer

    def tell(self, data: bytes) -> None:
        transport = self.writer.transport
        if transport.is_closing():  # write() would log
            return
        self.writer.write(data)
        if transport.get_write_buffer_size() > LIMIT:
            self.leaving = True
            transport.abort()  # its coroutine reads the end of the stream next

    async def converse(self, reader: asyncio.StreamReader) -> None:
        """Serve the client until it leaves."""
        try:
            self.room.enter(self)
            while not self.leaving and (data := await reader.read(PIECE)):
                self.feed(data)
                await asyncio.sleep(0)
            said_exit = self.leaving
            self.room.leave(self)
            async with asyncio.timeout(LINGER if said_exit else None):
                if said_exit and not self.writer.transport.is_closing():
                    self.writer.write_eof()
                    while await reader.read(PIECE):
                        await asyncio.sleep(0)
                self.writer.close()
                await self.writer.wait_closed()
        except (OSError, TimeoutError) as error:
            print(f"{self.name or 'somebody'}: {error!r}", flush=True)
        finally:
            self.room.leave(self)
            self.writer.transport.abort()


async def main(host: str, port: int) -> None:
    """Serve until told to stop."""
    stopped = asyncio.Event()
    stop_at_signal(stopped)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: None if stopped.is_set() else print(context["message"], flush=True))
    room = Room(WORDING, CHOICES)
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            await StreamMember(room, writer).converse(reader)
        finally:
            writers.discard(writer)

    server = await asyncio.start_server(serve, host, port, family=socket.AF_INET, backlog=200, limit=2 * PIECE)
    print("listening on {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await stopped.wait()
    loop.remove_reader(server.sockets[0].fileno())  # see accept_no_more()
    while len(asyncio.all_tasks()) > 1:  # each coroutine ends by itself: Python 3.11 logs those that are cancelled
        for writer in writers.copy():
            writer.transport.abort()
        await asyncio.sleep(0)
    server.close()


if __name__ == "__main__":
    run(main)
