"""How many descriptors a process may have: getrlimit(2), and prlimit(2) for a process that is not ours (Linux)."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

OURSELVES = 0  # as prlimit(2) counts


class TooFew(Exception):
    """The system does not let a process have so many descriptors; the text says how many it lets it have."""


def can_limit() -> bool:
    """Whether this system lets us change the limit of another process."""
    return hasattr(resource, "prlimit")


def most_descriptors(pids: Iterable[int]) -> int:
    """Return how many descriptors each of these processes may be allowed at most: the lowest of their hard limits."""
    hard = [resource.prlimit(pid, resource.RLIMIT_NOFILE)[1] for pid in pids]
    return min((limit for limit in hard if limit != resource.RLIM_INFINITY), default=sys.maxsize)


def allow_descriptors(pids: Iterable[int], number: int) -> None:
    """Let each process open descriptors below `number` only; what it has open above stays open.

    Raises TooFew where the number is above the hard limit.
    """
    for pid in pids:
        with suppress(ProcessLookupError):
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            if hard != resource.RLIM_INFINITY and number > hard:
                raise TooFew(f"a process may have {hard} descriptors on this machine (ulimit -Hn)")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, hard))


@contextmanager
def own_descriptors(number: int) -> Iterator[None]:
    """Let this process open descriptors below `number` at least, while the block runs; raises TooFew."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[0] != resource.RLIM_INFINITY and before[0] < number:
        allow_descriptors([OURSELVES], number)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
