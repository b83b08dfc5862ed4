"""What is heard of the voices in a chat: each telling once, in order, by all who are due it, or a fault is named."""

import re
from collections import deque
from collections.abc import Callable

from harness.load.chat.arrivals import Arrivals
from harness.load.chat.replies import COMMANDS
from harness.load.chat.voices import NEVER, SAID, Act, Guest, SlowGuest, Visitor, Voice, shown
from harness.load.engine import Address, Engine, Line
from harness.load.outcome import LoadFault, Share
from harness.load.stamp import STAMP

GUEST = re.compile(rb"guest(\d+)(?:n\d+)?")
VISITOR = re.compile(rb"v(\d+)x\d+")


class Hearing(Engine):
    """The listeners of one generator, and all voices that they hear."""

    def __init__(self, clients: int, talkers: int, slow: int, address: Address, share: Share) -> None:
        super().__init__(address, share.network)
        self.clients, self.talkers, self.slow, self.share = clients, talkers, slow, share
        numbers = range(share.number, clients, share.of)
        self.guests = [
            (SlowGuest if number >= clients - slow else Guest)(number, place) for place, number in enumerate(numbers)
        ]
        self.healthy = [guest for guest in self.guests if type(guest) is Guest]  # the first of them
        self.arrivals = Arrivals(clients)
        self.gathering = True  # members come, and all of them have not been announced to all others
        self.voices: dict[bytes, Voice] = {}  # by name; those of other generators from when they are heard
        self.on_their_way: dict[bytes, Act] = {}  # lines for everybody as they are heard, but for their time
        self.whispers: dict[bytes, Act] = {}
        self.pairs: dict[tuple[Voice, Guest], deque[Act]] = {}  # whispers from one to another, in order
        self.stamps: set[bytes] = set()  # beginnings of lines that were looked at, and are sound
        self.under_way: set[Act] = set()  # what this generator did, and somebody has not got yet
        self.recorders: dict[str, Callable[[int], None]] = {}  # of latencies by kind of act, if there are several kinds
        self.over = 0  # when the last act is due

    # What becomes of what is heard

    def asked(self, guest: Guest, now: int) -> None:
        """Somebody was asked for a name."""
        raise NotImplementedError

    def welcomed(self, guest: Guest, now: int) -> None:
        """Somebody is a member."""
        raise NotImplementedError

    def answered(self, guest: Guest, act: Act, now: int) -> None:
        """Somebody has the answer, or its last line, to what it did."""
        guest.owed.popleft()
        self.reached(act, now)

    def delivered(self, act: Act, now: int) -> None:
        """Everybody here who is due an act, or an answer to it, has that."""
        raise NotImplementedError

    def has_heard(self, guest: Guest, now: int) -> None:
        """A member has received something while members came, or one that did not read has read something."""
        raise NotImplementedError

    def end_if_over(self) -> None:
        """End the load, if nothing is due any more."""
        raise NotImplementedError

    def visitor_hears(self, visitor: Visitor, data: bytes, now: int) -> None:
        """A visitor has received something."""
        raise NotImplementedError

    def list_fault(self, act: Act, members: dict[int, bytes], names: list[bytes]) -> str | None:
        """Say what is wrong with a list whose form is sound."""
        raise NotImplementedError

    # What one voice tells everybody

    def said(self, guest: Guest, line: bytes, now: int) -> None:
        """Take a line of somebody who talks. Raises LoadFault unless it is the next one that is due."""
        said = SAID.fullmatch(line[11:])
        voice = self.voice_of(said[4]) if said else None
        number = int(said[3]) if said else 0
        if said is None or voice is None or (number > voice.told and self.is_own(voice.name)):
            raise self.fault(guest, f"received {shown(line)}, which nobody said")
        if said[1] != voice.name_at(number):
            who = voice.name_at(number).decode()
            raise self.fault(guest, f"received {shown(line)}, which nobody said: line {number} is {who}'s")
        if voice is guest.voice:
            raise self.fault(guest, f"received its own line {number} ({shown(line)})")
        self.hear(guest, voice, number, line, now, "say", said[2] == b"last line")

    def hear(
        self, guest: Guest, voice: Voice, number: int, line: bytes, now: int, kind: str, last: bool = False
    ) -> None:
        """Take something that a voice tells everybody, if it is the next one."""
        heard = voice.heard[guest.place]
        if number <= heard:
            raise self.fault(guest, f"{_received(voice.what(number))} for the second time")
        if number > heard + 1:
            lost = voice.what(heard + 1)
            lost = f"did not hear {lost}" if lost.startswith("that") else f"no {lost.partition(' of ')[0]}"
            raise self.fault(guest, f"{_received(voice.what(number))}, but {lost} before it: that one is lost")
        voice.told = max(voice.told, number)
        voice.heard[guest.place] = number
        if isinstance(guest, SlowGuest):
            return
        act = voice.acts.get(number)
        if act is None:  # another generator's, and heard for the first time here
            if self.is_own(voice.name):
                raise self.fault(guest, f"received {shown(line)}, which nobody said")
            act = Act(kind, voice, number, number - 1, len(self.healthy), last=last)
            voice.acts[number] = act
        if not act.key:
            act.key = line[11:]
            self.on_their_way[act.key] = act
        self.reached(act, now)

    def is_own(self, name: bytes) -> bool:
        """Whether somebody of that name belongs to this generator."""
        member, visitor = GUEST.match(name), VISITOR.fullmatch(name)
        if member is not None:
            return int(member[1]) % self.share.of == self.share.number
        return visitor is not None and int(visitor[1]) == self.share.number

    def voice_of(self, name: bytes, talks: bool = True) -> Voice | None:
        """Return the voice of that name, one of another generator from the first time on; None if that cannot be."""
        voice = self.voices.get(name)
        if voice is None and not self.is_own(name):
            member, visitor = GUEST.match(name), VISITOR.fullmatch(name)
            can_be = (
                int(member[1]) < (self.talkers if talks else self.clients)
                if member is not None
                else (visitor is not None and int(visitor[1]) < self.share.of)
            )
            if can_be:
                voice = self.voices[name] = Voice(name, len(self.guests))
        return voice

    def departed(self, number: int) -> Voice | None:
        """Return the voice that tells that a lasting member left; None if it is still there."""
        return self.voice_of(b"guest%d left" % number, talks=False)

    def reached(self, act: Act, now: int) -> None:
        """One more of those who were due it has an act, or an answer."""
        if act.measured:
            self.record(now - act.due)
            if act.also is not None:
                act.also(now - act.due)
        act.missing -= 1
        if not act.missing:
            self.delivered(act, now)

    # What is wrong

    def look_at_stamp(self, line: Line, one: bytes) -> None:
        """See that a line begins as each does. Raises LoadFault."""
        if not STAMP.match(one):
            raise self.fault(line, f"expected [HH:MM:SS] and a source, received {shown(one)}")
        self.stamps.add(one[:11])

    def fault(self, line: Line, what: str) -> LoadFault:
        """Return a fault with the name of the client that noticed it."""
        return LoadFault(f"{self.name_of(line)}: {what}")

    def what_is_lost(self, act: Act) -> str:
        """Say who lacks what of an act that does not come to its end."""
        for guest in self.healthy:
            if act.kind in ("say", "nick", "visit") and act.heard[guest.place] < act.number != NEVER:
                what = act.voice.what(act.number)
                what = f"to hear {what}" if what.startswith("that") else f"for {what}"
                return f"{self.name_of(guest)} has waited %s {what}: that one is lost"
        for guest in self.healthy:
            if act in guest.owed:
                lacks = f", of which {b' '.join(sorted({*COMMANDS} - act.answered)).decode()} is missing"
                return f"{self.name_of(guest)} has waited %s for the answer to {question(act)}" + lacks * (
                    act.kind == "help"
                )
        assert act.to is not None
        what = f"whisper {act.number} of {act.voice.name.decode()}"
        return f"{self.name_of(act.to)} has waited %s for {what}: that one is lost"


def _received(what: str) -> str:
    return f"heard {what}" if what.startswith("that") else f"received {what}"


def question(act: Act) -> str:
    """Return the command of something that is answered."""
    return {"nick": "/nick", "whisper": "/whisper"}.get(act.kind) or act.asked.decode()
