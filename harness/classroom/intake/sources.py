"""Where hand-ins come from: a folder, a zip or a tar, whatever its name says."""

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO

from harness.classroom.intake.entries import Entry, Opener, Source, Unreadable, most_of
from harness.classroom.intake.folders import Folder, kind_of
from harness.classroom.intake.limits import Limits, OverLimit
from harness.classroom.intake.names import MARK_OF_VENV, archive_suffix, does_not_count, foreign_archive, mended
from harness.classroom.intake.tars import TarSource
from harness.classroom.intake.zips import ZipSource

WRAPPERS = 4  # folders above a hand-in that a source may have

MAGIC = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
}


def open_source(path: Path, limits: Limits, most_entries: int, most_bytes: int) -> Source:
    """Open a folder or an archive, whatever its name says; raise Unreadable if it is neither."""
    if path.is_dir():
        return FolderSource(path, limits, most_entries)
    with path.open("rb") as file:
        start = file.read(8)
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), "")
    if kind in ("7z", "RAR") or (not kind and foreign_archive(path.name)):
        raise Unreadable(f"is a {kind or foreign_archive(path.name)} archive, which is not opened; a zip is wanted")
    if kind == "zip" or (not kind and archive_suffix(path.name) == ".zip"):
        return ZipSource(path, most_entries)
    return TarSource(path, kind, limits, most_entries, most_bytes)


class FolderSource:
    """A folder on a disk."""

    def __init__(self, path: Path, limits: Limits, most_entries: int) -> None:
        self._path, self._limits, self._most = path, limits, most_entries

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        try:
            with Folder(self._path) as top:
                for entry in self._walk(top, ()):
                    found.append(entry)
                    if len(found) > self._most:
                        raise OverLimit(f"holds more than {self._most:,} entries{most_of(found)}")
        except OSError as error:
            raise Unreadable(f"cannot be read ({error.strerror})") from None
        return found

    def _walk(self, folder: Folder, above: tuple[str, ...]) -> Iterator[Entry]:
        listing = folder.scan()
        if above and any(name == MARK_OF_VENV for name, _ in listing):
            listing = [one for one in listing if one[0] == MARK_OF_VENV]
        for name, status in listing:
            place = (*above, name)
            kind = kind_of(status.st_mode)
            entry = Entry("/".join(mended(part) for part in place), kind, place, status.st_mtime)
            yield entry
            if kind == "folder" and len(place) <= self._limits.depth + WRAPPERS and not does_not_count((name,)):
                try:
                    with folder.enter(name) as inner:
                        yield from self._walk(inner, place)
                except OSError as error:
                    yield replace(entry, problem=f"cannot be read ({error.strerror})")

    def streams(self, wanted: Collection[Entry]) -> Iterator[tuple[Entry, Opener]]:
        for entry in wanted:
            yield entry, lambda entry=entry: self._open(entry)  # type: ignore[misc]

    def _open(self, entry: Entry) -> IO[bytes]:
        assert isinstance(entry.place, tuple)
        with ExitStack() as stack:
            folder = stack.enter_context(Folder(self._path))
            for name in entry.place[:-1]:
                folder = stack.enter_context(folder.enter(name))
            return os.fdopen(folder.read(entry.place[-1]), "rb")

    def consumed(self) -> int | None:
        return None

    def close(self) -> None:
        pass
