"""Numbered lines as an asyncio Protocol with its own framing.

Peculiar: a line is refused the moment it is too long, long before its LF; answers to all lines of a segment leave in
one piece; while a client does not read its answers, it is not read from.
"""

import argparse
import asyncio
import signal
import socket
from typing import cast

MAX_LINE = 4096  # bytes, the LF and the CR before it not counted


class Lines(asyncio.Protocol):
    """One connection: the line that is coming in, and the number of the last one answered."""

    def __init__(self, clients: "set[asyncio.Transport]") -> None:
        self.clients = clients
        self.line = bytearray()
        self.number = 0
        self.skipping = False  # the line was refused; its LF is still to come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.clients.add(self.transport)

    def data_received(self, data: bytes) -> None:
        answers: list[str] = []
        *ends, rest = data.split(b"\n")
        for end in ends:
            self.extend(end, answers)
            self.finish(answers)
        self.extend(rest, answers)
        if answers:
            self.transport.write("".join(answers).encode())

    def extend(self, piece: bytes, answers: list[str]) -> None:
        """Add a piece without LF to the line; refuse the line if that makes it too long."""
        if self.skipping:
            return
        self.line += piece
        excess = len(self.line) - MAX_LINE
        if excess > 1 or (excess == 1 and not self.line.endswith(b"\r")):  # that CR may yet be dropped
            self.answer("ERROR line-too-long", answers)
            self.skipping = True
            self.line.clear()

    def finish(self, answers: list[str]) -> None:
        """The LF is here."""
        if not self.skipping:
            self.answer(self.line.removesuffix(b"\r").decode("utf-8", "replace"), answers)
        self.skipping = False
        self.line.clear()

    def answer(self, text: str, answers: list[str]) -> None:
        self.number += 1
        answers.append(f"{self.number} {text}\n")

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.clients.discard(self.transport)
        print(f"served {self.number} lines", flush=True)


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
    server = await loop.create_server(lambda: Lines(clients), host, port, family=socket.AF_INET, backlog=128)
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
