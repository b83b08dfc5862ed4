"""What every load runs on: many sockets and many timers in one thread, and what is measured with them."""

import errno
import heapq
import os
import socket
import time
from collections.abc import Callable

from harness.launch.network import Network
from harness.load.histogram import Histogram
from harness.load.outcome import SECOND, TENTH, CannotLoad, LoadFault, Outcome
from harness.load.poller import READ, WRITE, Poller, poll_exactly

Address = tuple[str, int]
COARSE = SECOND // 500  # a wait that is longer may end as roughly as epoll_wait(2) does
SPIN = 60_000 if (os.cpu_count() or 1) > 1 else 0  # nanoseconds before a send that are not slept but polled through
STALLED = 15.0  # seconds without anything from the server, after which a load is given up
AT_ONCE = 65536  # bytes of one connection that are received before it is another's turn
MANY = 900  # clients: a server that ends the connection of one more may be full, for select() has 1,024 descriptors
SOURCES = [
    f"127.0.0.{number}" for number in range(2, 255)
]  # where to connect from when the ports of 127.0.0.1 are used
NOT_YET = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)


class Line:
    """One connection of a load: what belongs to it is added by those who derive from it."""

    __slots__ = ("began", "number", "open", "socket", "unsent")

    def __init__(self, number: int) -> None:
        self.number = number
        self.socket: socket.socket | None = None
        self.open = False  # whether the connection stands
        self.began = 0  # when it connected
        self.unsent = b""


class Engine:
    """Waits for sockets and for times, and calls what is to be done.

    A load derives from it, says what it does in `connected`, `arrived` and `waits_for`, and ends when `active` is 0.
    A latency is handed to `record`, and how late a send was to `late`, in nanoseconds.
    """

    precise = False  # whether sends are due at exact times: then the last SPIN before each is not slept

    def __init__(self, address: Address, network: Network) -> None:
        self.address = address
        self._new_socket = network.new_socket
        self.outcome = Outcome()
        self.active = 0  # connections that still have something to do
        self.began = 0
        self.measured_from = 0
        self.signs = 0  # of life of the server: to be counted up by whoever sees one
        self._fresh: list[int] = []  # latencies of this tenth of a second
        self.record = self._fresh.append
        self._by_act: dict[str, list[int]] = {}
        self._lateness: list[int] = []
        self.late = self._lateness.append
        self._lag: list[int] = []
        self._tenth = self._tenth_over = 0
        self._lines: dict[int, Line] = {}  # by descriptor
        self._closing: list[socket.socket] = []  # a descriptor is free again, for another line, when the turn is over
        self._poller = Poller()
        self._timers: list[tuple[int, int, Callable[[int], None]]] = []
        self._numbers = iter(range(1 << 62))  # of the timers: those of the same time are called in turn
        self._spun = 0
        self._source = ""
        self._sources = iter(SOURCES)

    # What a load says of itself

    def prepare(self, line: Line, connection: socket.socket) -> None:
        """Set what a socket must have before it connects."""

    def connected(self, line: Line) -> None:
        """A connection stands."""
        raise NotImplementedError

    def arrived(self, line: Line, data: bytes, now: int) -> None:
        """Something has arrived, at `now`."""
        raise NotImplementedError

    def waits_for(self) -> str:
        """Say for whom, and for what, a load waits that is about to be given up."""
        raise NotImplementedError

    def name_of(self, line: Line) -> str:
        """Say which client this is, and where it stands."""
        return f"client {line.number}"

    def begin(self, now: int) -> None:
        """Connect the first clients."""
        raise NotImplementedError

    # What it does

    def at(self, when: int, act: Callable[[int], None]) -> None:
        """Call `act` with the time (nanoseconds of perf_counter_ns) as soon as it is `when`."""
        heapq.heappush(self._timers, (when, next(self._numbers), act))

    def recorder(self, act: str) -> Callable[[int], None]:
        """Return what records latencies of one kind of act."""
        return self._by_act.setdefault(act, []).append

    def measure_from(self, when: int) -> None:
        """Count the tenths of a second from `when`."""
        self._keep_fresh()
        self.measured_from, self._tenth, self._tenth_over = when, 0, when + TENTH

    def run(self) -> Outcome:
        """Go on until nobody is active. Raises LoadFault, ServerFull or CannotLoad."""
        self.began = time.perf_counter_ns()
        self.measure_from(self.began)
        self.begin(self.began)
        used = time.thread_time_ns()
        try:
            self._go_on()
        finally:
            for line in self._lines.values():
                assert line.socket is not None
                line.socket.close()
            self._poller.close()
            self._end_turn()
        self._keep_fresh()
        over = time.perf_counter_ns()
        self.outcome.measured = (self.measured_from, over)
        self.outcome.busy = max(0, time.thread_time_ns() - used - self._spun) / (over - self.began)
        return self.outcome

    def _go_on(self) -> None:
        clock, timers, lines, turn, lag = time.perf_counter_ns, self._timers, self._lines, self._turn, self._lag
        seen, last_sign = -1, self.began
        while self.active:
            now = clock()
            while timers and timers[0][0] <= now:
                heapq.heappop(timers)[2](now)
            if not self.active:
                break
            if now >= self._tenth_over:
                self._keep_fresh()
            events = turn(clock())
            woken = clock()
            for descriptor, ready in events:
                line = lines.get(descriptor)
                if line is None:  # ended earlier in this turn
                    continue
                assert line.socket is not None
                if not line.open or (line.unsent and ready & WRITE):
                    self._writable(line, line.socket)
                    if not ready & READ or not line.open:
                        continue
                try:
                    data = line.socket.recv(AT_ONCE)
                except BlockingIOError:
                    continue  # what made it ready is gone again (select(2), BUGS)
                except OSError as error:
                    self._lost(line, error)
                    continue
                if data:
                    self.arrived(line, data, clock())
                else:
                    self._over(line)
            self._end_turn()
            if events:
                lag.append(clock() - woken)
            if timers or self.signs != seen:
                seen, last_sign = self.signs, now
            elif now - last_sign > STALLED * SECOND:
                raise LoadFault(self.waits_for())

    def _turn(self, now: int) -> list[tuple[int, int]]:
        """Wait for the next timer, or for a socket; return the descriptors that are ready."""
        pause = max(0, (min(self._timers[0][0], self._tenth_over) if self._timers else self._tenth_over) - now)
        if pause > COARSE:
            return self._poller.poll((pause - COARSE // 2) / SECOND)
        spin = SPIN if self.precise else 0
        if pause > spin:
            return poll_exactly(self._poller, (pause - spin) / SECOND)
        events = self._poller.poll(0)
        if pause and not events:
            self._spun += time.perf_counter_ns() - now
        return events

    def _keep_fresh(self) -> None:
        """Put the latencies of the tenth of a second that is over into its histogram."""
        tenths = self.outcome.tenths
        if self._fresh:
            tenths += [Histogram() for _ in range(self._tenth + 1 - len(tenths))]
            tenths[self._tenth].record_all(self._fresh)
            self._fresh.clear()
        for act, latencies in self._by_act.items():
            self.outcome.acts.setdefault(act, Histogram()).record_all(latencies)
            latencies.clear()
        self.outcome.lateness.record_all(self._lateness)
        self._lateness.clear()
        self.outcome.lag.record_all(self._lag)
        self._lag.clear()
        self._tenth = max(0, (time.perf_counter_ns() - self.measured_from) // TENTH)
        self._tenth_over = self.measured_from + (self._tenth + 1) * TENTH

    def _end_turn(self) -> None:
        for connection in self._closing:
            connection.close()
        self._closing.clear()

    def connect(self, line: Line) -> None:
        """Begin a connection; `connected` is called when it stands."""
        line.began = time.perf_counter_ns()
        line.socket, error = self._connecting(line)
        while error == errno.EADDRNOTAVAIL and self.address[0].startswith("127."):
            line.socket.close()
            self._source = next(self._sources, "")
            if not self._source:
                raise CannotLoad(
                    f"no port is left to connect from for client {line.number}: wait a minute for those that were "
                    "used last, or take fewer clients"
                )
            line.socket, error = self._connecting(line)
        if error not in NOT_YET:
            line.socket.close()
            raise _no_connection(line, error)
        self._lines[line.socket.fileno()] = line
        self._poller.register(line.socket.fileno(), WRITE)

    def _connecting(self, line: Line) -> tuple[socket.socket, int]:
        try:
            connection = self._new_socket()
        except ConnectionError as error:
            raise LoadFault(str(error)) from None
        except OSError as error:
            raise CannotLoad(
                f"after {len(self._lines):,} clients this process may open no more descriptors ({error.strerror}): "
                "take fewer clients, more generators (--generators), or a higher limit (ulimit -Hn)"
            ) from None
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.prepare(line, connection)
        try:
            if self._source:
                if hasattr(socket, "IP_BIND_ADDRESS_NO_PORT"):
                    connection.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
                connection.bind((self._source, 0))
            return connection, connection.connect_ex(self.address)
        except OSError as error:
            return connection, error.errno or 0

    def send(self, line: Line, data: bytes) -> None:
        """Send; what the kernel does not take is kept, and sent when it does."""
        assert line.socket is not None
        if not line.unsent:
            try:
                sent = line.socket.send(data)
                if sent == len(data):
                    return
                data = data[sent:]
            except BlockingIOError:
                pass  # none of it is taken: all is kept, below
            except OSError as error:
                self._lost(line, error)
                return
            self._poller.modify(line.socket.fileno(), READ | WRITE)
        line.unsent += data

    def stop_reading(self, line: Line) -> None:
        """Leave unread, and unnoticed, whatever comes of a connection, and its end, until `read_again`."""
        assert line.socket is not None
        self._poller.unregister(line.socket.fileno())

    def read_again(self, line: Line) -> None:
        """Read a connection that was not read."""
        assert line.socket is not None
        self._poller.register(line.socket.fileno(), READ)

    def disconnect(self, line: Line) -> None:
        """End a connection."""
        assert line.socket is not None
        self._poller.unregister(line.socket.fileno())
        del self._lines[line.socket.fileno()]
        self._closing.append(line.socket)
        line.socket = None
        line.open = False
        line.unsent = b""

    def _writable(self, line: Line, connection: socket.socket) -> None:
        if line.unsent:
            data, line.unsent = line.unsent, b""
            self._poller.modify(connection.fileno(), READ)
            self.send(line, data)
            return
        if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            if error == errno.ECONNRESET:  # it was accepted, else it would have been refused
                self._lost(line, OSError(error, ""))
                return
            raise _no_connection(line, error)
        self._poller.modify(connection.fileno(), READ)
        line.open = True
        self.connected(line)

    def _lost(self, line: Line, error: OSError) -> None:
        self._over(line, errno.errorcode.get(error.errno or 0, str(error)))

    def _over(self, line: Line, how: str = "") -> None:
        if not self.may_end(line):
            raise self.ended(line, how) from None
        self.disconnect(line)

    def may_end(self, line: Line) -> bool:
        """Say whether it is right that the server has ended a connection, and take note of it if so."""
        return False

    def ended(self, line: Line, how: str = "") -> Exception:
        """Return what it means that the server has ended a connection, to be raised."""
        return LoadFault(f"{self.name_of(line)}: the server ended the connection{f' ({how})' if how else ''}")

    def others(self) -> int:
        """How many other clients are connected."""
        return len(self._lines) - 1


def _no_connection(line: Line, error: int) -> LoadFault:
    return LoadFault(f"client {line.number} could not connect: {errno.errorcode.get(error, error)}")
