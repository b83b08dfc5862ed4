"""A slow line with a queue in front of it, which all who send through it share: bufferbloat in a notebook."""

import select
import socket
import threading
import time
from collections import deque
from types import TracebackType

LARGEST = 65535  # bytes of a datagram


class Router:
    """Passes on datagrams in the order in which they come; `address` is where they are sent to.

    As a context manager it begins, and ends.
    """

    def __init__(self, target: tuple[str, int], rate: float, room: int) -> None:
        """Pass on to `target`, so many bytes a second; what finds no `room` (bytes) in the queue is dropped."""
        self._target, self._rate, self._room = target, rate, room
        self._inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._inside.bind(("127.0.0.1", 0))
        self._outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._awake, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.address: tuple[str, int] = self._inside.getsockname()
        self.dropped = 0  # datagrams
        self.passed = 0  # bytes

    def _run(self) -> None:
        queue: deque[bytes] = deque()
        held, due = 0, 0.0  # bytes in the queue; when its first one has left
        while True:
            pause = max(0.0, due - time.perf_counter()) if queue else None
            ready, _, _ = select.select([self._inside, self._awake], [], [], pause)
            if self._awake in ready:
                return
            if self._inside in ready:
                data = self._inside.recv(LARGEST)
                if held + len(data) > self._room:
                    self.dropped += 1
                else:
                    due = due if queue else time.perf_counter() + len(data) / self._rate
                    queue.append(data)
                    held += len(data)
            while queue and time.perf_counter() >= due:
                data = queue.popleft()
                held -= len(data)
                self._outside.sendto(data, self._target)
                self.passed += len(data)
                due += len(queue[0]) / self._rate if queue else 0.0

    def __enter__(self) -> "Router":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wake.send(b".")
        self._thread.join()
        for sock in (self._inside, self._outside, self._awake, self._wake):
            sock.close()
