"""What is compared: the works of a class, whatever they were taken from."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.classroom.similarity.lexer import Tokens, decoded, language_of, tokens_of

MOST_OF_A_FILE = 1 << 18  # bytes that are compared, some 7,000 lines
MOST_OF_A_WORK = 1 << 20  # bytes
MOST_FILES = 500  # of a work
LEFT_OUT = {
    "__pycache__",
    "__MACOSX",
    "node_modules",
    "site-packages",
    "venv",
    "env",
}  # folders; and all that begin with a dot


@dataclass(frozen=True)
class Work:
    """A hand-in: a key of its own, the name that people know, and its files by their POSIX paths in it."""

    key: str
    name: str
    files: Mapping[str, bytes | Path]


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
        sources, notes = [], []
        programs = [path for path in sorted(work.files) if language_of(path)]
        if others := len(work.files) - len(programs):
            notes.append(f"{others} {'file is' if others == 1 else 'files are'} no program")
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


def _by_size(entry: tuple[str, bytes, str]) -> tuple[int, str]:
    """Order the small files first: a large one is not to take the place of the others."""
    return len(entry[1]), entry[0]


def _contents(file: bytes | Path) -> tuple[bytes, str]:
    """Return what is in a file, one byte more than counts at most, or why it cannot be read."""
    if isinstance(file, bytes):
        return file[: MOST_OF_A_FILE + 1], ""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        number = os.open(file, flags)
    except OSError as error:
        return b"", error.strerror or str(error)
    with os.fdopen(number, "rb") as opened:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return b"", "it is no regular file"
        return opened.read(MOST_OF_A_FILE + 1), ""


def works_in(folder: Path) -> list[Work]:
    """Return the works in a folder, a folder or a file for each, in the order of their names.

    Links are not followed; what a system, an editor or a package manager has put there is left out.
    """
    works = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if _counts(entry):
            is_folder = entry.is_dir(follow_symlinks=False)
            found = dict(_walk(Path(entry.path), "")) if is_folder else {entry.name: Path(entry.path)}
            works.append(Work(entry.name, entry.name if is_folder else Path(entry.name).stem, found))
    return works


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder by their paths in it, MOST_FILES at most."""
    ahead, found = [(folder, prefix)], 0
    while ahead:
        here, prefix = ahead.pop(0)
        for entry in sorted(os.scandir(here), key=lambda entry: entry.name):
            if not _counts(entry):
                continue
            if entry.is_dir(follow_symlinks=False):
                ahead.append((Path(entry.path), f"{prefix}{entry.name}/"))
            elif (found := found + 1) <= MOST_FILES:
                yield f"{prefix}{entry.name}", Path(entry.path)


def _counts(entry: "os.DirEntry[str]") -> bool:
    if entry.name.startswith(".") or entry.name in LEFT_OUT:
        return False
    return entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
