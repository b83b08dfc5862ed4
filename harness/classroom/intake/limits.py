"""How much of what was handed in is taken in."""

from dataclasses import dataclass

from harness.errors import UsageError

MIB = 1024 * 1024
PIECE = 65536  # bytes that are read at a time


class OverLimit(Exception):
    """More than a limit allows; the text says which, as the end of a sentence."""


@dataclass(frozen=True)
class Limits:
    """Bounds for one hand-in, and for the class as a whole; sizes in bytes, counted as they are written."""

    bytes: int = 20 * MIB  # what counts of a hand-in, unpacked
    files: int = 500
    entries: int = 20_000  # what is looked at in a folder or an archive, with what does not count (a .git, a venv)
    archives: int = 20  # that are opened of a hand-in
    archive: int = 100 * MIB  # the archives of a hand-in, as they were handed in
    stream: int = 1024 * MIB  # what a tar unpacks to, with what does not count
    ratio: int = 200  # bytes that come out of an archive for each byte of it (0: any); program text makes less than 20
    ratio_from: int = MIB  # so much may come out of any archive
    depth: int = 32  # folders in folders
    name: int = 255  # one name, in UTF-8
    path: int = 1000  # a whole path, in UTF-8
    class_bytes: int = 2048 * MIB  # all that is unpacked; for a tar also what it unpacks to
    class_entries: int = 100_000


DEFAULTS = Limits()


def size(value: int) -> str:
    """Return a number of bytes in words: 20971520 is "20 MiB"."""
    for unit, factor in (("GiB", 1024 * MIB), ("MiB", MIB), ("KiB", 1024)):
        if value >= factor:
            return f"{value / factor:.4g} {unit}"
    return f"{value} bytes"


class Total:
    """Counts what comes out of a class."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.class_bytes
        self._bytes = 0

    def add(self, written: int) -> None:
        """Count bytes (below zero: they are there no more); raise UsageError if no class can be meant to have them."""
        self._bytes += written
        if self._bytes > self._most:
            raise UsageError(f"the hand-ins hold more than {size(self._most)} in all; take them in in several parts")


class Meter:
    """Counts what comes out of a hand-in, over all its parts, and stops at the limits."""

    def __init__(self, limits: Limits, most: int, total: Total) -> None:
        self._limits, self._most, self._total = limits, most, total
        self.bytes = 0
        self._came_out = self._went_in = 0  # of one archive, and as it lies there

    def begin_archive(self) -> None:
        """Begin to look at the ratio of another archive."""
        self._came_out = self._went_in = 0

    def give_back(self, before: int) -> None:
        """Forget what was counted since there were `before` bytes: it is there no more."""
        self._total.add(before - self.bytes)
        self.bytes = before

    def add(self, written: int, read: int | None) -> None:
        """Count bytes that are about to be written, and those of an archive read for them (None: not known)."""
        self.bytes += written
        self._total.add(written)
        if self.bytes > self._most:
            raise OverLimit(f"holds more than {size(self._most)}")
        if read is not None:
            self._came_out += written
            self._went_in += read
            check_ratio(self._came_out, self._went_in, self._limits)


def check_ratio(came_out: int, went_in: int, limits: Limits) -> None:
    """Raise OverLimit if so much came out of so little that it can only be meant to fill a disk."""
    if limits.ratio and came_out > limits.ratio_from and came_out > limits.ratio * went_in:
        raise OverLimit(f"unpacks to more than {limits.ratio} times its size, as a bomb does")
