"""Tables as CSV that spreadsheets may open: a student's name is never a formula there, and is still the same name.

A text that a spreadsheet would calculate (it begins with `=`, `+`, `-`, `@`, a tab or a CR, see OWASP: CSV Injection)
gets an apostrophe in front. So does one that has apostrophes in front of such a sign, so that what was written can
always be read again: `plain(guarded(text)) == text`.

A key, by which a platform finds its student, must stay as it is: with an apostrophe in front it would be somebody
else's. What is a formula is therefore no key: `key()` leaves such a cell empty, and a row without any key is not
written but told.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

BOM = "\ufeff"  # U+FEFF as the first character of a file: the byte order mark
FORMULA = re.compile(r"'*[=+\-@\t\r]")


def guarded(text: str) -> str:
    """Return a text that every spreadsheet takes for a text."""
    return f"'{text}" if FORMULA.match(text) else text


def plain(cell: str) -> str:
    """Return the text that was guarded."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def key(text: str) -> str:
    """Return a key as it is, "" if a spreadsheet would calculate it."""
    return "" if FORMULA.match(text) else text


def number(value: float | None) -> str:
    """Write points as short as they are, with a point and at most two digits behind it; "" where there are none."""
    return "" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def table(rows: Iterable[Sequence[str]], line_end: str = "\r\n") -> str:
    """Write rows as CSV (RFC 4180): with commas, and quotes where they are needed."""
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end).writerows(rows)
    return text.getvalue()
