"""Ports for programs under test: no two programs of any kit on this machine are given the same one."""

import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RANGE = range(20_000, 32_768)  # below the ports that Linux, macOS and Windows give to clients

TRIES = 2_000


@contextmanager
def reserved_port(host: str = "127.0.0.1", port: int | None = None) -> Iterator[int]:
    """Reserve a port (a free one, unless told which) against every other kit while the block runs.

    A reservation is a lock on a file: it binds nothing, so that the program finds its port untouched,
    and the system lifts it when this process ends, however it ends.
    """
    for candidate in [port] if port is not None else _candidates():
        lock = _lock(candidate, wait=port is not None)
        if lock is None:
            continue
        try:
            if port is None and not is_free(host, candidate):
                continue
            yield candidate
            return
        finally:
            os.close(lock)
    raise OSError(f"none of {TRIES} ports between {RANGE.start} and {RANGE.stop} is free on {host}")


def any_port() -> int:
    """Return a port for a program whose network has nobody else in it."""
    return random.choice(RANGE)


def _candidates() -> Iterator[int]:
    first = random.randrange(len(RANGE))
    for step in range(TRIES):
        yield RANGE[(first + step * 7) % len(RANGE)]


def _lock(port: int, wait: bool) -> int | None:
    folder = Path(tempfile.gettempdir()) / f"socket-lab-kit-ports-{_user()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / str(port), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        import fcntl
    except ImportError:  # Windows: the test of the port itself has to do
        return descriptor
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return descriptor
    os.close(descriptor)
    return None


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def is_free(host: str, port: int) -> bool:
    """Whether a program without SO_REUSEADDR could listen there (nobody listens, nothing in TIME_WAIT)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
