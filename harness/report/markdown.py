"""Text that a program or a student wrote, made harmless for Markdown (CommonMark, and what GitHub adds to it)."""

import re

from harness.report.safe import MOST, one_line, safe

SPECIAL = re.compile(r"[\\`*_\[\]<>|~&$]")
BEGINS = re.compile(r"^(\d{0,9})((?<!\d)[#+=-]|(?<=\d)[.)])")  # a heading, a list, a rule
# What GitHub makes links, mentions and pictures of:
LEADS_OUT = re.compile(r"(?:@|://|www\.|#(?=\d)|:(?=[\w\\+-]+:))+", re.IGNORECASE)


def text(told: str, most: int = MOST) -> str:
    """Return a text as it may stand in a paragraph, a list or a cell of a table: one line, and nothing but text."""
    escaped = LEADS_OUT.sub(r"`\g<0>`", SPECIAL.sub(r"\\\g<0>", one_line(told, most)))
    return BEGINS.sub(r"\1\\\2", escaped)


def code(told: str, most: int = MOST) -> str:
    """Return a text as code in a line."""
    line = one_line(told, most)
    fence = "`" * (_longest_run(line) + 1)
    space = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{space}{line}{space}{fence}"


def block(told: str, language: str = "") -> str:
    """Return a text of several lines as a block of code."""
    fence = "`" * max(3, _longest_run(told) + 1)
    return f"{fence}{language}\n{safe(told).strip(chr(10))}\n{fence}"


def _longest_run(told: str) -> int:
    return max(map(len, re.findall("`+", told)), default=0)
