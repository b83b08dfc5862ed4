"""Which labs a hand-in contains: found by the names of files, told where a name may mean two things."""

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.classroom.intake.names import shown
from harness.course import Course, Lab

COPIED = re.compile(r"(?P<stem>.+?)(?:\s*\((?P<browser>\d+)\)|-(?P<canvas>\d+))")  # a second download, a second upload
NUMBERED = re.compile(r"(?:.*[^a-z0-9])?lab[-_ ]?0*(?P<number>\d+)(?:[^a-z0-9].*)?")

EXACT, NAMED, BY_NUMBER = range(3)  # how well a name fits: the better one counts


@dataclass(frozen=True)
class Candidate:
    """A file that may be one of the course's."""

    path: str
    fit: int
    copy: int  # 1 for "lab01 (1).py" and "lab01-1.py"

    @property
    def folder(self) -> str:
        """Where it lies."""
        return str(PurePosixPath(self.path).parent)

    @property
    def depth(self) -> int:
        """How many folders it lies in."""
        return self.path.count("/")


@dataclass(frozen=True)
class FoundLab:
    """A lab that a hand-in contains."""

    lab: int
    name: str  # of its program, as the course has it
    program: str  # its path in the hand-in; "" where several files may be it
    files: Mapping[str, Path]  # what has to lie beside each other, by the names that it must have there
    missing: tuple[str, ...] = ()  # files of the course that it needs, and that are not there
    notes: tuple[str, ...] = ()  # what was not certain


def around(name: str, file: str) -> tuple[str, str] | None:
    """Return what stands before and after the name of one of the course's files in a name, None if it is not in it.

    Case and the kind of separator do not matter: "Smith_Lab06-select chat_v2.py" is ("Smith", "v2") around
    lab06_select_chat.py.
    """
    if not name.lower().endswith(".py"):
        return None
    wanted = r"[-_ ]".join(re.escape(word) for word in PurePosixPath(file).stem.lower().split("_"))
    match = re.fullmatch(rf"(?:(.*?)[^a-z0-9])?{wanted}(?:[^a-z0-9](.*))?", name[:-3], re.IGNORECASE)
    return (match[1] or "", match[2] or "") if match else None


def find_labs(files: Mapping[str, Path], course: Course) -> tuple[FoundLab, ...]:
    """Return the labs of which a hand-in (its files by their paths) has the program, in the order of the course."""
    found = {file: _candidates(files, file, course) for file in course.files}
    chosen: dict[str, Candidate | None] = {}
    notes: dict[str, list[str]] = {}
    for file, candidates in found.items():
        chosen[file], notes[file] = _choose(candidates, file, files)
    return tuple(
        _found(lab, files, {file: one for file, one in chosen.items() if one}, notes)
        for lab in course.labs
        if found[lab.program]
    )


def _candidates(files: Iterable[str], file: str, course: Course) -> list[Candidate]:
    number = next((lab.number for lab in course.labs if lab.program == file), None)
    found = []
    for path in files:
        name = PurePosixPath(path).name
        plain, copy = _without_copy(name)
        sides = around(plain, file)
        if sides == ("", ""):
            found.append(Candidate(path, EXACT, copy))
        elif sides is not None:
            found.append(Candidate(path, NAMED, copy))
        elif number is not None and name.lower().endswith(".py") and not _is_other(plain, file, course):
            match = NUMBERED.fullmatch(name[:-3].lower())
            if match and int(match["number"]) == number:
                found.append(Candidate(path, BY_NUMBER, copy))
    return found


def _without_copy(name: str) -> tuple[str, int]:
    """Return a file's name without what says that it is a copy, and the number of the copy."""
    path = PurePosixPath(name)
    match = COPIED.fullmatch(path.stem)
    return (f"{match['stem']}{path.suffix}", int(match["browser"] or match["canvas"])) if match else (name, 0)


def _is_other(name: str, file: str, course: Course) -> bool:
    return any(around(name, other) is not None for other in course.files if other != file)


def _choose(candidates: list[Candidate], file: str, files: Mapping[str, Path]) -> tuple[Candidate | None, list[str]]:
    """Return which candidate counts, None where that would be a guess, and what has to be told."""
    if not candidates:
        return None, []
    best = [one for one in candidates if one.fit == min(candidate.fit for candidate in candidates)]
    best = [one for one in best if one.depth == min(candidate.depth for candidate in best)]
    others = sorted(shown(one.path) for one in candidates)
    folders = {one.folder for one in best}
    newest = [one for one in best if one.copy == max(candidate.copy for candidate in best)]
    if len(best) > 1 and len({_content(files[one.path]) for one in best}) > 1 and (len(folders) > 1 or len(newest) > 1):
        return None, [f"{file} may be any of {', '.join(others)}: only who wrote them can tell"]
    counts = min(newest, key=lambda one: one.path)
    if len(candidates) > 1:
        return counts, [f"{shown(counts.path)} is taken for {file}, of {', '.join(others)}"]
    if PurePosixPath(counts.path).name != file:
        return counts, [f"{shown(counts.path)} is taken for {file}"]
    return counts, []


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _found(lab: Lab, files: Mapping[str, Path], chosen: dict[str, Candidate], notes: dict[str, list[str]]) -> FoundLab:
    program = chosen.get(lab.program)
    told = [note for file in lab.places for note in notes[file]]
    missing = tuple(file for file in lab.places if file != lab.program and file not in chosen)
    if program is None:
        return FoundLab(lab.number, lab.program, "", {}, missing, tuple(told))
    beside = "" if program.folder == "." else f"{program.folder}/"
    laid = {path[len(beside) :]: files[path] for path in files if path.startswith(beside)}
    for file, one in chosen.items():
        if one.path != beside + file:
            laid.pop(one.path[len(beside) :] if one.path.startswith(beside) else "", None)
        laid[file] = files[one.path]
    return FoundLab(lab.number, lab.program, program.path, laid, missing, tuple(told))


def lay_out(found: FoundLab, folder: Path) -> Path:
    """Copy what a lab needs into a new folder, by the names that it must have; return its program there."""
    for name, path in found.files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target, follow_symlinks=False)
    return folder / found.name
