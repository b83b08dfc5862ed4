"""Chats under load: members talk, whisper, ask, come and go, and each delivery is checked: to whom, once, in order.

Closed loop (no `rate`): a talker does its next act when all who are due the last one have it. Open loop: the acts are
due at a steady rate, whatever becomes of those before. Latency counts from when an act was due, not from when it was
done: a server that stalls cannot hide it by keeping the load from sending (coordinated omission, Gil Tene).
"""

import random
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.load.chat.members import Members
from harness.load.chat.voices import FILLER, NEVER, Act, Guest, SlowGuest, Visitor, Voice
from harness.load.engine import STALLED, Address, Line
from harness.load.outcome import SECOND, WHOLE, CannotLoad, LoadFault, Outcome, Share

ACTS = ("say", "whisper", "list", "help", "nick", "unknown")


@dataclass(frozen=True)
class ChatLoad:
    """`clients` members of a chat, of whom `talkers` act for `duration`, after a warm-up that is not measured.

    The load ends when everything that was said has been delivered, however long that takes. All choices are made by
    `seed`, so a load can be had again. First replies are welcomes, from connecting on; the time is left out for which
    the load itself kept a name back, so that many clients give theirs at once.
    """

    clients: int  # lasting members: 2 or more for each generator that read
    talkers: int | None = 5  # at most; None: everyone (but those who do not read)
    rate: float | None = None  # acts a second of all talkers together, open loop; None: closed loop
    duration: float = 0.5  # seconds
    warm_up: float = 0.1  # seconds
    seed: int = 1
    acts: Mapping[str, float] = field(default_factory=lambda: {"say": 1.0})  # how often each of ACTS is chosen
    partners: Literal["members", "talkers"] = "members"  # to whom is whispered
    comings: float = 0.0  # visits a second, open loop: somebody joins, says a line, and leaves
    slow: int = 0  # members that do not read until all others have everything

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be."""
        if not self.acts or set(self.acts) - set(ACTS) or min(self.acts.values()) <= 0:
            raise ValueError(f"acts are some of {', '.join(ACTS)}, with weights above 0")
        if self.clients - self.slow < 2:
            raise ValueError("a chat needs two clients who listen")
        if self.talkers is not None and self.talkers < (0 if self.comings else 1):
            raise ValueError("talkers must be 1 or more")
        if self.partners not in ("members", "talkers"):
            raise ValueError("partners are members or talkers")
        if self.comings < 0 or self.slow < 0:
            raise ValueError("comings and slow are 0 or more")

    def run(self, address: Address, share: Share = WHOLE) -> Outcome:
        """Run it (or one generator's share) against a chat. Raises LoadFault, ServerFull or CannotLoad."""
        if share.of > self.most_generators:
            raise CannotLoad(f"a chat needs two clients who listen for each of {share.of} generators")
        return _Chat(self, address, share).run()

    @property
    def most_generators(self) -> int:
        """How many may share it: each has two clients who listen."""
        return (self.clients - self.slow) // 2

    def check(self, outcome: Outcome) -> None:
        """See that no notice of a member that joined was lost or doubled, in what all generators together have heard.

        One generator alone has seen to it already. Raises LoadFault.
        """
        due = self.clients * (self.clients - 1) // 2
        if not self.slow and outcome.notices != due:
            raise LoadFault(
                f"{due:,} notices that somebody joined were due to all members, and {outcome.notices:,} came"
            )


class _Chat(Members):
    def __init__(self, load: ChatLoad, address: Address, share: Share) -> None:
        most = load.clients - load.slow
        talkers = most if load.talkers is None else min(load.talkers, most)
        super().__init__(load.clients, talkers, load.slow, load.comings, address, share)
        self.load = load
        self.precise = load.rate is not None or load.comings > 0
        self.speakers = self.healthy[: len(range(share.number, talkers, share.of))]
        for guest in self.speakers:
            guest.voice = self.voices[guest.name] = Voice(guest.name, len(self.guests))
            guest.voice.heard[guest.place] = NEVER
            guest.owed = deque()
        self.chance = random.Random(load.seed ^ share.number)
        kinds = [*load.acts, *["visit"] * (load.comings > 0)]
        if len(kinds) > 1:
            self.recorders = {kind: self.recorder(kind) for kind in kinds}
        self.partners = self.healthy if load.partners == "members" else self.speakers
        self.talking = len(self.speakers)
        self.last_lines = 0  # that all have heard
        self.last_lines_due = talkers if "say" in load.acts or share.of > 1 else 0

    def all_are_here(self, now: int) -> None:
        load = self.load
        self.gathering = False
        self.outcome.ready = (now - self.began) / SECOND
        if self.share.of == 1 and (wrong := self.arrivals.fault(self.healthy)):
            raise LoadFault(wrong)
        self.measure_from(now + int(load.warm_up * SECOND))
        self.over = self.measured_from + int(load.duration * SECOND)
        for talker in self.speakers:
            if load.rate is None:
                self._act(talker, time.perf_counter_ns())
            else:
                self._act_at(now + int(talker.number * SECOND / load.rate), talker)
        self.let_visitors_come(now)
        self.end_if_over()  # with no talkers and no visitors

    # Acting

    def _act_at(self, due: int, talker: Guest) -> None:
        self.at(due, lambda _: self._act(talker, due))

    def _act(self, talker: Guest, due: int) -> None:
        voice = talker.voice
        assert voice is not None
        if due >= self.over and talker.was_measured:
            self.talking -= 1
            if self.last_lines_due:
                self._say(talker, voice, due, b"last line")
            self.end_if_over()
            return
        if self.load.rate is not None:
            self._act_at(due + int(self.talkers * SECOND / self.load.rate), talker)
        talker.was_measured = talker.was_measured or due >= self.measured_from
        match self._choice(talker):
            case "say":
                self._say(talker, voice, due)
            case "nick":
                voice.told += 1
                new = b"%bn%d" % (voice.name, voice.told)
                voice.names.append((voice.told, new))
                act = Act("nick", voice, voice.told, voice.told - 1, len(self.healthy))
                voice.acts[voice.told] = act
                self.do(talker, act, b"/nick " + new, due)
            case "whisper":
                self._whisper(talker, voice, due)
            case "unknown":
                word = b"/shout%d" % self.chance.randrange(1000)
                self.do(talker, Act("unknown", voice, 0, 0, 1, asked=word), word, due)
            case kind:
                word = b"/" + kind.encode()
                self.do(talker, Act(kind, voice, 0, 0, 1, asked=word), word, due)

    def _choice(self, talker: Guest) -> str:
        """Choose an act. Nobody takes another name while a whisper is on its way to the one it has."""
        acts = dict(self.load.acts)
        if "nick" in acts and talker.reached:
            del acts["nick"]
        if "whisper" in acts and not any(self._can_be_told(one, talker) for one in self.partners):
            del acts["whisper"]
        return self.chance.choices(list(acts), list(acts.values()))[0] if acts else "list"

    def _can_be_told(self, partner: Guest, talker: Guest) -> bool:
        return partner is not talker and not any(act.kind == "nick" for act in partner.owed)

    def _say(self, talker: Guest, voice: Voice, due: int, what: bytes = b"line") -> None:
        voice.told += 1
        text = b"%b %d of %b %b" % (what, voice.told, voice.name, FILLER)
        act = Act("say", voice, voice.told, voice.told - 1, len(self.healthy) - 1, last=what != b"line")
        act.key = b"[%b] %b" % (voice.called, text)
        voice.acts[voice.told] = self.on_their_way[act.key] = act
        self.do(talker, act, text, due)

    def _whisper(self, talker: Guest, voice: Voice, due: int) -> None:
        partner = talker
        while not self._can_be_told(partner, talker):
            partner = self.chance.choice(self.partners)
        name = partner.voice.called if partner.voice else partner.name
        voice.whispered += 1
        partner.reached += 1
        text = b"whisper %d of %b %b" % (voice.whispered, voice.name, FILLER)
        act = Act(
            "whisper", voice, voice.whispered, voice.told, 2, to=partner, asked=b"[PRIVATE TO %b] %b" % (name, text)
        )
        self.whispers[b"[PRIVATE FROM %b] %b" % (voice.called, text)] = act
        self.pairs.setdefault((voice, partner), deque()).append(act)
        self.do(talker, act, b"/whisper %b %b" % (name, text), due)

    def do(self, talker: Guest, act: Act, line: bytes, due: int) -> None:
        act.by, act.due = talker, due
        act.measured = not act.last and bool(self.over) and due >= self.measured_from
        act.also = self.recorders.get(act.kind)
        if act.kind != "say":
            talker.owed.append(act)
        self.under_way.add(act)
        if act.measured:
            self.late(time.perf_counter_ns() - due)
            self.outcome.last_due = max(self.outcome.last_due, (due - self.measured_from) / SECOND)
        self.send(talker, line + b"\n")

    def delivered(self, act: Act, now: int) -> None:
        if act.key:
            del self.on_their_way[act.key]
        if act.voice.acts.get(act.number) is act:
            del act.voice.acts[act.number]
        self.under_way.discard(act)
        self.last_lines += act.last
        if act.kind == "roll call":
            self.roll_was_called(now)
        elif act.by is not None and self.load.rate is None and not act.last:
            self._act(act.by, time.perf_counter_ns())
        else:
            self.end_if_over()

    def answered(self, guest: Guest, act: Act, now: int) -> None:
        if act.kind == "nick":
            act.voice.given_up[act.voice.name_at(act.number)] = now
        super().answered(guest, act, now)

    def list_fault(self, act: Act, members: dict[int, bytes], names: list[bytes]) -> str | None:
        if act.kind == "roll call":
            if len(names) > self.counted:
                self.counted, self.grown = len(names), time.perf_counter_ns()
            return None
        for guest in self.healthy:
            name = members[guest.number]
            names_of = guest.voice.names if guest.voice else [(0, guest.name)]
            given_up = guest.voice.given_up if guest.voice else {}
            if name != names_of[-1][1] and not any(
                name == one and given_up.get(one, act.due) >= act.due for _, one in names_of
            ):
                return f"{name.decode()} is called {names_of[-1][1].decode()}"
        return self.visitor_listed_though_gone(names, act.due)

    # The end

    def end_if_over(self) -> None:
        if self.talking or self.under_way or self.has_visitors() or self.last_lines < self.last_lines_due:
            return
        if self.over and self.read_at_last():
            self._end()

    def _end(self) -> None:
        there = [guest for guest in self.guests if not (isinstance(guest, SlowGuest) and guest.dropped)]
        if wrong := self.arrivals.fault(there):
            raise LoadFault(wrong)
        self.outcome.notices = self.arrivals.total
        self.active = 0

    def name_of(self, line: Line) -> str:
        assert isinstance(line, Guest | Visitor)
        return line.name.decode()

    def waits_for(self) -> str:
        return (self.who_is_not_here() or self._what_is_missing()).replace("%s", f"{STALLED:.0f} seconds")

    def _what_is_missing(self) -> str:
        if waits := self.visitor_waits():
            return waits
        if self.under_way:
            return self.what_is_lost(min(self.under_way, key=lambda act: act.due))
        for number in range(self.talkers):
            voice = self.voices.get(b"guest%d" % number)
            if voice is None or (self.last_lines < self.last_lines_due and voice.acts):
                act = min(voice.acts.values(), key=lambda act: act.number) if voice else None
                return self.what_is_lost(act) if act else f"nobody here has heard anything of guest{number} for %s"
        return "the members who did not read have still not got everything after %s"
