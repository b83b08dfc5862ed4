"""What no program may change: processes, ports, files, priorities and limits around it, before and after."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from support import ROOT

from harness.launch import sockdiag
from harness.launch.processes import children, state

KINDS = ("shm", "sem", "msg")
COMMON = tuple(map(Path, ("/tmp", "/dev/shm", "/var/tmp", "/", "/run", "/dev/mqueue")))
LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]


@dataclass(frozen=True)
class Standing:
    """How a process stands."""

    alive: bool
    limits: tuple[tuple[int, int], ...]
    nice: int
    processors: frozenset[int]
    scheduler: int


def standing(pid: int) -> Standing:
    """Return how one of our processes stands now."""
    if state(pid) in ("", "Z", "T", "t"):
        return Standing(False, (), 0, frozenset(), 0)
    limits = tuple(resource.prlimit(pid, one) for one in LIMITS)
    nice, processors = os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid)
    return Standing(True, limits, nice, frozenset(processors), os.sched_getscheduler(pid))


@dataclass(frozen=True)
class Surroundings:
    """What is around a program."""

    files: dict[str, tuple[int, int, int, int]]  # of the hand-in: mode, owner, size, time
    objects: frozenset[tuple[str, ...]]  # of System V: kind, key, id
    children: frozenset[int]  # of this process
    grader: Standing
    bystander: Standing
    marked: tuple[str, ...]  # files that carry a program's mark

    @classmethod
    def now(cls, folders: list[Path], bystander: int, mark: str) -> "Surroundings":
        """Look around: at all that is in `folders`, and at what carries the `mark` anywhere."""
        files = {}
        for path in [path for folder in folders for path in (folder, *folder.rglob("*"))]:
            told = path.lstat()
            files[str(path)] = (told.st_mode, told.st_uid, told.st_size, told.st_mtime_ns)
        ours = os.getpid()
        return cls(
            files,
            frozenset(_objects()),
            frozenset(child for child in children(ours) if state(child) != "Z"),
            standing(ours),
            standing(bystander),
            tuple(str(path) for path in _common() if mark in path.name),
        )


def _objects() -> Iterator[tuple[str, ...]]:
    for kind in KINDS:
        with suppress(OSError):
            for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]:
                yield (kind, *line.split()[:2])


def _common() -> Iterator[Path]:
    for folder in (*COMMON, Path.home(), ROOT, ROOT / "runs"):
        with suppress(OSError):
            yield from folder.iterdir()


def left_by(uid: int, folder: Path) -> list[str]:
    """Return what there is of a private user (0: none) or of a hand-in: processes and files."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                told = Path(entry.path, "status").read_text()
                words = Path(entry.path, "cmdline").read_bytes()
                ids = told.partition("\nUid:")[2].split()[:4]
                if os.fsencode(folder) in words or (uid and str(uid) in ids):
                    found.append(f"{entry.name} {words!r}")
    for path in _common():
        with suppress(OSError):
            if uid and path.lstat().st_uid == uid:
                found.append(str(path))
    return found


def listens(port: int) -> bool:
    """Whether somebody in our network listens on a port."""
    return any(entry.port == port for entry in sockdiag.listeners())


def innocent() -> "subprocess.Popen[bytes]":
    """Start a process that has nothing to do with anything."""
    return subprocess.Popen(["sleep", "600"])
