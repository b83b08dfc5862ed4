"""Pictures of a load (matplotlib; imported late, because that takes a third of a second).

Every function is handed rows of results.json and returns a figure as SVG text, the same text for the same rows.
"""

from collections.abc import Callable, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from harness.report.safe import safe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Rows = Sequence[dict[str, Any]]

STYLE = {
    "svg.hashsalt": "socket lab kit",
    "svg.fonttype": "path",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.grid": True,
    "grid.alpha": 0.25,
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
}
MARKERS = "osD^vP*X"
LINES = ("-", "--", "-.", ":")
LABEL_HEIGHT = 0.055  # of two labels at the right end, as a part of the axis


WORDS = {  # how the upper pictures are called, and their axes
    "echo": (
        ("How long a client waits for a reply", "time to the reply"),
        ("How many replies there are in a second", "replies per second"),
    ),
    "chat": (
        ("How long a line is on its way to the others", "time to the delivery"),
        ("How many deliveries there are in a second", "deliveries per second"),
    ),
}


def load_figure(rows: Rows, kind: str) -> str:
    """Draw waiting and throughput over the number of clients, with threads and memory below.

    The `kind` of the load, "echo" or "chat", says what was waited for.
    """
    waits, counts = WORDS[kind]
    with plt.style.context(["petroff10", STYLE]):
        figure, axes = plt.subplots(2, 2, figsize=(11, 8), height_ratios=(3, 2), layout="constrained")
        (waiting, throughput), (threads, memory) = axes
        _curves(waiting, rows, lambda row: row["latency"]["99"], "p99")
        _curves(waiting, rows, lambda row: row["latency"]["50"], "p50", thin=True)
        _finish(waiting, *waits, _seconds, logarithmic=True)
        _curves(throughput, rows, lambda row: row["throughput"])
        _finish(throughput, *counts, _number, logarithmic=True)
        _curves(threads, rows, lambda row: row["threads"])
        _finish(threads, "What it takes: threads", "threads of the server", _number)
        _curves(memory, rows, lambda row: row["memory"] / 2**20)
        _finish(memory, "What it takes: memory", "MiB of memory of the server (PSS)", _number)
        return _svg(figure)


def talk_figure(talks: dict[str, Rows]) -> str:
    """Draw, for each server, a time line of two clients: when each waited for a reply, and when it paused."""
    with plt.style.context(["petroff10", STYLE]):
        figure, axes = plt.subplots(
            len(talks), 1, figsize=(11, 1.0 + 1.55 * len(talks)), sharex=True, layout="constrained", squeeze=False
        )
        for axis, (server, spans) in zip(axes[:, 0], talks.items(), strict=True):
            _talk(axis, server, spans)
        axes[-1, 0].set_xlabel("milliseconds since the first client connected")
        return _svg(figure)


def _talk(axis: "Axes", server: str, spans: Rows) -> None:
    names = ("ann", "bob")
    for span in spans:
        client, began, ended = span["client"], 1000 * span["sent"], 1000 * span["replied"]
        if ended - began > 5:
            axis.barh(client, ended - began, left=began, height=0.42, color="C2", hatch="///", edgecolor="white")
            axis.text((began + ended) / 2, client - 0.42, f"waits {ended - began:.0f} ms", ha="center", fontsize=9.5)
        axis.plot([ended], [client], marker="o", color="C0", markersize=8, zorder=3)
    for client in range(len(names)):
        own = [span for span in spans if span["client"] == client]
        left, right = 1000 * min(span["sent"] for span in own), 1000 * max(span["replied"] for span in own)
        axis.plot([left, right], [client, client], color="0.6", linewidth=1, zorder=0)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.35, -0.75)
    axis.grid(axis="y", visible=False)
    axis.set_title(safe(f"{server}:  ● a reply;  ▨ waiting for one"), parse_math=False)


def _curves(
    axis: "Axes", rows: Rows, value: Callable[[dict[str, Any]], float], what: str = "", thin: bool = False
) -> None:
    """Draw a line for each server; its name will stand at the line's end."""
    for number, server in enumerate(dict.fromkeys(row["server"] for row in rows)):
        own = [row for row in rows if row["server"] == server]
        x, y = [row["clients"] for row in own], [value(row) for row in own]
        axis.plot(
            x,
            y,
            color=f"C{number}",
            marker=MARKERS[number % len(MARKERS)],
            linestyle=":" if thin else LINES[number % 2],
            linewidth=1.3 if thin else 2.0,
            markersize=4 if thin else 6,
        )
        axis.lines[-1].set_label(safe(f"{server}{f', {what}' if what else ''}"))


def _finish(axis: "Axes", title: str, label: str, words: Callable[[float], str], logarithmic: bool = False) -> None:
    axis.set_title(title)
    axis.set_xlabel("clients at the same time")
    axis.set_ylabel(label)
    axis.set_xscale("log")
    if logarithmic:
        axis.set_yscale("log")
        low, high = axis.get_ylim()
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 200 else (1,)))
    else:
        axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axis.yaxis.set_minor_formatter(NullFormatter())
    counts = sorted({round(x) for line in axis.lines for x, _ in _places(line)})
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlim(counts[0] * 0.9, counts[-1] * 1.15)
    _label_ends(axis)


def _label_ends(axis: "Axes") -> None:
    """Write each line's name at its right end, moved up where it would cover another name."""
    inverse = axis.transAxes.inverted()
    lowest = -1.0
    ends = [(inverse.transform(axis.transData.transform(_places(line)[-1]))[1], line) for line in axis.lines]
    for height, line in sorted(ends, key=lambda end: end[0]):
        lowest = max(height, lowest + LABEL_HEIGHT)
        axis.text(
            1.01,
            lowest,
            str(line.get_label()),
            transform=axis.transAxes,
            color="0.2",
            va="center",
            fontsize=9.5,
            parse_math=False,
        )


def _places(line: "Line2D") -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def _seconds(value: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:g} {unit}"
    return f"{value * 1e9:g} ns"


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _svg(figure: "Figure") -> str:
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    return text.getvalue()
