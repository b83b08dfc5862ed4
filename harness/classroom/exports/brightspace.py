"""Brightspace: a CSV for "Import" of its grades.

Source: D2L's "Importing grades" (community.d2l.com): a row is found by `OrgDefinedId` or `Username`, a column of
points is called `<Item> Points Grade`, and `#` under `End-of-Line Indicator` ends each row. Its own exports write a
`#` in front of the keys, which it reads again; so do these, and no key can then be a formula.

Decisions. Who has no mark at all has no row, and stays untouched; the cell of a lab without a mark is empty, which
Brightspace passes over. It has no word for "excused" in this file.
"""

from harness.classroom.exports.cells import guarded, table
from harness.classroom.exports.request import Export, Request
from harness.classroom.exports.rows import rows_with_keys
from harness.marks import StudentMark

HEADINGS = ("OrgDefinedId", "Username")
END = ("End-of-Line Indicator", "#")


def export(request: Request) -> Export:
    """Return the file, with a column for each lab."""
    rows, told = rows_with_keys(request, _keys, "a school's number or a login")
    titles = [guarded(f"{request.title(lab)} Points Grade") for lab in request.labs]
    students = [[*keys, *points, END[1]] for _, keys, points in rows]
    return Export(table([[*HEADINGS, *titles, END[0]], *students]), told)


def _keys(student: StudentMark) -> list[str]:
    return [f"#{text.removeprefix('#')}" if text else "" for text in (student.sid, student.login)]
