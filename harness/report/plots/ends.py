"""Names at the right end of lines, where none covers another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.report.plots.canvas import FAINT, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 13.0  # points from one name to the next
ELBOW, MARKER, NAME = 10.0, 15.0, 23.0  # points right of the axis


@dataclass(frozen=True)
class End:
    """Where a line ends, in the data's units, and what is to be written there."""

    x: float
    y: float
    text: str
    look: Look | None = None  # without one, the line is no server's


def label_ends(axis: "Axes", ends: Sequence[End]) -> None:
    """Write the names right of the axis, each tied to the end of its line. The axis' scales must be set before.

    The layout of the figure must be made before as well: how far names must be apart depends on the axis' height.
    """
    inverse = axis.transAxes.inverted()
    places = [np.clip(inverse.transform(axis.transData.transform((end.x, end.y))), 0, 1) for end in ends]
    figure = axis.get_figure(root=True)
    assert figure is not None
    gap = HEIGHT / (72 * figure.get_figheight() * axis.get_position().height)
    point = 1 / (72 * figure.get_figwidth() * axis.get_position().width)
    for end, (x, y), height in zip(ends, places, spread([float(y) for _, y in places], gap), strict=True):
        colour = end.look.colour if end.look else FAINT
        axis.plot(
            [float(x), 1.0, 1 + ELBOW * point],
            [float(y), float(y), height],
            transform=axis.transAxes,
            color=colour,
            linewidth=0.8,
            linestyle=(0, (1, 1.5)),
            clip_on=False,
            zorder=1,
        )
        if end.look:
            axis.plot([1 + MARKER * point], [height], transform=axis.transAxes, clip_on=False, **end.look.style())
        left = NAME if end.look else MARKER
        axis.text(1 + left * point, height, end.text, transform=axis.transAxes, va="center_baseline", fontsize=9.5)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return heights near the wanted ones, in the same order, at least a gap apart, and from 0 to 1 if they fit.

    Neighbours that are too close are put around the middle of where they want to be.
    """
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    most = max(1.0, (len(wanted) - 1) * gap)
    groups: list[tuple[float, int]] = []  # of heights a gap apart: the middle, and how many
    for place in order:
        middle, count = _inside(wanted[place], 1, gap, most), 1
        while groups and middle - (count - 1) * gap / 2 < groups[-1][0] + (groups[-1][1] + 1) * gap / 2:
            below, fewer = groups.pop()
            middle, count = (below * fewer + middle * count) / (fewer + count), fewer + count
            middle = _inside(middle, count, gap, most)
        groups.append((middle, count))
    heights = [middle + (step - (count - 1) / 2) * gap for middle, count in groups for step in range(count)]
    return [height for _, height in sorted(zip(order, heights, strict=True))]


def _inside(middle: float, count: int, gap: float, most: float) -> float:
    half = (count - 1) * gap / 2
    return min(max(middle, half), most - half)
