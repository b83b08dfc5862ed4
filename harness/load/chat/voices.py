"""Who speaks in the load of a chat, what of it is on its way, and how it is told apart again when it is heard.

Everything that a voice tells everybody (a line, a new name; of a visitor also that it came and went) has a number, and
the number stands in the text or in the name: "line 5 of guest3", "guest3 is now guest3n6". So a listener knows by the
line alone who told it, and what is missing before it, also where the voice belongs to another generator.
"""

import re
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from harness.load.engine import Line

FILLER = b"." * 24  # makes the lines as long as people's
NEVER = (1 << 32) - 1  # what a voice has "heard" of itself: more than there will ever be
NAME = re.compile(rb"\b(?:guest\d+(?:n\d+)?|v\d+x\d+)\b")
SAID = re.compile(rb"\[([\w-]+)\] (last line|line) (\d+) of (\w+) " + re.escape(FILLER))
WHISPERED = re.compile(rb"\[PRIVATE (FROM|TO) ([\w-]+)\] whisper (\d+) of (\w+) " + re.escape(FILLER))
TAKEN = re.compile(rb"(guest\d+)n(\d+)")  # a name that was taken, and as which of the voice's tellings
LEFT = re.compile(rb"\bleft\b")

JOINED, SPOKEN, GONE = 1, 2, 3  # what a visitor lets everybody hear


class Voice:
    """Somebody who is heard: a talker, of this generator or of another one, or a visitor."""

    __slots__ = ("acts", "given_up", "heard", "name", "names", "told", "whispered")

    def __init__(self, name: bytes, listeners: int) -> None:
        self.name = name  # the first one, which stays in the text of its lines
        self.names = [(0, name)]  # from which telling on it has which name
        self.told = 0  # the number of what it told last
        self.heard = array("I", bytes(4 * listeners))  # the number of what each listener has heard of it last
        self.acts: dict[int, Act] = {}  # what is on its way to everybody, by number
        self.whispered = 0
        self.given_up: dict[bytes, int] = {}  # names that it had, and when it was told that it has another one

    @property
    def called(self) -> bytes:
        """Its name now."""
        return self.names[-1][1]

    def name_at(self, number: int) -> bytes:
        """Return the name that it had when it told this."""
        return next(name for since, name in reversed(self.names) if since < number or not since)

    def what(self, number: int) -> str:
        """Say what it told under a number."""
        name = self.name.decode()
        if name.startswith("v"):
            return {JOINED: f"that {name} joined", GONE: f"that {name} left"}.get(number, f"line {number} of {name}")
        if name.endswith(" left"):
            return f"that {name}"
        for before, (since, taken) in pairwise(self.names):
            if since == number:
                return f"that {before[1].decode()} is now {taken.decode()}"
        return f"line {number} of {name}"


@dataclass(slots=True, eq=False)
class Act:
    """Something that was told or asked, until all who are due it, or an answer to it, have that."""

    kind: str
    voice: Voice
    number: int  # of the voice's tellings; of whispers: of its whispers
    before: int  # what a listener has heard last of the voice when it is this one's turn
    missing: int  # deliveries and answers
    due: int = 0
    measured: bool = False
    by: "Guest | None" = None  # who did it, of the members of this generator
    last: bool = False
    also: Callable[[int], None] | None = None  # records the latency by kind
    heard: "array[int]" = field(init=False)  # the voice's
    key: bytes = b""  # the line without its time, once it is known
    to: "Guest | None" = None  # of a whisper
    asked: bytes = b""  # of what is answered: the command
    answered: set[bytes] = field(default_factory=set)  # of /help: the commands that it has told so far

    def __post_init__(self) -> None:
        self.heard = self.voice.heard


class Guest(Line):
    """A lasting member."""

    __slots__ = (
        "asked",
        "joined",
        "log_end",
        "log_start",
        "name",
        "named",
        "owed",
        "place",
        "reached",
        "received",
        "rest",
        "voice",
        "was_measured",
        "welcome",
    )

    def __init__(self, number: int, place: int) -> None:
        super().__init__(number)
        self.place = place  # among the listeners of this generator
        self.name = b"guest%d" % number
        self.asked = 0  # when it was asked for its name
        self.named = 0  # when it gave it
        self.welcome = False
        self.joined = 1 << number  # a bit for each member of whom it heard that they joined, and its own ...
        self.log_start = self.log_end = -1  # ... but for those in this stretch of the log that all share
        self.rest = b""  # of a line that is not complete
        self.received = 0  # bytes
        self.voice: Voice | None = None  # of a talker
        self.owed: deque[Act] = NOTHING_OWED  # acts without an answer yet, in order
        self.reached = 0  # whispers on their way to it
        self.was_measured = False


NOTHING_OWED: deque[Act] = deque(maxlen=0)


class SlowGuest(Guest):
    """A lasting member that does not read until all others have everything."""

    __slots__ = ("dropped",)

    def __init__(self, number: int, place: int) -> None:
        super().__init__(number, place)
        self.dropped = False


class Visitor(Line):
    """Somebody who comes, says a line, and goes."""

    __slots__ = ("due", "goodbye", "measured", "name", "rest", "voice", "welcome")

    def __init__(self, number: int, voice: Voice, due: int, measured: bool) -> None:
        super().__init__(number)
        self.voice = voice
        self.name = voice.name
        self.due = due
        self.measured = measured
        self.welcome = self.goodbye = False
        self.rest = b""


def shown(line: bytes) -> str:
    """Return a line as it is quoted."""
    return repr(line if len(line) < 120 else line[:100] + b"...")
