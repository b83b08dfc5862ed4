"""What is to be exported, and what comes of it: all formats take the one and return the other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.classroom.exports.cells import number
from harness.marks import Class, LabInfo, LabMark, StudentMark

MOST_NAMES = 10  # in one sentence


@dataclass(frozen=True)
class Request:
    """Whose marks are wanted, of which labs, and how the platform calls them."""

    marks: Class  # of these students and labs alone
    titles: Mapping[int, str] = field(default_factory=dict)  # of the labs, on the platform
    out_of: float | None = None  # what all points of a lab are on the platform; None: as many as in the lab
    worksheet: Path | None = None  # the file to fill in
    grade_column: str = ""  # its heading in the worksheet; "": to be found

    @property
    def labs(self) -> tuple[LabInfo, ...]:
        """The labs, each a column in most formats."""
        return self.marks.labs

    @property
    def students(self) -> tuple[StudentMark, ...]:
        """The students, each a row in most formats."""
        return self.marks.students

    def title(self, lab: LabInfo) -> str:
        """Return what the platform calls a lab."""
        return self.titles.get(lab.number, lab.name)

    def most(self, lab: LabInfo) -> float:
        """Return the points that can be had on the platform."""
        return lab.max_points if self.out_of is None else self.out_of

    def worth(self, lab: LabInfo, student: StudentMark) -> str:
        """Return the points for the platform; "" without a mark: nothing is better than a zero that nobody gave."""
        mark = student.labs.get(lab.number)
        if mark is None or mark.points is None:
            return ""
        return number(mark.points * self.most(lab) / lab.max_points if lab.max_points else mark.points)

    def marked(self) -> Iterator[tuple[LabInfo, StudentMark, LabMark]]:
        """Yield all that has a mark."""
        for student in self.students:
            for lab in self.labs:
                mark = student.labs.get(lab.number)
                if mark is not None and mark.points is not None:
                    yield lab, student, mark

    def undecided(self) -> Iterator[str]:
        """Say who has no mark, and why."""
        for student in self.students:
            for lab in self.labs:
                mark = student.labs.get(lab.number)
                if mark is not None and mark.points is None:
                    why = mark.reason or "nobody has decided yet"
                    yield f"{called(student)} has no mark in lab {lab.number}, none is exported: {why}"


@dataclass(frozen=True)
class Export:
    """What is to be written: the content of one file, or of several in a folder."""

    content: str | bytes | Mapping[str, str]
    told: tuple[str, ...] = ()  # what whoever exports has to know


def called(student: StudentMark) -> str:
    """Return how a student is called in a sentence."""
    return student.name or student.login or student.id or student.key


def listed(names: list[str]) -> str:
    """Write names in a sentence, the first of many."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
