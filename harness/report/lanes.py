"""A transcript as text, a lane for each client, time running down."""

from collections.abc import Sequence
from typing import Any

from harness.report.safe import safe

SERVER = "server"
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
    clients = list(dict.fromkeys(row["who"] for row in rows if row["who"] != SERVER))
    together = len(clients) > MOST_LANES
    columns = 1 if together else max(1, len(clients))
    lane = (width - 10) // columns
    lines = [] if together else ["       ms  " + "".join(f"{name:<{lane}}" for name in clients).rstrip()]
    for row in _middle_left_out(rows):
        if row is None:
            lines.append("           ...")
            continue
        time = f"{1000 * row['seconds']:9.1f}  "
        if row["who"] == SERVER:
            lines.append(f"{time}· the server {row['note']}"[:width])
            continue
        text = f"{row['who']}: {_words(row)}" if together else _words(row)
        indent = 0 if together else lane * clients.index(row["who"])
        lines.append(time + " " * indent + _fitted(text, width - 11 - indent if columns == 1 else lane - 1))
    return lines


def _middle_left_out(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
    if len(rows) <= MOST_ROWS:
        return list(rows)
    return [*rows[:4], None, *rows[-(MOST_ROWS - 5) :]]


def _words(row: dict[str, Any]) -> str:
    words = [ARROWS[row["kind"]]]
    if row["bytes"]:
        words += [row["data"], f"({row['bytes']} bytes)" if row["bytes"] > 1 else "(1 byte)"]
    if row["note"]:
        words.append(row["note"])
    return safe(" ".join(words))


def _fitted(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
