"""For one's own tables and programs: `csv` with a row for each student, `json` with all there is (as in grades.json).

The table begins with a byte order mark, without which Excel takes UTF-8 for something else. All of its texts are
guarded, keys too: it is for people, and whoever reads it by a program takes the `json`, or `cells.plain`.
"""

import json

from harness.classroom.exports.cells import BOM, guarded, number, table
from harness.classroom.exports.request import Export, Request
from harness.marks import LabInfo, StudentMark

IDENTITY = ("key", "name", "id", "sid", "login", "email", "section", "handed_in")
OF_LAB = ("points", "max points", "state", "days late", "raw points", "reason")


def as_csv(request: Request) -> Export:
    """Return the table."""
    of_labs = [f"lab {lab.number}: {what}" for lab in request.labs for what in OF_LAB]
    headings = [*IDENTITY, *of_labs, "total", "max total", "notes"]
    rows = [_row(request, student) for student in request.students]
    return Export(BOM + table([headings, *rows]))


def _row(request: Request, student: StudentMark) -> list[str]:
    cells = [guarded(getattr(student, name)) for name in IDENTITY]
    for lab in request.labs:
        cells += _of_lab(lab, student)
    marks = request.marks
    return [*cells, number(marks.total(student)), number(marks.max_total), guarded("; ".join(student.notes))]


def _of_lab(lab: LabInfo, student: StudentMark) -> list[str]:
    mark = student.labs.get(lab.number)
    if mark is None:
        return [""] * len(OF_LAB)
    reason = mark.override["reason"] if mark.override else mark.reason
    points, most, raw = number(mark.points), number(lab.max_points), number(mark.raw)
    return [points, most, str(mark.state), str(mark.late_days), raw, guarded(str(reason))]


def as_json(request: Request) -> Export:
    """Return everything."""
    return Export(json.dumps(request.marks.as_dict(), indent=1, ensure_ascii=False) + "\n")
