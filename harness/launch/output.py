"""What a program prints: drained all the time, kept within bounds."""

import os
import selectors
import threading
import time
from collections.abc import Callable
from typing import IO

KEPT = 64 * 1024  # bytes kept of the beginning, and as many of the end, of each stream


class Stream:
    """The beginning and the end of one output stream, `kept` bytes of each; the middle of a long one is dropped."""

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self.head = bytearray()
        self.tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self.total += len(data)
        room = self.kept - len(self.head)
        self.head += data[:room]
        self.tail += data[max(0, room) :]
        if len(self.tail) > 2 * self.kept:
            del self.tail[: -self.kept]

    def text(self) -> str:
        """Return what was kept, as text, with a note where something is missing."""
        kept_tail = self.tail[-self.kept :]
        missing = self.total - len(self.head) - len(kept_tail)
        gap = f"\n... {missing} bytes left out ...\n".encode() if missing else b""
        return bytes(self.head + gap + kept_tail).decode("utf-8", errors="replace")


class Output:
    """Drains a program's standard output and error in a thread, so that it never has to wait."""

    def __init__(
        self, stdout: IO[bytes], stderr: IO[bytes], most: int, overflow: Callable[[], None], kept: int = KEPT
    ) -> None:
        """Call `overflow` when both together are more than `most` bytes (0: no limit)."""
        self.stdout = Stream(kept)
        self.stderr = Stream()
        self._most, self._overflow = most, overflow
        self._changed = threading.Condition()
        self._sources = {stdout: self.stdout, stderr: self.stderr}
        self._thread = threading.Thread(target=self._drain, name="output", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        try:
            self._read_to_the_end()
        finally:
            for source in self._sources:
                source.close()

    def _read_to_the_end(self) -> None:
        if os.name == "nt":  # pipes are no sockets there: a thread for each
            others = [
                threading.Thread(target=self._drain_one, args=pair, daemon=True) for pair in self._sources.items()
            ]
            for thread in others:
                thread.start()
            for thread in others:
                thread.join()
            return
        with selectors.DefaultSelector() as selector:
            for source in self._sources:
                selector.register(source, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    if not self._take(key.fileobj):  # type: ignore[arg-type]
                        selector.unregister(key.fileobj)

    def _drain_one(self, source: IO[bytes], _stream: Stream) -> None:
        while self._take(source):
            pass

    def _take(self, source: IO[bytes]) -> bool:
        try:
            data = os.read(source.fileno(), 65536)
        except OSError:  # EIO: the last process at this terminal has ended (pty(7))
            data = b""
        with self._changed:
            self._sources[source].add(data)
            self._changed.notify_all()
        if 0 < self._most < self.stdout.total + self.stderr.total:
            self._overflow()
        return bool(data)

    def wait_until(self, holds: Callable[[], bool], remaining: Callable[[], float]) -> bool:
        """Wait until `holds()` of what was printed; False if no seconds are `remaining()`, or nothing can come."""
        while (left := remaining()) > 0:
            with self._changed:
                goes_on = self._thread.is_alive()
                if holds() or not goes_on:
                    return holds()
                self._changed.wait(min(left, 0.05))
        with self._changed:
            return holds()

    def first_line(self, timeout: float) -> str | None:
        """Return the first line of standard output, or None if it is not complete within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        if not self.wait_until(lambda: b"\n" in self.stdout.head, lambda: deadline - time.monotonic()):
            return None
        return bytes(self.stdout.head).split(b"\n", 1)[0].decode("utf-8", errors="replace")

    def finish(self, timeout: float) -> None:
        """Wait, at most `timeout` seconds, until all that the ended program printed has been read."""
        self._thread.join(timeout)
