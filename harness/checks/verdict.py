"""The outcome of one check, and of a run of checks."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from harness.wire.transcript import Transcript


class Status(StrEnum):
    """The four verdicts. Only a pass earns points; an error is neither a zero nor full marks."""

    PASS = "pass"
    FAIL = "fail"
    BLOCKED = "blocked"  # a check that this one needs does not hold
    ERROR = "error"  # the harness could not make the check


class Blocked(Exception):
    """A check cannot be made, and the program is not to blame; the text says why."""


LINUX_ONLY = "the limit of another program's descriptors can only be changed on Linux (prlimit(2))"


class Hindered(Exception):
    """The machine does not let the harness make a check; the text says what to do about it."""


@dataclass
class Verdict:
    """One check, made once (or several times, see `attempts`)."""

    id: str
    step: str
    title: str
    clause: str
    quote: str
    status: Status
    points: int
    max_points: int
    seconds: float = 0.0
    message: str = ""  # what is wrong, in one sentence
    expected: str = ""
    received: str = ""
    difference: int | None = None  # the place of the first byte that differs
    failed_after: float | None = None  # seconds, on the clock of the transcript
    why: str = ""
    elsewhere: dict[str, str] = field(default_factory=dict)  # what had come by then for others, who had not read it
    hint: str = ""
    role: str = "server"  # what the program under test is: "server" or "client"
    limit: str = ""  # the limit beyond which the program went, so that it was ended
    server: str = ""  # how the program ended, or that it runs
    output: str = ""  # the end of what it printed
    in_code: list[dict[str, Any]] = field(default_factory=list)  # file, line, code, and what it says of the failure
    by_hand: str = ""  # the script that shows the fault, in the folder of the run
    transcript: list[dict[str, Any]] = field(default_factory=list)
    script: list[str] = field(default_factory=list, repr=False)
    attempts: int = 1
    failures: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as it stands in results.json."""
        fields = asdict(self)
        del fields["script"]
        return fields


def as_rows(transcript: Transcript) -> list[dict[str, Any]]:
    """Return a transcript as it stands in results.json; bytes are written as Python writes them."""
    return [
        {
            "seconds": round(event.seconds, 6),
            "who": event.who,
            "kind": str(event.kind),
            "data": abridged(event.data),
            "bytes": len(event.data),
            "note": event.note,
        }
        for event in transcript.events[-MOST_EVENTS:]
    ]


MOST_EVENTS = 200
MOST_BYTES = 120


def abridged(data: bytes) -> str:
    """Write bytes as a Python literal, the middle of a long one left out."""
    if len(data) <= MOST_BYTES:
        return repr(data)[1:]
    return f"{repr(data[: MOST_BYTES // 2])[1:]} ... {repr(data[-20:])[1:]}"


def compared(expected: str | bytes, received: str | bytes) -> tuple[str, str, int | None]:
    """Write what was expected and received, cut to the neighbourhood of the first byte that differs."""
    if isinstance(expected, str) or isinstance(received, str):
        return _plain(expected), _plain(received), None
    if not received:
        return abridged(expected), "", None
    place = next(
        (i for i, (a, b) in enumerate(zip(expected, received, strict=False)) if a != b),
        min(len(expected), len(received)),
    )
    start = max(0, place - NEIGHBOURS)
    return _window(expected, start, place), _window(received, start, place), place


NEIGHBOURS = 12


def _window(data: bytes, start: int, place: int) -> str:
    text = repr(data[start : place + 2 * NEIGHBOURS])[1:]
    return f"{'...' * bool(start)}{text}{'...' * (place + 2 * NEIGHBOURS < len(data))}"


def _plain(value: str | bytes) -> str:
    return value if isinstance(value, str) else abridged(value) if value else ""
