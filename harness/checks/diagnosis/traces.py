"""The program's own tracebacks: in which line of its author's something was raised that nobody caught."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

BEGIN = "Traceback (most recent call last):"
FRAME = re.compile(r'  File "(?P<file>[^"\n]{1,300})", line (?P<line>\d{1,7}), in (?P<function>\S{1,80})')
RAISED = re.compile(r"[\w.]{1,80}(?:: .*)?$")
LOST = ("ConnectionResetError", "BrokenPipeError", "ConnectionAbortedError", "TimeoutError")
MOST_LINES = 400  # of one traceback
MOST_COLUMNS = 200


@dataclass(frozen=True)
class Raised:
    """What was raised, and the last line of the author's own that was at work then."""

    file: str
    line: int
    function: str
    code: str
    error: str


def raised(printed: str, files: frozenset[str]) -> list[Raised]:
    """Return what was raised in a program's `files` (their names), the first time first, each line once.

    The first one is the cause of those that follow it, more often than not; that a connection was lost is a client's
    doing, and comes last.
    """
    found: dict[tuple[str, int], Raised] = {}
    for block in _blocks(printed):
        one = _read(block, files)
        if one:
            found.setdefault((one.file, one.line), one)
    return sorted(found.values(), key=lambda one: one.error.startswith(LOST))


def _blocks(printed: str) -> Iterator[list[str]]:
    lines = printed.splitlines()
    for number, line in enumerate(lines):
        if line.endswith(BEGIN):
            yield lines[number + 1 : number + 1 + MOST_LINES]


def _read(lines: list[str], files: frozenset[str]) -> Raised | None:
    place, code = None, ""
    for number, line in enumerate(lines):
        if not line.startswith(" "):
            if place is None or not RAISED.match(line[:MOST_COLUMNS]):
                return None
            return Raised(place[0], place[1], place[2], code, line[:MOST_COLUMNS])
        frame = FRAME.match(line)
        if frame and (name := PurePath(frame["file"]).name) in files:
            place = (name, int(frame["line"]), frame["function"])
            follows = lines[number + 1] if number + 1 < len(lines) else ""
            code = "" if FRAME.match(follows) or not follows.startswith("    ") else follows.strip()[:MOST_COLUMNS]
    return None
