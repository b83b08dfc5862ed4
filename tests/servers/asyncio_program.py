"""What the asyncio servers of this folder share: how such a program starts, and how it ends in time and in silence."""

import argparse
import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import cast


class Client(asyncio.Protocol):
    """One connection. While the client does not read, it is not read from.

    eof_received() is inherited: it closes the transport once its buffer is sent.
    """

    def __init__(self, clients: "set[asyncio.Transport]") -> None:
        self.clients = clients

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.clients.add(self.transport)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.clients.discard(self.transport)
        print(f"- one client ({exc or 'end of stream'}), {len(self.clients)} left", flush=True)


def stop_at_signal(stopped: asyncio.Event) -> None:
    """Let SIGINT and SIGTERM set the event, however often they come."""
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> None:
        if not stopped.is_set() and not loop.is_closed():
            loop.call_soon_threadsafe(stopped.set)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


async def accept_no_more(server: asyncio.Server) -> None:
    """Stop accepting, and let the connections that are being made be made.

    Python 3.13 logs a traceback for a connection that is being accepted while its server closes: close it last.
    """
    asyncio.get_running_loop().remove_reader(server.sockets[0].fileno())
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0)


async def serve(make: Callable[["set[asyncio.Transport]"], Client], host: str, port: int) -> None:
    """Serve with a protocol for each client until told to stop."""
    stopped = asyncio.Event()
    stop_at_signal(stopped)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: stopped.is_set() or print("!", context["message"], flush=True))
    clients: set[asyncio.Transport] = set()
    server = await loop.create_server(lambda: make(clients), host, port, family=socket.AF_INET, backlog=256)
    host, port = server.sockets[0].getsockname()
    print(f"listening on {host}:{port}", flush=True)
    await stopped.wait()
    await accept_no_more(server)
    for transport in clients.copy():
        transport.abort()
    await asyncio.sleep(0)  # connection_lost() of them all is called in this turn
    server.close()


def run(main: Callable[[str, int], Awaitable[None]]) -> None:
    """Run `main` with the host and the port that the program was given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()

    async def program() -> None:
        await main(args.host, args.port)

    asyncio.run(program())
