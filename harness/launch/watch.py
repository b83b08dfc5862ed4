"""Looks at all running programs again and again, and ends each that goes beyond one of its limits."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.launch import figures
from harness.launch.command import LaunchError
from harness.launch.limits import MIB
from harness.launch.processes import LINUX

if TYPE_CHECKING:
    from harness.launch.program import Program

LOOK = 0.05  # seconds between two looks: who allocates 4 GB/s is ended with 200 MB more
SHARE_OF_LOOKING = 0.05  # of a processor's time at most, but for
LONGEST = 0.5  # seconds: who makes looking costly is not looked at less for it


class Watch:
    """One thread that looks at every program which was added, as long as there are any."""

    def __init__(self) -> None:
        self._since: dict[Program, float] = {}  # the start of each, on the monotonic clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, program: "Program") -> None:
        """Look at a program from now on."""
        if not LINUX:
            return  # elsewhere a look takes so long that it would disturb
        with self._lock:
            self._since[program] = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._go_on, name="watch", daemon=True)
                self._thread.start()

    def remove(self, program: "Program") -> None:
        """Look at a program no more."""
        with self._lock:
            self._since.pop(program, None)

    def _go_on(self) -> None:
        while True:
            began, worked = time.monotonic(), time.thread_time()
            with self._lock:
                programs = dict(self._since)
                if not programs:
                    self._thread = None
                    return
            for program, since in programs.items():
                with suppress(OSError, LaunchError):  # it is being closed
                    if limit := exceeded(program, began - since):
                        program.end(limit)
            took = time.thread_time() - worked
            time.sleep(min(LONGEST, max(LOOK, took / SHARE_OF_LOOKING)))  # nobody announces what is used


def exceeded(program: "Program", seconds: float) -> str:
    """Return the name of a limit that a program has gone beyond, which runs since so many seconds; "" if none."""
    limits, pids = program.limits, program.members()
    for name, used, most in _used(program, pids, seconds):
        if 0 < most < used:
            return name
    most = limits.memory * MIB
    # What it may really be, with shared pages counted once, takes long to find out.
    return "memory" if 0 < most < figures.resident(pids) and most < program.place.memory(pids) else ""


def _used(program: "Program", pids: list[int], seconds: float) -> Iterator[tuple[str, float, float]]:
    limits = program.limits
    yield "wall", seconds, limits.wall
    yield "processes", len(pids), limits.processes
    seen = figures.counts(pids)
    yield "processes", seen.threads, limits.processes
    yield "cpu", seen.cpu + program.place.ended_cpu(), limits.cpu
    yield "descriptors", seen.descriptors, limits.descriptors
    if stored := program.stored():
        yield "disk", stored.size, limits.disk * MIB
        yield "inodes", stored.files, limits.inodes


watch = Watch()
