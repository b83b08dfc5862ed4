"""What all pictures share: how a server looks, the scales of an axis, and the way to SVG text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from harness.report.safe import safe
from harness.units import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]
Rows = Sequence[Row]

# Eight colours that stay apart for people with any of the three colour blindnesses (a test holds it). A line style and
# a marker tell them apart in a print without colours.
COLOURS = ("#007aa3", "#ce3b3b", "#5a165a", "#abab2b", "#1515c1", "#23b6e7", "#931010", "#9e3dff")
MARKERS = {"o": 5.5, "s": 5.0, "D": 5.0, "^": 6.0, "v": 6.0, "P": 7.0, "*": 9.0, "X": 6.5}  # and their sizes, in points
LINES = ("-", (0, (5, 1.5)), (0, (7, 1.5, 1.5, 1.5)), (0, (1.5, 1)))
GREY = "0.55"  # of what says nothing of a server
HOLLOW: dict[str, Any] = {"color": GREY, "markerfacecolor": "white", "markeredgecolor": GREY, "markeredgewidth": 1.0}
FAINT = "0.35"

STYLE = {
    "svg.hashsalt": "socket lab kit",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "font.size": 10.5,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.titlesize": 15,
    "figure.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.4",
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "hatch.linewidth": 0.6,
}
LONGEST_NAME = 26  # characters of a server's name; what is longer loses its middle
LONGEST_TITLE = 80  # characters of a line
ROOM = 0.14  # between two ticks, as a part of the axis


@dataclass(frozen=True)
class Look:
    """How a server is drawn, in every picture of a report."""

    name: str
    colour: str
    marker: str
    line: Any

    def style(self) -> dict[str, Any]:
        """Return what matplotlib's plot() is to be told."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": self.line,
            "markersize": MARKERS[self.marker],
            "linewidth": 1.8,
            "markeredgecolor": "white",
            "markeredgewidth": 0.5,
        }


def looks(rows: Rows) -> dict[str, Look]:
    """Return the look of each server, in the order in which they appear."""
    return {
        server: Look(
            short(server),
            COLOURS[place % len(COLOURS)],
            list(MARKERS)[(place + place // len(COLOURS)) % len(MARKERS)],
            LINES[place % len(LINES)],
        )
        for place, server in enumerate(dict.fromkeys(row["server"] for row in rows))
    }


def short(name: str) -> str:
    """Return a name in one line that fits beside a picture."""
    name = " ".join(safe(name).split())
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[1 - half :]}"


def highest(rows: Rows) -> dict[str, Row]:
    """Return the row of each server with the highest x of which there is a verdict; if there is none, the highest."""
    best: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row["verdict"], row["x"])):
        best[row["server"]] = row
    return {server: best[server] for server in dict.fromkeys(row["server"] for row in rows)}


def at(row: Row, load: dict[str, Any]) -> str:
    """Say at which x a row was measured: "100 clients" or "100 lines a second"."""
    if load["over"] == "rate":
        return f"{number(row['x'])} {load['unit']} a second"
    return f"{number(row['x'])} {'client' if row['x'] == 1 else 'clients'}"


def no_verdict_note(rows: Rows) -> list[str]:
    """Say what a hollow, grey point is, if there is one."""
    note = "hollow and grey: the load itself was at its limit there, which says nothing of the server"
    return [] if all(row["verdict"] for row in rows) else [note]


def offered(load: dict[str, Any]) -> str:
    """Return what the x axis of a sweep is called."""
    return f"{load['unit']} offered in a second" if load["over"] == "rate" else "clients at the same time"


def scale_x(axis: "Axes", values: Sequence[float]) -> None:
    """Make the x axis logarithmic, with as many ticks as can be read: those of the values, if they are few."""
    low, high = min(values), max(values)
    margin = max((high / low) ** 0.03, 1.02)
    axis.set_xscale("log")
    axis.set_xlim(low / margin, high * margin)
    ticks = _ticks(sorted(set(values)))
    axis.set_xticks(ticks, [number(tick) for tick in ticks])
    axis.xaxis.set_minor_locator(NullLocator())


def _ticks(values: Sequence[float]) -> list[float]:
    """Return the values if there is room for all, else the ones, twos and fives, or the powers of ten among them."""
    low, high = values[0], values[-1]
    powers = [10.0**power for power in range(-3, 10)]
    for ticks in (values, [power * step for power in powers for step in (1, 2, 5)], powers):
        shown = [tick for tick in ticks if low <= tick <= high]
        room = (high / low) ** ROOM
        if all(after / before >= room for before, after in pairwise(shown)):
            break
    return shown if len(shown) > 1 else [low, high][: 1 + (high > low)]


def scale_y(axis: "Axes", words: Any, values: Sequence[float]) -> None:
    """Make the y axis logarithmic if the values span more than ten times, else let it begin at 0."""
    above = [value for value in values if value > 0]
    if above and max(above) / min(above) > 10:
        axis.set_yscale("log", nonpositive="clip")
        axis.set_ylim(min(above) / 1.3, max(above) * 1.3)
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(above) / min(above) < 100 else (1,)))
    else:
        axis.set_ylim(0, 1.1 * max([*above, 1e-9]))
        axis.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=all(x == int(x) for x in above)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axis.yaxis.set_minor_locator(NullLocator())


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the kit's style."""
    with plt.style.context(STYLE):
        yield


def lay_out(figure: "Figure") -> None:
    """Give the axes of a figure their places, for those who need to know how large they are."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)


def finish(figure: "Figure", title: str, notes: Sequence[str] = ()) -> str:
    """Write a title above a figure and notes below it; return the figure as SVG text."""
    figure.suptitle("\n".join(wrap(safe(title), LONGEST_TITLE)), x=0.008, ha="left")
    if notes:
        figure.supxlabel("\n".join(notes), x=0.008, ha="left", fontsize=9.5, color=FAINT)
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Title": safe(title)})
    plt.close(figure)
    return text.getvalue()
