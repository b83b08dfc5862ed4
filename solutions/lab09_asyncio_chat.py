"""Lab 9: the full chat with a coroutine for each client: the room of lab 4 on the event loop of asyncio.

Run it:  python3 lab09_asyncio_chat.py [--host HOST] [--port PORT]
"""

import asyncio
import contextlib
import signal
import socket

from lab01_blocking_echo import run
from lab08_epoll_chat import allow_descriptors
from room import ChatRoom, Client

AT_A_TIME = 8192  # bytes of one client that the room hears before it is another's turn
MOST_UNSENT = 1 << 20  # bytes that are kept for a client that does not read
GOODBYE = 1.0  # seconds in which a client can read its last lines after /exit


class ChatServer:
    """One room, one thread, and a coroutine for everyone in it.

    Where there is no `await`, nobody comes between: that is why there is no lock.
    """

    def __init__(self) -> None:
        self.room = ChatRoom()
        self.send_is_due = False  # the loop is going to call send()

    async def serve(self, listener: socket.socket) -> None:
        """Serve every client in a task of its own, for ever; when cancelled, let go of them all."""
        listener.setblocking(False)
        async with asyncio.TaskGroup() as clients:
            while True:
                reader, writer = await accept(listener)
                ### BEGIN SOLUTION 9.1: create a task in the group `clients`: it runs serve_client(reader, writer).
                clients.create_task(self.serve_client(reader, writer))
                ### END SOLUTION

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The work of one task: bring a client into the room, and see it off, however it ends."""
        client = Client(writer)
        try:
            with contextlib.suppress(OSError):  # what read() raises is the end of this client, and of nobody else
                await self.converse(client, reader)
            with contextlib.suppress(OSError):
                await self.see_off(client)
        finally:
            writer.transport.abort()  # whatever happened, nothing is kept of it

    async def converse(self, client: Client, reader: asyncio.StreamReader) -> None:
        """Bring to the room what a client sends, until it leaves or its stream ends."""
        writer = client.connection
        nodelay = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # let no send wait for an ACK (tcp(7))
        writer.get_extra_info("socket").setsockopt(*nodelay)
        ### BEGIN SOLUTION 9.1: let it enter() the room, and speak(). Then, as long as it is not `leaving`, its writer
        ### not closing, and read() brings something, let the room receive() that, and speak().
        self.room.enter(client)
        await self.speak()
        while not client.leaving and not writer.is_closing() and (data := await reader.read(AT_A_TIME)):
            self.room.receive(client, data)
            await self.speak()
        ### END SOLUTION

    async def speak(self) -> None:
        """End this turn of a coroutine: others go on; when it does, what the room has to say is sent."""
        ### BEGIN SOLUTION 9.2: unless that is due already, let the loop call send() soon, which is behind all that
        ### are to run in this turn. Then give way.
        if not self.send_is_due:
            self.send_is_due = True
            asyncio.get_running_loop().call_soon(self.send)
        await asyncio.sleep(0)
        ### STUB
        #: for writer, piece in self.room.collect():
        #:     writer.write(piece)
        #:     await writer.drain()  # and if this one does not read?
        ### END SOLUTION

    def send(self) -> None:
        """Send everybody, in one piece, what this turn of the loop has brought."""
        self.send_is_due = False
        for writer, piece in self.room.collect():
            writer.write(piece)
            ### BEGIN SOLUTION 9.4: when the transport keeps more than MOST_UNSENT for somebody, abort() it: the
            ### coroutine of that client reads the end of the stream, and does the rest.
            if writer.transport.get_write_buffer_size() > MOST_UNSENT:
                writer.transport.abort()
            ### STUB
            ### END SOLUTION

    async def see_off(self, client: Client) -> None:
        """A client sends no more: it leaves the room, gets what is still due to it, and is closed."""
        writer = client.connection
        ### BEGIN SOLUTION 9.3: let it leave() the room, and speak(). Then close() its writer.
        self.room.leave(client)
        await self.speak()
        writer.close()
        ### END SOLUTION
        ### BEGIN SOLUTION 9.4: after /exit, wait GOODBYE seconds at most.
        async with asyncio.timeout(GOODBYE if client.leaving else None):
            await writer.wait_closed()
        ### STUB
        #: await writer.wait_closed()
        ### END SOLUTION


async def accept(listener: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of the next client; while the process has no descriptor for one more, let them wait."""
    loop = asyncio.get_running_loop()
    while True:
        ### BEGIN SOLUTION 9.5: sock_accept() raises OSError when there is no descriptor for one more client: say so,
        ### and sleep() for a tenth of a second. Only this coroutine sleeps.
        try:
            connection, _ = await loop.sock_accept(listener)
            return await asyncio.open_connection(sock=connection)
        except OSError as error:
            print(f"cannot accept: {error}", flush=True)
            await asyncio.sleep(0.1)
        ### STUB
        #: connection, _ = await loop.sock_accept(listener)
        #: return await asyncio.open_connection(sock=connection)
        ### END SOLUTION


def main() -> None:
    """Run the server as a program, until a signal cancels its task."""
    allow_descriptors()
    runner = asyncio.Runner()
    loop = runner.get_loop()  # made before anybody is told that the server listens: signals may come from then on

    def serve(listener: socket.socket) -> None:
        with runner, contextlib.suppress(asyncio.CancelledError):
            task = loop.create_task(ChatServer().serve(listener))
            with contextlib.suppress(NotImplementedError):  # on Windows a KeyboardInterrupt ends the loop
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(number, task.cancel)
            loop.run_until_complete(task)

    run(serve)


if __name__ == "__main__":
    main()
