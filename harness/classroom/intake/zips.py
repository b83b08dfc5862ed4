"""A zip, of which nothing is believed that it declares about itself."""

import io
import stat
import time
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

from harness.classroom.intake.entries import DAMAGE, Entry, Opener, Unreadable, most_of
from harness.classroom.intake.folders import kind_of
from harness.classroom.intake.limits import OverLimit
from harness.classroom.intake.names import shown

ENCRYPTED = 0x1  # flags of a zip's entry (APPNOTE.TXT, 4.4.4)
UTF8 = 0x800
DIRECTORY_BYTES = 512  # of a zip's table of contents, for an entry; an ordinary one takes 46 and its name
END_OF_ZIP = 70_000  # bytes at the end of a zip that are read to find its table of contents


class Counted(io.FileIO):
    """A file that counts what is read of it."""

    count = 0
    most: int | None = None  # entries that a zip may list, while its table of contents is being read
    listed = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as ever, but not more of a table of contents than the entries may take."""
        if self.most is not None and (size or 0) > max(self.most * DIRECTORY_BYTES, END_OF_ZIP):
            raise OverLimit(f"holds more than {self.most:,} entries")
        data = super().read(size) or b""
        self.count += len(data)
        if self.most is not None:
            self.listed += data.count(b"PK\x01\x02")
            if self.listed > self.most + END_OF_ZIP // 46:
                raise OverLimit(f"holds more than {self.most:,} entries")
        return data


class ZipSource:
    """A zip. Stored and deflated files are read; other methods could take any amount of memory."""

    def __init__(self, path: Path, most_entries: int) -> None:
        self._file = Counted(path)
        self._file.most = self._most = most_entries
        try:
            self._zip = zipfile.ZipFile(self._file)
        except DAMAGE as error:
            self._file.close()
            raise Unreadable(f"is no zip that can be read ({shown(str(error))})") from None
        except OverLimit:
            self._file.close()
            raise
        self._file.most = None

    def entries(self) -> list[Entry]:
        infos = self._zip.infolist()
        found = [self._entry(number, info) for number, info in enumerate(infos)]
        if len(found) > self._most:
            raise OverLimit(f"holds more than {self._most:,} entries{most_of(found)}")
        return found

    def _entry(self, number: int, info: zipfile.ZipInfo) -> Entry:
        name = info.orig_filename
        if not info.flag_bits & UTF8:
            name = _unflagged(name)
        mode = info.external_attr >> 16
        kind = "folder" if name.endswith(("/", "\\")) else "file"
        if stat.S_IFMT(mode) and kind == "file":
            kind = kind_of(mode)
        problem = ""
        if info.flag_bits & ENCRYPTED:
            problem = "is encrypted; one without a password is wanted"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            problem = (
                f"is compressed in a way that is not unpacked (method {info.compress_type}); a plain zip is wanted"
            )
        try:
            modified = time.mktime((*info.date_time, 0, 0, -1))
        except (ValueError, OverflowError):
            modified = 0.0
        return Entry(name, kind, number, modified, info.file_size, problem)

    def streams(self, wanted: Collection[Entry]) -> Iterator[tuple[Entry, Opener]]:
        infos = self._zip.infolist()
        for entry in wanted:
            assert isinstance(entry.place, int)
            yield entry, lambda info=infos[entry.place]: self._zip.open(info)  # type: ignore[misc]

    def consumed(self) -> int | None:
        return self._file.count

    def close(self) -> None:
        self._zip.close()
        self._file.close()


def _unflagged(name: str) -> str:
    """Return a name that is not marked as UTF-8 and was read as code page 437: many programs forget the mark."""
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name
