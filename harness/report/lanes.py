"""A transcript as text, a lane for each client, time running down."""

from collections.abc import Sequence
from typing import Any

from harness.report.safe import safe

TESTED = ("server", "client")  # what is no lane of its own: the program under test
MOST_LANES = 3  # more clients than that share one lane, each line with its name
MOST_ROWS = 24
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


def lanes(rows: Sequence[dict[str, Any]], width: int = 100) -> list[str]:
    """Draw the rows of a transcript (as in results.json) as lines of at most `width` columns."""
    clients = list(dict.fromkeys(row["who"] for row in rows if row["who"] not in TESTED))
    together = len(clients) > MOST_LANES
    columns = 1 if together else max(1, len(clients))
    lane = (width - 10) // columns
    lines = [] if together else ["       ms  " + "".join(f"{name:<{lane}}" for name in clients).rstrip()]
    for row in _middle_left_out(rows):
        if row is None:
            lines.append("           ...")
            continue
        time = f"{1000 * row['seconds']:9.1f}  "
        if row["who"] in TESTED:
            lines.append(f"{time}· the {row['who']} {row['note']}"[:width])
            continue
        indent = 0 if together else lane * clients.index(row["who"])
        room = width - len(time) - indent if columns == 1 else lane - 1
        lines.append(time + " " * indent + _words(row, room, f"{row['who']}: " if together else ""))
    return lines


def _middle_left_out(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
    if len(rows) <= MOST_ROWS:
        return list(rows)
    return [*rows[:4], None, *rows[-(MOST_ROWS - 5) :]]


def _words(row: dict[str, Any], width: int, name: str) -> str:
    """Write one row; where it is too long, the bytes themselves give way, not their number."""
    count = f"({row['bytes']} bytes)" if row["bytes"] > 1 else "(1 byte)" if row["bytes"] else ""
    start, end = name + ARROWS[row["kind"]], safe(" ".join(filter(None, (count, row["note"]))))
    data = safe(row["data"]) if row["bytes"] else ""
    data = _fitted(data, max(8, width - len(start) - len(end) - 2)) if data else ""
    return _fitted(" ".join(filter(None, (start, data, end))), width)


def _fitted(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
