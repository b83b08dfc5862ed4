"""Pictures of a load (matplotlib; imported late, because that takes a third of a second).

Every function is handed rows of results.json, and what was measured, and returns a figure as SVG text: the same text
for the same rows.
"""

from typing import Any

from harness.report.plots.over_time import time_figure
from harness.report.plots.sweep import cost_figure, load_figure
from harness.report.plots.tail import tail_figure
from harness.report.plots.talk import talk_figure

__all__ = ["cost_figure", "load_figure", "pictures", "tail_figure", "talk_figure", "time_figure"]


def pictures(results: dict[str, Any]) -> dict[str, str]:
    """Return all pictures of a run (as in results.json): SVG texts by the names of their files."""
    rows, load = results["rows"], results["load"]
    drawn = {
        "load.svg": load_figure(rows, load),
        "tail.svg": tail_figure(rows, load),
        "time.svg": time_figure(rows, load),
        "cost.svg": cost_figure(rows, load),
    }
    return drawn | ({"talk.svg": talk_figure(results["talks"])} if results["talks"] else {})
