"""A check that failed, and what is made of it to be shown on a page."""

from typing import Any

from markupsafe import Markup

from harness.report.difference import difference
from harness.report.evidence import advice, in_program, meanwhile, of_program, output
from harness.report.sequence.mermaid import mermaid
from harness.report.sequence.story import Story, story, story_of
from harness.report.sequence.svg import svg


def shown(verdict: dict[str, Any], name: str, command: str) -> dict[str, Any]:
    """Return a verdict (as in results.json) with what templates/failure.html shows of it.

    `name` (letters, digits, hyphens) tells several failures of a page apart; `command` shows the fault by hand.
    """
    compared = difference(verdict["expected"], verdict["received"], verdict["difference"])
    told: dict[str, Any] = {
        "name": name,
        "picture": "",
        "text": "",
        "compared": "\n".join(line for _, line in compared),
        "of_program": of_program(verdict) if verdict["server"] else "",
        "last_lines": "\n".join(output(verdict)),
        "meanwhile": meanwhile(verdict),
        "in_program": in_program(verdict),
        "advice": advice(verdict),
        "command": command,
    }
    if verdict["transcript"]:
        told |= _pictured(story_of(verdict), verdict["title"], name)
    return verdict | told


def drawn(verdict: dict[str, Any]) -> dict[str, Any]:
    """Return a verdict of a check that holds, whose dialogue was kept, with its diagram."""
    told = story(verdict["transcript"], verdict.get("role", "server"))
    return verdict | _pictured(told, verdict["title"], verdict["id"])


def _pictured(told: Story, title: str, name: str) -> dict[str, Any]:
    return {"picture": Markup(svg(told, title, name)), "text": mermaid(told)}
