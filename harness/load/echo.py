"""Echo clients: closed loop, every reply checked, every latency recorded.

Closed loop means that a client sends its next request only after the reply to the one before (and a pause).
Such a load shows how long clients wait; it cannot show what happens when requests come faster than they are
answered.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.load.engine import SECOND, STALLED, Address, Engine, Line, LoadFault, Outcome, Span

SIZE = 64  # bytes of a request


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

    def run(self, address: Address, watch: Callable[[], None] = lambda: None, keep_spans: bool = False) -> Outcome:
        """Run it against an echo server; call `watch` now and then. Raises LoadFault."""
        return _Echo(self, address, watch, keep_spans).run()


class _Client(Line):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.asked = 0  # requests of this session so far
        self.session = 0
        self.sent = 0  # when, the request that is under way
        self.request = b""
        self.reply = b""


class _Echo(Engine):
    def __init__(self, load: EchoLoad, address: Address, watch: Callable[[], None], keep_spans: bool) -> None:
        super().__init__(address, watch)
        self.load = load
        self.keep_spans = keep_spans
        self.clients = [_Client(number) for number in range(load.clients)]

    def run(self) -> Outcome:
        self.active = len(self.clients)
        now = time.perf_counter_ns()
        for client in self.clients:
            self._visit_at(now + int(client.number * self.load.stagger * SECOND), client)
        return super().run()

    def _visit_at(self, when: int, client: _Client) -> None:
        def visit(_: int) -> None:
            client.asked = 0
            client.session += 1
            self.connect(client)

        self.at(when, visit)

    def connected(self, line: Line) -> None:
        assert isinstance(line, _Client)
        self._ask(line)
        line.sent = line.began  # a session's first latency includes the connection's

    def _ask(self, client: _Client) -> None:
        client.asked += 1
        text = f"client {client.number} session {client.session} request {client.asked} "
        client.request, client.reply = text.encode().ljust(SIZE - 1, b".") + b"\n", b""
        client.sent = time.perf_counter_ns()
        self.send(client, client.request)

    def arrived(self, line: Line, data: bytes, now: int) -> None:
        assert isinstance(line, _Client)
        line.reply += data
        if not data or not line.request.startswith(line.reply):
            ended = "" if data else " and the end"
            raise LoadFault(f"{self.name_of(line)}: expected {line.request!r}, received {line.reply!r}{ended}")
        if len(line.reply) == len(line.request):
            self._replied(line, now)

    def _replied(self, client: _Client, now: int) -> None:
        outcome, load = self.outcome, self.load
        outcome.answers += 1
        outcome.latencies.record(now - client.sent)
        first = client.asked == 1
        if first:
            outcome.first_replies.record(now - client.sent)
        if self.keep_spans:
            began = self.began
            outcome.spans.append(Span(client.number, (client.sent - began) / 1e9, (now - began) / 1e9, first))
        if client.asked < load.requests:
            self.at(now + int(load.pause * SECOND), lambda _: self._ask(client))
            return
        self.disconnect(client)
        outcome.sessions += 1
        if now - self.began < load.duration * SECOND:
            self._visit_at(now, client)
        else:
            self.active -= 1

    def name_of(self, line: Line) -> str:
        assert isinstance(line, _Client)
        return f"client {line.number}, session {line.session}, request {max(1, line.asked)}"

    def waits_for(self) -> str:
        waiting = next(client for client in self.clients if client.socket)
        return (
            f"no reply to any of {self.active} clients for {STALLED:.0f} seconds; the first of them: "
            f"{self.name_of(waiting)}, received {waiting.reply!r} so far"
        )
