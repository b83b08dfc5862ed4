"""The report of a run as one HTML file: nothing is loaded from outside, and nothing in it can run."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.report import plots
from harness.report.safe import safe

TEMPLATES = Path(__file__).with_name("templates")


def render(results: dict[str, Any]) -> str:
    """Return the report of a load or a demo (as in results.json) as HTML."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=lambda value: safe(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["ms"] = lambda seconds: f"{1000 * seconds:,.2f}"
    environment.filters["mib"] = lambda count: f"{count / 2**20:.1f}"
    return environment.get_template("report.html").render(
        results=results,
        load_picture=_inline(plots.load_figure(results["rows"], results["load"]["kind"])),
        talk_picture=_inline(plots.talk_figure(results["talks"])) if results["talks"] else "",
    )


def _inline(svg: str) -> Markup:
    """Return an SVG as it may stand inside of HTML: without its XML declaration and document type."""
    return Markup(re.sub(r"^.*?(?=<svg)", "", svg, count=1, flags=re.DOTALL))
