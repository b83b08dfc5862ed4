"""Why a check failed, told so that one can find the fault."""

import re
from collections.abc import Iterator
from typing import Any

from harness.report.lanes import lanes
from harness.report.safe import safe

Line = tuple[str, str]  # a style, and a text

OUTPUT_LINES = 12
BYTE = re.compile(r"\\x[0-9a-f]{2}|\\.|.")  # as Python writes one
NOT_DONE = re.compile(r"NotImplementedError: step (\d+\.\d+)")


def evidence(verdict: dict[str, Any], folder: str, width: int = 100) -> Iterator[Line]:
    """Yield the lines that explain a failed check; `folder` is where its script lies."""
    yield "bold", f"{verdict['step']}  {verdict['title']}"
    yield "dim", f'    PROTOCOL.md, {verdict["clause"]}: "{verdict["quote"]}"'
    yield "", ""
    yield "red", f"    {safe(verdict['message'])}"
    yield from _difference(verdict)
    if verdict["why"]:
        yield "", f"    {safe(verdict['why'])}"
    if verdict["transcript"]:
        yield "", ""
        yield from (("cyan", f"  {line}") for line in lanes(verdict["transcript"], width - 2))
    yield from _output(verdict)
    yield "", ""
    if unfinished := NOT_DONE.search(verdict["output"]):
        step = unfinished[1]
        other = "" if step.split(".")[0] == verdict["step"].split(".")[0] else "This lab builds on an earlier one. "
        yield "yellow", f"    {other}Step {step} is not written yet: look for `TODO {step}`."
    else:
        yield "yellow", f"    Hint: {verdict['hint']}"
    if verdict["by_hand"]:
        yield "green", f"    See it by hand: python3 {folder}/{verdict['by_hand']}"


def _difference(verdict: dict[str, Any]) -> Iterator[Line]:
    expected, received = safe(verdict["expected"]), safe(verdict["received"])
    if expected:
        yield "", f"      expected  {expected}"
    if received or expected:
        yield "", f"      received  {received or 'nothing'}"
    if verdict["difference"] is not None and expected:
        column = _caret(expected, received)
        yield "red", f"                {' ' * column}^ byte {verdict['difference']} is the first that differs"


def _caret(expected: str, received: str) -> int:
    """Return the column of `received` at which the first byte that differs is written."""
    pairs = zip(_bytes_in(expected), _bytes_in(received), strict=False)
    return next(column for (_, due), (column, byte) in pairs if byte != due)


def _bytes_in(literal: str) -> Iterator[tuple[int, str]]:
    """Yield the column and the form of each byte of a literal (`...` may stand around it), then those of its end."""
    quote = literal.lstrip(".")[0]
    start, end = literal.index(quote) + 1, literal.rindex(quote)
    for byte in BYTE.finditer(literal, start, end):
        yield byte.start(), "'" if byte[0] == "\\'" else byte[0]
    yield end, ""


def _output(verdict: dict[str, Any]) -> Iterator[Line]:
    if not verdict["server"]:
        return
    yield "", ""
    yield (
        "",
        f"    The {verdict.get('role', 'server')}: {verdict['server']}"
        + ("; the end of its output:" if verdict["output"] else ""),
    )
    for line in safe(verdict["output"]).splitlines()[-OUTPUT_LINES:]:
        yield "magenta", f"      │ {line}"
