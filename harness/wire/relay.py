"""A relay between two connected sockets: bytes, the end of either stream and resets pass, in any weather."""

import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from harness.wire.weather import FAIR, Course, Weather

AT_ONCE = 64 << 10  # bytes taken with one call
LOOK = 0.1  # seconds between two looks at a socket from which nothing is read, whether it was reset


class Direction(StrEnum):
    """Which way something went."""

    THERE = "there"  # from the left to the right
    BACK = "back"


class Passage(StrEnum):
    """What passed."""

    DATA = "data"
    END = "end"
    RESET = "reset"


def reset_when_closed(sock: socket.socket) -> None:
    """Let close() send a reset, and throw away what is unsent (socket(7), SO_LINGER)."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Seen = Callable[[Direction, Passage, bytes], None]


def nobody(_: Direction, __: Passage, ___: bytes) -> None:
    """See nothing."""


@dataclass
class _Way:
    """One direction: what has been taken from `source` and not yet been given to `target`."""

    direction: Direction
    source: socket.socket
    target: socket.socket
    course: Course
    most_held: int
    seen: Seen
    held: deque[tuple[float, Passage, bytes]] = field(default_factory=deque)
    amount: int = 0  # bytes held
    goes_on: bool = True  # whether more may come from the source
    is_blocked: bool = False  # whether the target takes nothing
    is_over: bool = False  # whether the end has passed

    @property
    def wants_more(self) -> bool:
        return self.goes_on and self.amount < self.most_held

    def take(self, now: float) -> None:
        """Take what the source has, in time: after that, wait for more, for nothing, or for the end to pass."""
        try:
            data = self.source.recv(min(AT_ONCE, self.most_held - self.amount))
        except BlockingIOError:
            return
        except OSError:
            self.lose(now)
            return
        if not data:
            self._hold(self.course.arrival(now), Passage.END)
            self.goes_on = False
        for due, piece in self.course.segments(data, now):
            if piece is None:
                self._hold(due, Passage.RESET)
                self.goes_on = False
            else:
                self._hold(due, Passage.DATA, piece)

    def lose(self, now: float) -> None:
        """Pass on that the source has reset the connection."""
        self._hold(self.course.arrival(now), Passage.RESET)
        self.goes_on = False

    def _hold(self, due: float, passage: Passage, data: bytes = b"") -> None:
        self.held.append((due, passage, data))
        self.amount += len(data)

    def give(self, now: float) -> bool:
        """Give the target what is due; return whether the connection is to be reset. Raises OSError when it is lost."""
        self.is_blocked = False
        while self.held and self.held[0][0] <= now and not self.is_blocked:
            due, passage, data = self.held.popleft()
            if passage is Passage.RESET:
                return True
            if passage is Passage.END:
                self.target.shutdown(socket.SHUT_WR)
                self.seen(self.direction, passage, b"")
                self.is_over = True
                continue
            try:
                taken = self.target.send(data) if data else 0
            except BlockingIOError:
                taken = 0
            if taken:
                self.seen(self.direction, passage, data[:taken])
            self.amount -= taken
            if taken < len(data):
                self.held.appendleft((due, passage, data[taken:]))
                self.is_blocked = True
        # A reset overtakes what its target does not read, and nothing else.
        return self.is_blocked and self.held[-1][1] is Passage.RESET and self.held[-1][0] <= now

    def next_due(self) -> float | None:
        """Return when something is to be done that no socket announces."""
        if not self.held:
            return None
        return self.held[-1 if self.is_blocked else 0][0]


class Relay:
    """Passes everything between two sockets, in a thread of its own; both are its own from now on.

    What one side does not read, the other cannot send for ever: little is held. Streams end one by one; when both have
    ended, or one side was reset, both sockets are closed.
    """

    def __init__(
        self, left: socket.socket, right: socket.socket, weather: Weather = FAIR, seen: Seen | None = None
    ) -> None:
        """Take over two connected sockets; `seen` is told, in the relay's thread, what has just passed."""
        self._sockets = (left, right)
        self._seen = seen or nobody
        self._ways = []
        for direction, source, target in ((Direction.THERE, left, right), (Direction.BACK, right, left)):
            here = weather.on_the_way(direction)
            self._ways.append(_Way(direction, source, target, Course(here, direction), here.most_held, self._seen))
        self._awake, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        for sock in self._sockets:
            sock.setblocking(False)
            with suppress(OSError):  # a Unix socket holds nothing back anyway
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> "Relay":
        """Begin to pass things on."""
        self._thread.start()
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of both streams, `timeout` seconds at most; return whether all is over."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Close both sockets, whatever is still under way."""
        with suppress(OSError):
            self._wake.send(b".")
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        self._shut()

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._awake, selectors.EVENT_READ)
                self._pass_on(selector)
        finally:
            self._shut()

    def _pass_on(self, selector: selectors.BaseSelector) -> None:
        there, back = self._ways
        while True:
            now = time.monotonic()
            for way in self._ways:
                try:
                    to_reset = way.give(now)
                except OSError:  # the target is gone, as its own direction would have said
                    self._reset(back if way is there else there)
                    return
                if to_reset:
                    self._reset(way)
                    return
            if there.is_over and back.is_over:
                return
            for sock, incoming, outgoing in zip(self._sockets, (there, back), (back, there), strict=True):
                _watch(selector, sock, incoming.wants_more, outgoing.is_blocked)
            ready = {key.fileobj: events for key, events in selector.select(self._pause())}
            if self._awake in ready:
                return
            now = time.monotonic()
            for way in self._ways:
                if way.wants_more:
                    if ready.get(way.source, 0) & selectors.EVENT_READ:
                        way.take(now)
                elif way.source.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    way.lose(now)

    def _pause(self) -> float | None:
        """Return how many seconds to wait for the sockets, None as long as it takes."""
        now = time.monotonic()
        waits = [due - now for way in self._ways if (due := way.next_due()) is not None and due > now]
        waits += [LOOK for way in self._ways if not way.wants_more]
        return min(waits, default=None)

    def _reset(self, way: _Way) -> None:
        """Reset both sides; the reset is seen in the direction of `way`."""
        for sock in self._sockets:
            reset_when_closed(sock)
        self._seen(way.direction, Passage.RESET, b"")

    def _shut(self) -> None:
        for sock in (*self._sockets, self._awake, self._wake):
            with suppress(OSError):
                sock.close()


def _watch(selector: selectors.BaseSelector, sock: socket.socket, read: bool, write: bool) -> None:
    """Wait from now on for a socket to be readable, writable, both or neither."""
    events = selectors.EVENT_READ * read | selectors.EVENT_WRITE * write
    before = selector.get_map().get(sock)
    if before is None:
        if events:
            selector.register(sock, events)
    elif not events:
        selector.unregister(sock)
    elif events != before.events:
        selector.modify(sock, events)
