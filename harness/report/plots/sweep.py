"""Curves over the number of clients, or over the rate that is offered: waiting, throughput, and what it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt

from harness.report.plots.canvas import (
    HOLLOW,
    Look,
    Row,
    Rows,
    drawing,
    finish,
    lay_out,
    looks,
    no_verdict_note,
    offered,
    scale_x,
    scale_y,
    short,
)
from harness.report.plots.ends import End, label_ends
from harness.units import number, seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ONE_FOR_ONE = (
    "requests",
    "questions",
)  # units of a rate of which each brings one answer, if the load says nothing else


@dataclass(frozen=True)
class Quantity:
    """What one panel shows of each row."""

    title: str
    value: Callable[[Row], float]
    words: Callable[[float], str] = number
    span: Callable[[Row], Sequence[float]] | None = None  # the lowest and the highest over the rounds
    group: str = ""  # panels of one group have the same y axis
    as_offered: float | None = None  # how much of it one unit of the offered rate should bring


def load_figure(rows: Rows, load: dict[str, Any]) -> str:
    """Draw how long half, 99 of 100 and the last of the answers take, and how many there are in a second."""
    answer, answers = load["answer"], load["answers"]
    quantities = [
        _wait(f"Half of the {answers} come within ...", "50"),
        _wait(f"99 of 100 {answers} come within ...", "99"),
        _wait(f"The longest wait for the {answer}", "100"),
        Quantity(
            f"{answers.capitalize()} in a second",
            lambda row: row["throughput"],
            span=lambda row: row["ranges"]["throughput"],
            as_offered=_answers_each(load),
        ),
    ]
    with drawing():
        figure, axes = plt.subplots(2, 2, figsize=(12, 7.4), layout="constrained")
        _draw(figure, list(axes.flat), quantities, rows, load)
        return finish(figure, f"{load['title']}: how long one waits, how much is done", _notes(rows))


def cost_figure(rows: Rows, load: dict[str, Any]) -> str:
    """Draw what a server takes: threads, memory, descriptors, processor and context switches."""
    answer = load["answer"]
    quantities = [
        Quantity("Threads", lambda row: row["threads"]),
        Quantity("Memory, in MiB", lambda row: row["memory"] / 2**20),
        Quantity("Open descriptors", lambda row: row["descriptors"]),
        Quantity("Processors kept busy", lambda row: row["cpu"] / row["seconds"]),
        Quantity(
            f"Processor time for each {answer}",
            lambda row: _each(row, row["cpu"]),
            seconds,
            span=lambda row: [_each(row, cpu) for cpu in row["ranges"]["cpu"]],
        ),
        Quantity(f"Context switches for each {answer}", lambda row: _each(row, row["switches"])),
    ]
    with drawing():
        figure, axes = plt.subplots(2, 3, figsize=(13.3, 7), layout="constrained")
        _draw(figure, list(axes.flat), quantities, rows, load)
        return finish(figure, f"{load['title']}: what it takes", _notes(rows))


def _wait(title: str, percentile: str) -> Quantity:
    span = None if percentile == "100" else lambda row: row["ranges"][percentile]
    return Quantity(title, lambda row: row["latency"][percentile], seconds, span, group="waiting")


def _answers_each(load: dict[str, Any]) -> float | None:
    if load["over"] != "rate":
        return None
    return load.get("answers_each", 1 if load["unit"] in ONE_FOR_ONE else None)


def _each(row: Row, total: float) -> float:
    return total / row["answers"] if row["answers"] else nan


def _notes(rows: Rows) -> list[str]:
    """Say how bands, lines that end early, and hollow points are to be read, as far as there are such."""
    notes = []
    if any(row["rounds"] > 1 for row in rows):
        references = ", ".join(dict.fromkeys(short(row["server"]) for row in rows if row["reference"]))
        band = "band: from the lowest to the highest of the rounds"
        notes.append(f"{band}; darker: {references}, to compare with" if references else band)
    if len({max(row["x"] for row in rows if row["server"] == server) for server in looks(rows)}) > 1:
        notes.append("dots from a line that ends early to its name: beyond its end nothing was measured")
    return notes + no_verdict_note(rows)


def _draw(
    figure: "Figure", axes: Sequence["Axes"], quantities: Sequence[Quantity], rows: Rows, load: dict[str, Any]
) -> None:
    """Draw each quantity of all servers in a panel of its own."""
    xs = [row["x"] for row in rows]
    for axis, quantity in zip(axes, quantities, strict=True):
        together = [other for other in quantities if quantity.group and other.group == quantity.group] or [quantity]
        values = [other.value(row) for other in together for row in rows]
        if quantity.as_offered:
            values += [x * quantity.as_offered for x in xs]
        axis.set_title(quantity.title)
        axis.set_xlabel(offered(load))
        scale_x(axis, xs)
        scale_y(axis, quantity.words, values)
    lay_out(figure)
    for axis, quantity in zip(axes, quantities, strict=True):
        ends = [
            _curve(axis, look, [row for row in rows if row["server"] == server], quantity)
            for server, look in looks(rows).items()
        ]
        if quantity.as_offered:
            line = [x * quantity.as_offered for x in (min(xs), max(xs))]
            axis.plot([min(xs), max(xs)], line, color="0.85", linewidth=6, zorder=1.1)
            ends.append(End(max(xs), line[-1], "as offered"))
        label_ends(axis, [end for end in ends if end])


def _curve(axis: "Axes", look: Look, rows: Rows, quantity: Quantity) -> End | None:
    """Draw the line of a server, and its range as a band; grey where there is no verdict. Return its end."""
    rows = [row for row in sorted(rows, key=lambda row: row["x"]) if quantity.value(row) == quantity.value(row)]
    if not rows:
        return None
    xs, ys = [row["x"] for row in rows], [quantity.value(row) for row in rows]
    sure = [row["verdict"] for row in rows]
    if quantity.span:
        low, high = zip(*(quantity.span(row) for row in rows), strict=True)
        strength = 0.32 if rows[0]["reference"] else 0.13
        axis.fill_between(xs, low, high, where=sure, color=look.colour, alpha=strength, linewidth=0, zorder=1.2)
        if len(rows) == 1:
            axis.vlines(xs, low, high, color=look.colour, alpha=strength, linewidth=7, zorder=1.2)
    if not all(sure):
        hollow = [nan if good else y for y, good in zip(ys, sure, strict=True)]
        axis.plot(xs, ys, **HOLLOW, linewidth=1, linestyle=(0, (3, 3)), zorder=2)
        axis.plot(xs, hollow, **HOLLOW, marker=look.marker, linestyle="none", zorder=3)
    axis.plot(xs, [y if good else nan for y, good in zip(ys, sure, strict=True)], zorder=4, **look.style())
    return End(xs[-1], ys[-1], look.name, look)
