"""Waiting over time, where a stall is seen as such: a panel for each server."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt

from harness.report.plots.canvas import (
    GREY,
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TENTH = 0.1  # seconds, of a row of over_time
SILENCE = 0.2  # seconds without an answer, from which on that is marked
STYLES: dict[str, dict[str, Any]] = {
    "half": {"linewidth": 2.0},
    "99 of 100": {"linewidth": 1.2, "linestyle": (0, (4, 1.5))},
    "the longest": {"linewidth": 0.8},
}


def time_figure(rows: Rows, load: dict[str, Any]) -> str:
    """Draw median, p99 and longest of every tenth of a second, for each server at the highest x with a verdict.

    Where no answer came for a while, the panel is hatched: what waited there is seen when its answer comes.
    """
    last = highest(rows)
    columns = 1 if len(last) == 1 else 2
    lines = -(-len(last) // columns)
    every = [took for row in last.values() for _, *times, count in row["over_time"] if count for took in times]
    over = max((moment[0] + TENTH for row in last.values() for moment in row["over_time"]), default=1)
    with drawing():
        figure, axes = plt.subplots(
            lines,
            columns,
            figsize=(12, 1.8 + (1.5 if lines > 2 else 2.2) * lines),
            layout="constrained",
            sharex=True,
            sharey=True,
            squeeze=False,
        )
        panels = dict(zip(last, axes.flat, strict=False))
        for server, axis in panels.items():
            longest = seconds(max((moment[3] for moment in last[server]["over_time"] if moment[4]), default=0))
            axis.set_title(f"{looks(rows)[server].name}, {at(last[server], load)}: the longest wait was {longest}")
            scale_y(axis, seconds, every)
            axis.set_xlim(0, over)
            axis.tick_params(labelbottom=True)
        for axis in list(panels.values())[-columns:]:
            axis.set_xlabel("seconds since the measuring began")
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        lay_out(figure)
        for server, axis in panels.items():
            _moments(axis, looks(rows)[server].colour if last[server]["verdict"] else GREY, last[server])
        notes = [
            f"time to the {load['answer']}, by the tenth of a second in which it came; hatched: none came",
            *no_verdict_note(list(last.values())),
        ]
        return finish(figure, f"{load['title']}: waiting from moment to moment", notes)


def _moments(axis: "Axes", colour: str, row: Row) -> None:
    """Draw the three lines of a server, broken where no answer came."""
    moments = [moment for moment in row["over_time"] if moment[4]]
    if not moments:
        return
    runs: list[list[Any]] = [[]]
    for before, after in pairwise([[-TENTH], *moments]):
        silent = before[0] + TENTH
        if after[0] - silent > SILENCE - TENTH / 2:
            axis.axvspan(silent, after[0], facecolor="none", edgecolor="0.75", hatch="////", linewidth=0)
            runs.append([])
        runs[-1].append(after)
    for place, style in enumerate(STYLES.values(), start=1):
        for run in runs:
            middles, times = [moment[0] + TENTH / 2 for moment in run], [moment[place] for moment in run]
            marker = "o" if len(run) == 1 else "none"
            axis.plot(middles, times, color=colour, marker=marker, markersize=3, **style)
    final = moments[-1]
    label_ends(axis, [End(final[0] + TENTH / 2, final[place], words) for place, words in enumerate(STYLES, start=1)])
