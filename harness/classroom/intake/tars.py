"""A tar, plain or compressed: it is read forward only, counted as it is unpacked, and stopped at the limits."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO

from harness.classroom.intake.entries import DAMAGE, Entry, Opener, Unreadable, most_of
from harness.classroom.intake.limits import MIB, PIECE, Limits, OverLimit, check_ratio, size
from harness.classroom.intake.names import mended, shown
from harness.classroom.intake.zips import Counted

TAR_HEADER = MIB  # bytes that a tar may have read at once: only its headers are
XZ_MEMORY = 256 * MIB  # bytes that unpacking an xz may take; `xz -9` takes 65 MiB


class TarSource:
    """A tar, plain or compressed, which is gone through from its beginning each time."""

    def __init__(self, path: Path, kind: str, limits: Limits, most_entries: int, most_bytes: int) -> None:
        self._path, self._kind, self._limits = path, kind, limits
        self._most, self._most_bytes = most_entries, most_bytes

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        try:
            for number, member, _ in self._members():
                found.append(_tar_entry(number, member))
                if len(found) > self._most:
                    raise OverLimit(f"holds more than {self._most:,} entries{most_of(found)}")
        except DAMAGE as error:
            where = f", after {shown(found[-1].name)}" if found else ""
            raise Unreadable(f"is no archive that can be read ({shown(str(error))}{where})") from None
        except OverLimit as error:
            if found and "entries" not in str(error):
                raise OverLimit(f"{error} ({shown(found[-1].name)} is the last of it that was read)") from None
            raise
        return found

    def streams(self, wanted: Collection[Entry]) -> Iterator[tuple[Entry, Opener]]:
        by_place = {entry.place: entry for entry in wanted}
        if not by_place:
            return
        last = max(entry.place for entry in wanted if isinstance(entry.place, int))
        for number, member, tar in self._members():
            if number in by_place:
                yield by_place[number], lambda tar=tar, member=member: _member_stream(tar, member)  # type: ignore[misc]
            if number >= last:
                return

    def _members(self) -> Iterator[tuple[int, tarfile.TarInfo, tarfile.TarFile]]:
        with ExitStack() as stack:
            file = stack.enter_context(Counted(self._path))
            forward = Forward(_unpacked(file, self._kind), file, self._limits, self._most_bytes)
            tar = stack.enter_context(
                closing(tarfile.TarFile(fileobj=forward, encoding="utf-8", errors="surrogateescape"))  # type: ignore[arg-type]
            )
            number = 0
            while (member := tar.next()) is not None:
                yield number, member, tar
                number += 1
                tar.members.clear()  # type: ignore[attr-defined]  # they would all be kept
            if forward.last.strip(b"\0"):  # no end: tarfile stops without a word at a header that is none
                raise tarfile.ReadError("what follows is no entry")
            while forward.read(PIECE):  # to the end, where the checksum of a compressed one stands
                pass

    def consumed(self) -> int | None:
        return None  # `Forward` looks at the ratio of the whole

    def close(self) -> None:
        pass


def _tar_entry(number: int, member: tarfile.TarInfo) -> Entry:
    kind = "special file"
    if member.isreg():
        kind = "file"
    elif member.isdir():
        kind = "folder"
    elif member.issym() or member.islnk():
        kind = "link"
    elif member.isfifo():
        kind = "FIFO"
    elif member.ischr() or member.isblk():
        kind = "device"
    return Entry(mended(member.name), kind, number, float(member.mtime), member.size)


def _member_stream(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member)
    assert stream is not None  # it is a regular file
    return stream


class Forward:
    """What a tar is read from: it goes forward only, counts, and stops at the limits."""

    def __init__(self, stream: "IO[bytes] | Unpacked", file: Counted, limits: Limits, most: int) -> None:
        self._stream, self._file, self._limits, self._most = stream, file, limits, most
        self._at = 0
        self.last = b""  # what was read last

    def read(self, count: int) -> bytes:
        """Read up to so many bytes: all of them, but at the end."""
        if count > TAR_HEADER:
            raise tarfile.ReadError(f"a header of {size(count)}")
        pieces, due = [], count
        while due > 0 and (piece := self._stream.read(due)):
            pieces.append(piece)
            due -= len(piece)
        self.last = b"".join(pieces)
        self._at += len(self.last)
        if self._at > self._most:
            raise OverLimit(f"unpacks to more than {size(self._most)}")
        check_ratio(self._at, self._file.count, self._limits)
        return self.last

    def tell(self) -> int:
        """Return where it is."""
        return self._at

    def seek(self, place: int) -> int:
        """Go forward; raise ReadError if that would be back."""
        if place < self._at:
            raise tarfile.ReadError("an entry that lies before the one before it")
        while self._at < place and self.read(min(place - self._at, PIECE)):
            pass
        return self._at


def _unpacked(file: Counted, kind: str) -> "IO[bytes] | Unpacked":
    if kind == "gz":
        return gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[return-value]
    if kind == "bz2":
        return Unpacked(file, bz2.BZ2Decompressor)
    if kind == "xz":
        return Unpacked(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY))
    return file


class Unpacked:
    """A bzip2 or an xz as it is unpacked, with a bound for the memory that this takes; one may follow another."""

    def __init__(self, file: Counted, make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]) -> None:
        self._file, self._make, self._decompressor = file, make, make()

    def read(self, count: int) -> bytes:
        """Read at least one byte and up to so many; nothing at the end."""
        rest = b""
        while True:
            if self._decompressor.eof:
                rest = self._decompressor.unused_data.lstrip(b"\0") or self._file.read(PIECE).lstrip(b"\0")
                if not rest:
                    return b""
                self._decompressor = self._make()
            elif self._decompressor.needs_input:
                rest = self._file.read(PIECE)
                if not rest:
                    raise EOFError("it ends too early")
            data = self._decompressor.decompress(rest, count)
            if data:
                return data
            rest = b""
