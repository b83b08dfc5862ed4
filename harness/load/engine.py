"""Echo clients under one event loop: closed loop, every reply checked, every latency recorded.

Closed loop means that a client sends its next request only after the reply to the one before (and a pause).
Such a load shows how long clients wait; it cannot show what happens when requests come faster than they are
answered.
"""

import errno
import heapq
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.load.histogram import Histogram

Address = tuple[str, int]
SIZE = 64  # bytes of a request
LOOKS = 50_000_000  # nanoseconds between two looks at what the server uses
STALLED = 15.0  # seconds without any reply to anybody, after which the load is given up


class LoadFault(Exception):
    """A server under load did not do what it must; the text names the client, the request and the bytes."""


@dataclass(frozen=True)
class EchoLoad:
    """What each of `clients` clients does: sessions of `requests` requests with pauses, for `duration`.

    A session that has begun is finished, however long that takes: what waits at the end of the
    duration is waited for and counted, because leaving it out would hide just the longest waits.
    """

    clients: int
    requests: int = 10  # of a session
    pause: float = 0.002  # seconds between a reply and the next request
    duration: float = 0.5  # seconds in which new sessions begin; 0 is one session for each client
    stagger: float = 0.0  # seconds between the first session of a client and that of the next one


@dataclass(frozen=True)
class Span:
    """One request of one client: seconds since the beginning of the load."""

    client: int
    sent: float
    replied: float
    first: bool  # of its session


@dataclass
class Outcome:
    """What was measured."""

    latencies: Histogram = field(default_factory=Histogram)  # nanoseconds, from sending to the whole reply
    first_replies: Histogram = field(default_factory=Histogram)  # the same, of each session's first request
    requests: int = 0
    sessions: int = 0
    seconds: float = 0.0
    spans: list[Span] = field(default_factory=list)


def run_echo(
    address: Address, load: EchoLoad, watch: Callable[[], None] = lambda: None, keep_spans: bool = False
) -> Outcome:
    """Run a load against an echo server; call `watch` now and then. Raises LoadFault."""
    return _Loop(address, load, watch, keep_spans).run()


class _Client:
    def __init__(self, number: int) -> None:
        self.number = number
        self.socket: socket.socket | None = None
        self.asked = 0  # requests of this session so far
        self.session = 0
        self.sent = 0  # nanoseconds, of the request that is under way
        self.request = b""
        self.reply = b""

    def __str__(self) -> str:
        return f"client {self.number}, session {self.session}, request {max(1, self.asked)}"


class _Loop:
    def __init__(self, address: Address, load: EchoLoad, watch: Callable[[], None], keep_spans: bool) -> None:
        self.address = address
        self.load = load
        self.watch = watch
        self.keep_spans = keep_spans
        self.outcome = Outcome()
        self.selector = selectors.DefaultSelector()
        self.timers: list[tuple[int, int, _Client]] = []  # when (ns), number, client: who pauses until when
        self.began = 0
        self.active = 0

    def run(self) -> Outcome:
        load = self.load
        self.began = time.perf_counter_ns()
        for number in range(load.clients):
            heapq.heappush(self.timers, (self.began + int(number * load.stagger * 1e9), number, _Client(number)))
        self.active = load.clients
        next_look, last_reply, replies = self.began, self.began, 0
        try:
            while self.active:
                now = time.perf_counter_ns()
                while self.timers and self.timers[0][0] <= now:
                    self._resume(heapq.heappop(self.timers)[2])
                if now >= next_look:
                    self.watch()
                    next_look = now + LOOKS
                pause = max(0.0, (self.timers[0][0] - now) / 1e9) if self.timers else 0.05
                for key, events in self.selector.select(min(pause, 0.05)):
                    self._ready(key.data, events)
                if self.outcome.requests != replies or self.timers:
                    replies, last_reply = self.outcome.requests, now
                elif now - last_reply > STALLED * 1e9:
                    raise self._stalled()
        finally:
            self._close_all()
        self.outcome.seconds = (time.perf_counter_ns() - self.began) / 1e9
        return self.outcome

    def _resume(self, client: _Client) -> None:
        if client.socket is None:
            self._connect(client)
        else:
            self._ask(client)

    def _connect(self, client: _Client) -> None:
        client.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.socket.setblocking(False)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.asked = 0
        client.session += 1
        client.sent = time.perf_counter_ns()  # a session's first latency includes the connection's
        error = client.socket.connect_ex(self.address)
        if error not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            client.socket.close()
            raise LoadFault(f"client {client.number} could not connect: {errno.errorcode.get(error, error)}")
        self.selector.register(client.socket, selectors.EVENT_WRITE, client)

    def _ready(self, client: _Client, events: int) -> None:
        assert client.socket is not None
        if events & selectors.EVENT_WRITE:
            if error := client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                if error == errno.ECONNRESET:  # it was accepted, else it would have been refused
                    raise self._lost(client, OSError(error, ""))
                raise LoadFault(f"client {client.number} could not connect: {errno.errorcode.get(error, error)}")
            self.selector.modify(client.socket, selectors.EVENT_READ, client)
            self._ask(client)
        else:
            self._read(client)

    def _ask(self, client: _Client) -> None:
        assert client.socket is not None
        client.asked += 1
        text = f"client {client.number} session {client.session} request {client.asked} "
        client.request, client.reply = text.encode().ljust(SIZE - 1, b".") + b"\n", b""
        if client.asked > 1:
            client.sent = time.perf_counter_ns()
        try:
            taken = client.socket.send(client.request)
        except OSError as error:
            raise self._lost(client, error) from None
        if taken != len(client.request):
            raise LoadFault(f"client {client.number}: its socket took {taken} of {SIZE} bytes")

    def _read(self, client: _Client) -> None:
        assert client.socket is not None
        try:
            data = client.socket.recv(65536)
        except OSError as error:
            raise self._lost(client, error) from None
        now = time.perf_counter_ns()
        client.reply += data
        if not data or not client.request.startswith(client.reply):
            raise LoadFault(
                f"{client}: expected {client.request!r}, received {client.reply!r}{'' if data else ' and the end'}"
            )
        if len(client.reply) == len(client.request):
            self._replied(client, now)

    def _replied(self, client: _Client, now: int) -> None:
        outcome, load = self.outcome, self.load
        outcome.requests += 1
        outcome.latencies.record(now - client.sent)
        first = client.asked == 1
        if first:
            outcome.first_replies.record(now - client.sent)
        if self.keep_spans:
            began = self.began
            outcome.spans.append(Span(client.number, (client.sent - began) / 1e9, (now - began) / 1e9, first))
        if client.asked < load.requests:
            heapq.heappush(self.timers, (now + int(load.pause * 1e9), client.number, client))
            return
        assert client.socket is not None
        self.selector.unregister(client.socket)
        client.socket.close()
        client.socket = None
        outcome.sessions += 1
        if now - self.began < load.duration * 1e9:
            heapq.heappush(self.timers, (now, client.number, client))
        else:
            self.active -= 1

    def _lost(self, client: _Client, error: OSError) -> LoadFault:
        name = errno.errorcode.get(error.errno or 0, str(error))
        return LoadFault(f"{client}: the server ended the connection ({name})")

    def _stalled(self) -> LoadFault:
        waiting = min((key.data for key in self.selector.get_map().values()), key=lambda client: client.number)
        return LoadFault(
            f"no reply to any of {self.active} clients for {STALLED:.0f} seconds; the first of them: "
            f"{waiting}, received {waiting.reply!r} so far"
        )

    def _close_all(self) -> None:
        for key in list(self.selector.get_map().values()):
            key.data.socket.close()
        self.selector.close()
