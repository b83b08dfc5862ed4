"""One part of a hand-in, its loose files or one archive among them, written to a folder: whole or not at all."""

import errno
import hashlib
import os
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from harness.classroom.intake.entries import DAMAGE, Entry, Opener, Source, Unreadable
from harness.classroom.intake.folders import ENTERABLE, Folder
from harness.classroom.intake.limits import PIECE, Limits, Meter, OverLimit
from harness.classroom.intake.names import (
    MARK_OF_VENV,
    Refused,
    does_not_count,
    folded,
    judged,
    parts_of,
    shown,
)

TOLD = 3  # entries that are named one by one
NOT_A_NAME = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}


@dataclass(frozen=True)
class Taken:
    """A file that was written."""

    size: int
    sha256: str


@dataclass
class Plan:
    """What of a part is to be written, and what is not, with the reasons."""

    wanted: dict[Entry, tuple[str, ...]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)  # sentences
    kinds: Counter[str] = field(default_factory=Counter)  # links, FIFOs and the like
    litter: dict[str, None] = field(default_factory=dict)  # what does not count, once each

    def notes(self) -> list[str]:
        """Return in words what is not there."""
        told = [f"{number} {kind}{'s' if number > 1 else ''} left out" for kind, number in sorted(self.kinds.items())]
        if self.litter:
            names = [shown(name) for name in self.litter]
            told.append("left out: " + ", ".join(names[:8]) + (", and more" if len(names) > 8 else ""))
        told += self.refused[:TOLD]
        if len(self.refused) > TOLD:
            told.append(f"and {len(self.refused) - TOLD} more like these left out")
        return told


def plan(entries: list[tuple[str, Entry]], limits: Limits) -> Plan:
    """Decide what is written of a part, entries with their names in it; raise OverLimit if it is too much."""
    if len(entries) > limits.entries:
        raise OverLimit(f"holds more than {limits.entries:,} entries")
    made = Plan()
    venvs = {parts_of(name)[:-1] for name, _ in entries if parts_of(name)[-1:] == (MARK_OF_VENV,)}
    for name, entry in entries:
        parts = parts_of(name)
        litter = does_not_count(parts) or _inside(parts, venvs)
        if litter:
            made.litter[litter] = None
            continue
        try:
            parts = judged(name, limits)
        except Refused as why:
            made.refused.append(f"{shown(name)} is left out: it {why}")
            continue
        if entry.kind not in ("file", "folder"):
            made.kinds[entry.kind] += 1
        elif entry.problem:
            made.refused.append(f"{shown(name)} is left out: it {entry.problem}")
        elif entry.kind == "file":
            made.wanted[entry] = parts
    _refuse_collisions(made)
    if len(made.wanted) > limits.files:
        raise OverLimit(f"holds more than {limits.files} files")
    return made


def _inside(parts: tuple[str, ...], venvs: set[tuple[str, ...]]) -> str | None:
    """Return the name of the virtual environment in which a path lies, None if in none."""
    return next((parts[at - 1] for at in range(1, len(parts) + 1) if parts[:at] in venvs), None) if venvs else None


def _refuse_collisions(made: Plan) -> None:
    """Take out all files that have one name on some system, and files that are folders elsewhere."""
    names = {entry: tuple(folded(part) for part in parts) for entry, parts in made.wanted.items()}
    times = Counter(names.values())
    folders = {name[:at] for name in times for at in range(1, len(name))}
    for entry, name in names.items():
        if times[name] > 1 or name in folders:
            path = shown("/".join(made.wanted.pop(entry)))
            made.refused.append(f"{path} is left out: on some systems another entry has the same name")


class Part:
    """A folder that is being filled."""

    def __init__(self, path: Path, meter: Meter) -> None:
        self.path = path
        self._meter = meter
        self.taken: dict[str, Taken] = {}
        self.notes: list[str] = []
        path.mkdir(parents=True)
        path.chmod(ENTERABLE)

    def take(self, parts: tuple[str, ...], entry: Entry, opener: Opener, consumed: "Consumed") -> None:
        """Write one file; raise OverLimit or Unreadable, after which the part is of no use."""
        path = "/".join(parts)
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(opener())
            except DAMAGE as error:
                raise Unreadable(f"cannot be read at {shown(path)} ({_words(error)})") from None
            try:
                folder = stack.enter_context(Folder(self.path))
                for name in parts[:-1]:
                    folder = stack.enter_context(folder.make(name))
                fd = folder.create(parts[-1])
            except OSError as error:
                if error.errno not in NOT_A_NAME:
                    raise
                self.notes.append(f"{shown(path)} is left out: it cannot be a file here ({error.strerror})")
                return
            self.taken[path] = copy(stream, fd, path, entry, self._meter, consumed)


class Consumed:
    """Tells how many bytes of an archive were read since it was last asked, None if its source does not say."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._before = source.consumed()

    def __call__(self) -> int | None:
        now = self._source.consumed()
        if now is None or self._before is None:
            return None
        before, self._before = self._before, now
        return now - before


def copy(stream: IO[bytes], fd: int, path: str, entry: Entry, meter: Meter, consumed: Consumed) -> Taken:
    """Copy an entry to an open file, a piece at a time; raise OverLimit or Unreadable."""
    sha256, written = hashlib.sha256(), 0
    with os.fdopen(fd, "wb") as file:
        while True:
            try:
                data = stream.read(PIECE)
            except DAMAGE as error:
                raise Unreadable(f"cannot be read at {shown(path)} ({_words(error)})") from None
            if not data:
                break
            meter.add(len(data), consumed())
            written += len(data)
            sha256.update(data)
            file.write(data)
    if entry.size is not None and written != entry.size:
        raise Unreadable(f"cannot be read at {shown(path)} (its size is not the one it declares)")
    return Taken(written, sha256.hexdigest())


def _words(error: BaseException) -> str:
    return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__)
