"""Echo as an asyncio Protocol: callbacks, one thread, the transport's own output buffer.

Peculiar: it reads up to 256 KiB at once; pause_writing() and resume_writing() turn the reading off and on, and
with it the kernel's window: a client that does not read is soon not read from either.
"""

import argparse
import asyncio
import signal
import socket
from typing import cast


class Echo(asyncio.Protocol):
    """One connection. eof_received() is inherited: it closes the transport once its buffer is sent."""

    def __init__(self, clients: "set[asyncio.Transport]") -> None:
        self.clients = clients

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.clients.add(self.transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

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


async def main(host: str, port: int) -> None:
    """Serve until told to stop."""
    stopped = asyncio.Event()
    stop_at_signal(stopped)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: stopped.is_set() or print("!", context["message"], flush=True))
    clients: set[asyncio.Transport] = set()
    server = await loop.create_server(lambda: Echo(clients), host, port, family=socket.AF_INET, backlog=256)
    host, port = server.sockets[0].getsockname()
    print(f"listening on {host}:{port}", flush=True)
    await stopped.wait()
    # Python 3.13 logs a traceback for a connection that is being accepted while its server closes: accept no more, let
    # those be made, and close the server last.
    loop.remove_reader(server.sockets[0].fileno())
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0)
    for transport in clients.copy():
        transport.abort()
    await asyncio.sleep(0)  # connection_lost() of them all is called in this turn
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    asyncio.run(main(args.host, args.port))
