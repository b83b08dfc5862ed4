"""Clients that ask, against echo servers: good ones, and such as make one mistake."""

from __future__ import annotations

import gc
import re
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace

import pytest
from support import HOST, ROOT, Script, serving

from harness.launch.ports import reserved_port
from harness.launch.private import can_be_private, in_private_network
from harness.load import echo as load
from harness.load import engine
from harness.load.echo import SIZE, EchoLoad
from harness.load.histogram import highest_of
from harness.load.outcome import LoadFault, Outcome, ServerFull, Share

QUICK = EchoLoad(clients=3, requests=4, pause=0.0, duration=0.0)
LASTING = EchoLoad(clients=4, requests=None, pause=0.0, duration=0.1)


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


def test_new_sessions_begin_as_long_as_the_duration_lasts() -> None:
    with serving(echo) as address:
        outcome = EchoLoad(2, requests=2, duration=0.2).run(address)
    assert outcome.sessions > 4
    assert outcome.answers == 2 * outcome.sessions
    assert outcome.seconds >= 0.2
    assert outcome.spans == []


def test_every_reply_may_come_in_pieces() -> None:
    def byte_by_byte(connection: socket.socket, _: int) -> None:
        while data := connection.recv(SIZE):
            for place in range(len(data)):
                connection.sendall(data[place : place + 1])

    with serving(byte_by_byte) as address:
        assert QUICK.run(address).answers == 12


def test_a_wrong_byte_is_named() -> None:
    told = faulted(changed(lambda data, number: data.replace(b"0003", b"0004") if number == 3 else data))
    assert told.startswith("client 1, session 1, request 3: expected b'..")
    assert "client 1 session 1 request 0000000003\\n', received b'.." in told
    assert told.endswith("client 1 session 1 request 0000000004\\n'")


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
    assert "the server ended the connection" in told


def test_an_end_in_the_middle_of_a_reply_is_named() -> None:
    def script(connection: socket.socket, _: int) -> None:
        connection.sendall(connection.recv(SIZE)[:25])

    told = faulted(script, replace(QUICK, clients=1))
    assert told.startswith("client 0, session 1, request 1: the server ended the connection (after b'.....")
    assert told.endswith(".....')")


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
    monkeypatch.setattr(load, "STALLED", 0.3)
    told = faulted(changed(lambda data, number: data[:-1] if number == 3 else data), EchoLoad(3, duration=0.0))
    assert "client 1, session 1, request 3" in told


def test_one_client_that_is_never_answered_is_named_though_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STALLED", 0.3)
    monkeypatch.setattr(load, "STALLED", 0.3)
    began = time.monotonic()
    told = faulted(changed(lambda data, number: b""), EchoLoad(5, duration=0.2))
    assert "client 1, session 1, request 1" in told
    assert time.monotonic() - began < 5


def test_a_server_that_answers_nobody_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STALLED", 0.3)
    monkeypatch.setattr(load, "STALLED", 0.3)
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


def stalling(seconds: float, question: int) -> Script:
    """Echo; whoever asks that question first makes all others wait."""
    lock, stalled = threading.Lock(), [False]

    def script(connection: socket.socket, _: int) -> None:
        while data := connection.recv(SIZE):
            with lock:
                if not stalled[0] and b"%04d\n" % question in data:
                    stalled[0] = True
                    time.sleep(seconds)  # the stall that this is about
            connection.sendall(data)

    return script


def test_a_stall_of_all_is_a_wait_of_each() -> None:
    with serving(stalling(0.3, question=5)) as address:
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


def test_a_hundred_clients_at_once() -> None:
    with serving(echo) as address:
        outcome = EchoLoad(100, requests=2, pause=0.0, duration=0.0).run(address)
    assert outcome.answers == 200


# Connections that last


def test_all_are_there_before_anything_is_measured() -> None:
    there: set[int] = set()
    asked_again: set[int] = set()

    def script(connection: socket.socket, client: int) -> None:
        there.add(client)
        connection.sendall(connection.recv(SIZE))
        if data := connection.recv(SIZE):
            asked_again.add(len(there))
            connection.sendall(data)
        echo(connection, client)

    with serving(script) as address:
        outcome = LASTING.run(address)
    assert asked_again == {4}
    assert outcome.first_replies.count == 4
    assert outcome.ready > 0
    assert outcome.seconds >= 0.1


def test_only_the_active_ones_go_on_asking() -> None:
    asked: dict[int, int] = {}

    def script(connection: socket.socket, client: int) -> None:
        while data := connection.recv(SIZE):
            asked[client] = asked.get(client, 0) + 1
            connection.sendall(data)

    with serving(script) as address:
        outcome = replace(LASTING, clients=6, active=2).run(address)
    assert sorted(count > 1 for count in asked.values()) == [False] * 4 + [True] * 2
    assert outcome.answers == sum(asked.values()) - 6


@pytest.mark.parametrize("rate", [None, 400.0])
def test_what_is_asked_in_the_warm_up_does_not_count(rate: float | None) -> None:
    asked = [0]

    def script(connection: socket.socket, _: int) -> None:
        while data := connection.recv(SIZE):
            asked[0] += 1
            connection.sendall(data)

    with serving(script) as address:
        outcome = replace(LASTING, clients=1, rate=rate, warm_up=0.2).run(address)
    assert 0 < outcome.answers < asked[0] - 1
    assert outcome.seconds >= 0.1
    assert len(outcome.tenths) >= 1


# Open loop


def test_questions_are_due_at_the_rate_that_was_asked_for() -> None:
    with serving(echo) as address:
        outcome = EchoLoad(5, requests=None, rate=500.0, duration=0.4).run(address)
    assert outcome.answers == 200
    last = outcome.latencies.highest or 0
    assert 0.4 <= outcome.seconds < 0.48 + last / 1e9, "it ends with the last answer, not a while after it"
    assert outcome.lateness.count == 200


@pytest.mark.parametrize(("rate", "many_wait"), [(200.0, True), (None, False)])
def test_an_open_loop_lets_no_stall_hide(rate: float | None, many_wait: bool) -> None:
    """A server that stalls for 500 ms makes 100 questions late that were due meanwhile, not only the one it was at."""
    with serving(stalling(0.5, question=9)) as address:
        outcome = EchoLoad(4, requests=None, pause=0.005, rate=rate, duration=1.0).run(address)
    assert 0.5e9 <= (outcome.latencies.highest or 0) < 2e9
    late = sum(number for slot, number in outcome.latencies.slots.items() if highest_of(slot) > 0.05e9)
    assert (late >= 80) is many_wait  # 90 were due between its beginning and 50 ms before its end
    if many_wait:
        assert len(outcome.tenths) >= 10
        assert max(tenth.highest or 0 for tenth in outcome.tenths[:2]) < 0.5e9, "the time line tells when it was"


def test_a_delay_comes_out_as_it_went_in() -> None:
    """Every fifth answer is held back for 100 ms, every fiftieth for 300 ms: the percentiles say so, within 80 ms."""
    clients = 10  # so many that nobody's answer has to wait for one that is held back

    def late(connection: socket.socket, _: int) -> None:
        connection.sendall(connection.recv(SIZE))  # all come first
        while data := connection.recv(SIZE):
            words = data.lstrip(b".").split()
            number = clients * (int(words[-1]) - 2) + int(words[1])
            time.sleep(0.3 if number % 50 == 49 else 0.1 if number % 5 == 4 else 0)  # injected
            connection.sendall(data)

    with serving(late) as address:
        outcome = EchoLoad(clients, requests=None, rate=20.0, duration=2.5).run(address)
    told = outcome.latencies
    assert told.count == 50
    assert told.percentile(75) < 0.08e9
    assert 0.1e9 <= told.percentile(85) < 0.18e9
    assert 0.3e9 <= told.percentile(100) < 0.38e9


# Shares, ports, descriptors


def test_shares_make_one_load_together() -> None:
    came: set[bytes] = set()

    def script(connection: socket.socket, _: int) -> None:
        while data := connection.recv(SIZE):
            came.add(data.lstrip(b".")[:9])
            connection.sendall(data)

    whole = Outcome()
    with serving(script) as address:
        for number in range(3):
            whole.add(EchoLoad(7, requests=2, pause=0.0, duration=0.0).run(address, Share(number, 3)))
    assert came == {b"client %d " % number for number in range(7)}
    assert (whole.answers, whole.sessions, whole.first_replies.count) == (14, 7, 7)


FEW_PORTS = """
import pathlib, socket, sys, threading
pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40019")
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from test_load_echo import EchoLoad, echo, serving
came = set()
def script(connection, number):
    came.add(connection.getpeername()[0])
    echo(connection, number)
with serving(script) as address:
    print(EchoLoad(50, requests=None, duration=0.1).run(address).first_replies.count, *sorted(came))
"""


@pytest.mark.skipif(not can_be_private(), reason="needs a network of its own, whose ports may be made few")
def test_where_ports_run_out_clients_come_from_other_addresses() -> None:
    words = in_private_network([sys.executable, "-c", FEW_PORTS, str(ROOT)])
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    count, *addresses = done.stdout.split()
    assert count == "50", done.stderr
    assert addresses[:3] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


FEW_DESCRIPTORS = """
import resource, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from harness.load.echo import EchoLoad
from harness.load.outcome import CannotLoad
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
try:
    EchoLoad(50, requests=None, duration=0.1).run(("127.0.0.1", int(sys.argv[2])))
except CannotLoad as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_too_few_descriptors_are_told_with_the_remedy() -> None:
    with serving(echo) as (_, port):
        words = [sys.executable, "-c", FEW_DESCRIPTORS, str(ROOT), str(port)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert re.match(r"after 1\d clients this process may open no more descriptors", done.stdout), done.stderr
    assert "take fewer clients" in done.stdout


def test_a_server_that_takes_a_thousand_and_no_more_is_full() -> None:
    def script(connection: socket.socket, client: int) -> None:
        if client < 3:
            echo(connection, client)

    with serving(script) as address, pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "MANY", 3)
        patch.setattr(load, "COMING", 1)
        with pytest.raises(ServerFull, match="it takes 3 clients, and no more"):
            LASTING.run(address)


# Chats, asked


def refusing(answer: bytes = b"[12:00:00] [ERROR] name-invalid: no\n") -> Script:
    """Greet, and refuse each line."""

    def script(connection: socket.socket, _: int) -> None:
        connection.sendall(b"[12:00:00] [SERVER] hello\n[12:00:00] [SERVER] your username, please\n")
        with connection.makefile("rb") as lines:
            for _ in lines:
                connection.sendall(answer)

    return script


@pytest.mark.parametrize(
    "answer",
    [b"[12:00:00] [ERROR] name-invalid: no\n", b"[12:00:00] [ERROR] name-invalid: no\n[12:00:00] [SERVER] again\n"],
)
def test_a_chat_is_asked_for_its_refusals(answer: bytes) -> None:
    with serving(refusing(answer)) as address:
        outcome = replace(QUICK, service="ask").run(address)
    assert (outcome.answers, outcome.sessions) == (12, 3)


@pytest.mark.parametrize(
    "answer", [b"[12:00:00] [SERVER] Welcome\n[12:00:00] [x] y\n", b"[12:00] [ERROR] name-invalid: \n"]
)
def test_a_chat_that_answers_otherwise_is_named(answer: bytes) -> None:
    told = faulted(refusing(answer), replace(QUICK, service="ask"))
    assert "session 1, request 1: expected [ERROR] name-invalid, received b'[12:00" in told


def test_a_chat_that_is_full_says_so() -> None:
    with serving(refusing(b"[12:00:00] [ERROR] server-full: later\n")) as address, pytest.raises(ServerFull):
        replace(QUICK, service="ask").run(address)
