"""What has been graded so far, on disk: a grading that is killed anywhere goes on where it was."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from harness import results
from harness.classroom.task import Task
from harness.course.layout import CHECKS, PROTOCOL
from harness.errors import UsageError

JOURNAL = "journal.jsonl"
RESULTS = "results"
MACHINERY = ("checks", "wire", "launch")  # parts of the harness on which a verdict depends

Identity = Mapping[str, Any]  # all that the result of a task depends on, by names that people read


def identity_of(task: Task) -> dict[str, Any]:
    """Return what a task's result depends on: where two are equal, so are the results, as far as programs repeat."""
    return {
        "hand-in": task.key,
        "part": f"lab{task.lab.number:02}",
        "files": digest_of(task.files),
        "seed": task.seed,
        "tier": task.tier,
        "rounds": task.rounds,
        "rule": "majority" if task.majority else "all",
        "hidden checks": digest_of(task.hidden.files),
        "points and limits": digest_of({"lab": repr((task.hidden.added_to(task.lab).steps, task.lab.limits)).encode()}),
        "kit": kit_digest(),
    }


def digest_of(files: Mapping[str, bytes]) -> str:
    """Return a digest of files' names and contents."""
    whole = hashlib.sha256()
    for name, content in sorted(files.items()):
        whole.update(f"{len(name.encode())} {name} {len(content)} ".encode())
        whole.update(content)
    return whole.hexdigest()[:32]


@cache
def kit_digest() -> str:
    """Return a digest of the checks and of all that they are made with."""
    harness = CHECKS.parent
    files = [path for part in MACHINERY for path in (harness / part).rglob("*.py")]
    return digest_of({str(path.relative_to(harness.parent)): path.read_bytes() for path in [*files, PROTOCOL]})


@dataclass(frozen=True)
class Entry:
    """One task that is done."""

    identity: Identity
    file: str  # its results, as seen from the folder of the journal
    digest: str  # of that file


class Journal:
    """The tasks that are done, in a file that is only appended to, each line synced to the disk before it counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done: dict[tuple[str, str], Entry] = {}
        self._file: IO[bytes] | None = None

    @contextmanager
    def open(self) -> Iterator["Journal"]:
        """Read what is there, and keep the file for one grading at a time; raises UsageError."""
        path = self.folder / JOURNAL
        with path.open("a+b") as file:
            _lock(file, path)
            file.seek(0)
            whole = 0
            for line in file:
                if not line.endswith(b"\n"):
                    break  # the grading was killed while it wrote this
                whole += len(line)
                self._take(line)
            file.truncate(whole)
            self._file = file
            yield self

    def _take(self, line: bytes) -> None:
        with suppress(ValueError, KeyError, TypeError):  # a line that cannot be read is a task that is not done
            told = json.loads(line)
            entry = Entry(told["identity"], told["file"], told["digest"])
            self._done[entry.identity["hand-in"], entry.identity["part"]] = entry

    def known(self, identity: Identity) -> dict[str, Any] | None:
        """Return the results of a task that is done already, None if it is not, or was another one."""
        entry = self._done.get((identity["hand-in"], identity["part"]))
        if entry is None or entry.identity != identity:
            return None
        try:
            content = (self.folder / entry.file).read_bytes()
        except OSError:
            return None
        return json.loads(content) if digest_of({"": content}) == entry.digest else None

    def file_of(self, identity: Identity) -> str:
        """Return the file with the results of a task that is done."""
        return self._done[identity["hand-in"], identity["part"]].file

    def changed(self, identity: Identity) -> list[str]:
        """Return the names of what has changed since a task was done; [] if it was never done."""
        entry = self._done.get((identity["hand-in"], identity["part"]))
        return [name for name in identity if entry and entry.identity.get(name) != identity[name]]

    @property
    def seed(self) -> int | None:
        """The seed of what was graded last; None if nothing was."""
        entries = reversed(self._done.values())
        return next((int(entry.identity["seed"]) for entry in entries if "seed" in entry.identity), None)

    def add(self, identity: Identity, outcome: dict[str, Any]) -> str:
        """Keep the results of a task; return their file. When this returns, they outlive whatever happens."""
        assert self._file is not None
        folder = self.folder / RESULTS / identity["hand-in"]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{identity['part']}.json"
        text = json.dumps(outcome, indent=1, ensure_ascii=False) + "\n"
        results.write_whole(path, text)
        file = str(path.relative_to(self.folder))
        entry = Entry(dict(identity), file, digest_of({"": path.read_bytes()}))
        line = json.dumps({"identity": entry.identity, "file": entry.file, "digest": entry.digest}) + "\n"
        self._file.write(line.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._done[identity["hand-in"], identity["part"]] = entry
        return file


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: there two gradings of one folder are not kept apart
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UsageError(f"another grading writes to {path.parent} just now: wait for its end") from None
