"""Visitors of a chat: each is welcomed, says one line, says /exit and is gone, while the members go on talking."""

import time

from harness.load.chat.listening import FULL, Listening
from harness.load.chat.voices import FILLER, GONE, JOINED, NAME, NEVER, SPOKEN, Act, Visitor, Voice, shown
from harness.load.engine import Address
from harness.load.outcome import SECOND, ServerFull, Share


class Visiting(Listening):
    """The visitors of one generator: `comings` of them a second are due, of all generators together."""

    def __init__(self, clients: int, talkers: int, slow: int, comings: float, address: Address, share: Share) -> None:
        super().__init__(clients, talkers, slow, address, share)
        self.comings = comings
        self._began = 0  # when the first visitor was due
        self._due = comings > 0  # whether more visitors will come
        self._visitors: dict[bytes, Visitor] = {}  # who are there, by name
        self._gone: dict[bytes, int] = {}  # who left, and when

    def let_visitors_come(self, now: int) -> None:
        """Begin with the visits, which go on until `over`."""
        self._began = now
        if self._due:
            self._visit_at(0)

    def has_visitors(self) -> bool:
        """Whether somebody is there, or will come."""
        return self._due or bool(self._visitors)

    def _visit_at(self, turn: int) -> None:
        due = self._began + int((self.share.number + turn * self.share.of) * SECOND / self.comings)
        if due < self.over:
            self.at(due, lambda _: self._comes(turn, due))
        else:
            self._due = False
            self.end_if_over()

    def _comes(self, turn: int, due: int) -> None:
        voice = Voice(b"v%dx%d" % (self.share.number, turn), len(self.guests))
        self.voices[voice.name] = voice
        visitor = Visitor(self.clients + turn, voice, due, due >= self.measured_from)
        self._visitors[visitor.name] = visitor
        self.connect(visitor)
        self._visit_at(turn + 1)

    def enters(self, visitor: Visitor) -> None:
        """Let a visitor say its name."""
        self._tells(visitor, JOINED)
        self.send(visitor, visitor.name + b"\n")

    def _tells(self, visitor: Visitor, number: int, key: bytes = b"") -> None:
        voice = visitor.voice
        voice.told = number
        act = Act("visit", voice, number, number - 1, len(self.healthy), due=visitor.due, key=key)
        voice.acts[number] = act
        if key:
            self.on_their_way[key] = act
        self.under_way.add(act)

    def visitor_hears(self, visitor: Visitor, data: bytes, now: int) -> None:
        *lines, visitor.rest = (visitor.rest + data).split(b"\n")
        for line in lines:
            if line[:11] not in self.stamps:
                self.look_at_stamp(visitor, line)
            source, _, text = line[12:].partition(b"] ")
            if source == b"ERROR":
                if not visitor.welcome and text.startswith(FULL):
                    raise ServerFull(self.others())
                raise self.fault(visitor, f"received {shown(line)}, and had done nothing wrong")
            if source == visitor.name:
                raise self.fault(visitor, f"received its own line ({shown(line)})")
            if source != b"SERVER":
                continue
            if not visitor.welcome and b"Welcome" in text and visitor.name in NAME.findall(text):
                self._is_in(visitor, now)
            elif visitor.welcome and b"Goodbye" in text:
                visitor.goodbye = True

    def _is_in(self, visitor: Visitor, now: int) -> None:
        visitor.welcome = True
        self.outcome.sessions += 1
        self.outcome.first_replies.record(now - visitor.began)
        if visitor.measured:
            self.record(now - visitor.due)
            self.recorders["visit"](now - visitor.due)
        text = b"line %d of %b %b" % (SPOKEN, visitor.name, FILLER)
        self._tells(visitor, SPOKEN, b"[%b] %b" % (visitor.name, text))
        self._tells(visitor, GONE)
        self.send(visitor, text + b"\n/exit\n")

    def goes(self, visitor: Visitor) -> bool:
        """Take the end of a visitor's connection; return whether it was time."""
        if visitor.goodbye:
            del self._visitors[visitor.name]
            self._gone[visitor.name] = time.perf_counter_ns()
            self.end_if_over()
        return visitor.goodbye

    def visitor_listed_though_gone(self, names: list[bytes], asked: int) -> str | None:
        """Say so if a list that was asked for at this time has somebody who had left before."""
        for name in names:
            if self._gone.get(name, NEVER << 32) < asked:
                return f"{name.decode()} has left"
        return None

    def visitor_waits(self) -> str | None:
        """Say for what a visitor waits."""
        for visitor in self._visitors.values():
            what = "to be welcomed" if not visitor.welcome else "for its Goodbye" * (not visitor.goodbye)
            return f"{self.name_of(visitor)} has waited %s {what or 'for the server to close the connection'}"
        return None
