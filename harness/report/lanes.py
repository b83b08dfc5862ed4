"""A transcript as text, a lane for each client, time running down."""

from collections.abc import Sequence

from harness.report.safe import safe
from harness.report.sequence.story import (
    TESTED,
    Failure,
    Row,
    is_due,
    more_like_this,
    named_by,
    peers_of,
    size,
    without_repetitions,
)
from harness.report.sequence.text import fitted

MOST_LANES = 3  # more clients than that share one lane, each line with its name
MOST_ROWS = 24
NARROWEST = 36  # columns of the last lane: where there are fewer, all share one, too
WIDEST = 14  # columns from one lane to the next: a line goes on to the right, where nobody else says anything
ARROWS = {
    "connect": "connects",
    "send": "──▶",
    "receive": "◀──",
    "half-close": "──▶ FIN (sends no more)",
    "close": "closes",
    "reset": "──✕ RST",
    "end seen": "◀── FIN (the end)",
    "reset seen": "✕── RST",
    "refused": "is refused",
}


def lanes(rows: Sequence[Row], width: int = 100, failure: Failure | None = None) -> list[str]:
    """Draw the rows of a transcript (as in results.json) as lines of at most `width` columns; mark where it failed."""
    clients = peers_of(rows)
    together = len(clients) > MOST_LANES or (len(clients) > 1 and width - 11 - WIDEST * (len(clients) - 1) < NARROWEST)
    columns = 1 if together else max(1, len(clients))
    lane = min((width - 10) // columns, WIDEST)
    lines = [] if together else ["       ms  " + "".join(f"{name:<{lane}}" for name in clients).rstrip()]
    for row in _middle_left_out(rows):
        if row is None:
            lines.append("           ...")
            continue
        if isinstance(row, list):
            indent = 0 if together or row[0]["who"] in TESTED else lane * clients.index(row[0]["who"])
            lines.append(fitted(f"{'':11}{'':{indent}}... {more_like_this(row)}", width))
            continue
        time = _time(row["seconds"])
        if row["who"] in TESTED:
            lines.append(f"{time}· the {row['who']} {row['note']}"[:width])
            continue
        indent = 0 if together else lane * clients.index(row["who"])
        words = _words(row, width - len(time) - indent, f"{row['who']}: " if together else "")
        lines.append(time + " " * indent + words)
    if failure:
        blamed = named_by(failure, clients)
        indent = 0 if together or not blamed else lane * clients.index(blamed)
        lines.append(fitted(_time(failure.seconds) + " " * indent + _failed(failure, blamed * together), width))
    return lines


def _time(seconds: float | None) -> str:
    return f"{'' if seconds is None else f'{1000 * seconds:.1f}':>9}  "


def _failed(failure: Failure, name: str) -> str:
    told = f"✗ {safe(failure.expected)} was due here" if is_due(failure) else "✗ here it fails"
    return " ".join((f"{name}: " * bool(name) + told).split())


def _middle_left_out(rows: Sequence[Row]) -> list[Row | list[Row] | None]:
    shown: list[Row | list[Row] | None] = list(without_repetitions(rows))
    if len(shown) <= MOST_ROWS:
        return shown
    return [*shown[:4], None, *shown[-(MOST_ROWS - 5) :]]


def _words(row: Row, width: int, name: str) -> str:
    """Write one row; where it is too long, the bytes themselves give way, not their number."""
    start, end = name + ARROWS[row["kind"]], safe(" ".join(filter(None, (size(row), row["note"]))))
    data = safe(row["data"]) if row["bytes"] else ""
    data = fitted(data, max(8, width - len(start) - len(end) - 2)) if data else ""
    return fitted(" ".join(filter(None, (start, data, end))), width)
