"""Programs that are being started before they are needed."""

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What has to be let go of in the end."""

    def close(self) -> None:
        """Let go of it."""


Started = TypeVar("Started", bound=Closable)


class Ahead(Generic[Started]):
    """Starts something again and again; a few are always being started ahead."""

    def __init__(self, begin: Callable[[], Started], number: int) -> None:
        self._begin = begin
        self._number = number
        self._spares: list[Started] = []
        self._lock = threading.Lock()  # checks that wait are made in threads
        self._fill()

    def keep_ready(self, number: int) -> None:
        """From now on, keep so many ahead."""
        with self._lock:
            self._number = number
            self._fill()

    def _fill(self) -> None:
        while len(self._spares) < self._number:
            self._spares.append(self._begin())

    def next(self) -> Started:
        """Return one that was begun a moment ago and that nobody has spoken to."""
        with self._lock:
            if not self._spares:
                return self._begin()
            started = self._spares.pop(0)
            self._fill()
            return started

    def close(self) -> None:
        """Let go of those that nobody needs any more."""
        while self._spares:
            self._spares.pop().close()
