"""Plots of what was measured, in the kit's style (matplotlib, imported late)."""

from collections.abc import Mapping, Sequence
from typing import Literal

Points = Sequence[tuple[float, float]]


def curves(
    title: str,
    across: str,
    up: str,
    lines: Mapping[str, Points],
    scales: Literal["linear", "log x", "log y", "log"] = "linear",
    guess: str = "",
    kind: Literal["line", "steps", "dots"] = "line",
) -> str:
    """Draw lines with their names at the side, as SVG; a reader's `guess`, where it is a number, is a line across."""
    import matplotlib.pyplot as plt

    from harness.report.plots.canvas import FAINT, drawing, finish, looks

    with drawing():
        figure, axis = plt.subplots(figsize=(9.2, 3.9), layout="constrained")
        for look, points in zip(looks([{"server": name} for name in lines]).values(), lines.values(), strict=True):
            style = look.style()
            if kind == "dots":
                style |= {"linestyle": "none", "markersize": 3, "alpha": 0.6}
            elif len(points) > 40:
                style |= {"marker": "none"}
            if kind == "steps":
                style |= {"drawstyle": "steps-post"}
            axis.plot([x for x, _ in points], [y for _, y in points], label=look.name, **style)
        if "log" in scales and scales != "log y":
            axis.set_xscale("log")
        if "log" in scales and scales != "log x":
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
        if (level := _number(guess)) is not None:
            axis.axhline(level, color=FAINT, linestyle=":")
            axis.annotate("your guess", (0.01, level), xycoords=("axes fraction", "data"), color=FAINT, va="bottom")
        axis.set(xlabel=across, ylabel=up)
        if len(lines) > 1:
            figure.legend(loc="outside right upper", frameon=False)
        return finish(figure, title)


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "").replace("_", ""))
    except ValueError:
        return None
