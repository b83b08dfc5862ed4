"""Readiness of many sockets by descriptor number: epoll(7) where there is one, else the best of `selectors`.

`selectors` makes an object of each event; a load that sends 100,000 requests a second would spend a tenth of its time
on that. So both have the face of `select.epoll`: register, modify, unregister, poll, close.
"""

import select
import selectors
import sys

READ, WRITE = 0x001, 0x004  # EPOLLIN, EPOLLOUT

if sys.platform == "linux":
    Poller = select.epoll
else:

    class Poller:
        """`select.epoll`, on kqueue or select()."""

        def __init__(self) -> None:
            self._selector = selectors.DefaultSelector()

        def register(self, descriptor: int, events: int) -> None:
            """Watch a descriptor."""
            self._selector.register(descriptor, _theirs(events))

        def modify(self, descriptor: int, events: int) -> None:
            """Watch a descriptor for something else."""
            self._selector.modify(descriptor, _theirs(events))

        def unregister(self, descriptor: int) -> None:
            """Watch a descriptor no more."""
            self._selector.unregister(descriptor)

        def poll(self, timeout: float) -> list[tuple[int, int]]:
            """Wait for `timeout` seconds at most; return descriptors and what they are ready for."""
            return [
                (key.fd, READ * bool(events & selectors.EVENT_READ) | WRITE * bool(events & selectors.EVENT_WRITE))
                for key, events in self._selector.select(timeout)
            ]

        def close(self) -> None:
            """Watch nothing any more."""
            self._selector.close()


def _theirs(events: int) -> int:
    return selectors.EVENT_READ * bool(events & READ) | selectors.EVENT_WRITE * bool(events & WRITE)


def poll_exactly(poller: Poller, seconds: float) -> list[tuple[int, int]]:
    """Poll with a time-out that is kept to the microsecond.

    The time-out of epoll_wait(2) counts whole milliseconds, and would make every send late by half of one; select(2)
    counts microseconds, and can wait for an epoll descriptor as for any other.
    """
    if hasattr(poller, "fileno"):
        select.select([poller], [], [], seconds)
        seconds = 0
    return poller.poll(seconds)
