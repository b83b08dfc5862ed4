"""What a source of hand-ins gives: a list of entries, and streams of their bytes."""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from harness.classroom.intake.names import shown

# What the standard library raises for an archive that is not what it should be.
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
)


class Unreadable(Exception):
    """A source or an entry cannot be read; the text says why, as the end of a sentence about it."""


@dataclass(frozen=True)
class Entry:
    """One thing in a source."""

    name: str
    kind: str  # "file", "folder", "link", or what else it is
    place: tuple[str, ...] | int  # where its source finds it
    modified: float = 0.0  # seconds since 1970, as the source has it
    size: int | None = None  # in bytes, as an archive declares it
    problem: str = ""  # why it cannot be read


Opener = Callable[[], IO[bytes]]


class Source(Protocol):
    """What hand-ins come from."""

    def entries(self) -> list[Entry]:
        """List what is there; raise OverLimit or Unreadable."""

    def streams(self, wanted: Collection[Entry]) -> Iterator[tuple[Entry, Opener]]:
        """Go through the entries that are wanted; each can be opened until the next one comes."""

    def consumed(self) -> int | None:
        """Return how many bytes of an archive were read so far, None where the ratio needs no look at each file."""

    def close(self) -> None:
        """Let go of it."""


def most_of(found: list[Entry]) -> str:
    """Say where most of too many entries lie."""
    tops: dict[str, int] = {}
    for entry in found:
        top = entry.name.partition("/")[0]
        tops[top] = tops.get(top, 0) + 1
    top, number = max(tops.items(), key=lambda one: one[1])
    return f", {number:,} of them in {shown(top)}" if len(tops) > 1 and number > len(found) // 2 else ""
