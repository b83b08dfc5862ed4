"""Canvas: a CSV for "Import grades" of its gradebook.

Source: lib/gradebook_importer.rb of instructure/canvas-lms: the first columns are those of the heading below; a row
is found by Canvas' own number of the student (`ID`), then by `SIS User ID`, by `SIS Login ID`, and by the name; the
row with `Points Possible` is no student's; a title that ends in `(123)` is the assignment with that number, and one
that is not known becomes a new assignment.

Decisions. A row has a key as it is, without an apostrophe. Who has no mark at all has no row, and stays untouched; in
a row, the cell of a lab without a mark is empty. `EX` (excused) would be a mark: it takes the lab out of the
student's total, which only a person may decide.
"""

from harness.classroom.exports.cells import guarded, key, number, table
from harness.classroom.exports.request import Export, Request
from harness.classroom.exports.rows import rows_with_keys
from harness.marks import StudentMark

HEADINGS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
POSSIBLE = "    Points Possible"


def export(request: Request) -> Export:
    """Return the file, with a column for each lab."""
    rows, told = rows_with_keys(request, _keys, "a Canvas number, an SIS ID or a login")
    titles = [request.title(lab) for lab in request.labs]
    new = [title for title in titles if not title.endswith(")")]
    if new:
        told += (f"Canvas makes an assignment of each title that it does not have: {', '.join(new)}; see --title",)
    possible = [POSSIBLE, "", "", "", "", *(number(request.most(lab)) for lab in request.labs)]
    students = [[guarded(one.name), *keys, guarded(one.section), *points] for one, keys, points in rows]
    return Export(table([[*HEADINGS, *map(guarded, titles)], possible, *students]), told)


def _keys(student: StudentMark) -> list[str]:
    return [key(student.id) if student.id.isdecimal() else "", key(student.sid), key(student.login)]
