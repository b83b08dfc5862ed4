"""The report of a load or a demo as one HTML file."""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from harness.report import page, plots
from harness.report.plots.canvas import highest
from harness.units import number, seconds


def render(results: dict[str, Any], pictures: Mapping[str, str] | None = None) -> str:
    """Return the report of a load or a demo (as in results.json) as HTML.

    `pictures` are those that plots.pictures(results) has returned, for a caller who has them already.
    """
    environment = page.environment()
    words: dict[str, Any] = {"number": number, "time": seconds, "mib": lambda count: f"{count / 2**20:.1f}"}
    environment.filters |= words
    environment.globals |= words
    drawn = plots.pictures(results) if pictures is None else pictures
    return environment.get_template("report.html").render(
        results=results,
        highest=highest(results["rows"]).values(),
        pictures={name.removesuffix(".svg"): _inline(svg) for name, svg in drawn.items()},
    )


def _inline(svg: str) -> Markup:
    """Return an SVG as it may stand inside of HTML: without its XML declaration, document type and metadata."""
    svg = re.sub(r"^.*?<svg", '<svg role="img"', svg, count=1, flags=re.DOTALL)
    return Markup(re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL))
