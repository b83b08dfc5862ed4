"""Chatters: some talk, all listen, and every delivery is checked: to whom, once, in its sender's order, and when.

Closed loop (no `rate`): a talker says its next line when all others have its last one. Open loop: the lines are due
at a steady rate, whatever becomes of those before. Latency counts from when a line was due, not from when it was
sent: a server that stalls cannot hide it by keeping the load from sending (coordinated omission, Gil Tene).
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from harness.load.engine import SECOND, STALLED, Address, Engine, Line, LoadFault, Outcome

FILLER = b"." * 24  # makes the lines as long as people's
JOINING = 50  # clients that connect and are not welcome yet, at most: an accept queue has an end
STAMP = re.compile(rb"\[([01]\d|2[0-3]):[0-5]\d:[0-5]\d\] ")
SAID = re.compile(rb"\[(\w+)\] line (\d+) of (\w+) " + re.escape(FILLER))


@dataclass(frozen=True)
class ChatLoad:
    """`clients` members of a chat, of whom `talkers` talk for `duration`, after a warm-up that is not measured.

    The load ends when everything that was said has been delivered, however long that takes.
    """

    clients: int  # 2 or more
    talkers: int = 5  # at most; never more than there are clients
    rate: float | None = None  # lines a second of all talkers together, open loop; None: closed loop
    duration: float = 0.5  # seconds
    warm_up: float = 0.1  # seconds

    def run(self, address: Address, watch: Callable[[], None] = lambda: None) -> Outcome:
        """Run it against a chat server; call `watch` now and then. Raises LoadFault."""
        return _Chat(self, address, watch).run()


class _Guest(Line):
    def __init__(self, number: int, talkers: int) -> None:
        super().__init__(number)
        self.name = b"guest%d" % number
        self.welcome = False
        self.rest = b""  # of a line that is not complete
        self.heard = [0] * talkers  # lines of each talker so far
        self.said = 0
        self.was_measured = False  # whether one of these was


@dataclass(slots=True)
class _Saying:
    """A line that was said, and is on its way to all others."""

    talker: int
    number: int
    due: int  # when it was to be said
    missing: int  # those who do not have it yet
    measured: bool


class _Chat(Engine):
    def __init__(self, load: ChatLoad, address: Address, watch: Callable[[], None]) -> None:
        super().__init__(address, watch)
        if load.clients < 2:
            raise ValueError("a chat needs two clients")
        self.load = load
        talkers = min(load.talkers, load.clients)
        self.guests = [_Guest(number, talkers) for number in range(load.clients)]
        self.talkers = self.guests[:talkers]
        self.coming = iter(self.guests)
        self.under_way: dict[bytes, _Saying] = {}  # by "[NAME] TEXT", as it is delivered
        self.stamps: set[bytes] = set()  # beginnings of lines that were looked at, and are sound
        self.talking = talkers
        self.measured_from = self.over = 0

    def run(self) -> Outcome:
        self.active = len(self.guests)
        for guest in islice(self.coming, JOINING):
            self.connect(guest)
        outcome = super().run()
        outcome.seconds = max(outcome.seconds - (self.measured_from - self.began) / SECOND, 1e-9)
        return outcome

    # Coming

    def connected(self, line: Line) -> None:
        assert isinstance(line, _Guest)
        self.send(line, line.name + b"\n")

    def _welcomed(self, guest: _Guest, now: int) -> None:
        guest.welcome = True
        self.outcome.sessions += 1
        self.outcome.first_replies.record(now - guest.began)
        if (following := next(self.coming, None)) is not None:
            self.connect(following)
        elif self.outcome.sessions == len(self.guests):
            self._begin(now)

    def _begin(self, now: int) -> None:
        load = self.load
        self.measured_from = now + int(load.warm_up * SECOND)
        self.over = self.measured_from + int(load.duration * SECOND)
        for place, talker in enumerate(self.talkers):
            due = now if load.rate is None else now + int(place * SECOND / load.rate)
            self._say_at(due, talker)

    # Talking

    def _say_at(self, due: int, talker: _Guest) -> None:
        self.at(due, lambda now: self._say(talker, due, now))

    def _say(self, talker: _Guest, due: int, now: int) -> None:
        if due >= self.over and talker.was_measured:
            self.talking -= 1
            self._end_if_all_was_said()
            return
        if self.load.rate is not None:
            self._say_at(due + int(len(self.talkers) * SECOND / self.load.rate), talker)
        talker.said += 1
        talker.was_measured = measured = due >= self.measured_from
        text = b"line %d of %b %b" % (talker.said, talker.name, FILLER)
        saying = _Saying(talker.number, talker.said, due, len(self.guests) - 1, measured)
        self.under_way[b"[%b] %b" % (talker.name, text)] = saying
        if measured:
            self.outcome.lateness.record(time.perf_counter_ns() - due)
        self.send(talker, text + b"\n")

    # Listening

    def arrived(self, line: Line, data: bytes, now: int) -> None:
        assert isinstance(line, _Guest)
        if not data:
            raise LoadFault(f"{self.name_of(line)}: the server ended the connection")
        *lines, line.rest = (line.rest + data).split(b"\n")
        record, stamps, under_way, heard = self.outcome.latencies.record, self.stamps, self.under_way, line.heard
        for one in lines:
            saying = under_way.get(one[11:])
            if saying is None or saying.number != heard[saying.talker] + 1 or saying.talker == line.number:
                self._other(line, one, now)
                continue
            if one[:11] not in stamps:
                self._look_at_stamp(line, one)
            heard[saying.talker] = saying.number
            if saying.measured:
                record(now - saying.due)
                self.outcome.answers += 1
            saying.missing -= 1
            if not saying.missing:
                self._delivered(one[11:], saying, now)

    def _delivered(self, key: bytes, saying: _Saying, now: int) -> None:
        del self.under_way[key]
        if self.load.rate is None:
            self._say_at(now, self.guests[saying.talker])
        else:
            self._end_if_all_was_said()

    def _end_if_all_was_said(self) -> None:
        if not self.talking and not self.under_way:
            self.active = 0

    def _other(self, guest: _Guest, line: bytes, now: int) -> None:
        """Take a line that is not the next one of a talker: what the server itself says, or a fault."""
        self._look_at_stamp(guest, line)
        source, _, text = line[12:].partition(b"] ")
        if source == b"SERVER" and b"left" not in text.split():
            if not guest.welcome and b"Welcome" in text and guest.name in text:
                self._welcomed(guest, now)
            return
        raise LoadFault(f"{self.name_of(guest)}: {self._what_is_wrong(guest, line)}")

    def _look_at_stamp(self, guest: _Guest, line: bytes) -> None:
        if not STAMP.match(line):
            raise LoadFault(f"{self.name_of(guest)}: expected [HH:MM:SS] and a source, received {_shown(line)}")
        self.stamps.add(line[:11])

    def _what_is_wrong(self, guest: _Guest, line: bytes) -> str:
        said = SAID.fullmatch(line[11:])
        talker = next((one for one in self.talkers if said and said[1] == said[3] == one.name), None)
        if said is None or talker is None or int(said[2]) > talker.said:
            return f"received {_shown(line)}, which nobody said"
        number, heard = int(said[2]), guest.heard[talker.number]
        if talker is guest:
            return f"received its own line {number} ({_shown(line)})"
        if number <= heard:
            return f"received line {number} of {talker.name.decode()} for the second time"
        return f"received line {number} of {talker.name.decode()}, but no line {heard + 1} before it: that one is lost"

    def name_of(self, line: Line) -> str:
        assert isinstance(line, _Guest)
        return line.name.decode()

    def waits_for(self) -> str:
        for guest in self.guests:
            if not guest.welcome:
                return f"{self.name_of(guest)} has not been welcomed for {STALLED:.0f} seconds; is this a chat?"
        saying = min(self.under_way.values(), key=lambda one: one.due)
        without = next(
            one for one in self.guests if one.number != saying.talker and one.heard[saying.talker] < saying.number
        )
        return (
            f"{self.name_of(without)} has waited {STALLED:.0f} seconds for line {saying.number} of "
            f"{self.name_of(self.guests[saying.talker])}: that one is lost"
        )


def _shown(line: bytes) -> str:
    return repr(line if len(line) < 120 else line[:100] + b"...")
