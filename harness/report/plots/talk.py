"""Two clients of one server, seen: when each waited for a reply, and when it paused."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from harness.report.plots.canvas import COLOURS, Rows, drawing, finish
from harness.report.safe import safe

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def talk_figure(talks: dict[str, Rows]) -> str:
    """Draw, for each server, a time line of two clients: when each waited for a reply, and when it paused."""
    with drawing():
        figure, axes = plt.subplots(
            len(talks), 1, figsize=(11, 1.4 + 1.55 * len(talks)), sharex=True, layout="constrained", squeeze=False
        )
        for axis, (server, spans) in zip(axes[:, 0], talks.items(), strict=True):
            _talk(axis, server, spans)
        axes[-1, 0].set_xlabel("milliseconds since the first client connected")
        return finish(figure, "Two clients of one server: who waits, and when")


def _talk(axis: "Axes", server: str, spans: Rows) -> None:
    names = ("ann", "bob")
    for span in spans:
        client, began, ended = span["client"], 1000 * span["sent"], 1000 * span["replied"]
        if ended - began > 5:
            axis.barh(client, ended - began, left=began, height=0.42, color=COLOURS[1], hatch="///", edgecolor="white")
            axis.text((began + ended) / 2, client - 0.42, f"waits {ended - began:.0f} ms", ha="center", fontsize=9.5)
        axis.plot([ended], [client], marker="o", color=COLOURS[0], markersize=8, zorder=3)
    for client in range(len(names)):
        own = [span for span in spans if span["client"] == client]
        left, right = 1000 * min(span["sent"] for span in own), 1000 * max(span["replied"] for span in own)
        axis.plot([left, right], [client, client], color="0.6", linewidth=1, zorder=0)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.35, -0.75)
    axis.grid(axis="y", visible=False)
    axis.set_title(safe(f"{server}:  ● a reply;  ▨ waiting for one"))
