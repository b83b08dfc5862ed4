"""How many descriptors a process may have: getrlimit(2), and prlimit(2) for a process that is not ours (Linux)."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

OURSELVES = 0  # as prlimit(2) counts
TOO_FEW = "a process may have %d descriptors on this machine (ulimit -Hn)"


class TooFew(Exception):
    """The system does not let a process have so many descriptors; the text says how many it lets it have."""


def can_limit() -> bool:
    """Whether this system lets us change the limit of another process."""
    return hasattr(resource, "prlimit")


def most_descriptors(pids: Iterable[int]) -> int:
    """Return how many descriptors each of these processes may be allowed at most: the lowest of their hard limits."""
    return min(map(_hard, pids), default=sys.maxsize)


def _hard(pid: int) -> int:
    """Return the hard limit as proc_pid_limits(5) shows it to everybody; sys.maxsize for one that is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid or 'self'}/limits").read_text(encoding="ascii").splitlines():
            if line.startswith("Max open files"):
                return int(limit) if (limit := line.split()[4]) != "unlimited" else sys.maxsize
    return sys.maxsize


def check_descriptors(pids: Iterable[int], number: int) -> None:
    """Raise TooFew where one of these processes cannot be allowed so many."""
    if number > (most := most_descriptors(pids)):
        raise TooFew(TOO_FEW % most)


def allow_descriptors(pids: Iterable[int], number: int) -> None:
    """Let each process open descriptors below `number` only; what it has open above stays open.

    Raises TooFew where the number is above the hard limit.
    """
    pids = list(pids)
    check_descriptors(pids, number)
    for pid in pids:
        with suppress(ProcessLookupError):
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, hard))


@contextmanager
def own_descriptors(number: int) -> Iterator[None]:
    """Let this process open descriptors below `number` at least, while the block runs; raises TooFew.

    Windows has no such limit.
    """
    if resource is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        if before[0] != resource.RLIM_INFINITY and before[0] < number:
            _raise_own(number, before[1])
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _raise_own(number: int, hard: int) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    except (OSError, ValueError):  # macOS has a lower limit than the hard one (kern.maxfilesperproc)
        raise TooFew(TOO_FEW % hard) from None
