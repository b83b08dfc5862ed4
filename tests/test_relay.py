"""The relay between two sockets: what passes it, in which weather, and what it holds back."""

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wire.ready import wait_ready
from harness.wire.relay import Direction, Passage, Relay
from harness.wire.weather import FAIR, Course, Weather

PATIENCE = 20.0  # seconds, for what takes milliseconds: only a failure waits for it
RESETTING = struct.pack("ii", 1, 0)
ALL_BYTES = bytes(range(256))


def connected() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
        here, _ = listener.accept()
    here.settimeout(PATIENCE)
    return there, here


class Between:
    """A client and a server with a relay between them, and what it saw."""

    def __init__(self, weather: Weather = FAIR) -> None:
        self.client, left = connected()
        right, self.server = connected()
        self.seen: list[tuple[Direction, Passage, bytes]] = []
        self.relay = Relay(left, right, weather, lambda *event: self.seen.append(event)).start()

    def segments(self, direction: Direction) -> list[bytes]:
        return [data for way, passage, data in self.seen if way is direction and passage is Passage.DATA]


@contextmanager
def between(weather: Weather = FAIR) -> Iterator[Between]:
    """Put a relay between a client and a server."""
    made = Between(weather)
    with closing(made.relay), made.client, made.server:
        yield made


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(1 << 16), b""))


def beside(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETTING)
    sock.close()


def test_much_passes_in_both_directions_at_once_and_each_stream_ends_by_itself() -> None:
    question, answer = random.Random(1).randbytes(6 << 20), random.Random(2).randbytes(5 << 20)
    with between() as ends:

        def ask() -> None:
            ends.client.sendall(question)
            ends.client.shutdown(socket.SHUT_WR)

        def reply() -> None:
            ends.server.sendall(answer)
            heard.append(read_all(ends.server))
            ends.server.sendall(b"and goodbye")
            ends.server.close()

        heard: list[bytes] = []
        threads = [beside(ask), beside(reply)]
        assert read_all(ends.client) == answer + b"and goodbye"
        for thread in threads:
            thread.join(PATIENCE)
        assert heard == [question]
        assert ends.relay.wait(PATIENCE), "both streams have ended, the relay goes on"
        assert b"".join(ends.segments(Direction.THERE)) == question
        assert [way for way, passage, _ in ends.seen if passage is Passage.END] == [Direction.THERE, Direction.BACK]


@pytest.mark.parametrize("after_its_end", [False, True])
def test_a_reset_passes_also_after_the_end_of_the_stream(after_its_end: bool) -> None:
    with between() as ends:
        ends.client.sendall(b"hello")
        assert ends.server.recv(5) == b"hello"
        if after_its_end:
            ends.client.shutdown(socket.SHUT_WR)
            assert ends.server.recv(5) == b""
        reset(ends.client)
        assert ends.relay.wait(PATIENCE)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # who has seen the end learns of it by sending
            ends.server.send(b"there?") if after_its_end else ends.server.recv(5)
        assert ends.seen[-1] == (Direction.THERE, Passage.RESET, b"")


def test_whoever_does_not_read_holds_back_who_sends_and_loses_nothing() -> None:
    data = random.Random(3).randbytes(1 << 20)
    with between() as ends:
        sent = 0
        ends.client.setblocking(False)
        while sent < 64 << 20 and wait_ready(ends.client, write=True, timeout=0.7)[1]:
            sent += ends.client.send(data[sent % len(data) :])
        assert sent < 32 << 20, "the relay takes what nobody reads"
        ends.client.close()
        assert read_all(ends.server) == (data * 64)[:sent]


def test_a_reset_overtakes_what_nobody_reads() -> None:
    with between() as ends:
        ends.client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            ends.client.sendall(bytes(64 << 20))
        reset(ends.client)
        assert ends.relay.wait(PATIENCE), "the relay waits for who does not read"
        with pytest.raises(ConnectionResetError):
            read_all(ends.server)


def test_no_segment_is_larger_than_asked_for() -> None:
    with between(Weather(chunk=3, pause=0.0001)) as ends:
        ends.client.sendall(ALL_BYTES)
        ends.client.shutdown(socket.SHUT_WR)
        assert read_all(ends.server) == ALL_BYTES
        assert [len(piece) for piece in ends.segments(Direction.THERE)] == [3] * 85 + [1]


def test_one_way_may_have_its_own_weather() -> None:
    with between(Weather(chunk=3, only="back")) as ends:
        ends.client.sendall(ALL_BYTES)
        assert ends.server.recv(1000) == ALL_BYTES
        ends.server.sendall(ALL_BYTES)
        ends.server.close()
        assert read_all(ends.client) == ALL_BYTES
        assert [max(map(len, ends.segments(way))) for way in Direction] == [256, 3]


def test_delay_is_that_of_either_direction_and_a_slow_line_takes_its_time() -> None:
    with between(Weather(delay=0.1, jitter=0.05)) as ends:
        began = monotonic()
        ends.client.sendall(b"there")
        assert ends.server.recv(100) == b"there"
        assert monotonic() >= began + 0.1
        ends.server.sendall(b"back")
        assert ends.client.recv(100) == b"back"
        assert monotonic() >= began + 0.2
    with between(Weather(rate=40_000)) as ends:
        began = monotonic()
        ends.client.sendall(bytes(12_000))
        ends.client.close()
        assert len(read_all(ends.server)) == 12_000
        assert monotonic() >= began + 0.3


def test_a_reset_comes_after_so_many_bytes_to_both() -> None:
    with between(Weather(reset_after=100)) as ends:
        ends.client.sendall(ALL_BYTES)
        assert ends.relay.wait(PATIENCE)
        assert ends.server.recv(1000) == ALL_BYTES[:100]
        for sock in (ends.server, ends.client):
            with pytest.raises(ConnectionResetError):
                sock.recv(1)


def test_closing_closes_both_sides_and_leaves_no_thread() -> None:
    with ExitStack() as stack:
        ends = stack.enter_context(between())
        before = threading.active_count()
        ends.relay.close()
        assert ends.relay.wait(0)
        assert threading.active_count() == before - 1
        assert ends.client.recv(1) == ends.server.recv(1) == b""


@given(
    st.binary(min_size=1, max_size=300),
    st.builds(
        Weather,
        delay=st.floats(0, 1),
        jitter=st.floats(0, 1),
        chunk=st.integers(0, 50),
        pause=st.floats(0, 1),
        rate=st.sampled_from([0, 1, 10, 5000]),
        seed=st.integers(),
    ),
)
def test_in_every_weather_all_bytes_arrive_in_order(data: bytes, weather: Weather) -> None:
    course = Course(weather, "there")
    arrivals = [*course.segments(data, 5.0), *course.segments(data, 5.1)]
    assert b"".join(piece or b"" for _, piece in arrivals) == data + data
    assert all(earlier[0] <= later[0] for earlier, later in pairwise(arrivals))
    assert arrivals[0][0] >= 5.0 + weather.delay


def test_what_is_random_is_the_same_with_the_same_seed() -> None:
    def until_reset(seed: int, salt: str = "there") -> int:
        course = Course(Weather(chunk=1, reset_chance=0.01, seed=seed), salt)
        return [piece for _, piece in course.segments(bytes(10_000), 0.0)].index(None)

    assert until_reset(7) == until_reset(7)
    assert len({until_reset(seed) for seed in range(10)} | {until_reset(7, "back")}) > 5
