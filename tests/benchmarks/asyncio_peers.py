"""Peers for the benchmarks: an echo server and a chat on asyncio's Protocol, with asyncio's own loop or with uvloop.

    asyncio_peers.py echo|chat [--uvloop] --port PORT

The chat is the course's own room: what a turn of the loop brings is collected at its end, and sent in one piece to
each client.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "solutions"))

from room import ChatRoom, Client


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: Any) -> None:
        self.write = transport.write

    def data_received(self, data: bytes) -> None:
        self.write(data)


class Room(ChatRoom):
    """The room, and when to send what it has to say."""

    scheduled = False

    def send_soon(self) -> None:
        if not self.scheduled:
            self.scheduled = True
            asyncio.get_running_loop().call_soon(self.send)

    def send(self) -> None:
        self.scheduled = False
        for transport, piece in self.collect():
            transport.write(piece)


class Chat(asyncio.Protocol):
    """One client of the room."""

    def __init__(self, room: Room) -> None:
        self.room = room

    def connection_made(self, transport: Any) -> None:
        self.client = Client(transport)
        self.room.enter(self.client)
        self.room.send_soon()

    def data_received(self, data: bytes) -> None:
        self.room.receive(self.client, data)
        self.room.send_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        self.room.leave(self.client)


async def serve(kind: str, port: int) -> None:
    """Serve until ended."""
    room = Room()
    server = await asyncio.get_running_loop().create_server(
        Echo if kind == "echo" else lambda: Chat(room), "127.0.0.1", port, backlog=1024
    )
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Run one of the peers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["echo", "chat"])
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    if args.uvloop:
        import uvloop

        uvloop.run(serve(args.kind, args.port))
    else:
        asyncio.run(serve(args.kind, args.port))


if __name__ == "__main__":
    main()
