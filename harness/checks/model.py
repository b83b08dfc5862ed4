"""A model of the chat room, and dialogues by chance: what the server says is compared with what the model says.

A dialogue is a list of turns; in each one a client connects, sends some lines in one piece (or cut by chance), or
goes. What all clients must hear is known before the next turn, so a dialogue that fails can be shortened as long as
it still fails: what is left is the shortest way to see the fault.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.checks.chat import NAME, Guest, visit
from harness.checks.subject import Subject

FORM = re.compile(NAME.decode())
RESERVED = {"server", "error"}
SPELLINGS = {"ann": ("ann", "Ann"), "bob": ("bob", "BOB"), "cat": ("cat",), "dan": ("dan", "dAN")}
CLIENTS = tuple(SPELLINGS)
STRANGE = ("server", "Error", "9lives", "a b", " ann", "much_too_long_for_a_name", "änn", "/nick")
TEXTS = (
    "hello",
    "  two  spaces ",
    "\ttab",
    "/",
    "Grüße 🙂",
    "\x1b[2J",
    "[12:00:00] [SERVER] no",
    ".",
    "a\rb",
    "ann left",
)
MOST_SECONDS = 5.0  # in which a dialogue that fails is shortened


@dataclass(frozen=True)
class Turn:
    """What one client does: connect, send lines, or go (by the end of its stream or a reset)."""

    who: str
    deed: str  # "connect", "send", "end" or "reset"
    lines: tuple[str, ...] = ()
    chunks: tuple[int, ...] = ()  # sizes of the segments, in bytes; none: in one piece

    def __str__(self) -> str:
        return f"{self.who}: {self.deed}" + (f" {self.lines}" if self.lines else "")


Heard = tuple[str, tuple[object, ...]]  # the name of an expectation of Guest, and what it takes


@dataclass
class Model:
    """Who is here, under which name; and for every line, who is to hear what."""

    names: dict[str, str] = field(default_factory=dict)  # of each client that is connected; "" for one without
    due: dict[str, list[Heard]] = field(default_factory=dict)

    def take(self, turn: Turn) -> list[str]:
        """Carry out a turn, and say in `due` what each client is to hear of it, in order; return the lines to send.

        Lines whose answer the protocol leaves open are left out.
        """
        self.due = {}
        sent = []
        if turn.deed == "connect":
            self.names[turn.who] = ""
            self._tell(turn.who, "expect_prompt")
        elif turn.deed == "send":
            for line in turn.lines:
                if turn.who in self.names and not self._is_free(turn.who, line):
                    sent.append(line)
                    self._hear(turn.who, line)
        else:
            self._leave(turn.who)
        return sent

    def _is_free(self, who: str, line: str) -> bool:
        """Whether it is a `/nick` to exactly one's own name, or a whisper to oneself."""
        word, *rest = [part for part in line.split(" ") if part] or [""]
        name = self.names[who]
        if word == "/nick":
            return rest == [name]
        return word == "/whisper" and rest[:1] != [] and rest[0].lower() == name.lower()

    def _hear(self, who: str, line: str) -> None:
        text = line.removesuffix("\r")
        if len(text.encode()) > 4096:
            codes = ("line-too-long",) if self.names[who] else ("line-too-long", "name-invalid")
            self._refuse(who, codes)
        elif not text.strip(" \t"):
            return
        elif not self.names[who]:
            self._register(who, text)
        elif text.startswith("/"):
            self._command(who, *text.partition(" ")[::2])
        else:
            self._tell_all("expect_message", self.names[who], harmless(text), but=who)

    def _register(self, who: str, name: str) -> None:
        if name.rstrip(" ") == "/exit":
            del self.names[who]
            self._tell(who, "expect_gone")
        elif self._may_have(who, name):
            self.names[who] = name
            self._tell(who, "expect_welcome", name)
            self._tell_all("expect_joined", name, but=who)

    def _may_have(self, who: str, name: str) -> bool:
        others = {other.lower() for client, other in self.names.items() if client != who}
        if name.lower() in RESERVED:
            self._refuse(who, ("name-invalid", "name-taken"))
        elif not FORM.fullmatch(name):
            self._refuse(who, ("name-invalid",))
        elif name.lower() in others:
            self._refuse(who, ("name-taken",))
        else:
            return True
        return False

    def _command(self, who: str, word: str, rest: str) -> None:
        if word == "/list":
            names = sorted(filter(None, self.names.values()), key=str.lower)
            self._tell(who, "expect_answer_of_list", *names)
        elif word == "/exit":
            self._tell(who, "expect_goodbye")
            self._leave(who)
        elif word == "/whisper":
            self._whisper(who, rest)
        elif word == "/nick":
            self._rename(who, rest.strip(" "))
        else:
            self._refuse(who, ("unknown-command",), harmless(word))

    def _whisper(self, who: str, rest: str) -> None:
        name, _, text = rest.lstrip(" ").partition(" ")
        text = harmless(text.lstrip(" "))
        others = [client for client, other in self.names.items() if other and other.lower() == name.lower()]
        if not text:
            self._refuse(who, ("usage",), "/whisper")
        elif not others:
            self._refuse(who, ("no-such-user",), harmless(name))
        else:
            self._tell(others[0], "expect_private_from", self.names[who], text)
            self._tell(who, "expect_private_to", self.names[others[0]], text)

    def _rename(self, who: str, name: str) -> None:
        if not name:
            self._refuse(who, ("usage",), "/nick")
        elif " " in name:
            self._refuse(who, ("name-invalid", "usage"))
        elif self._may_have(who, name):
            self._tell_all("expect_renamed", self.names[who], name)
            self.names[who] = name

    def _leave(self, who: str) -> None:
        name = self.names.pop(who, "")
        if name:
            self._tell_all("expect_left", name)

    def _refuse(self, who: str, codes: tuple[str, ...], about: str = "") -> None:
        self._tell(who, "expect_refusal", codes, about)

    def _tell(self, who: str, what: str, *words: object) -> None:
        self.due.setdefault(who, []).append((what, words))

    def _tell_all(self, what: str, *words: object, but: str = "") -> None:
        for client, name in self.names.items():
            if name and client != but:
                self._tell(client, what, *words)


def harmless(text: str) -> str:
    """Put U+FFFD in the place of control characters, as C3 asks."""
    return "".join("\ufffd" if char != "\t" and (char < " " or "\x7f" <= char <= "\x9f") else char for char in text)


class Players:
    """The clients of one dialogue, and the model that says what they must hear."""

    def __init__(self, server: Subject) -> None:
        self.server = server
        self.model = Model()
        self.guests: dict[str, Guest] = {}

    def take(self, turn: Turn) -> None:
        """Let one client do something; expect that all hear what the model says. Raises Fault."""
        who = turn.who
        if (turn.deed == "connect") == (who in self.model.names):
            return  # in a shortened dialogue: whoever never came cannot go
        if turn.deed == "connect":
            self.guests[who] = visit(self.server, who)
        elif turn.deed == "end":
            self.guests[who].half_close()
        elif turn.deed == "reset":
            self.guests[who].reset()
            if not any(name for other, name in self.model.names.items() if other != who):
                self.server.settle()  # nobody will be told, and the name must be free in the next turn
        if lines := self.model.take(turn):
            data = "".join(f"{line}\n" for line in lines).encode()
            self.guests[who].send(data, turn.chunks if sum(turn.chunks) == len(data) else None)
        for name, heard in self.model.due.items():
            for what, words in heard:
                getattr(self.guests[name], what)(*words)
        if turn.deed == "end":
            self.guests[who].expect_closed()
        elif turn.deed == "send" and self.model.names.get(who):
            self.guests[who].expect_silence()  # the next turn comes when all of this one has been carried out

    def part(self) -> None:
        """Expect that nobody hears anything more; let all leave."""
        for who in list(self.model.names):
            if self.model.names[who]:
                self.guests[who].expect_silence("What the others did up to now has been told already.")
        for who in list(self.model.names):
            self.take(Turn(who, "send", ("/exit",)))


def dialogue(chance: random.Random, turns: int) -> Iterator[Turn]:
    """Yield a dialogue by chance, in which most of what is tried makes sense."""
    here: dict[str, bool] = {}  # whether it has asked for a good name
    for _ in range(turns):
        who = chance.choice(CLIENTS)
        if who not in here:
            here[who] = False
            yield Turn(who, "connect")
        elif chance.random() < 0.06:
            del here[who]
            yield Turn(who, chance.choice(("end", "reset")))
        else:
            lines = tuple(_line(chance, here[who]) for _ in range(chance.choice((1, 1, 1, 2, 3))))
            if not here[who]:
                lines, here[who] = (*lines[1:], chance.choice(SPELLINGS[who])), True
            if any(line.rstrip(" ") == "/exit" for line in lines):
                lines = (*lines[: [line.rstrip(" ") for line in lines].index("/exit")], "/exit")
                del here[who]
            yield Turn(who, "send", lines, _chunks(chance, "".join(f"{line}\n" for line in lines).encode()))


def _line(chance: random.Random, registered: bool) -> str:
    name = chance.choice(chance.choice(tuple(SPELLINGS.values())))
    if not registered:
        return chance.choice((*STRANGE, "", " \t", name))
    kind = chance.randrange(12)
    if kind < 4:
        return chance.choice(TEXTS) + "\r" * (chance.random() < 0.2)
    if kind < 6:
        return f"/whisper {' ' * chance.randrange(2)}{name} {chance.choice((*TEXTS, '', ' '))}"
    if kind < 8:
        return f"/nick {chance.choice((name, name, 'eva', 'Fay', chance.choice(STRANGE), ''))}"
    return chance.choice(("/list", "/list", "/foo", "/listen", "", "  ", "/exit", "x" * 4097, "/whisper", "/LIST x"))


def _chunks(chance: random.Random, data: bytes) -> tuple[int, ...]:
    if len(data) < 2 or len(data) > 1000 or chance.random() < 0.7:
        return ()
    cuts = sorted(chance.sample(range(1, len(data)), chance.randint(1, min(3, len(data) - 1))))
    return tuple(stop - start for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True))


def shortened(turns: Sequence[Turn], fails: Callable[[Sequence[Turn]], bool]) -> list[Turn]:
    """Return a shorter dialogue that still fails: turns, then lines, are left out, many at a time and one by one.

    This is delta debugging (Zeller and Hildebrandt 2002).
    """
    best = list(turns)
    until = time.monotonic() + MOST_SECONDS

    def attempt(shorter: list[Turn]) -> bool:
        nonlocal best
        if time.monotonic() < until and fails(shorter):
            best = shorter
            return True
        return False

    span = max(1, len(best) // 2)
    while time.monotonic() < until:
        start, before = 0, len(best)
        while start < len(best) and time.monotonic() < until:
            if not attempt(best[:start] + best[start + span :]):
                start += span
        if span > 1:
            span //= 2
        elif len(best) == before:
            break
    for place, turn in enumerate(list(best)):
        for line in turn.lines if len(turn.lines) > 1 else ():
            fewer = tuple(other for other in best[place].lines if other != line)
            attempt([*best[:place], Turn(turn.who, turn.deed, fewer), *best[place + 1 :]])
        if best[place].chunks:
            attempt([*best[:place], Turn(turn.who, turn.deed, best[place].lines), *best[place + 1 :]])
    return best


def play(server: Subject, turns: Sequence[Turn]) -> None:
    """Play a dialogue on a server that nobody else is connected to. Raises Fault."""
    players = Players(server)
    for turn in turns:
        players.take(turn)
    players.part()
