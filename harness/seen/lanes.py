"""Lanes over time: what each descriptor, thread or client was doing, and where it waited."""

import errno
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.seen.ink import FAINT, INK, PALE, WAITS, WIDTH, WORKS, Sheet
from harness.units import seconds

LEFT, RIGHT, HIGH = 130, 30, 46
LETTER = 6.4  # the width of one
SHORT = 0.012  # of the whole: what is shorter is drawn as a dot


@dataclass(frozen=True)
class Span:
    """Something that a lane did: seconds from some beginning; `waits` if it did nothing but wait."""

    lane: str
    began: float
    ended: float
    words: str = ""
    waits: bool = True


@dataclass
class Recorder:
    """Writes down each call: when it began, when it returned, and what came of it."""

    spans: list[Span] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def call(self, lane: str, words: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function and return what it returns; an OSError is written down and returned as well."""
        before = time.monotonic() - self.began
        try:
            result = function(*args)
        except OSError as error:
            result = error
        came = in_short(result)
        told = f"{words} → {came}" if came else words
        self.spans.append(Span(lane, before, time.monotonic() - self.began, told))
        return result

    def watched(self, lane: str, sock: socket.socket) -> "Watched":
        """Return a socket whose calls are written down in a lane."""
        return Watched(self, lane, sock)

    def longest(self, lane: str) -> Span:
        """Return the call of a lane that took longest."""
        return max((span for span in self.spans if span.lane == lane), key=lambda span: span.ended - span.began)


class Watched:
    """A socket of which each call is written down."""

    def __init__(self, recorder: Recorder, lane: str, sock: socket.socket) -> None:
        self._recorder, self._lane, self._socket = recorder, lane, sock

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._socket, name)
        return partial(self._recorder.call, self._lane, f"{name}()", found) if callable(found) else found


def in_short(result: Any) -> str:
    """Write what a call has returned in a few characters."""
    if isinstance(result, bytes):
        return f"{len(result)} bytes" if len(result) > 12 else repr(result)
    if isinstance(result, OSError):
        return errno.errorcode.get(result.errno or 0, type(result).__name__)
    if isinstance(result, tuple) and result and isinstance(result[0], socket.socket):
        return "a client"
    return "" if result is None else str(result)


def lanes(title: str, spans: Sequence[Span], over: float | None = None) -> str:
    """Draw what each lane did, waiting hatched; `over` (seconds) is where the picture ends."""
    sheet = Sheet(title)
    names = list(dict.fromkeys(span.lane for span in spans))
    whole = over or max((span.ended for span in spans), default=1.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / whole
    top = sheet.top
    for place, name in enumerate(names):
        y = top + HIGH * place + 30
        sheet.text(12, y + 5, name, INK, bold=True)
        sheet.line(LEFT, y, LEFT + whole * scale, y, PALE)
        free = 0.0  # up to where words stand already
        for span in (one for one in spans if one.lane == name):
            x, width = LEFT + span.began * scale, (min(span.ended, whole) - span.began) * scale
            if span.ended - span.began < SHORT * whole:
                sheet.dot(x, y, WORKS)
            else:
                sheet.rect(x, y - 9, width, 18, "waits" if span.waits else "#cfe6ef", WAITS if span.waits else WORKS)
            words = span.words + (f" ({seconds(span.ended - span.began)})" if width > 60 else "")
            left = min(x, WIDTH - RIGHT - LETTER * len(words))
            if left < free and width > LETTER * (len(words) + 2) + free - x:
                left = free + LETTER
            if span.words and left >= free:
                sheet.text(left, y - 13, words, FAINT, size=11)
                free = left + LETTER * len(words)
    bottom = top + HIGH * len(names) + 22
    for step in range(5):
        x = LEFT + whole * scale * step / 4
        sheet.line(x, bottom - 8, x, bottom - 2, FAINT, 1)
        sheet.text(x, bottom + 12, seconds(whole * step / 4), FAINT, "middle", 11)
    return sheet.svg(bottom + 24)
