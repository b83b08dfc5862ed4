"""The figures of a load as a table for a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from harness.report.safe import safe
from harness.units import number, seconds


def load_table(rows: Sequence[dict[str, Any]], load: dict[str, Any]) -> Table:
    """Return the rows of results.json as a table that fits 80 columns; what has no verdict is dim, and why is below."""
    reasons = list(dict.fromkeys(safe(row["why"]) for row in rows if not row["verdict"]))
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
        pad_edge=False,
        show_edge=False,
        caption_justify="left",
        caption_style="dim",
    )
    table.add_column("server", overflow="fold", max_width=18)
    for name in (f"{load['unit']}/s" if load["over"] == "rate" else "clients", f"{load['answers']}/s", *("p50", "p99")):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("longest", justify="right", no_wrap=True)
    table.add_column("note" if reasons else "", no_wrap=True)
    for before, row in zip([None, *rows], rows, strict=False):
        if before and before["x"] != row["x"]:
            table.add_section()
        latency = row["latency"]
        table.add_row(
            Text(safe(row["server"])),
            number(row["x"]),
            number(row["throughput"]),
            *(seconds(latency[percentile]) for percentile in ("50", "99", "100")),
            "" if row["verdict"] else f"see ({reasons.index(safe(row['why'])) + 1})",
            style="" if row["verdict"] else "dim",
        )
    if reasons:
        table.caption = Text("\n".join(f"({place}) {reason}" for place, reason in enumerate(reasons, start=1)))
    return table
