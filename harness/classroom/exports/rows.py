"""The rows of a platform's table: whoever has a mark, and can be found there."""

from collections.abc import Callable

from harness.classroom.exports.request import Request, called, listed
from harness.errors import UsageError
from harness.marks import StudentMark

Row = tuple[StudentMark, list[str], list[str]]  # a student, the keys, the points


def rows_with_keys(
    request: Request, keys_of: Callable[[StudentMark], list[str]], what: str
) -> tuple[list[Row], tuple[str, ...]]:
    """Return the rows, and who has a mark and no row; `what` a platform finds its students by.

    Raise UsageError where nobody is left: such a file would look like a class without marks.
    """
    rows: list[Row] = []
    strangers, lost = [], []
    for student in request.students:
        points = [request.worth(lab, student) for lab in request.labs]
        keys = keys_of(student)
        if not any(points):
            continue
        if not student.on_roster:
            strangers.append(called(student))
        elif not any(keys):
            lost.append(called(student))
        else:
            rows.append((student, keys, points))
    told = []
    if strangers:
        told.append(f"on no roster, so left out: {listed(strangers)}")
    if lost:
        told.append(f"left out, for without {what} nobody would find them there: {listed(lost)}")
    if not rows:
        raise UsageError("; ".join(["nobody is left to be exported", *told]))
    return rows, tuple(told)
