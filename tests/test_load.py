"""Load: histograms against an oracle, and clients against echo servers, good ones and such as make one mistake."""

from __future__ import annotations

import gc
import math
import random
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import HOST, Script, serving

from harness.launch import Command
from harness.launch.ports import reserved_port
from harness.load import engine
from harness.load.echo import SIZE, EchoLoad
from harness.load.engine import LoadFault
from harness.load.histogram import Histogram, highest_of, slot_of
from harness.load.sweep import PERCENTS, Point, Server, as_rows, summary, sweep, talk

PROGRAMS = Path(__file__).resolve().parent / "programs"
QUICK = EchoLoad(clients=3, requests=4, pause=0.0, duration=0.0)

# A busy machine is slow, and that is no fault of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def of(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def exact(values: list[int], percent: float) -> int:
    """The percentile by its definition: the smallest value that so many of all do not exceed."""
    rank = max(1, math.ceil(len(values) * Fraction(str(percent)) / 100))
    return sorted(values)[rank - 1]


# Histograms

nanoseconds = st.one_of(st.integers(0, 600), st.integers(0, 10**6), st.integers(0, 10**13))
lists = st.lists(nanoseconds, min_size=1, max_size=200)
percents = st.sampled_from([0, 0.1, 1, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100])


@given(nanoseconds)
def test_a_slot_holds_its_value_and_is_narrow(value: int) -> None:
    slot = slot_of(value)
    assert slot_of(highest_of(slot)) == slot
    assert slot_of(highest_of(slot) + 1) == slot + 1
    assert 0 <= highest_of(slot) - value <= value / 128
    if value < 256:
        assert highest_of(slot) == value


@settings(max_examples=200)
@given(lists, percents)
def test_a_percentile_is_at_most_a_128th_above_the_exact_one(values: list[int], percent: float) -> None:
    true, told = exact(values, percent), of(values).percentile(percent)
    assert true <= told <= true + true / 128


@given(lists)
def test_the_extremes_are_exact(values: list[int]) -> None:
    histogram = of(values)
    assert (histogram.lowest, histogram.highest) == (min(values), max(values))
    assert histogram.percentile(100) == max(values)
    assert histogram.count == len(values) == sum(histogram.slots.values())


@given(lists)
def test_percentiles_never_fall(values: list[int]) -> None:
    told = [of(values).percentile(percent) for percent in range(101)]
    assert told == sorted(told)


@given(st.lists(nanoseconds, max_size=50), st.lists(nanoseconds, max_size=50))
def test_adding_is_recording_all(one: list[int], other: list[int]) -> None:
    total = of(one)
    total.add(of(other))
    assert total == of(one + other)
    total.add(total)
    assert total == of((one + other) * 2)


@pytest.mark.parametrize("seed", range(10))
def test_another_implementation_agrees(seed: int) -> None:
    chance = random.Random(seed)
    values = [int(10 ** chance.uniform(0, 12)) for _ in range(1000)]
    hdrh = pytest.importorskip("hdrh.histogram", reason="no wheels of hdrhistogram for this machine")
    oracle = hdrh.HdrHistogram(1, 10**13, 3)
    for value in values:
        oracle.record_value(value)
    ours = of(values)
    for percent in (10, 50, 90, 99, 99.9, 100):  # of 1,000 values: whole ranks, about which nobody disagrees
        theirs = oracle.get_value_at_percentile(percent)
        assert ours.percentile(percent) == pytest.approx(theirs, rel=1 / 128 + 1 / 1000)


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing was recorded"):
        Histogram().percentile(50)


@pytest.mark.parametrize("percent", [-0.1, 100.1, math.nan, math.inf])
def test_a_percentage_has_its_limits(percent: float) -> None:
    with pytest.raises(ValueError, match="is no percentage"):
        of([1]).percentile(percent)


def test_a_negative_value_is_an_error_and_changes_nothing() -> None:
    histogram = of([1])
    with pytest.raises(ValueError, match="-1 is negative"):
        histogram.record(-1)
    assert histogram == of([1])


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_one_value_is_every_percentile(percent: float) -> None:
    assert of([123_456_789]).percentile(percent) == 123_456_789


# Echo servers


def echo(connection: socket.socket, _: int) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def changed(change: Callable[[bytes, int], bytes | None]) -> Script:
    """Echo each request of the second client as `change(request, number)` gives it, until that is None."""

    def script(connection: socket.socket, client: int) -> None:
        number = 0
        while data := connection.recv(SIZE):
            number += 1
            reply = change(data, number) if b"client 1 " in data else data
            if reply is None:
                return
            connection.sendall(reply)

    return script


def faulted(script: Script, load: EchoLoad = QUICK) -> str:
    """Return what a LoadFault says of a server."""
    with serving(script) as address, pytest.raises(LoadFault) as caught:
        load.run(address)
    return str(caught.value)


def test_every_request_of_every_session_is_counted() -> None:
    with serving(echo) as address:
        outcome = replace(QUICK, clients=5).run(address, keep_spans=True)
    assert (outcome.sessions, outcome.answers) == (5, 20)
    assert (outcome.latencies.count, outcome.first_replies.count) == (20, 5)
    assert len(outcome.spans) == 20
    assert sum(span.first for span in outcome.spans) == 5
    assert {span.client for span in outcome.spans} == set(range(5))
    for span in outcome.spans:
        assert 0 <= span.sent < span.replied <= outcome.seconds
    assert outcome.latencies.highest is not None
    longest = max(span.replied - span.sent for span in outcome.spans)
    assert outcome.latencies.highest / 1e9 == pytest.approx(longest, abs=1e-6)


def test_new_sessions_begin_as_long_as_the_duration_lasts_and_watch_is_called() -> None:
    looks: list[float] = []
    with serving(echo) as address:
        outcome = EchoLoad(2, requests=2, duration=0.2).run(address, lambda: looks.append(time.monotonic()))
    assert outcome.sessions > 4
    assert outcome.answers == 2 * outcome.sessions
    assert outcome.seconds >= 0.2
    assert len(looks) >= 3
    assert outcome.spans == []


def test_every_reply_may_come_in_pieces() -> None:
    def byte_by_byte(connection: socket.socket, _: int) -> None:
        while data := connection.recv(SIZE):
            for place in range(len(data)):
                connection.sendall(data[place : place + 1])

    with serving(byte_by_byte) as address:
        assert QUICK.run(address).answers == 12


def test_a_wrong_byte_is_named() -> None:
    told = faulted(changed(lambda data, number: data.replace(b"request 3", b"request 4") if number == 3 else data))
    assert told.startswith("client 1, session 1, request 3: expected b'client 1 session 1 request 3 .")
    assert "received b'client 1 session 1 request 4 ." in told


def test_a_byte_too_many_is_named() -> None:
    told = faulted(changed(lambda data, number: data + b"!" if number == 2 else data))
    assert told.startswith("client 1, session 1, request ")
    assert "!" in told


def test_bytes_of_another_client_are_a_fault() -> None:
    told = faulted(changed(lambda data, number: data.replace(b"client 1 ", b"client 2 ")))
    assert told.startswith("client 1, session 1, request 1: ")


def test_an_early_end_is_named() -> None:
    told = faulted(changed(lambda data, number: None if number == 2 else data))
    assert told.startswith("client 1, session 1, request 2: ")
    assert told.endswith("received b'' and the end") or "the server ended the connection (E" in told


def test_an_end_in_the_middle_of_a_reply_is_named() -> None:
    def script(connection: socket.socket, _: int) -> None:
        connection.sendall(connection.recv(SIZE)[:5])

    told = faulted(script, replace(QUICK, clients=1))
    assert told.startswith("client 0, session 1, request 1: ")
    assert told.endswith("received b'clien' and the end")


def test_a_reset_is_named() -> None:
    def script(connection: socket.socket, _: int) -> None:
        connection.recv(1)  # the rest stays unread, which turns the close into a reset

    told = faulted(script, replace(QUICK, clients=1))
    assert told == "client 0, session 1, request 1: the server ended the connection (ECONNRESET)"


@pytest.mark.parametrize(("host", "error"), [(HOST, "ECONNREFUSED"), ("255.255.255.255", "E[A-Z]+")])
def test_a_refusal_is_named_and_leaves_no_socket_behind(host: str, error: str) -> None:
    gc.collect()  # what others left
    with reserved_port() as nobody, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(LoadFault, match=f"^client 0 could not connect: {error}$"):
            QUICK.run((host, nobody))
        gc.collect()
    assert [str(warning.message) for warning in warned] == []


def test_a_lost_byte_is_noticed_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STALLED", 0.3)
    told = faulted(changed(lambda data, number: data[:-1] if number == 3 else data), EchoLoad(3, duration=0.0))
    assert "client 1, session 1, request 3" in told


def test_one_client_that_is_never_answered_is_named_though_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STALLED", 0.3)
    began = time.monotonic()
    told = faulted(changed(lambda data, number: b""), EchoLoad(5, duration=0.2))
    assert "client 1, session 1, request 1" in told
    assert time.monotonic() - began < 5


def test_a_server_that_answers_nobody_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STALLED", 0.3)
    with socket.create_server((HOST, 0), backlog=10) as listener, pytest.raises(LoadFault) as caught:
        QUICK.run(listener.getsockname())
    assert "3 clients" in str(caught.value)
    assert "client 0, session 1, request 1" in str(caught.value)


# Waiting counts


def test_a_stall_shows_in_the_maximum() -> None:
    def stalls_once(connection: socket.socket, client: int) -> None:
        number = 0
        while data := connection.recv(SIZE):
            number += 1
            if (client, number) == (0, 5):
                time.sleep(0.3)  # the stall that this is about
            connection.sendall(data)

    with serving(stalls_once) as address:
        outcome = EchoLoad(4, requests=10, pause=0.001, duration=0.0).run(address)
    assert outcome.answers == 40
    assert outcome.latencies.percentile(100) >= 0.3e9
    assert outcome.latencies.percentile(50) < 0.1e9


def test_a_stall_of_all_is_a_wait_of_each() -> None:
    lock, stalled = threading.Lock(), [False]

    def stalls_all(connection: socket.socket, _: int) -> None:
        while data := connection.recv(SIZE):
            with lock:
                if not stalled[0] and b"request 5 " in data:
                    stalled[0] = True
                    time.sleep(0.3)  # the stall that this is about
            connection.sendall(data)

    with serving(stalls_all) as address:
        outcome = EchoLoad(4, requests=10, pause=0.001, duration=0.0).run(address)
    long = sum(number for slot, number in outcome.latencies.slots.items() if highest_of(slot) > 0.2e9)
    assert long == 4


def test_who_waits_to_be_served_waits_in_the_figures_too() -> None:
    pause, requests = 0.01, 5
    with serving(echo, at_once=False) as address:
        outcome = EchoLoad(4, requests=requests, pause=pause, duration=0.0).run(address, keep_spans=True)
    session = (requests - 1) * pause
    assert outcome.sessions == 4
    waits = sorted(span.replied - span.sent for span in outcome.spans if span.first)
    assert all(wait >= place * session for place, wait in enumerate(waits))
    assert outcome.first_replies.percentile(100) >= 3 * session * 1e9
    assert outcome.latencies.percentile(100) == outcome.first_replies.percentile(100)
    assert outcome.latencies.percentile(50) < session * 1e9


@pytest.mark.skipif(sys.platform != "linux", reason="when a SYN is sent again is Linux's")
def test_who_waits_to_be_connected_waits_in_the_figures_too() -> None:
    with serving(echo, at_once=False, backlog=0) as address:
        outcome = EchoLoad(3, requests=5, pause=0.02, duration=0.0).run(address)
    assert outcome.sessions == 3
    assert outcome.first_replies.percentile(100) >= 0.9e9, "a SYN that finds the queue full is sent again after 1 s"


def test_who_still_waits_at_the_end_is_waited_for_and_counted() -> None:
    with serving(echo, at_once=False) as address:
        outcome = EchoLoad(6, requests=5, pause=0.01, duration=0.05).run(address)
    assert outcome.sessions >= 6
    assert outcome.answers == 5 * outcome.sessions
    assert outcome.seconds >= 6 * 4 * 0.01


# Sweeps


def program(file: str, behaviour: str, *words: str) -> Command:
    return Command((sys.executable, str(PROGRAMS / f"{file}.py"), behaviour, *words), PROGRAMS)


ONE_AFTER_ANOTHER = Server("one", program("starting", "echo"))
THREADS = Server("many", program("serving", "threads"))


def test_a_sweep_takes_the_servers_in_turn_and_measures_each() -> None:
    told: list[str] = []
    loads = [EchoLoad(clients, duration=0.03) for clients in (1, 3)]
    points = sweep([ONE_AFTER_ANOTHER, THREADS], loads, rounds=2, tell=told.append)
    seen = [(point.round, point.clients, point.server) for point in points]
    assert seen == [(turn, count, server) for turn in (0, 1) for count in (1, 3) for server in ("one", "many")]
    assert told[:2] == ["round 1 of 2: 1 clients, one", "round 1 of 2: 1 clients, many"]
    assert len(told) == 8
    for point in points:
        assert point.answers % 10 == 0
        assert point.answers >= 10 * point.clients
        assert point.throughput == pytest.approx(point.answers / point.seconds)
        assert list(point.latency) == list(point.first_reply) == [f"{percent:g}" for percent in PERCENTS]
        assert list(point.latency.values()) == sorted(point.latency.values())
        assert point.threads >= 1
        assert point.memory > 1 << 20
        assert point.descriptors >= 4
    most = {server: max(point.threads for point in points if point.server == server) for server in ("one", "many")}
    assert most["one"] == 1 < most["many"]  # which of its short-lived threads a sample meets is chance


def test_a_talk_shows_two_clients_in_turn_or_at_once() -> None:
    for server, bob_waits in ((ONE_AFTER_ANOTHER, True), (THREADS, False)):
        spans = talk(server)
        assert [len([span for span in spans if span.client == client]) for client in (0, 1)] == [6, 6]
        ann_ends = max(span.replied for span in spans if span.client == 0)
        bob_begins = min(span.replied for span in spans if span.client == 1)
        assert (bob_begins > ann_ends) is bob_waits


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server("gone", Command(("/no/such/program",), PROGRAMS)), "cannot run '/no/such/program': No such file"),
        (Server("ends", program("starting", "exits", "3")), "it exited with status 3"),
        (Server("wrong", program("serving", "shouts")), "client 0, session 1, request 1: expected"),
        (Server("dies", program("serving", "dies_after", "30")), "session 1, request"),
    ],
    ids=lambda value: value.name if isinstance(value, Server) else "",
)
def test_a_sweep_names_the_server_that_is_at_fault(server: Server, reason: str) -> None:
    with pytest.raises(LoadFault) as caught:
        sweep([server], [EchoLoad(2, duration=0.1)], rounds=1)
    assert str(caught.value).startswith(f"{server.name}, 2 clients: ")
    assert reason in str(caught.value)


def test_a_program_that_does_not_listen_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.load.sweep.START", 0.1)
    with pytest.raises(LoadFault, match=r"^mute, 1 clients: it does not listen$"):
        sweep([Server("mute", program("starting", "never_listens"))], [EchoLoad(1, duration=0.1)], rounds=1)


def point(server: str, clients: int, number: int, value: float) -> Point:
    """A measurement in which every figure is `value`, or follows from it."""
    latency = {f"{percent:g}": value * percent for percent in PERCENTS}
    return Point(server, clients, number, int(value), value, value, latency, latency, int(value), 1, 1, value, value)


def test_a_summary_tells_medians_and_the_range() -> None:
    points = [point(server, 2, number, value) for number, value in enumerate([3, 100, 4]) for server in ("a", "b")]
    rows = summary([*points, point("a", 5, 0, 7)])
    assert [(row["server"], row["clients"], row["rounds"]) for row in rows] == [("a", 2, 3), ("b", 2, 3), ("a", 5, 1)]
    row = rows[0]
    assert [row[name] for name in ("answers", "seconds", "throughput", "threads", "cpu")] == [4, 4, 4, 4, 4]
    assert row["latency"] == {"50": 200, "90": 360, "99": 396, "99.9": pytest.approx(399.6), "100": 400}
    assert row["p99_range"] == [297, 9900]
    assert rows[2]["p99_range"] == [693, 693]


def test_points_are_rows_that_json_can_hold() -> None:
    import json

    (row,) = as_rows([point("a", 2, 0, 3)])
    assert json.loads(json.dumps(row)) == row
    assert row["latency"]["99"] == 297


def test_a_hundred_clients_at_once() -> None:
    with ExitStack() as stack:
        address = stack.enter_context(serving(echo))
        outcome = EchoLoad(100, requests=2, pause=0.0, duration=0.0).run(address)
    assert outcome.answers == 200
