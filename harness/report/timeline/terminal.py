"""A time line in a terminal, time running to the right."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from harness.report.safe import safe
from harness.report.sequence.text import columns, fitted
from harness.report.timeline.timeline import NO_CALLS, Bar, Lane, Look, Row, Timeline, thread_names
from harness.units import seconds

NAME = 17  # columns
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)  # seconds
TICK_ROOM = 10  # columns between two of them, at least
LINES = {Look.RUNS: "█", Look.WAITS: "░", Look.RESTS: "·", Look.READY: "╌"}
STYLES = {
    Look.ACCEPT: "cyan",
    Look.RECEIVE: "blue",
    Look.SEND: "magenta",
    Look.READY: "green",
    Look.LOCK: "red",
    Look.KEY: "yellow",
    Look.SLEEP: "dim",
    Look.RUNS: "",
    Look.WAITS: "yellow",
    Look.RESTS: "dim",
}
Span = tuple[str, str]  # style, text
Cells = list[tuple[str, str]]


def lines(told: Timeline, width: int = 80) -> Iterator[list[Span]]:
    """Yield the lines of a drawing, each as spans of style and text; `width` counts columns."""
    room = width - NAME - 1
    scale = room / told.seconds
    yield [("dim", " " * NAME + _axis(told.seconds, room))]
    for is_client, group in groupby(told.lanes, lambda lane: lane.is_client):
        if is_client:
            yield []
        for lane in group:
            name = fitted(safe(lane.name), NAME - 1)
            yield [("bold", name + " " * (NAME - columns(name))), *_spans(_cells(lane, room, scale))]
    yield []
    signs = "○ connects  ▶ sends  ◀ receives  ✕ leaves  █ runs  ░ waits for its answer"
    yield [("dim", f"{' ' * NAME}{signs}")]


def shortened(label: str, room: int) -> str:
    """Return a label, or at least its first word, if there is room for it."""
    label = safe(label)
    return next((text for text in (label, label.partition(" ")[0].rstrip(":")) if len(text) <= room), "")


def call_lines(calls: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each call: when, which thread, what it returned, and how long that took."""
    names = thread_names(calls)
    yield f"{'ms':>9}  {'took':>9}  {'thread':<{NAME}} call"
    for row in calls:
        if row["name"] in NO_CALLS:
            continue
        took = "goes on" if row["ended"] is None else seconds(row["ended"] - row["began"])
        who = ", ".join(names.get(one, one) for one in row["who"])
        what = f" = {row['bytes']} bytes {row['data']}" if row["bytes"] else f" = {row['note']}" if row["note"] else ""
        name = fitted(safe(names[row["thread"]]), NAME)
        yield f"{1000 * row['began']:9.1f}  {took:>9}  {name:<{NAME}} {safe(row['name'])}({safe(who)}){safe(what)}"


def tick(whole: float, most: float) -> float:
    """Return how many seconds apart the marks on an axis of so many seconds are, at most so many of them."""
    return next((step for step in TICKS if whole / step <= most), TICKS[-1])


def _axis(whole: float, room: int) -> str:
    step = tick(whole, room / TICK_ROOM)
    text = ""
    for number in range(int(whole / step) + 1):
        label = f"╷{1000 * number * step:g}" + " ms" * (number == 0)
        place = int(number * step / whole * room)
        if place + len(label) <= room:
            text = f"{text:<{place}}{label}"
    return text


def _cells(lane: Lane, room: int, scale: float) -> Cells:
    cells: Cells = [("", " ")] * room
    if lane.marks:
        _fill(cells, "dim", "─", lane.marks[0].seconds * scale, lane.marks[-1].seconds * scale)
    for bar in sorted(lane.bars, key=lambda bar: bar.look is Look.RUNS):  # what runs is short, and shall be seen
        _fill(cells, STYLES[bar.look], LINES.get(bar.look, "─"), bar.began * scale, bar.ended * scale)
    for mark in lane.marks:
        cells[min(room - 1, int(mark.seconds * scale))] = ("bold", mark.sign)
    for bar in lane.bars:
        _label(cells, bar, scale)
    while cells[-1] == ("", " "):
        del cells[-1]
    return cells


def _label(cells: Cells, bar: Bar, scale: float) -> None:
    """Write on a bar what it is, where nothing else is written."""
    style, char = STYLES[bar.look], LINES.get(bar.look, "─")
    places = range(int(bar.began * scale), min(len(cells), int(bar.ended * scale)))
    free = [place for place in places if cells[place] == (style, char)]
    label = shortened(bar.label, len(free) - 2)
    start = free[1] if len(free) > 1 else 0
    if all(cells[place] == (style, char) for place in range(start, start + len(label))):
        cells[start : start + len(label)] = [(style, char) for char in label]


def _fill(cells: Cells, style: str, char: str, began: float, ended: float) -> None:
    first = min(len(cells) - 1, int(began))
    last = max(first + 1, min(len(cells), int(ended)))
    cells[first:last] = [(style, char)] * (last - first)


def _spans(cells: Sequence[tuple[str, str]]) -> list[Span]:
    return [(style, "".join(char for _, char in group)) for style, group in groupby(cells, lambda cell: cell[0])]
