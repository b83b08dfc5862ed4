"""Queue bars over time: how many bytes wait in the sender's kernel, and how many in the reader's."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from socket import socket

from harness.seen.ink import FAINT, PALE, PASSES, WIDTH, WORKS, Sheet
from harness.seen.sockets import unread, unsent
from harness.units import number, seconds

LEFT, RIGHT, HALF = 90, 20, 90.0
MOST = 120  # bars; of more looks than that, some are left out


@dataclass(frozen=True)
class Look:
    """Both queues of a connection at one moment (seconds); `mark` says what happened just then."""

    when: float
    sender: int
    reader: int
    mark: str = ""


@dataclass
class Queues:
    """Looks at the two ends of a connection of ours (Linux)."""

    sender: socket
    reader: socket
    looks: list[Look] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def look(self, mark: str = "") -> Look:
        """Look once. What has arrived and is not acknowledged yet counts for the reader alone."""
        there = unread(self.reader)
        seen = Look(time.monotonic() - self._began, max(0, unsent(self.sender)), there, mark)
        self.looks.append(seen)
        return seen

    def picture(self, title: str) -> str:
        """Draw all looks."""
        return bars(title, self.looks)


def bars(title: str, looks: Sequence[Look]) -> str:
    """Draw looks at two queues: the sender's above the line, the reader's below it."""
    sheet = Sheet(title)
    every = -(-len(looks) // MOST)
    shown = [look for place, look in enumerate(looks) if place % every == 0 or look.mark]
    most = max([1, *(max(look.sender, look.reader) for look in shown)])
    over = shown[-1].when or 1.0
    scale = (WIDTH - LEFT - RIGHT - 8) / over
    middle = sheet.top + 34 + HALF
    width = max(2.0, min(14.0, (WIDTH - LEFT - RIGHT) / len(shown) * 0.7))
    sheet.text(12, middle - HALF / 2, "in the", WORKS, bold=True)
    sheet.text(12, middle - HALF / 2 + 16, "sender", WORKS, bold=True)
    sheet.text(12, middle + HALF / 2, "in the", PASSES, bold=True)
    sheet.text(12, middle + HALF / 2 + 16, "reader", PASSES, bold=True)
    highest = {"sender": max(shown, key=lambda look: look.sender), "reader": max(shown, key=lambda look: look.reader)}
    free = 0.0
    for look in shown:
        x = LEFT + look.when * scale
        up, down = HALF * look.sender / most, HALF * look.reader / most
        sheet.rect(x, middle - up, width, up, "#8cc4d6", WORKS)
        sheet.rect(x, middle, width, down, "#c9a9c9", PASSES)
        if look.mark and x >= free:
            sheet.line(x, middle - HALF - 14, x, middle + HALF, FAINT, 1, "2 3")
            sheet.text(x + 3, middle - HALF - 18, look.mark, FAINT, size=11)
            free = x + 6.2 * len(look.mark)
    for name, look in highest.items():
        amount = look.sender if name == "sender" else look.reader
        if amount:
            x = min(LEFT + look.when * scale, WIDTH - 110)
            height = HALF * amount / most
            y = middle - height - 4 if name == "sender" else middle + height + 12
            sheet.text(x, y, f"{number(amount)} bytes", size=11)
    sheet.line(LEFT, middle, WIDTH - RIGHT, middle, PALE, 1.5)
    for step in range(5):
        sheet.text(LEFT + over * scale * step / 4, middle + HALF + 18, seconds(over * step / 4), FAINT, "middle", 11)
    return sheet.svg(middle + HALF + 30)
