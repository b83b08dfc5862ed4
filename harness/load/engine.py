"""What every load runs on: many sockets and many timers in one thread, and what is measured with them."""

import errno
import heapq
import select
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.load.histogram import Histogram

Address = tuple[str, int]
SECOND = 1_000_000_000  # nanoseconds
LOOKS = SECOND // 20  # between two looks at what the server uses
LONGEST_WAIT = 0.05  # seconds
STALLED = 15.0  # seconds without anything from the server, after which a load is given up
AT_ONCE = 65536  # bytes of one connection that are received before it is another's turn
BUSY = 0.9  # of a processor: above that the load, not the server, may have been the bottleneck


class LoadFault(Exception):
    """A server under load did not do what it must; the text names the client, what was due, and the bytes."""


@dataclass(frozen=True)
class Span:
    """One request of one client: seconds since the beginning of the load."""

    client: int
    sent: float
    replied: float
    first: bool  # of its session


@dataclass
class Outcome:
    """What was measured; all times are whole nanoseconds."""

    latencies: Histogram = field(default_factory=Histogram)  # of each answer: a reply, or a delivery
    first_replies: Histogram = field(default_factory=Histogram)  # from connecting to the first answer
    lateness: Histogram = field(default_factory=Histogram)  # of the load itself: from when a send was due to the send
    answers: int = 0
    sessions: int = 0
    seconds: float = 0.0
    busy: float = 0.0  # the part of that time for which the load used a processor
    spans: list[Span] = field(default_factory=list)


class Line:
    """One connection of a load: what belongs to it is added by those who derive from it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.socket: socket.socket | None = None
        self.began = 0  # when it connected
        self.unsent = b""


class Engine:
    """Waits for sockets and for times, and calls what is to be done.

    A load derives from it, says what it does in `connected`, `arrived` and `waits_for`, and ends when `active` is 0.
    """

    def __init__(self, address: Address, watch: Callable[[], None]) -> None:
        self.address = address
        self.watch = watch
        self.outcome = Outcome()
        self.active = 0  # connections that still have something to do
        self.began = 0
        self.selector = selectors.DefaultSelector()
        self._timers: list[tuple[int, int, Callable[[int], None]]] = []
        self._numbers = iter(range(1 << 62))  # of the timers: those of the same time are called in turn

    # What a load says of itself

    def connected(self, line: Line) -> None:
        """A connection stands."""
        raise NotImplementedError

    def arrived(self, line: Line, data: bytes, now: int) -> None:
        """Something has arrived, at `now`; b"" is the end of the stream."""
        raise NotImplementedError

    def waits_for(self) -> str:
        """Say for whom, and for what, a load waits that is about to be given up."""
        raise NotImplementedError

    def name_of(self, line: Line) -> str:
        """Say which client this is, and where it stands."""
        return f"client {line.number}"

    # What it does

    def at(self, when: int, act: Callable[[int], None]) -> None:
        """Call `act` with the time (nanoseconds of perf_counter_ns) as soon as it is `when`."""
        heapq.heappush(self._timers, (when, next(self._numbers), act))

    def run(self) -> Outcome:
        """Go on until nobody is active. Raises LoadFault."""
        self.began = last_look = last_sign = time.perf_counter_ns()
        used = time.thread_time_ns()
        seen = -1
        try:
            while self.active:
                now = time.perf_counter_ns()
                while self._timers and self._timers[0][0] <= now:
                    heapq.heappop(self._timers)[2](now)
                if now - last_look >= LOOKS:
                    self.watch()
                    last_look = now
                for key, events in self._wait():
                    self._ready(key.data, events)
                if self._timers or self.outcome.answers + self.outcome.sessions != seen:
                    seen, last_sign = self.outcome.answers + self.outcome.sessions, now
                elif now - last_sign > STALLED * SECOND:
                    raise LoadFault(self.waits_for())
        finally:
            for key in list(self.selector.get_map().values()):
                key.data.socket.close()
            self.selector.close()
        elapsed = time.perf_counter_ns() - self.began
        self.outcome.seconds = elapsed / SECOND
        self.outcome.busy = (time.thread_time_ns() - used) / elapsed
        return self.outcome

    def _wait(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for the next timer, or for a socket.

        The time-out of epoll_wait(2) counts whole milliseconds, and would make every send late by half of one;
        select(2) counts microseconds, and can wait for an epoll descriptor as for any other.
        """
        pause = LONGEST_WAIT
        if self._timers:
            pause = min(pause, max(0.0, (self._timers[0][0] - time.perf_counter_ns()) / SECOND))
        if pause and hasattr(self.selector, "fileno"):
            select.select([self.selector], [], [], pause)
            pause = 0
        return self.selector.select(pause)

    def connect(self, line: Line) -> None:
        """Begin a connection; `connected` is called when it stands."""
        line.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        line.socket.setblocking(False)
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.began = time.perf_counter_ns()
        error = line.socket.connect_ex(self.address)
        if error not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            line.socket.close()
            raise _no_connection(line, error)
        self.selector.register(line.socket, selectors.EVENT_WRITE, line)

    def send(self, line: Line, data: bytes) -> None:
        """Send; what the kernel does not take is kept, and sent when it does."""
        assert line.socket is not None
        if not line.unsent:
            try:
                data = data[line.socket.send(data) :]
            except BlockingIOError:
                pass  # none of it is taken: all is kept, below
            except OSError as error:
                raise self._lost(line, error) from None
            if not data:
                return
            self.selector.modify(line.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, line)
        line.unsent += data

    def disconnect(self, line: Line) -> None:
        """End a connection."""
        assert line.socket is not None
        self.selector.unregister(line.socket)
        line.socket.close()
        line.socket = None
        line.unsent = b""

    def _ready(self, line: Line, events: int) -> None:
        if line.socket is None:  # ended earlier in this turn
            return
        if events & selectors.EVENT_WRITE:
            self._writable(line, line.socket)
        if events & selectors.EVENT_READ and line.socket:
            try:
                data = line.socket.recv(AT_ONCE)
            except BlockingIOError:
                return  # what made it ready is gone again (select(2), BUGS)
            except OSError as error:
                raise self._lost(line, error) from None
            self.arrived(line, data, time.perf_counter_ns())

    def _writable(self, line: Line, connection: socket.socket) -> None:
        if line.unsent:
            data, line.unsent = line.unsent, b""
            self.selector.modify(connection, selectors.EVENT_READ, line)
            self.send(line, data)
            return
        if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            if error == errno.ECONNRESET:  # it was accepted, else it would have been refused
                raise self._lost(line, OSError(error, ""))
            raise _no_connection(line, error)
        self.selector.modify(connection, selectors.EVENT_READ, line)
        self.connected(line)

    def _lost(self, line: Line, error: OSError) -> LoadFault:
        name = errno.errorcode.get(error.errno or 0, str(error))
        return LoadFault(f"{self.name_of(line)}: the server ended the connection ({name})")


def _no_connection(line: Line, error: int) -> LoadFault:
    return LoadFault(f"client {line.number} could not connect: {errno.errorcode.get(error, error)}")
