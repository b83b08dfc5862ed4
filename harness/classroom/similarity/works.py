"""What is compared: the works of a class, whatever they were taken from."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from harness.classroom.intake import HandIn
from harness.classroom.intake.folders import Folder
from harness.classroom.similarity.lexer import Tokens, decoded, language_of, tokens_of
from harness.course.layout import ROOT

MOST_OF_A_FILE = 1 << 18  # bytes that are compared, some 7,000 lines
MOST_OF_A_WORK = 1 << 20  # bytes
HARNESS = "harness"  # the folder in which the kit lies in a copy of it


@dataclass(frozen=True)
class Work:
    """A hand-in: a key of its own, the name that people know, and its files by their POSIX paths in it."""

    key: str
    name: str
    files: Mapping[str, bytes | Path]
    notes: tuple[str, ...] = ()  # what its reader should know, in words


@dataclass(frozen=True)
class Source:
    """A file that can be compared."""

    path: str
    text: str
    tokens: Tokens


@dataclass
class Reader:
    """Reads works; the same file in many of them is taken apart once."""

    _known: dict[tuple[str, bytes], tuple[str, Tokens]] = field(default_factory=dict)

    def read(self, work: Work) -> tuple[list[Source], list[str]]:
        """Return the programs of a work, and in words what of it is not compared."""
        sources, notes = [], list(work.notes)
        written = [path for path in sorted(work.files) if not is_of_the_kit(path)]
        programs = [path for path in written if language_of(path)]
        if copied := len(work.files) - len(written):
            notes.append(f"{_files(copied)} of the kit itself")
        if others := len(written) - len(programs):
            notes.append(f"{_files(others)} no program")
        left = MOST_OF_A_WORK
        for path, data, why in sorted(((path, *_contents(work.files[path])) for path in programs), key=_by_size):
            if why:
                notes.append(f"{path} cannot be read: {why}")
                continue
            most = min(MOST_OF_A_FILE, left)
            if len(data) > most:
                notes.append(f"{path} is too large: its first {most:,} bytes are compared")
            data = data[:most]
            left -= len(data)
            text, tokens = self._taken_apart(data, str(language_of(path)))
            sources.append(Source(path, text, tokens))
        return sorted(sources, key=lambda source: source.path), notes

    def _taken_apart(self, data: bytes, language: str) -> tuple[str, Tokens]:
        known = self._known.get((language, data))
        if known is None:
            text = decoded(data)
            known = self._known[language, data] = text, tokens_of(text, language)
        return known


def _files(number: int) -> str:
    return "1 file is" if number == 1 else f"{number} files are"


def _by_size(entry: tuple[str, bytes, str]) -> tuple[int, str]:
    """Order the small files first: a large one is not to take the place of the others."""
    return len(entry[1]), entry[0]


def _contents(file: bytes | Path) -> tuple[bytes, str]:
    """Return what is in a file, one byte more than counts at most, or why it cannot be read."""
    if isinstance(file, bytes):
        return file[: MOST_OF_A_FILE + 1], ""
    try:
        with Folder(file.parent) as folder, os.fdopen(folder.read(file.name), "rb") as opened:
            return opened.read(MOST_OF_A_FILE + 1), ""
    except OSError as error:
        return b"", error.strerror or str(error)


def works_of(hand_ins: Iterable[HandIn]) -> list[Work]:
    """Return what was handed in as works; those whose names are the same are told apart by their keys."""
    named = [(one, ", ".join(map(str, one.students)) or one.origin) for one in hand_ins]
    times = Counter(name for _, name in named)
    return [
        Work(
            one.key,
            name if times[name] == 1 else f"{name} ({one.key})",
            one.files,
            (one.reason, *one.notes) if one.reason else one.notes,
        )
        for one, name in named
    ]


def is_of_the_kit(path: str) -> bool:
    """Whether a file that came with a hand-in lies where a module of this kit does, in a copy of all of it."""
    parts = PurePosixPath(path).parts
    return HARNESS in parts and ROOT.joinpath(*parts[parts.index(HARNESS) :]).is_file()
