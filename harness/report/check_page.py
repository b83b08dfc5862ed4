"""The report of a run of checks as one HTML file: each failure with its diagram."""

from typing import Any

from markupsafe import Markup

from harness.report import page
from harness.report.difference import difference
from harness.report.evidence import advice, by_hand, of_program, output
from harness.report.sequence.mermaid import mermaid
from harness.report.sequence.story import story_of
from harness.report.sequence.svg import svg

WORDS = {"pass": "✓ holds", "fail": "✗ fails", "blocked": "· not made", "error": "! could not be made"}


def render(results: dict[str, Any], folder: str) -> str:
    """Return the report of checks (as in results.json) as HTML; `folder` is where the scripts of the run lie."""
    return (
        page.environment()
        .get_template("check.html")
        .render(
            results=results,
            words=WORDS,
            failures=[_failure(verdict, folder) for verdict in results["checks"] if verdict["status"] == "fail"],
        )
    )


def _failure(verdict: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return a failed check, and what is made of it to be shown."""
    compared = difference(verdict["expected"], verdict["received"], verdict["difference"])
    shown = {
        "picture": "",
        "text": "",
        "compared": "\n".join(line for _, line in compared),
        "of_program": of_program(verdict) if verdict["server"] else "",
        "last_lines": "\n".join(output(verdict)),
        "advice": advice(verdict),
        "command": by_hand(verdict, folder) if verdict["by_hand"] else "",
    }
    if verdict["transcript"]:
        story = story_of(verdict)
        shown |= {"picture": Markup(svg(story, verdict["title"], verdict["id"])), "text": mermaid(story)}
    return verdict | shown
