"""One hand-in as it is taken in: its loose files, then the archives among them, then what has become of it."""

import hashlib
import os
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from harness.classroom.intake.entries import DAMAGE, Entry, Opener, Source, Unreadable
from harness.classroom.intake.folders import ENTERABLE
from harness.classroom.intake.handin import HandIn
from harness.classroom.intake.level import Bundle
from harness.classroom.intake.limits import Limits, Meter, OverLimit, Total
from harness.classroom.intake.names import archive_suffix, foreign_archive, shown, stem
from harness.classroom.intake.sources import open_source
from harness.classroom.intake.unpack import Consumed, Part, Taken, plan

KEY = 12  # hexadecimal digits: among 100,000 hand-ins, one chance in 50,000 that two are the same


@dataclass(frozen=True)
class Packed:
    """An archive that was handed in, as it lies in the staging folder."""

    path: str  # in the hand-in
    blob: Path


class Taking:
    """Takes in one hand-in. A part of it that breaks a limit or cannot be read is left out whole, and told."""

    def __init__(self, bundle: Bundle, into: Path, staging: Path, limits: Limits, total: Total) -> None:
        self.bundle = bundle
        self.key = "hand-in-" + hashlib.sha256(bundle.identity.encode()).hexdigest()[:KEY]
        self._into, self._staging, self._limits = into, staging / self.key, limits
        self._meter = Meter(limits, limits.bytes, total)
        self._staged = Meter(limits, limits.archive, total)
        self._notes = list(bundle.notes)
        self._problems = [bundle.problem] if bundle.problem else []
        self._packed: list[Packed] = []
        self._failed = False
        self._loose = Part(self._staging / "loose", self._meter)
        self.wanted: dict[Entry, tuple[str, ...]] = {}
        try:
            made = plan(bundle.entries, limits)
        except OverLimit as why:
            self._problems.append(f"it {why}")
        else:
            self.wanted = made.wanted
            self._notes += made.notes()

    def take(self, entry: Entry, opener: Opener, consumed: Consumed) -> None:
        """Take one of the entries that are wanted."""
        if self._failed:
            return
        parts = self.wanted[entry]
        path = "/".join(parts)
        if kind := foreign_archive(path):
            self._problems.append(f"{shown(path)} is a {kind} archive, which is not opened; a zip is wanted")
        elif archive_suffix(path):
            self._take_archive(path, entry, opener, consumed)
        else:
            try:
                self._loose.take(parts, entry, opener, consumed)
            except (OverLimit, Unreadable) as why:
                self._failed = True
                self._problems.append(f"it {why}")
                shutil.rmtree(self._loose.path)
                self._meter.give_back(0)

    def _take_archive(self, path: str, entry: Entry, opener: Opener, consumed: Consumed) -> None:
        if len(self._packed) == self._limits.archives:
            self._problems.append(f"{shown(path)} is one archive more than the {self._limits.archives} that are opened")
            return
        folder, before = Part(self._staging / f"packed-{len(self._packed)}", self._staged), self._staged.bytes
        self._staged.begin_archive()
        try:
            folder.take(("blob",), entry, opener, consumed)
        except (OverLimit, Unreadable) as why:
            self._problems.append(f"{shown(path)} {why}")
            shutil.rmtree(folder.path)
            self._staged.give_back(before)
        else:
            self._packed.append(Packed(path, folder.path / "blob"))

    def finish(self) -> HandIn:
        """Open the archives, put everything in its place, and say what has become of it."""
        parts = [] if self._failed else [("", self._loose)]
        self._notes += self._loose.notes
        for packed in self._packed:
            part = self._opened(packed)
            if part is not None:
                parts.append((packed.path, part))
        files = self._place([(path, part) for path, part in parts if part.taken])
        shutil.rmtree(self._staging)
        self._staged.give_back(0)
        return self._hand_in(files)

    def _opened(self, packed: Packed) -> Part | None:
        """Unpack an archive; return None, and tell why, if that cannot be."""
        name, limits = shown(packed.path), self._limits
        part = Part(packed.blob.parent / "part", self._meter)
        before = self._meter.bytes
        self._meter.begin_archive()
        try:
            named = packed.blob.rename(packed.blob.with_name("blob" + archive_suffix(packed.path)))
            with closing(open_source(named, limits, limits.entries, limits.stream)) as source:
                self._unpack(source, part, name)
        except (OverLimit, Unreadable) as why:
            self._problems.append(f"{name} {why}")
            shutil.rmtree(part.path)
            self._meter.give_back(before)
            return None
        return part

    def _unpack(self, source: Source, part: Part, name: str) -> None:
        made = plan([(entry.name, entry) for entry in source.entries()], self._limits)
        consumed = Consumed(source)
        for entry, opener in guarded(source.streams(made.wanted)):
            part.take(made.wanted[entry], entry, opener, consumed)
        notes = [*made.notes(), *part.notes]
        self._notes += [f"in {name}: {note}" for note in notes]
        for path in part.taken:
            if archive_suffix(path) or foreign_archive(path):
                self._notes.append(f"in {name}: {shown(path)} is an archive in an archive and stays as it is")
        if not part.taken:
            self._problems.append(": ".join([f"{name} holds no file that counts", *notes[:1]]))

    def _place(self, parts: list[tuple[str, Part]]) -> dict[str, Taken]:
        """Move the parts to their folder: a single one as it is, archives beside others each as a folder."""
        folder = self._into / self.key
        if len(parts) == 1:
            os.rename(parts[0][1].path, folder)
            return parts[0][1].taken
        if not parts or parts[0][0]:
            _make(folder)
        files: dict[str, Taken] = {}
        for path, part in parts:
            if not path:
                os.rename(part.path, folder)
                files |= part.taken
                continue
            name = _free(stem(path.rpartition("/")[2]) or "archive", folder)
            os.rename(part.path, folder / name)
            files |= {f"{name}/{inner}": taken for inner, taken in part.taken.items()}
        if len(files) > self._limits.files:
            self._problems.append(f"it holds more than {self._limits.files} files")
            shutil.rmtree(folder)
            _make(folder)
            return {}
        return files

    def _hand_in(self, files: dict[str, Taken]) -> HandIn:
        bundle, folder = self.bundle, self._into / self.key
        readable = bool(files)
        why = self._problems or [
            ": ".join(["nothing in it counts", *self._notes][:2]) if bundle.entries else "it is empty"
        ]
        return HandIn(
            key=self.key,
            origin=bundle.origin,
            students=bundle.students,
            folder=folder,
            files={path: folder / path for path in sorted(files)},
            digest=digest(files),
            handed_in=bundle.handed_in,
            late=bundle.late,
            attempt=bundle.attempt,
            status="ok" if readable else "unreadable",
            reason="" if readable else "; ".join(why),
            notes=tuple([*self._notes, *self._problems] if readable else self._notes),
        )


def guarded(streams: Iterator[tuple[Entry, Opener]]) -> Iterator[tuple[Entry, Opener]]:
    """Pass on the streams of an archive; raise Unreadable where it cannot be gone through."""
    while True:
        try:
            one = next(streams)
        except StopIteration:
            return
        except DAMAGE as error:
            raise Unreadable(f"cannot be read to its end ({shown(str(error))})") from None
        yield one


def digest(files: dict[str, Taken]) -> str:
    """Return the SHA-256 over names (their Unicode composed) and bytes: the same however they were packed."""
    lines = sorted(f"{unicodedata.normalize('NFC', path)}\0{one.size}\0{one.sha256}\n" for path, one in files.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _make(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(ENTERABLE)


def _free(name: str, folder: Path) -> str:
    """Return a name that is not taken yet in a folder: a name, or with a number behind it."""
    number, free = 1, name
    while os.path.lexists(folder / free):
        number += 1
        free = f"{name}-{number}"
    return free
