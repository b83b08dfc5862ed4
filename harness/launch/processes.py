"""Processes as the system shows them: who descends from whom, and how to end them all."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache

LINUX = sys.platform == "linux"
TELLING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


def adopt_orphans() -> None:
    """Make this process the parent of its descendants' orphans, daemons included (Linux; prctl(2))."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with(parent: int) -> None:
    """Let this process be ended as soon as its parent is gone, however that ended (Linux; prctl(2))."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was gone already
            os.kill(os.getpid(), signal.SIGKILL)


def let_children_heed_signals() -> None:
    """See to it that a program which is started from here does not begin with signals ignored or blocked.

    Both are inherited (signal(7), execve(2)): a shell starts a command with `&` in a script with SIGINT ignored,
    nohup(1) with SIGHUP; no program would then end when it is told to. This process goes on ignoring them, by a
    handler that does nothing: a handler is not inherited.
    """
    if threading.current_thread() is threading.main_thread():  # the only one that may set handlers; it starts first
        for number in TELLING:
            if signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TELLING)


def contents(path: str) -> bytes:
    """Return what a file of /proc says; it is asked for so often that open() would cost more than the answer."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))  # Windows, where there is no /proc, has none
    try:
        return b"".join(iter(lambda: os.read(descriptor, 1 << 16), b""))
    finally:
        os.close(descriptor)


@cache
def may_look_into_others() -> bool:
    """Whether we may see what processes of other users have open and in memory (CAP_SYS_PTRACE of capabilities(7))."""
    with suppress(OSError):
        for line in contents("/proc/self/status").splitlines():
            if line.startswith(b"CapEff:"):
                return bool(int(line.split()[1], 16) >> 19 & 1)
    return False


def children(pid: int) -> list[int]:
    """Return the processes that `pid` (any of its threads) is the parent of."""
    if not LINUX:
        import psutil

        with suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
        return []
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                found += map(int, contents(f"/proc/{pid}/task/{task}/children").split())
    return found


def adopted() -> list[int]:
    """Return the children of this process that belong to a session of their own: programs, and their orphans."""
    if not LINUX:
        return []  # there an orphan is nobody's child that we know of
    ours = os.getsid(0)
    return [child for child in children(os.getpid()) if session_of(child) not in (ours, None)]


def tree(pid: int) -> list[int]:
    """Return `pid` and all its descendants, parents first."""
    found = [pid]
    for member in found:
        found += children(member)
    return found


def session_of(pid: int) -> int | None:
    """Return the session a process belongs to, or None if there is no such process."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def carries(pid: int, mark: str) -> bool:
    """Whether a process was started with `mark` in its environment (Linux)."""
    try:
        return mark.encode() in contents(f"/proc/{pid}/environ")
    except OSError:
        return False


def innermost_number(pid: int) -> int | None:
    """Return the number of a process as it knows itself, in a pid namespace of its own; None if it is gone."""
    with suppress(OSError):
        for line in contents(f"/proc/{pid}/status").splitlines():
            if line.startswith(b"NSpid:"):
                return int(line.split()[-1])
    return None


def state(pid: int) -> str:
    """Return the state of a process as proc(5) writes it (R, S, T, Z ...), or "" if it is gone."""
    return _state_in(f"/proc/{pid}/stat")


def figures_of(pid: int) -> str:
    """Return the folder of /proc that shows what a process has; where its first thread has ended, that of another.

    A process goes on without its first thread, which then shows a zombie that has nothing (pthread_exit(3)).
    """
    folder = f"/proc/{pid}"
    if _state_in(f"{folder}/stat") == "Z":
        with suppress(OSError):
            for task in os.listdir(f"{folder}/task"):
                if _state_in(f"{folder}/task/{task}/stat") not in ("", "Z", "X"):
                    return f"{folder}/task/{task}"
    return folder


def _state_in(stat: str) -> str:
    try:
        return contents(stat).rpartition(b")")[2].split()[0].decode()
    except OSError:
        return ""


def _thread_states(pid: int) -> Iterator[str]:
    """Yield the state of each thread; that of the process is the one of its first thread alone."""
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            yield _state_in(f"/proc/{pid}/task/{task}/stat")


def all_asleep(pids: Iterable[int]) -> bool:
    """Whether every thread of the processes waits for something (state S of proc(5)); true where unknown."""
    return not LINUX or all(state != "R" for pid in pids for state in _thread_states(pid))


def send_signal(pids: Iterable[int], number: int) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def stop(pids: Iterable[int]) -> None:
    """Let processes execute nothing until `resume` (SIGSTOP; on Windows their threads are suspended)."""
    if hasattr(signal, "SIGSTOP"):
        send_signal(pids, signal.SIGSTOP)
    else:
        _with_psutil(pids, "suspend")


def resume(pids: Iterable[int]) -> None:
    """Let stopped processes go on."""
    if hasattr(signal, "SIGCONT"):
        send_signal(pids, signal.SIGCONT)
    else:
        _with_psutil(pids, "resume")


def _with_psutil(pids: Iterable[int], act: str) -> None:
    import psutil

    for pid in pids:
        with suppress(psutil.Error):
            getattr(psutil.Process(pid), act)()


def kill(pids: Iterable[int]) -> None:
    """End processes at once: stop them all first, so that none can fork meanwhile."""
    pids = list(pids)
    stop(pids)
    send_signal(pids, getattr(signal, "SIGKILL", signal.SIGTERM))


def reap(pid: int) -> bool:
    """Collect the exit status of an adopted orphan, so that it does not stay a zombie; say whether it is gone."""
    with suppress(ChildProcessError, AttributeError):
        os.waitpid(pid, os.WNOHANG)
    return not state(pid)


def wait_until_stopped(pids: Iterable[int], timeout: float = 2.0) -> None:
    """Wait until every thread of the processes has taken its SIGSTOP: from then on they execute nothing."""
    deadline = time.monotonic() + timeout
    for pid in pids:
        while LINUX and not _has_stopped(pid) and time.monotonic() < deadline:
            time.sleep(0.0002)  # polls the state: a stop is not announced to anyone but by this


def _has_stopped(pid: int) -> bool:
    return all(state in "TZ" for state in _thread_states(pid))
