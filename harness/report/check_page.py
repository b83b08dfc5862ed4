"""The report of a run of checks as one HTML file: each failure with its diagram."""

from typing import Any

from harness.report import page
from harness.report.evidence import by_hand
from harness.report.failure import drawn, shown

WORDS = {"pass": "✓ holds", "fail": "✗ fails", "blocked": "· not made", "error": "! could not be made"}


def render(results: dict[str, Any], folder: str) -> str:
    """Return the report of checks (as in results.json) as HTML; `folder` is where the scripts of the run lie."""
    failed = [verdict for verdict in results["checks"] if verdict["status"] == "fail"]
    failures = [shown(one, one["id"], by_hand(one, folder) if one["by_hand"] else "") for one in failed]
    held = [drawn(one) for one in results["checks"] if one["status"] == "pass" and one["transcript"]]
    template = page.environment().get_template("check.html")
    return template.render(results=results, words=WORDS, failures=failures, holding=held)
