"""Who should have handed in: a CSV as platforms and offices export it, and who is meant by a hand-in."""

import csv
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.classroom.intake.handin import Student
from harness.classroom.intake.names import shown
from harness.errors import UsageError

MOST = 16 * 1024 * 1024  # bytes of a roster

# The usual headings (letters and digits only, in small letters), by what they mean: Canvas' gradebook, Moodle's grading
# worksheet, Gradescope's roster, GitHub Classroom's and Classroom 50's, Brightspace's; and what offices write.
HEADINGS = {
    "id": {"id", "userid", "canvasid", "canvasuserid", "participantid", "participant", "identifier"},
    "sid": {
        *("sid", "sisid", "sisuserid", "studentid", "studentnumber", "studentno", "idnumber", "universityid"),
        *("orgdefinedid", "matriculationnumber", "matrnr", "matrikelnummer", "matrikelnr", "rosteridentifier"),
    },
    "login": {
        *("login", "loginid", "sisloginid", "username", "user", "userlogin", "account", "netid", "uniqname"),
        *("githubusername", "github", "githublogin"),
    },
    "email": {"email", "emailaddress", "mail", "emailadresse", "sisemail"},
    "name": {"name", "student", "fullname", "studentname", "displayname", "sortablename"},
    "first": {"first", "firstname", "givenname", "givennames", "forename", "vorname"},
    "last": {"last", "lastname", "surname", "familyname", "nachname"},
}
NOT_A_STUDENT = {"points possible"}  # Canvas' second line


@dataclass(frozen=True)
class Roster:
    """The students of a class."""

    students: tuple[Student, ...]

    def find(self, student: Student, also: Sequence[str] = ()) -> Student | None:
        """Return who is meant by what is known of a student, None if that is nobody, or not one alone.

        First by id, then by login, by email, and by name (accents, case and the order of names aside). `also` are words
        of a file's name that may be any of them.
        """
        for wanted, of in _keys(student):
            if wanted and (found := self._alone({wanted}, of)):
                return found
        for words in (also, [part for word in also for part in re.split(r"[\s_,;+()-]+", word)]):
            if found := self._alone({_plain(word) for word in words if len(word) > 1}, _handles):
                return found
        for word in also:
            if (wanted := _letters(word)) and (found := self._alone({wanted}, _names)):
                return found
        return None

    def _alone(self, wanted: set[str], of: Callable[[Student], set[str]]) -> Student | None:
        found = [student for student in self.students if wanted & of(student)]
        return found[0] if len(found) == 1 else None


def _keys(student: Student) -> Iterable[tuple[str, Callable[[Student], set[str]]]]:
    """Return what to look for, in this order, each with what of a student on the roster may be it."""
    yield _plain(student.id), lambda one: {_plain(one.id)}
    yield _plain(student.sid), lambda one: {_plain(one.sid)}
    yield _plain(student.sid), lambda one: {_plain(one.id)}  # an office calls it just so
    yield _plain(student.login), lambda one: {_plain(one.login)}
    yield _plain(student.email), lambda one: {_plain(one.email)}
    yield _letters(student.name), _names


def _handles(student: Student) -> set[str]:
    """Return by what a student may be called in the name of a file, but the name."""
    return {_plain(one) for one in (student.id, student.sid, student.login, student.email) if one}


def _names(student: Student) -> set[str]:
    """Return a name's letters, its words in every order that is used: begun with any of them, or the last one first."""
    words = [word for word in re.split(r"[\s,]+", student.name) if _letters(word)]
    turned = [words[at:] + words[:at] for at in range(len(words))]
    return {_letters("".join(one)) for one in turned}


def _plain(text: str) -> str:
    return text.strip().lstrip("#").casefold()


def _letters(text: str) -> str:
    """Return the letters and digits of a text, without case and accents."""
    split = unicodedata.normalize("NFKD", text.casefold().replace("ø", "o").replace("ł", "l").replace("đ", "d"))
    return "".join(char for char in split if char.isalnum())


def load_roster(path: Path) -> Roster:
    """Read a roster; raise UsageError with what is wrong with it."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except OSError as error:
        raise UsageError(f"the roster {path} cannot be read: {error.strerror}") from None
    if len(data) > MOST:
        raise UsageError(f"the roster {path} has more than {MOST >> 20} MiB; is it a CSV of one class?")
    text = _text(data)
    first = text.lstrip().partition("\n")[0]
    try:
        rows = list(csv.reader(text.splitlines(keepends=True), delimiter=max(",;\t", key=first.count)))
    except csv.Error as error:
        raise UsageError(f"the roster {path} is no CSV: {error}") from None
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    columns = _columns(rows[0]) if rows else {}
    if not columns:
        raise UsageError(
            f"the roster {path} has no column that is known; its first line must have headings, "
            f"such as name (or first and last), id, sid, email or login, and is: {shown(first)}"
        )
    return Roster(tuple(student for row in rows[1:] if (student := _student(row, columns)) is not None))


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _columns(headings: list[str]) -> dict[str, int]:
    """Return where the known columns stand; the first one of each counts."""
    found: dict[str, int] = {}
    for at, heading in enumerate(headings):
        plain = "".join(char for char in heading.casefold() if char.isalnum())
        for meaning, usual in HEADINGS.items():
            if plain in usual:
                found.setdefault(meaning, at)
    return found


def _student(row: list[str], columns: dict[str, int]) -> Student | None:
    cells = {meaning: _cell(row[at]) for meaning, at in columns.items() if at < len(row)}
    name = cells.get("name") or " ".join(filter(None, (cells.get("first"), cells.get("last"))))
    number = re.sub(r"^\D+ (?=\d+$)", "", cells.get("id", ""))  # Moodle's "Participant 123"
    student = Student(number, name, cells.get("email", ""), cells.get("login", ""), cells.get("sid", ""))
    return None if student == Student() or name.casefold() in NOT_A_STUDENT else student


def _cell(text: str) -> str:
    """Return a cell's text without the marks that keep spreadsheets from calculating with it."""
    return re.sub(r"^'(?=[=+\-@])", "", text.strip())
