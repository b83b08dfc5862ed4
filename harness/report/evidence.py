"""Why a check failed, told so that one can find the fault."""

import re
from collections.abc import Iterator
from typing import Any

from harness.report.difference import Line, difference
from harness.report.lanes import lanes
from harness.report.safe import one_line, safe
from harness.report.sequence.story import failure_of
from harness.report.sequence.text import wrapped
from harness.shell import PYTHON

OUTPUT_LINES = 12
NOT_DONE = re.compile(r"NotImplementedError: step (\d+\.\d+)")


def evidence(verdict: dict[str, Any], folder: str, width: int = 100) -> Iterator[Line]:
    """Yield the lines that explain a failed check; `folder` is where its script lies."""
    yield "bold", f"{verdict['step']}  {verdict['title']}"
    yield "dim", f'    PROTOCOL.md, {verdict["clause"]}: "{verdict["quote"]}"'
    yield "", ""
    yield from fault(verdict)
    if verdict["transcript"]:
        yield "", ""
        yield from dialogue(verdict, width)
    if verdict["server"]:
        yield "", ""
        yield "", f"    {of_program(verdict)}"
        yield from (("magenta", f"      │ {line}") for line in output(verdict))
    if verdict.get("in_code"):
        yield "", ""
        yield from causes(verdict, width)
    yield "", ""
    yield "yellow", f"    {advice(verdict)}"
    if verdict["by_hand"]:
        yield "green", f"    See it by hand: {by_hand(verdict, folder)}"


def fault(verdict: dict[str, Any]) -> Iterator[Line]:
    """Yield what is wrong, and why that matters."""
    yield "red", f"    {safe(verdict['message'])}"
    compared = difference(verdict["expected"], verdict["received"], verdict["difference"])
    yield from ((style, f"      {line}") for style, line in compared)
    if verdict["why"]:
        yield "", f"    {safe(verdict['why'])}"
    yield from (("red", f"    {line}") for line in meanwhile(verdict))


def dialogue(verdict: dict[str, Any], width: int) -> Iterator[Line]:
    """Yield who said what to whom, up to where it fails."""
    *drawn, failed = lanes(verdict["transcript"], width - 2, failure_of(verdict))
    yield from (("cyan", f"  {line}") for line in drawn)
    yield "red", f"  {failed}"


def causes(verdict: dict[str, Any], width: int) -> Iterator[Line]:
    """Yield the lines of the program that explain the failure."""
    yield "", "    In the program:"
    for place, says in in_program(verdict):
        yield "bold", f"      {place}"
        yield from (("", f"          {line}") for line in wrapped(says, width - 10))


def of_program(verdict: dict[str, Any]) -> str:
    """Say how the program under test has ended, or that it runs."""
    output_follows = "; the end of its output:" if verdict["output"] else ""
    return f"The {verdict.get('role', 'server')}: {verdict['server']}{output_follows}"


def output(verdict: dict[str, Any]) -> list[str]:
    """Return the last lines that the program under test printed."""
    return safe(verdict["output"]).splitlines()[-OUTPUT_LINES:]


def meanwhile(verdict: dict[str, Any]) -> list[str]:
    """Say what had come for others when somebody waited for something in vain."""
    return [
        one_line(f"Meanwhile this had come for {name}: {data}") for name, data in verdict.get("elsewhere", {}).items()
    ]


def in_program(verdict: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the program that explain a failure, with their places, and what is to be said of each."""
    return [
        (one_line(f"{one['file']}, line {one['line']}: {one['code']}"), one_line(one["says"]))
        for one in verdict.get("in_code", ())
    ]


def advice(verdict: dict[str, Any]) -> str:
    """Return what to do about a failure: the hint, or which step is not written yet."""
    unfinished = NOT_DONE.search(verdict["output"])
    if not unfinished:
        return f"Hint: {verdict['hint']}"
    step = unfinished[1]
    other = "" if step.split(".")[0] == verdict["step"].split(".")[0] else "This lab builds on an earlier one. "
    return f"{other}Step {step} is not written yet: look for `TODO {step}`."


def by_hand(verdict: dict[str, Any], folder: str) -> str:
    """Return the command that shows a failure by hand; its script lies in `folder`."""
    return f"{PYTHON} {folder}/{verdict['by_hand']}"
