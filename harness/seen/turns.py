"""Calls of select() in slow motion: a column for each call, which sockets it was asked for, and which it named."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.seen.ink import FAINT, INK, PALE, PASSES, WAITS, WIDTH, WORKS, Sheet
from harness.units import seconds

LEFT, RIGHT, HIGH = 110, 14, 40


@dataclass(frozen=True)
class Turn:
    """One call: what it was asked to watch for reading and for writing, what it named, and how long it took."""

    words: str  # what had just happened
    asked: tuple[Sequence[str], Sequence[str]]
    named: tuple[Sequence[str], Sequence[str]]
    took: float  # seconds


def turns(title: str, calls: Sequence[Turn]) -> str:
    """Draw a row for each socket, a column for each call; what was named is filled, what was only asked for is not."""
    sheet = Sheet(title)
    names = list(dict.fromkeys(name for call in calls for names in call.asked for name in names))
    wide = (WIDTH - LEFT - RIGHT) / len(calls)
    top = sheet.top + 34
    bottom = top + HIGH * len(names) + 14
    for place, name in enumerate(names):
        sheet.text(12, top + HIGH * place + 29, name, INK, bold=True)
    for number, call in enumerate(calls):
        x = LEFT + wide * number
        sheet.line(x, top - 34, x, bottom + 8, PALE, 1)
        sheet.text(x + 8, top - 20, f"{number + 1}. {call.words}", INK, size=11)
        for place, name in enumerate(names):
            y = top + HIGH * place + 8
            for half, (kind, colour) in enumerate((("read", WORKS), ("write", PASSES))):
                if name in call.asked[half]:
                    there = name in call.named[half]
                    at = x + 8 + half * 66
                    sheet.rect(at, y, 60, 30, colour if there else "#fff", colour if there else PALE)
                    sheet.text(at + 30, y + 20, kind, "#fff" if there else FAINT, "middle", 12, bold=there)
        nobody = not any(call.named)
        took = f"{'nobody: ' if nobody else 'after '}{seconds(call.took)}"
        sheet.text(x + 8, bottom + 2, took, WAITS if nobody else FAINT, size=11)
    return sheet.svg(bottom + 18)
