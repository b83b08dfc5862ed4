"""What was done and what was seen during one check, in order, a lane for each participant."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from harness.wire.payload import source

SERVER = "server"


class Kind(StrEnum):
    """What happened on a lane."""

    CONNECT = "connect"
    SEND = "send"
    RECEIVE = "receive"
    HALF_CLOSE = "half-close"
    CLOSE = "close"
    RESET = "reset"
    END_SEEN = "end seen"  # the server's FIN
    RESET_SEEN = "reset seen"  # the server's RST
    REFUSED = "refused"
    ACT = "act"  # something done to the server, or seen of it


@dataclass(frozen=True)
class Event:
    """One thing that happened: `seconds` after the beginning, on the lane of `who`."""

    seconds: float
    who: str
    kind: Kind
    data: bytes = b""
    note: str = ""


@dataclass
class Transcript:
    """The events of one check, and the same dialogue as lines of Python that repeat it."""

    events: list[Event] = field(default_factory=list)
    script: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _indent: str = ""
    _muted: int = 0

    def record(self, who: str, kind: Kind, data: bytes = b"", note: str = "") -> None:
        """Add an event that happens now."""
        self.events.append(Event(self.since_began(time.monotonic()), who, kind, data, note))

    def since_began(self, moment: float) -> float:
        """Return how many seconds after the beginning a moment (of time.monotonic) was."""
        return moment - self._began

    def act(self, line: str, data: bytes | None = None) -> None:
        """Add a line to the script, just before it is done; `{}` in it stands for the source of `data`."""
        if not self._muted:
            self.script.append(self._indent + (line if data is None else line.replace("{}", source(data), 1)))

    @contextmanager
    def muted(self, line: str = "") -> Iterator[None]:
        """While the block runs, the script does not grow; `line` stands there for all of it."""
        if line:
            self.act(line)
        self._muted += 1
        try:
            yield
        finally:
            self._muted -= 1

    def times(self, number: int) -> Iterator[int]:
        """Repeat the body of a `for` statement; in the script it stands once, under a loop."""
        self.act(f"for _ in range({number}):")
        outside, self._indent = self._indent, self._indent + "    "
        try:
            for turn in range(number):
                if turn == 1:
                    self._muted += 1
                yield turn
        finally:
            self._muted -= number > 1 and turn > 0
            self._indent = outside

    @contextmanager
    def indented(self) -> Iterator[None]:
        """While the block runs, the lines of the script stand under the one before it."""
        outside, self._indent = self._indent, self._indent + "    "
        try:
            yield
        finally:
            self._indent = outside

    def restart(self, events: Sequence[Event] = (), script: Sequence[str] = ()) -> None:
        """Forget what was recorded so far, but for the given beginning: what follows is the dialogue that counts."""
        self.events[:] = events
        self.script[:] = script
        self._began = time.monotonic() - (self.events[-1].seconds if self.events else 0)


class Fault(AssertionError):
    """A program under test did not do what it must: what was expected, what came, why it matters."""

    def __init__(
        self,
        what: str,
        *,
        expected: str | bytes = "",
        received: str | bytes = "",
        why: str = "",
    ) -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.received = received
        self.why = why
        self.moment = time.monotonic()
