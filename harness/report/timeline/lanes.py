"""What a time line is made of: a lane for each thread and each client, with bars where it waits."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Row = dict[str, Any]  # of what harness.trace has seen
NO_CALLS = ("thread", "end")


class Look(StrEnum):
    """What a bar means, by which it has its colour."""

    ACCEPT = "waits for a client to come"
    RECEIVE = "waits for bytes of one peer"
    SEND = "waits for one peer to read"
    READY = "waits for whoever is ready"
    LOCK = "waits for another thread"
    KEY = "waits for a key"
    SLEEP = "sleeps"
    RUNS = "runs"
    WAITS = "waits for its answer"
    RESTS = "does nothing"


LOOKS = {
    "accept": Look.ACCEPT,
    "connect": Look.SEND,
    **dict.fromkeys(("recv", "recv_into", "recvfrom", "recvmsg"), Look.RECEIVE),
    **dict.fromkeys(("read", "readline"), Look.KEY),
    **dict.fromkeys(("send", "sendall", "sendmsg"), Look.SEND),
    **dict.fromkeys(("select", "poll", "epoll", "kqueue"), Look.READY),
    **dict.fromkeys(("lock", "join", "wait", "waitpid"), Look.LOCK),
    **dict.fromkeys(("sleep", "pause", "sigwait"), Look.SLEEP),
}
SIGNS = {
    "connect": "○",
    "send": "▶",
    "receive": "◀",
    "half-close": "┤",
    "close": "✕",
    "reset": "✕",
    "end seen": "◁",
    "reset seen": "✕",
    "refused": "✕",
}


@dataclass(frozen=True)
class Bar:
    """From `began` to `ended` (seconds) somebody did one thing; `who` it was about."""

    began: float
    ended: float
    look: Look
    label: str = ""
    who: tuple[str, ...] = ()

    @property
    def length(self) -> float:
        """How many seconds it took."""
        return self.ended - self.began

    def shared_with(self, other: "Bar") -> float:
        """Return how many seconds of it are of another bar, too."""
        return max(0.0, min(self.ended, other.ended) - max(self.began, other.began))


@dataclass(frozen=True)
class Mark:
    """A moment at which a client did or got something."""

    seconds: float
    sign: str


@dataclass(frozen=True)
class Lane:
    """One thread of the program, or one client."""

    name: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...] = ()
    hears: frozenset[str] = frozenset()  # of a thread: whose bytes it receives
    is_client: bool = False
    types: bool = False  # whether it is a user, who uses the keyboard


@dataclass(frozen=True)
class Timeline:
    """Everything that is drawn, and what it comes to in sentences."""

    program: str
    seconds: float
    lanes: tuple[Lane, ...]
    sentences: tuple[str, ...]
    faults: tuple[str, ...]  # what the program did wrong, in sentences
