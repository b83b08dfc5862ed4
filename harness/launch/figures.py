"""What a running program uses: processor, memory, threads, descriptors."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from harness.launch.processes import LINUX, contents, figures_of, state

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096  # bytes
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Figures:
    """One look at a program, its child processes included."""

    cpu: float  # seconds of processor time so far
    pss: int  # bytes of memory, shared pages counted in proportion (proc_pid_smaps(5), Pss)
    threads: int
    descriptors: int
    processes: int


def figures(pids: Iterable[int]) -> Figures:
    """Add up what the given processes use now; those that are gone or zombies count nothing."""
    cpu, pss, threads, descriptors, processes = 0.0, 0, 0, 0, 0
    for pid in pids:
        one = _linux(pid) if LINUX else _portable(pid)
        if one is not None:
            cpu, pss, threads = cpu + one.cpu, pss + one.pss, threads + one.threads
            descriptors, processes = descriptors + one.descriptors, processes + 1
    return Figures(cpu, pss, threads, descriptors, processes)


def runnable_seconds(pids: Iterable[int]) -> float:
    """Return for how long the processes have wanted a processor so far: time on it and time queueing for it.

    Unlike processor time alone this does not shrink on a busy machine. Source: schedstat, whose first two
    fields are nanoseconds of running and of waiting on a run queue (Documentation/scheduler/sched-stats.rst).
    """
    pids = list(pids)
    if not LINUX:
        return figures(pids).cpu
    total = 0
    for pid in pids:
        with suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with suppress(OSError):
                    running, waiting, _ = contents(f"/proc/{pid}/task/{task}/schedstat").split()
                    total += int(running) + int(waiting)
    return total / 1e9


def switches(pids: Iterable[int]) -> dict[int, int]:
    """Return how often each thread has given up its processor so far, or was made to (proc_pid_status(5)); by thread.

    Whoever wants the sum over some time must look often: a thread that has ended is not there any more.
    """
    found = {}
    for pid in pids:
        with suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with suppress(OSError):
                    lines = contents(f"/proc/{pid}/task/{task}/status").splitlines()
                    found[int(task)] = sum(int(line.split()[1]) for line in lines if b"ctxt_switches" in line)
    return found


@dataclass(frozen=True)
class Counts:
    """What can be told of processes quickly (Linux)."""

    cpu: float  # seconds of processor time so far, that of children which have ended included
    threads: int
    descriptors: int


def counts(pids: Iterable[int]) -> Counts:
    """Add up what the given processes have."""
    ticks = threads = descriptors = 0
    for pid in pids:
        with suppress(OSError):
            fields = contents(f"/proc/{pid}/stat").rpartition(b")")[2].split()
            ticks, threads = ticks + sum(map(int, fields[11:15])), threads + int(fields[17])
            descriptors += _descriptors(f"/proc/{pid}" if fields[0] != b"Z" else figures_of(pid))
    return Counts(ticks / TICKS, threads, descriptors)


def cpu_of_ended(pid: int) -> float:
    """Return the seconds of processor time of the children of a process that have ended, and of theirs."""
    with suppress(OSError):
        return sum(map(int, contents(f"/proc/{pid}/stat").rpartition(b")")[2].split()[13:15])) / TICKS
    return 0.0


def _descriptors(folder: str) -> int:
    """Return how many descriptors a process has: the size of the folder (since Linux 6.2), else its entries."""
    folder = f"{folder}/fd"
    return os.stat(folder).st_size or len(os.listdir(folder))


def resident(pids: Iterable[int]) -> int:
    """Return the bytes of memory of the given processes, shared pages counted for each (proc_pid_statm(5))."""
    pages = 0
    for pid in pids:
        with suppress(OSError):
            pages += _resident(f"/proc/{pid}") or _resident(figures_of(pid))
    return pages * PAGE


def _resident(folder: str) -> int:
    return int(contents(f"{folder}/statm").split()[1])


def _linux(pid: int) -> Figures | None:
    folder = figures_of(pid)
    try:
        fields = contents(f"{folder}/stat").rpartition(b")")[2].split()
        if fields[0] == b"Z":
            return None
        cpu = (int(fields[11]) + int(fields[12])) / TICKS
        return Figures(cpu, _pss(folder), int(fields[17]), len(os.listdir(f"{folder}/fd")), 1)
    except OSError:
        return None


def _pss(folder: str) -> int:
    try:
        rollup = contents(f"{folder}/smaps_rollup")
    except OSError:  # a hardened kernel may forbid it, and root without CAP_SYS_PTRACE may not look at other users'
        return _resident(folder) * PAGE
    return 1024 * next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith(b"Pss:")), 0)


def _portable(pid: int) -> Figures | None:
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            descriptors = getattr(process, "num_fds", None) or process.num_handles  # type: ignore[attr-defined]
            memory = process.memory_info().rss
            return Figures(times.user + times.system, memory, process.num_threads(), descriptors(), 1)
    except psutil.Error:
        return None


def zombies(pids: Iterable[int]) -> int:
    """Count the processes that have ended and that their parent has not waited for."""
    return sum(state(pid) == "Z" for pid in pids)
