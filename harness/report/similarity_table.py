"""The pairs of hand-ins that stand out, for a terminal."""

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from harness.report.safe import safe

MEANING = (
    "That hand-ins are alike is a reason to look and to talk, never a penalty by itself: independent solutions of a "
    "small task are alike."
)


def lines(results: dict[str, Any]) -> Iterator[str | Table]:
    """Yield what is printed of a comparison (as in results.json)."""
    works = results["works"]
    hand_ins = [work for work in works if not work["is_reference"]]
    yield f"{len(hand_ins)} hand-ins, every one compared with every other. A pair stands out from a score of"
    yield results["noise"]["why"] + "."
    if results["of_references"]:
        yield "With the solutions, the score is the part of a hand-in that stands there; it stands out from"
        yield results["of_references"]["why"] + "."
    if noted := sum(bool(work["notes"]) for work in works):
        yield f"Not everything could be compared, or counts: the report says what, of {noted} of them."
    if without := [safe(work["name"]) for work in hand_ins if not work["own"]]:
        yield f"Nothing of their own, beside what was handed out: {', '.join(without)}"
    if not results["pairs"]:
        yield "No pair stands out."
        return
    yield MEANING
    yield _table(results)
    if results["left_out"]:
        every = len(results["pairs"]) + results["left_out"]
        yield f"{results['left_out']} more pairs stand out: --top {every} tells them."
    names = {work["key"]: safe(work["name"]) for work in works}
    for cluster in results["clusters"]:
        yield f"Hanging together: {', '.join(names[key] for key in cluster)}"


def _table(results: dict[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    for name in ("one", "and another"):
        table.add_column(name, overflow="fold")
    for name in ("score", "of one's", "of other's", "lines"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    names = {work["key"]: safe(work["name"]) for work in results["works"]}
    for pair in results["pairs"]:
        table.add_row(
            Text(names[pair["first"]]),
            Text(names[pair["second"]]),
            f"{pair['score']:.2f}",
            f"{pair['of_first']:.0%}",
            f"{pair['of_second']:.0%}",
            str(max(pair["lines"])),
            "" if pair["why"] == "alike" else "a passage",
        )
    return table
