"""Moodle: the offline grading worksheet of one assignment, filled in.

Source: mod/assign/feedback/offline (importgradeslib.php, locallib.php) and mod/assign/gradingtable.php of
moodle/moodle: the headings are those of the reader's language; the first column identifies a participant; the maximum
stands right behind the grade; an empty grade is passed over, and so is, in silence, one above the maximum; numbers
may have a point in every language; the feedback in the file is imported, too.

Decisions. The worksheet is never invented. Cells of the grade column are written, those of marked students alone; all
other cells stay as Moodle wrote them, without apostrophes, for Moodle reads them again (the identifier by its
letters, the feedback as feedback). A student is found by the platform's number, by email, school's number or login,
and at last by a name that only one has; where two of these mean two people, nobody is.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.classroom.exports.cells import BOM, number, plain, table
from harness.classroom.exports.request import Export, Request, called, listed
from harness.errors import UsageError
from harness.marks import StudentMark

MOST_BYTES = 64 << 20
ENGLISH = "Grade"
PARTICIPANT = re.compile(r"\D*?(\d+)")

Table = list[list[str]]


def export(request: Request) -> Export:
    """Return the worksheet with the marks of one lab in it."""
    if request.worksheet is None:
        raise UsageError(
            "Moodle has a worksheet of its own for each assignment: download it there (View all submissions, Download "
            "grading worksheet), and name it with --worksheet FILE"
        )
    if len(request.labs) != 1:
        raise UsageError("a worksheet of Moodle is for one assignment: say which lab's marks go into it, with --lab")
    (lab,) = request.labs
    text = _read(request.worksheet)
    rows = _rows(text, request.worksheet)
    at, told = _grade_column(rows, request)
    _fit(rows, at, request)
    found, unknown = _matched(rows, at, request.students)
    replaced = 0
    for place, student in found.items():
        if worth := request.worth(lab, student):
            replaced += rows[place][at].strip() not in ("", worth)
            rows[place][at] = worth
    if not found:
        raise UsageError(f"nobody in {request.worksheet} is in this class; is it the worksheet of this course?")
    if replaced:
        told.append(f"{replaced} {'grade that was' if replaced == 1 else 'grades that were'} there before: replaced")
    if unknown:
        told.append(f"in the worksheet and not in this class, so left as they are: {listed(unknown)}")
    there = {student.key for student in found.values()}
    missing = [called(one) for one in request.students if one.key not in there and request.worth(lab, one)]
    if missing:
        told.append(f"with a mark, and not to be found in the worksheet: {listed(missing)}")
    ends = "\r\n" if "\r\n" in text else "\n"
    return Export(BOM * text.startswith(BOM) + table(rows, ends), tuple(told))


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the worksheet {file}: {error.strerror}") from None
    try:
        if len(data) > MOST_BYTES or data.startswith(b"PK"):
            raise ValueError
        return data.decode("utf-8")
    except ValueError:
        raise UsageError(f"{file} is no CSV in UTF-8; name the worksheet as Moodle gave it") from None


def _rows(text: str, file: Path) -> Table:
    try:
        rows = list(csv.reader(io.StringIO(text.removeprefix(BOM), newline="")))
    except csv.Error as error:
        raise UsageError(f"{file} is no CSV: {error}") from None
    if not rows or len(rows[0]) < 3 or len(rows) < 2:
        raise UsageError(
            f"{file} is no worksheet: it has headings with commas between them, and a line for each student"
        )
    if ragged := next((place for place, row in enumerate(rows, 1) if row and len(row) != len(rows[0])), None):
        raise UsageError(f"{file}: row {ragged} has not as many cells as there are headings; download it again")
    return rows


def _grade_column(rows: Table, request: Request) -> tuple[int, list[str]]:
    """Return where the grades stand, and what has to be told of it."""
    headings, wanted = rows[0], request.grade_column or ENGLISH
    if headings.count(wanted) == 1:
        return headings.index(wanted), []
    names = ", ".join(headings)
    if request.grade_column:
        raise UsageError(f"{request.worksheet} has no column {wanted!r} (or more than one); its headings are {names}")
    columns = range(1, len(headings) - 1)
    likely = [at for at in columns if all(_is_grade(cell) for cell in _column(rows, at)) and _maximum(rows, at)]
    if len(likely) != 1:
        raise UsageError(
            f"which column of {request.worksheet} holds the grade? Say so with --grade-column HEADING; they are {names}"
        )
    return likely[0], [f"the grades are taken to stand under {headings[likely[0]]!r}; --grade-column says otherwise"]


def _column(rows: Table, at: int) -> list[str]:
    return [row[at] for row in rows[1:] if row]


def _number(cell: str) -> float | None:
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return None


def _is_grade(cell: str) -> bool:
    return cell.strip() in ("", "-") or _number(cell) is not None


def _maximum(rows: Table, at: int) -> float | None:
    """Return the maximum grade: the one number that stands behind all grades."""
    values = {_number(cell) for cell in _column(rows, at + 1)} if at + 1 < len(rows[0]) else set()
    return values.pop() if len(values) == 1 else None


def _fit(rows: Table, at: int, request: Request) -> None:
    """Refuse marks that mean something else on the scale of the assignment."""
    maximum, most = _maximum(rows, at), request.most(request.labs[0])
    if maximum is not None and maximum != most:
        raise UsageError(
            f"the assignment has {number(maximum)} points at most, and lab {request.labs[0].number} {number(most)}: "
            f"add --out-of {number(maximum)}, or give the assignment {number(most)} points"
        )


def _matched(rows: Table, at: int, students: Iterable[StudentMark]) -> tuple[dict[int, StudentMark], list[str]]:
    """Return whose row each one is, and who the rows of nobody are about."""
    by_key = [_index(students, of) for of in KEYS]
    found: dict[int, StudentMark] = {}
    unknown = []
    for place, row in enumerate(rows[1:], start=1):
        if not row:
            continue
        cells = [_same(plain(cell)) for cell in row[:at]]
        participant = PARTICIPANT.fullmatch(cells[0])
        meant = [by_key[0].get(participant[1] if participant else cells[0])]
        meant += [next((index[cell] for cell in cells if cell in index), None) for index in by_key[1:-1]]
        certain = {one.key: one for one in meant if one}
        by_name = next((by_key[-1][cell] for cell in cells if cell in by_key[-1]), None)
        student = next(iter(certain.values())) if len(certain) == 1 else by_name if not certain else None
        if student is None:
            unknown.append(row[1] or row[0])
        else:
            found[place] = student
    once = [student.key for student in found.values()]
    twice = {place for place, student in found.items() if once.count(student.key) > 1}
    unknown += [rows[place][1] or rows[place][0] for place in sorted(twice)]
    return {place: student for place, student in found.items() if place not in twice}, unknown


KEYS: tuple[Callable[[StudentMark], str], ...] = (
    lambda one: one.id,
    lambda one: one.email,
    lambda one: one.sid,
    lambda one: one.login,
    lambda one: one.name,
)


def _index(students: Iterable[StudentMark], of: Callable[[StudentMark], str]) -> dict[str, StudentMark]:
    """Return the students by something that only one of them has."""
    known: dict[str, list[StudentMark]] = {}
    for student in students:
        if of(student):
            known.setdefault(_same(of(student)), []).append(student)
    return {text: found[0] for text, found in known.items() if len(found) == 1}


def _same(text: str) -> str:
    """Return what does not depend on case, spaces and the way in which an accent is written."""
    return " ".join(unicodedata.normalize("NFC", text.casefold()).split())
