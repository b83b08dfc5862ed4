"""Clients that ask and are answered: every answer checked, every latency recorded.

Closed loop (no `rate`): a client asks again only after the answer to the question before (and a pause). Such a load
shows how long clients wait; it cannot show what happens when questions come faster than they are answered.

Open loop (`rate`): questions are due at a steady rate, whatever becomes of those before. Latency counts from when a
question was due, not from when it was sent: a server that stalls cannot hide it by keeping the load from sending
(coordinated omission, Gil Tene).
"""

import re
import time
from collections import deque
from dataclasses import dataclass
from itertools import count, islice
from typing import Literal

from harness.load.engine import MANY, STALLED, Address, Engine, Line
from harness.load.outcome import SECOND, WHOLE, LoadFault, Outcome, ServerFull, Share, Span
from harness.load.stamp import STAMP

SIZE = 64  # bytes of a question
NUMBERS = [b"%010d\n" % number for number in range(1000)]  # of questions, made once: each is asked so often
COMING = 100  # clients that connect at the same moment, at most: an accept queue has an end (C7)
REFUSAL = re.compile(STAMP.pattern + rb"\[ERROR\] name-invalid: .*")
FULL = b"] [ERROR] server-full"
SAID_BY_SERVER = re.compile(STAMP.pattern + rb"\[SERVER\] .*")

Service = Literal["echo", "ask"]


@dataclass(frozen=True)
class EchoLoad:
    """What each of `clients` clients does: sessions of `requests` questions with pauses, for `duration`.

    A session that has begun is finished, however long that takes: what waits at the end of the
    duration is waited for and counted, because leaving it out would hide just the longest waits.

    Without a number of `requests` the connections last: all clients connect and ask once, which is not measured, then
    the `active` ones go on.

    An "echo" is asked 64 bytes and owes the same. A chat can be asked, too ("ask"): the 64 bytes are a line that can be
    nobody's name, and the answer is its refusal. That is one line in and one line out as well, whatever the
    server, so that all servers of the course can stand in one picture.
    """

    clients: int
    requests: int | None = 10  # of a session
    pause: float = 0.002  # seconds between an answer and the next question
    rate: float | None = None  # questions a second of all clients together, open loop; needs connections that last
    duration: float = 0.5  # seconds in which new sessions begin; 0 is one session for each client
    warm_up: float = 0.0  # seconds before that which are not measured
    stagger: float = 0.0  # seconds between the first session of a client and that of the next one
    active: int | None = None  # how many of those whose connections last ask anything (None: all)
    service: Service = "echo"

    @property
    def mark(self) -> str:
        """What each question begins with: no name does so."""
        return "" if self.service == "echo" else "?"

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be."""
        if self.rate is not None and self.requests:
            raise ValueError("a rate needs connections that last: leave out requests")
        if self.active is not None and self.active < 1:
            raise ValueError("active must be 1 or more")
        if min(self.pause, self.duration, self.warm_up, self.stagger) < 0:
            raise ValueError("times are 0 or more")

    @property
    def most_generators(self) -> int:
        """How many may share it."""
        return self.clients

    def check(self, outcome: Outcome) -> None:
        """See that all generators together have heard what they must: each has seen to that alone."""

    def run(self, address: Address, share: Share = WHOLE, keep_spans: bool = False) -> Outcome:
        """Run it (or one generator's share) against a server. Raises LoadFault, ServerFull or CannotLoad."""
        kind = _Echo if self.service == "echo" else _Ask
        return kind(self, address, share, keep_spans).run()


class _Client(Line):
    __slots__ = ("answered", "asked", "head", "received", "session", "waiting")

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.asked = self.answered = 0  # questions and answers of this session so far
        self.session = 0
        self.head = b""  # of each question of this session
        self.waiting: deque[tuple[bytes, int]] = deque()  # questions without an answer yet, and when they were due
        self.received = b""  # of the next answer


class _Echo(Engine):
    def __init__(self, load: EchoLoad, address: Address, share: Share, keep_spans: bool) -> None:
        super().__init__(address, share.network)
        self.load = load
        self.share = share
        self.keep_spans = keep_spans
        self.lasting = load.requests is None
        self.precise = load.rate is not None
        self.clients = [_Client(number) for number in range(share.number, load.clients, share.of)]
        self.coming = iter(self.clients)
        self.there = 0
        self.over = 0
        self.all_asked = False  # open loop: whether nothing more will be due
        self.pause = int(load.pause * SECOND)

    # Coming and going

    def begin(self, now: int) -> None:
        self.active = len(self.clients)
        if self.lasting:
            for client in islice(self.coming, COMING):
                self.connect(client)
            return
        self.measure_from(now + int(self.load.warm_up * SECOND))
        self.over = self.measured_from + int(self.load.duration * SECOND)
        for client in self.clients:
            self._visit_at(now + int(client.number * self.load.stagger * SECOND), client)

    def _visit_at(self, when: int, client: _Client) -> None:
        def visit(_: int) -> None:
            client.asked = client.answered = 0
            client.session += 1
            self.connect(client)

        self.at(when, visit)

    def connected(self, line: Line) -> None:
        assert isinstance(line, _Client)
        text = f"{self.load.mark}client {line.number} session {line.session} request "
        line.head = text.encode().rjust(SIZE - 11, b".")
        self._ask(line, line.began)  # a session's first latency includes the connection's

    def _is_there(self, now: int) -> None:
        """One more client whose connection lasts has got its first answer."""
        self.there += 1
        if (client := next(self.coming, None)) is not None:
            self.connect(client)
        elif self.there == len(self.clients):
            self._all_are_there(now)

    def _all_are_there(self, now: int) -> None:
        load, share = self.load, self.share
        self.outcome.ready = (now - self.began) / SECOND
        self.measure_from(now + int(load.warm_up * SECOND))
        self.over = self.measured_from + int(load.duration * SECOND)
        active = load.clients if load.active is None else min(load.active, load.clients)
        asking = self.clients[: len(range(share.number, active, share.of))]
        self.active = len(asking)
        if load.rate is None:
            for client in asking:
                self._ask(client, time.perf_counter_ns())
        elif asking:
            self._ask_at_rate(asking, now + int(share.number * SECOND / load.rate), share.of * SECOND / load.rate)

    def _leave(self, client: _Client, now: int) -> None:
        self.disconnect(client)
        self.outcome.sessions += 1
        if now < self.over:
            self._visit_at(now, client)
        else:
            self.active -= 1

    # Asking

    def _ask(self, client: _Client, due: int) -> None:
        client.asked += 1
        request = client.head + NUMBERS[client.asked % len(NUMBERS)]
        client.waiting.append((request, due))
        self.send(client, request)

    def _ask_after_a_pause(self, client: _Client, due: int) -> None:
        def ask(_: int) -> None:
            now = time.perf_counter_ns()
            self.late(now - due)
            self._ask(client, now)

        self.at(due, ask)

    def _ask_at_rate(self, asking: list[_Client], first: int, gap: float) -> None:
        """Let question n be due at `first` + n * `gap`, of one client after the other."""
        turns = count()
        due = first

        def ask(now: int) -> None:
            nonlocal due
            while due <= now and due < self.over:
                turn = next(turns)
                self.late(time.perf_counter_ns() - due)
                self._ask(asking[turn % len(asking)], due)
                due = first + int((turn + 1) * gap)
            self.at(*((due, ask) if due < self.over else (self.over, end)))

        def end(_: int) -> None:
            self.all_asked = True
            self.active = sum(bool(client.waiting) for client in asking)

        self.at(first, ask)

    # Being answered

    def arrived(self, line: Line, data: bytes, now: int) -> None:
        assert isinstance(line, _Client)
        if not line.received and line.waiting and data == line.waiting[0][0]:  # nearly always
            self._answered(line, now)
            return
        data = line.received + data
        while data:
            request = line.waiting[0][0] if line.waiting else b""
            if not request or not data.startswith(request):
                if request.startswith(data):
                    break
                raise LoadFault(f"{self.name_of(line)}: expected {request!r}, received {data!r}")
            data = data[SIZE:]
            self._answered(line, now)
        line.received = data

    def _answered(self, client: _Client, now: int) -> None:
        due = client.waiting.popleft()[1]
        self.signs += 1
        client.answered += 1
        if client.answered == 1:
            self.outcome.first_replies.record(now - due)
            if self.lasting:
                self._is_there(now)
                return
        if due >= self.measured_from:
            self.record(now - due)
        if self.keep_spans:
            since = self.began
            span = Span(client.number, (due - since) / SECOND, (now - since) / SECOND, client.answered == 1)
            self.outcome.spans.append(span)
        if self.load.rate is not None:
            self.active -= self.all_asked and not client.waiting
        elif client.answered == self.load.requests:
            self._leave(client, now)
        elif self.lasting and now >= self.over:
            self.active -= 1
        elif self.pause:
            self._ask_after_a_pause(client, now + self.pause)
        else:
            self._ask(client, now)

    def ended(self, line: Line, how: str = "") -> Exception:
        assert isinstance(line, _Client)
        if self.lasting and not line.answered and self.there >= MANY:
            return ServerFull(self.there)
        return super().ended(line, f"after {line.received!r}{f', {how}' if how else ''}" if line.received else how)

    def name_of(self, line: Line) -> str:
        assert isinstance(line, _Client)
        return f"client {line.number}, session {line.session}, request {max(1, line.asked)}"

    def waits_for(self) -> str:
        if self.lasting and self.there < len(self.clients):
            return (
                f"{self.there} of {len(self.clients)} clients were answered, and nobody more for {STALLED:.0f} seconds"
            )
        waiting = next(client for client in self.clients if client.waiting)
        return (
            f"no reply to any of {self.active} clients for {STALLED:.0f} seconds; the first of them: "
            f"{self.name_of(waiting)}, received {waiting.received!r} so far"
        )


class _Ask(_Echo):
    def arrived(self, line: Line, data: bytes, now: int) -> None:
        assert isinstance(line, _Client)
        *lines, line.received = (line.received + data).split(b"\n")
        for one in lines:
            if SAID_BY_SERVER.fullmatch(one):
                continue
            if FULL in one:
                raise ServerFull(self.there if self.lasting else self.others())
            if not line.waiting or not REFUSAL.fullmatch(one):
                raise LoadFault(f"{self.name_of(line)}: expected [ERROR] name-invalid, received {one!r}")
            self._answered(line, now)
