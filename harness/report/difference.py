"""What was expected and what came, the first byte that differs marked."""

import re
from collections.abc import Iterator

from harness.report.safe import safe

Line = tuple[str, str]  # a style, and a text

BYTE = re.compile(r"\\x[0-9a-f]{2}|\\.|.")  # as Python writes one


def difference(expected: str, received: str, place: int | None) -> list[Line]:
    """Return the lines that compare the two; `place` is that of the first byte that differs, if they are bytes."""
    expected, received = safe(expected), safe(received)
    lines = []
    if expected:
        lines.append(("", f"expected  {expected}"))
    if received or expected:
        lines.append(("", f"received  {received or 'nothing'}"))
    if place is not None and expected:
        column = _caret(expected, received)
        lines.append(("red", f"          {' ' * column}^ byte {place} is the first that differs"))
    return lines


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
