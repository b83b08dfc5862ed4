"""The members of a chat: how they come, all of them before anything is said, and those who do not read."""

import socket
import time
from collections import deque
from itertools import islice

from harness.load.chat.visits import Visiting
from harness.load.chat.voices import Act, Guest, SlowGuest, Visitor, Voice
from harness.load.engine import MANY, STALLED, Address, Line
from harness.load.outcome import SECOND, TENTH, LoadFault, ServerFull, Share

COMING = 100  # clients that connect and were not asked for a name yet, at most: an accept queue has an end (C7)
NAMED = 1000  # clients that give their names at the same time: the notices of them come in large pieces
KEPT = 1_000_000  # bytes, up to which a server keeps what a client does not read (C6)
SMALL = 4096  # bytes that the kernel is to keep for a client that does not read
LARGE = 1 << 20  # the same, when it reads


class Members(Visiting):
    """The lasting members of one generator.

    They all connect, then they give their names, many at a time. Where there are other generators, one member asks for
    the list of members until all of them are there.
    """

    def __init__(self, clients: int, talkers: int, slow: int, comings: float, address: Address, share: Share) -> None:
        super().__init__(clients, talkers, slow, comings, address, share)
        self.caller = self.healthy[0]  # asks how many there are, where there are other generators
        self.caller.owed = deque()
        self.coming = iter(self.guests)
        self.met = self.named = self.members = 0
        self.notices_due = 0  # to those who read, of each other and of the others who have given their names
        self.counted = self.grown = 0  # how many there are, as the caller was told, and since when
        self.unread: set[SlowGuest] | None = None  # who has not read everything yet, when the others have it

    def all_are_here(self, now: int) -> None:
        """All members of all generators have come."""
        raise NotImplementedError

    def do(self, talker: Guest, act: Act, line: bytes, due: int) -> None:
        """Let a member send a line."""
        raise NotImplementedError

    # Coming

    def begin(self, now: int) -> None:
        self.active = 1
        for guest in islice(self.coming, COMING):
            self.connect(guest)

    def prepare(self, line: Line, connection: socket.socket) -> None:
        if isinstance(line, SlowGuest):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)

    def connected(self, line: Line) -> None:
        if isinstance(line, Visitor):
            self.enters(line)

    def asked(self, guest: Guest, now: int) -> None:
        self.met += 1
        if (following := next(self.coming, None)) is not None:
            self.connect(following)
        elif self.met == len(self.guests):
            self._name_more()

    def _name_more(self) -> None:
        """Let the next clients give their names: many at a time, and those who do not read last of all."""
        batch = self.healthy[self.named : self.named + NAMED] or self.guests[self.named :]
        self.named += len(batch)
        readers = min(self.named, len(self.healthy))
        self.notices_due = readers * (readers - 1) // 2 + readers * (self.named - readers)
        for guest in batch:
            guest.named = time.perf_counter_ns()
            self.send(guest, guest.name + b"\n")

    def welcomed(self, guest: Guest, now: int) -> None:
        guest.welcome = True
        self.members += 1
        self.outcome.sessions += 1
        self.outcome.first_replies.record(guest.asked - guest.began + now - guest.named)
        if isinstance(guest, SlowGuest):
            self.stop_reading(guest)

    def has_heard(self, guest: Guest, now: int) -> None:
        if isinstance(guest, SlowGuest):
            self._has_read(guest)
        if not self.gathering:
            return
        if self.arrivals.total < self.notices_due or self.members < self.named or not self.named:
            return
        if self.named < len(self.guests):
            self._name_more()
        elif self.share.of == 1:
            self.all_are_here(now)
        elif not self.grown:
            self.grown = now
            self._call_the_roll(now)

    def _call_the_roll(self, now: int) -> None:
        if now - self.grown > STALLED * SECOND:
            raise LoadFault(
                f"for {STALLED:.0f} seconds there have been {self.counted} members, of {self.clients} that all "
                f"{self.share.of} generators bring: one of them has not done its part"
            )
        voice = self.caller.voice or Voice(self.caller.name, 0)
        self.do(self.caller, Act("roll call", voice, 0, 0, 1, asked=b"/list"), b"/list", now)

    def roll_was_called(self, now: int) -> None:
        """The caller was told how many members there are."""
        if self.counted >= self.clients:
            self.all_are_here(now)
        else:
            self.at(now + TENTH, self._call_the_roll)

    def who_is_not_here(self) -> str | None:
        """Say whose coming the load waits for."""
        if self.met < len(self.guests):
            if self.met:
                return f"{self.met:,} of {len(self.guests):,} clients were asked for a username, and nobody more for %s"
            return f"{self.name_of(self.guests[0])} has not been asked for its username for %s; is this a chat?"
        if unwelcome := next((guest for guest in self.guests if guest.named and not guest.welcome), None):
            return f"{self.name_of(unwelcome)} has not been welcomed for %s; is this a chat?"
        if self.gathering:
            here = [guest for guest in self.healthy if guest.named]
            return self.arrivals.fault(here) or "the members wait for each other; for %s nobody has heard anything"
        return None

    # Not reading

    def read_at_last(self) -> bool:
        """Let those read who did not read before; return whether they have everything."""
        if self.unread is None:
            self.unread = {guest for guest in self.guests if isinstance(guest, SlowGuest)}
            for guest in self.unread:
                assert guest.socket is not None
                guest.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LARGE)
                self.read_again(guest)
        return not self.unread

    def _has_read(self, guest: SlowGuest) -> None:
        """A member that did not read has read something: perhaps all, unless it is to come to the end of its stream."""
        if (
            not guest.dropped
            and self.unread
            and all(voice.heard[guest.place] == voice.told for voice in self.voices.values() if self._must_hear(voice))
        ):
            self.unread.discard(guest)
            self.end_if_over()

    def _must_hear(self, voice: Voice) -> bool:
        return not voice.name.endswith(b" left") and (self.is_own(voice.name) or voice.name.startswith(b"guest"))

    def departed(self, number: int) -> Voice | None:
        own = number < self.clients and number % self.share.of == self.share.number
        guest = self.guests[number // self.share.of] if own else None
        if isinstance(guest, SlowGuest):
            self._drop(guest)
        return super().departed(number)

    def _drop(self, guest: SlowGuest) -> None:
        """Note that the server has disconnected somebody who does not read, as it may if it has kept enough."""
        if guest.dropped:
            return
        due = max(one.received for one in self.healthy)
        if due <= KEPT:
            raise self.fault(
                guest,
                f"does not read, and was disconnected when at most {due:,} bytes were due to it: "
                f"a server has to keep {KEPT:,}",
            )
        guest.dropped = True
        voice = Voice(guest.name + b" left", len(self.guests))
        voice.told = 1
        self.voices[voice.name] = voice
        voice.acts[1] = Act("visit", voice, 1, 0, len(self.healthy))
        self.under_way.add(voice.acts[1])

    def may_end(self, line: Line) -> bool:
        if isinstance(line, SlowGuest) and line.welcome:
            self._drop(line)
            if self.unread:
                self.unread.discard(line)
            self.end_if_over()
            return True
        return isinstance(line, Visitor) and self.goes(line)

    def ended(self, line: Line, how: str = "") -> Exception:
        if isinstance(line, Guest) and not line.asked and self.met >= MANY:
            return ServerFull(self.met)
        return super().ended(line, how)
