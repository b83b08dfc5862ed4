"""How answers are spread over time: the share that has come, with a logarithmic tail."""

from math import inf
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator

from harness.report.plots.canvas import (
    HOLLOW,
    Row,
    Rows,
    at,
    drawing,
    finish,
    highest,
    lay_out,
    looks,
    no_verdict_note,
    scale_y,
)
from harness.report.plots.ends import End, label_ends
from harness.units import seconds

TICKS = {50: "half", 90: "1 of 10", 99: "1 of 100", 99.9: "1 of 1,000", 99.99: "1 of 10,000", 99.999: "1 of 100,000"}


def tail_figure(rows: Rows, load: dict[str, Any]) -> str:
    """Draw how long each share of the answers took at most, for each server at the highest x of which it has a verdict.

    The x axis is logarithmic in how rare a wait is (one of 10, of 100, of 1,000), up to the last answer.
    """
    last = highest(rows)
    same = len({row["x"] for row in last.values()}) == 1
    with drawing():
        figure, axis = plt.subplots(figsize=(12, 6.4), layout="constrained")
        curves = {server: _curve(row) for server, row in last.items()}
        if same:
            axis.set_title(at(next(iter(last.values())), load))
        axis.set_xscale("log")
        rarest = max(rarity for curve in curves.values() for rarity, _ in curve)
        axis.set_xlim(1, max(rarest, 20) * 1.15)
        axis.set_xlabel(f"share of the {load['answers']} that took no longer, and how many of them took longer")
        axis.set_ylabel(f"time to the {load['answer']}")
        ticks = {_rarity(share): f"{share:g} %\n{words}" for share, words in TICKS.items()}
        ticks = {place: words for place, words in ticks.items() if place <= max(rarest, 20) * 1.15}
        axis.set_xticks(list(ticks), list(ticks.values()))
        axis.xaxis.set_minor_locator(NullLocator())
        scale_y(axis, seconds, [took for curve in curves.values() for _, took in curve])
        lay_out(figure)
        ends = []
        for server, look in looks(rows).items():
            rarities, times = zip(*curves[server], strict=True)
            style = look.style() if last[server]["verdict"] else look.style() | HOLLOW
            axis.plot(rarities, times, **style | {"marker": "none"})
            axis.plot(rarities[-1:], times[-1:], **style)
            where = "" if same else f" ({at(last[server], load)})"
            ends.append(End(rarities[-1], times[-1], look.name + where, look))
        label_ends(axis, ends)
        return finish(figure, f"{load['title']}: how long the unlucky ones wait", no_verdict_note(list(last.values())))


def _curve(row: Row) -> list[tuple[float, float]]:
    """Return how rare each wait is, as the number of answers of which one takes longer, and its seconds."""
    most = max(1.0, row["answers"] * row["rounds"])
    return [(min(_rarity(share), most), took) for share, took in row["curve"]]


def _rarity(share: float) -> float:
    return 100 / (100 - share) if share < 100 else inf
