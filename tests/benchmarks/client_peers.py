"""Peers for the kit's load engine: the same load as a few lines on asyncio, uvloop, twisted or threads.

    client_peers.py streams|protocol|uvloop|twisted|threads echo HOST PORT CLIENTS SECONDS
    client_peers.py streams|protocol|uvloop|twisted|threads open HOST PORT CLIENTS SECONDS RATE

All do what load.c does and print what it prints: 64 bytes a request, each reply compared with its own request, every
latency kept. In the open loop requests are due in turn, and latency counts from then, whenever they were sent.
"""

import argparse
import asyncio
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import pack
from typing import Any

SECOND = 1_000_000_000
SIZE = 64
FILLER = b"." * (SIZE - 16)


def request(client: int, number: int) -> bytes:
    """Return a client's request of that number: whose it is, which one it is, and filler."""
    return pack("<qq", client, number) + FILLER


def wrong(client: int) -> None:
    """Give up: a reply is not what was sent."""
    print(f"client {client} got other bytes than it sent", file=sys.stderr, flush=True)
    os._exit(1)


def print_result(done: int, seconds: float, busy: float, percentile: Callable[[int], int]) -> None:
    """Print what load.c prints; `percentile` returns nanoseconds."""
    p50, p90, p99, highest = (percentile(percent) / 1e3 for percent in (50, 90, 99, 100))
    told = f"p50 {p50:.1f}, p90 {p90:.1f}, p99 {p99:.1f}, max {highest:.1f} us"
    print(f"{done} done, {done / seconds:.0f} per second, busy {busy:.2f}, {told}", flush=True)


@dataclass(frozen=True)
class Load:
    """What is to be done."""

    host: str
    port: int
    clients: int
    seconds: float
    rate: float | None  # requests a second of all clients together; None: closed loop


class Tally:
    """When the requests are due, and what has become of them."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.latencies: list[int] = []
        self.all = int(load.rate * load.seconds * 1.2) if load.rate else 0  # requests, if that is known beforehand
        self.answered = self.used = self.last = 0
        self.lock = threading.Lock()

    def start(self) -> None:
        """All are connected."""
        self.began = time.perf_counter_ns()
        self.measured_from = self.began + int(self.load.seconds / 5 * SECOND)
        self.over = self.measured_from + int(self.load.seconds * SECOND)

    def due(self, number: int) -> int:
        """Return when the request of that number, counted over all clients, is due."""
        assert self.load.rate
        return self.began + int(number * SECOND / self.load.rate)

    def dues(self, client: int) -> Iterator[int]:
        """Yield when each request of a client is due, for one that waits for each reply."""
        if self.load.rate:
            for number in range(client, self.all, self.load.clients):
                yield self.due(number)
        else:
            while (now := time.perf_counter_ns()) < self.over:
                yield now

    def reply(self, since: int) -> int:
        """Count a reply to what was due, or sent, at `since`; return the time."""
        now = time.perf_counter_ns()
        if now >= self.measured_from:
            if not self.used:
                self._begin()
            if since >= self.measured_from or (not self.all and now < self.over):
                self.latencies.append(now - since)
        self.answered += 1
        self.last = now
        return now

    def _begin(self) -> None:
        with self.lock:  # clients may be threads
            if not self.used:
                self.used = time.process_time_ns()
                print("begin", flush=True)

    def tell(self) -> None:
        """Print the result."""
        end = max(self.last, self.over) if self.all else self.over
        seconds = (end - self.measured_from) / SECOND
        busy = (time.process_time_ns() - self.used) / (time.perf_counter_ns() - self.measured_from)
        ordered, count = sorted(self.latencies), len(self.latencies)
        if not ordered:
            sys.exit("nothing was answered in time")
        print_result(count, seconds, busy, lambda percent: ordered[-(-count * percent // 100) - 1])


# A conversation in one piece: the client waits for each reply


async def streams(load: Load, tally: Tally) -> None:
    """Run a coroutine for each client, with asyncio's streams."""
    pairs = [await asyncio.open_connection(load.host, load.port) for _ in range(load.clients)]

    async def converse(client: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, due in enumerate(tally.dues(client)):
            if (pause := due - time.perf_counter_ns()) > 0:
                await asyncio.sleep(pause / SECOND)
            asked = request(client, number)
            writer.write(asked)
            if await reader.readexactly(SIZE) != asked:
                wrong(client)
            tally.reply(due)

    tally.start()
    await asyncio.gather(*(converse(client, *pair) for client, pair in enumerate(pairs)))


def connected(load: Load) -> list[socket.socket]:
    """Return a blocking connection for each client."""
    connections = [socket.create_connection((load.host, load.port)) for _ in range(load.clients)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connections


def ask(connection: socket.socket, client: int, number: int) -> None:
    """Send a request, and wait for its reply."""
    asked = request(client, number)
    connection.sendall(asked)
    reply = connection.recv(SIZE)
    while len(reply) < SIZE and (more := connection.recv(SIZE - len(reply))):
        reply += more
    if reply != asked:
        wrong(client)


def threads(load: Load, tally: Tally) -> None:
    """Run a thread for each client."""

    def converse(client: int, connection: socket.socket) -> None:
        for number, due in enumerate(tally.dues(client)):
            if (pause := due - time.perf_counter_ns()) > 0:
                time.sleep(pause / SECOND)  # until the next request is due
            ask(connection, client, number)
            tally.reply(due)

    everyone = [threading.Thread(target=converse, args=pair) for pair in enumerate(connected(load))]
    tally.start()
    for one in everyone:
        one.start()
    for one in everyone:
        one.join()


# Call-backs: asyncio's and twisted's protocols are both this


class Conversation:
    """One client that is called when something has come."""

    transport: Any

    def __init__(self, client: int, tally: Tally, stop: Callable[[], None]) -> None:
        self.client, self.tally, self.stop = client, tally, stop
        self.asked = 0
        self.waiting: deque[tuple[bytes, int]] = deque()  # requests without a reply, and when they were due
        self.received = b""  # of the next reply

    def ask(self, due: int) -> None:
        """Send the next request."""
        asked = request(self.client, self.asked)
        self.asked += 1
        self.waiting.append((asked, due))
        self.transport.write(asked)

    def hear(self, data: bytes) -> None:
        """Take what has come."""
        tally = self.tally
        data = self.received + data if self.received else data
        while len(data) >= SIZE:
            asked, due = self.waiting.popleft() if self.waiting else (b"", 0)
            if data[:SIZE] != asked:
                wrong(self.client)
            data = data[SIZE:]
            now = tally.reply(due)
            if tally.answered == tally.all or (not tally.all and now >= tally.over):
                self.stop()
            elif not tally.all:
                self.ask(now)
        self.received = data


def begin(conversations: list[Any], tally: Tally, later: Callable[[float, Callable[[], None]], Any]) -> None:
    """Let everybody ask, once or when it is due; `later` calls something in so many seconds."""
    tally.start()
    if not tally.all:
        for one in conversations:
            one.ask(time.perf_counter_ns())
        return
    number = 0

    def ask_what_is_due() -> None:
        nonlocal number
        while number < tally.all and (due := tally.due(number)) <= time.perf_counter_ns():
            conversations[number % len(conversations)].ask(due)
            number += 1
        if number < tally.all:
            later(max(0, tally.due(number) - time.perf_counter_ns()) / SECOND, ask_what_is_due)

    ask_what_is_due()


async def protocol(load: Load, tally: Tally) -> None:
    """Run asyncio's Protocols, on whichever loop runs."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    class Client(Conversation, asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.hear(data)

    conversations = []
    for client in range(load.clients):
        _, one = await loop.create_connection(lambda n=client: Client(n, tally, over.set), load.host, load.port)
        conversations.append(one)
    begin(conversations, tally, loop.call_later)
    await over.wait()


def twisted(load: Load, tally: Tally) -> None:
    """Run twisted's Protocols on its reactor."""
    from twisted.internet import protocol as base
    from twisted.internet import reactor
    from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

    found: Any = reactor
    conversations: list[Any] = []
    over = threading.Event()

    def stop() -> None:
        over.set()
        found.stop()

    class Client(Conversation, base.Protocol):
        def connectionMade(self) -> None:
            self.transport.setTcpNoDelay(True)
            conversations.append(self)
            if len(conversations) < load.clients:
                connect_next()
            else:
                begin(conversations, tally, found.callLater)

        def dataReceived(self, data: bytes) -> None:
            if not over.is_set():
                self.hear(data)

    def connect_next() -> None:
        endpoint = TCP4ClientEndpoint(found, load.host, load.port)
        connectProtocol(endpoint, Client(len(conversations), tally, stop))

    found.callWhenRunning(connect_next)
    found.run()


def read_load(words: list[str]) -> Load:
    """Read what load.c is told, too: the kind, where, and how much."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["echo", "open"])
    for name, kind in (("host", str), ("port", int), ("clients", int), ("seconds", float)):
        parser.add_argument(name, type=kind)
    parser.add_argument("rate", type=float, nargs="?")
    args = parser.parse_args(words)
    return Load(args.host, args.port, args.clients, args.seconds, args.rate)


def main() -> None:
    """Run one of the peers."""
    peer, *words = sys.argv[1:] or sys.exit(__doc__)
    load = read_load(words)
    tally = Tally(load)
    if peer == "uvloop":
        import uvloop

        uvloop.run(protocol(load, tally))
    elif peer in ("streams", "protocol"):
        asyncio.run({"streams": streams, "protocol": protocol}[peer](load, tally))
    else:
        {"threads": threads, "twisted": twisted}[peer](load, tally)
    tally.tell()


if __name__ == "__main__":
    main()
