"""How marks are spread, as a small picture: SVG of our own, that loads nothing and runs nothing."""

from collections.abc import Sequence
from statistics import median

from harness.report.marks.insight import BINS, spread
from harness.units import points

WIDTH, HEIGHT = 300, 150  # all lengths are pixels
LEFT, RIGHT, TOP, BOTTOM = 6, 6, 30, 22
INK, FAINT, BAR = "#1b1f24", "#59636e", "#0b6aa2"
EMPTY = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"/>'


def histogram(marks: Sequence[float], most: float) -> str:
    """Draw how many have up to a tenth of so many points, up to two tenths and so on; the median is marked."""
    counts = spread(marks, most)
    if not marks or not most:
        return EMPTY
    step = (WIDTH - LEFT - RIGHT) / BINS
    floor, room = HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM
    parts = []
    for place, count in enumerate(counts):
        height = room * count / max(counts)
        left, top = LEFT + place * step, floor - height
        parts.append(_bar(left + 1, top, step - 2, height))
        if count:
            parts.append(_text(left + step / 2, top - 4, str(count)))
    parts.append(f'<path d="M{LEFT} {floor + 0.5}H{WIDTH - RIGHT}" stroke="{FAINT}"/>')
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        parts.append(_text(LEFT + share * step * BINS, HEIGHT - 6, points(share * most), FAINT, anchor))
    middle = LEFT + step * BINS * min(1.0, max(0.0, median(marks) / most))
    parts.append(f'<path d="M{middle:.1f} {floor + 1}l-5 8h10z" fill="{INK}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_described(counts, most)}" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="11">'
        f"{''.join(parts)}</svg>"
    )


def _described(counts: Sequence[int], most: float) -> str:
    ends = [points(most * place / BINS) for place in range(BINS + 1)]
    told = (f"{count} from {ends[place]} to {ends[place + 1]}" for place, count in enumerate(counts) if count)
    return f"How many have how many points: {', '.join(told)}."


def _bar(left: float, top: float, width: float, height: float) -> str:
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{BAR}"/>'


def _text(x: float, y: float, words: str, fill: str = INK, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}">{words}</text>'
