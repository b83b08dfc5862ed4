"""A time line as SVG, time running to the right; on a white ground, so that it is legible on any page."""

from collections.abc import Iterator, Sequence

from harness.report.sequence.svg import CHAR, FAINT, FONT, INK, MONO, PALE, SANS, WIDTH, escaped
from harness.report.sequence.text import fitted
from harness.report.timeline.terminal import shortened, tick
from harness.report.timeline.timeline import Bar, Lane, Look, Mark, Timeline

NAME, EDGE = 130, 14  # pixels, as all lengths here: the column of the names, and the right margin
AXIS, ROW, BAR = 26, 30, 20  # the height of the axis, of a lane and of a bar
GAP, LINE = 14, 18  # between threads and clients; a line of text
TICK_ROOM = 90  # between two marks of the axis, at least
LEGEND_COLUMNS = 3
NARROWEST = 1.5

# Fill and ink; colours that stay apart for the colour-blind, and that have words beside them.
COLOURS = {
    Look.ACCEPT: ("#cfe3f1", INK),
    Look.RECEIVE: ("#0b5f8a", "#ffffff"),
    Look.SEND: ("#7a3b7a", "#ffffff"),
    Look.READY: ("#bfe5d3", INK),
    Look.LOCK: ("#b42318", "#ffffff"),
    Look.KEY: ("#f2d98d", INK),
    Look.SLEEP: ("#c3cad1", INK),
    Look.RUNS: (INK, "#ffffff"),
    Look.WAITS: ("url(#waits)", INK),
    Look.RESTS: ("#e9eef4", FAINT),
}
STRIPES = (
    '<defs><pattern id="waits" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="7" height="7" fill="#fdecc8"/><path d="M0 0V7" stroke="#e0a030" stroke-width="4"/></pattern></defs>'
)


def svg(told: Timeline, title: str) -> str:
    """Draw a time line, `WIDTH` pixels wide."""
    scale = (WIDTH - NAME - EDGE) / told.seconds
    parts: list[str] = []
    y = float(AXIS)
    for place, lane in enumerate(told.lanes):
        y += GAP * (place > 0 and lane.is_client and not told.lanes[place - 1].is_client)
        parts += _lane(lane, y, scale)
        y += ROW
    axis = list(_axis(told.seconds, scale, y))
    looks = dict.fromkeys(bar.look for lane in told.lanes for bar in lane.bars)
    legend, y = _legend([look for look in Look if look in looks], y + 2 * LINE)
    for sentence in told.sentences:
        y += LINE
        parts.append(_text(NAME, y, fitted(sentence, int((WIDTH - NAME) / 6.5)), INK, SANS))
    height = round(y + LINE)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escaped(title)}" width="{WIDTH}" '
            f'height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="{MONO}" font-size="{FONT}" fill="{INK}" '
            'style="color-scheme: light">',
            f"<title>{escaped(title)}</title>",
            f"<desc>{escaped(' '.join(told.sentences))}</desc>",
            STRIPES,
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            *axis,
            *parts,
            *legend,
            "</svg>\n",
        ]
    )


def _axis(seconds: float, scale: float, bottom: float) -> Iterator[str]:
    step = tick(seconds, seconds * scale / TICK_ROOM)
    for number in range(int(seconds / step) + 1):
        x = NAME + number * step * scale
        yield f'<path d="M{x:.1f} {AXIS - 6}V{bottom:.1f}" stroke="{PALE}" stroke-width="1"/>'
        label = f"{1000 * number * step:g}" + " ms" * (number == 0)
        yield _text(x, AXIS - 10, label, FAINT, anchor="middle")


def _lane(lane: Lane, y: float, scale: float) -> Iterator[str]:
    middle = y + ROW / 2
    yield _text(NAME - 12, middle + 4, fitted(lane.name, int((NAME - 12) / CHAR)), INK, SANS, "end")
    if lane.marks:
        x0, x1 = (NAME + mark.seconds * scale for mark in (lane.marks[0], lane.marks[-1]))
        yield f'<path d="M{x0:.1f} {middle}H{x1:.1f}" stroke="{PALE}" stroke-width="3"/>'
    for bar in lane.bars:
        yield from _bar(bar, y + (ROW - BAR) / 2, scale)
    for mark in _apart(lane.marks, scale):
        x = NAME + mark.seconds * scale
        yield (
            f'<text x="{x:.1f}" y="{middle + 5:.1f}" text-anchor="middle" font-size="13" stroke="#ffffff" '
            f'stroke-width="3" paint-order="stroke">{mark.sign}</text>'
        )


def _bar(bar: Bar, y: float, scale: float) -> Iterator[str]:
    fill, ink = COLOURS[bar.look]
    x, width = NAME + bar.began * scale, max(NARROWEST, bar.length * scale)
    told = f"{bar.label or bar.look}: {1000 * bar.length:.1f} ms"
    yield (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" fill="{fill}">'
        f"<title>{escaped(told)}</title></rect>"
    )
    if label := shortened(bar.label, int((width - 20) / CHAR)):
        halo = ' stroke="#ffffff" stroke-width="4" paint-order="stroke"' if bar.look is Look.WAITS else ""
        yield _text(x + 12, y + BAR / 2 + 4, label, ink, more=halo)


def _apart(marks: Sequence[Mark], scale: float) -> Iterator[Mark]:
    """Yield those marks that do not lie upon the one before; the last one comes in any case."""
    drawn = None
    for mark in (*marks[-1:], *marks[:-1]):
        if drawn is None or abs(mark.seconds - marks[-1].seconds) * scale > 8 < (mark.seconds - drawn) * scale:
            drawn = mark.seconds if mark is not marks[-1] else -1.0
            yield mark


def _legend(looks: Sequence[Look], y: float) -> tuple[list[str], float]:
    """Return the legend, and where it ends."""
    parts = []
    width = (WIDTH - NAME) / LEGEND_COLUMNS
    for place, look in enumerate(looks):
        x, top = NAME + place % LEGEND_COLUMNS * width, y + place // LEGEND_COLUMNS * LINE - 11
        parts.append(f'<rect x="{x:.1f}" y="{top:.1f}" width="22" height="12" fill="{COLOURS[look][0]}"/>')
        parts.append(_text(x + 30, top + 10, str(look), INK, SANS))
    y += (len(looks) + LEGEND_COLUMNS - 1) // LEGEND_COLUMNS * LINE
    parts.append(_text(NAME, y, "○ connects   ▶ sends   ◀ receives   ✕ leaves", FAINT, SANS))
    return parts, y + 6


def _text(x: float, y: float, text: str, colour: str, font: str = MONO, anchor: str = "start", more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-family="{font}" text-anchor="{anchor}"{more}>'
        f"{escaped(text)}</text>"
    )
