"""Deadlines for failures: nothing that passes ever waits for one, and a busy machine gets longer ones."""

import time
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE = 2.0  # seconds that a program gets for something which takes the reference milliseconds


class Deadline:
    """A point in time that moves once, when it is reached, if the machine turns out to be slow just then."""

    def __init__(self, seconds: float, slowness: Callable[[], float]) -> None:
        self._start = time.monotonic()
        self._seconds = seconds
        self._slowness: Callable[[], float] | None = slowness

    def remaining(self) -> float:
        """Return the seconds left; 0 when the deadline has passed for good."""
        left = self._start + self._seconds - time.monotonic()
        if left <= 0 and self._slowness is not None:
            self._seconds *= self._slowness()
            self._slowness = None
            return self.remaining()
        return max(0.0, left)

    @property
    def seconds(self) -> float:
        """The seconds that were granted in the end."""
        return self._seconds


@dataclass(frozen=True)
class Patience:
    """How long to wait on this machine.

    `slowness` measures, when it is called, how many times slower than usual this machine is just now
    (1.0 or more): it is asked only when a deadline has been reached.
    """

    slowness: Callable[[], float] = lambda: 1.0

    def deadline(self, seconds: float = PATIENCE) -> Deadline:
        """Start a deadline."""
        return Deadline(seconds, self.slowness)
