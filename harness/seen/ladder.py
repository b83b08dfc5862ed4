"""A state ladder: two ends of a connection, the state of each after every step, time running down."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.seen.ink import FAINT, INK, PALE, PASSES, WIDTH, WORKS, WRONG, Sheet

LEFT_LINE, RIGHT_LINE, STEP, BOX = 270.0, 590.0, 58.0, 120.0
TINTS = {
    "ESTABLISHED": "#e3f3e6",
    "LISTEN": "#eef5fa",
    "SYN_SENT": "#eef5fa",
    "TIME_WAIT": "#fdf4e7",
    "CLOSE_WAIT": "#fdf4e7",
    "CLOSED": "#f0f0f0",
}


@dataclass(frozen=True)
class Rung:
    """One step: what was done, which segment went where ("→", "←" or ""), and both states after it."""

    words: str
    segment: str
    way: str
    left: str
    right: str


def ladder(title: str, names: tuple[str, str], rungs: Sequence[Rung]) -> str:
    """Draw what became of both ends, step by step."""
    sheet = Sheet(title)
    y = sheet.top + 18
    for x, name in ((LEFT_LINE, names[0]), (RIGHT_LINE, names[1])):
        sheet.text(x, y, name, INK, "middle", 14, bold=True)
        sheet.line(x, y + 8, x, y + 14 + STEP * len(rungs), PALE, 3)
    for number, rung in enumerate(rungs):
        middle = y + 14 + STEP * number + STEP / 2
        own_left = rung.way != "←"
        edge, anchor = (12, "start") if own_left else (WIDTH - 12, "end")
        sheet.text(edge, middle - 16, rung.words, FAINT, anchor, 12, mono=True)
        if rung.way:
            ends = (LEFT_LINE + 6, RIGHT_LINE - 6)
            colour = WRONG if "RST" in rung.segment else PASSES if rung.way == "←" else WORKS
            begin, end = ends if own_left else ends[::-1]
            sheet.arrow(begin, middle, end, middle, colour, "7 4" if "RST" in rung.segment else "")
            sheet.text((begin + end) / 2, middle - 7, rung.segment, colour, "middle", 12, bold=True)
        for x, state, before in (
            (LEFT_LINE - BOX - 10, rung.left, rungs[number - 1].left if number else ""),
            (RIGHT_LINE + 10, rung.right, rungs[number - 1].right if number else ""),
        ):
            if state:
                sheet.rect(x, middle - 10, BOX, 22, TINTS.get(state, "#f3ecf7"), PALE if state == before else INK)
                sheet.text(x + BOX / 2, middle + 5, state, FAINT if state == before else INK, "middle", 12, mono=True)
    return sheet.svg(y + 26 + STEP * len(rungs))
