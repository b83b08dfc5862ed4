"""Gradescope's `submission_metadata.yml`: who submitted what, when, and how often before.

The file is written by Ruby's YAML library, a few megabytes of it for a class: beside the little that is wanted it has
the results of every test, with all that students printed. Only the lines of that library's fixed shape are looked at:

    submission_12345:
      :submitters:
      - :name: Ann Smith
        :sid: '1001'
        :email: ann@example.org
      :created_at: 2026-09-21 10:15:00.123456000 Z
      :history:
      - :id: 12344

In YAML whatever belongs to a value is indented more than its key, so that nothing printed by a student can stand where
these keys stand. A YAML library would build all of it in memory, follow aliases, and refuse the tags of Ruby's objects.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from harness.classroom.intake.handin import Student

METADATA = "submission_metadata.yml"
LONGEST = 65536  # bytes of a line that are looked at

SUBMISSION = re.compile(r"(?P<key>\S.*):")
KEY = re.compile(r"  (?P<key>:\w+):(?: (?P<value>.*))?")
ITEM = re.compile(r"  (?P<dash>-) (?P<key>:\w+):(?: (?P<value>.*))?")
OF_ITEM = re.compile(r"    (?P<key>:\w+):(?: (?P<value>.*))?")
ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
ESCAPED = dict(zip("abtnvfre0N_LP", "\a\b\t\n\v\f\r\x1b\0\x85\xa0\u2028\u2029", strict=True))
ANCHOR = re.compile(r"[&!][^\s]+ ?")
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(\.\d+)?\s*(Z|UTC|[+-]\d\d:?\d\d)?")


@dataclass
class Submission:
    """What is told of one submission."""

    submitters: list[dict[str, str]] = field(default_factory=list)
    created_at: str = ""
    earlier: int = 0

    @property
    def students(self) -> tuple[Student, ...]:
        """Who submitted it."""
        people = [{key: " ".join(scalar(value).split()) for key, value in one.items()} for one in self.submitters]
        return tuple(
            Student(name=one.get(":name", ""), email=one.get(":email", ""), sid=one.get(":sid", "")) for one in people
        )


def read_metadata(lines: Iterable[str]) -> dict[str, Submission]:
    """Return the submissions by the names of their folders, in the order of the file."""
    found: dict[str, Submission] = {}
    now, section, last = Submission(), "", ""
    for line in lines:
        if (match := SUBMISSION.fullmatch(line)) is not None:
            now, section = found.setdefault(scalar(match["key"]), Submission()), ""
        elif (match := KEY.fullmatch(line)) is not None:
            section = match["key"]
            if section == ":created_at":
                now.created_at = scalar(match["value"] or "")
        elif section == ":history":
            now.earlier += line.startswith("  - ")
        elif section == ":submitters":
            last = _of_submitter(now, line, last)
    return found


def _of_submitter(now: Submission, line: str, last: str) -> str:
    """Take in a line about a submitter; return the key that further lines belong to."""
    match = ITEM.fullmatch(line) or OF_ITEM.fullmatch(line)
    if match is None:
        if line.startswith("     ") and now.submitters and last in now.submitters[-1]:
            text = now.submitters[-1][last]
            now.submitters[-1][last] = f"{text[:-1]}{line.strip()}" if text.endswith("\\") else f"{text} {line.strip()}"
        return last
    if "dash" in match.re.groupindex:
        now.submitters.append({})
    if now.submitters:
        now.submitters[-1][match["key"]] = match["value"] or ""
    return match["key"]


def scalar(text: str) -> str:
    """Return the value of a scalar that stands on one line."""
    text = text.strip()
    if text[:1] in ("&", "!"):
        text = ANCHOR.sub("", text, count=1)
    if text.startswith("'"):
        return text[1:].removesuffix("'").replace("''", "'")
    if text.startswith('"'):
        return ESCAPE.sub(_unescaped, text[1:].removesuffix('"'))
    return "" if text in ("~", "null") or text.startswith("*") else text


def _unescaped(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) > 1:
        number = int(escape[1:], 16)
        return chr(number) if number < 0x110000 else "\ufffd"
    return ESCAPED.get(escape, escape)


def moment(text: str) -> datetime | None:
    """Read a time as platforms write it, None if it is none; without a zone it is taken as UTC."""
    match = TIME.match(text.strip())
    if match is None:
        return None
    day, clock, part, zone = match.groups(default="")
    offset = "+00:00" if zone in ("", "Z", "UTC") else zone
    try:
        when = datetime.fromisoformat(f"{day}T{clock}{part[:7]:0<7}{offset}" if part else f"{day}T{clock}{offset}")
        return when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def bounded_lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Return the lines of a file, of each no more than LONGEST bytes; what follows is passed over."""
    whole = True
    for piece in pieces:
        if whole:
            yield piece.decode("utf-8-sig", "replace").rstrip("\r\n")
        whole = piece.endswith(b"\n")
