"""The load of a chat: every delivery checked and timed, against chats that make one mistake, or stall."""

from __future__ import annotations

import itertools
import re
import socket
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faulty_chat import Change, Chat, Late, Once, as_it_is, chatting, lost, twice
from support import PATIENCE, SOLUTIONS, serving

from harness.launch import Command, Program
from harness.load import engine
from harness.load.chat import ChatLoad, members
from harness.load.engine import Address
from harness.load.histogram import highest_of
from harness.load.outcome import LoadFault, Outcome, ServerFull, Share

FEW = ChatLoad(4, talkers=2, duration=0.1, warm_up=0.02)
OPEN = replace(FEW, rate=200)
ALL_ACTS = {"say": 1, "whisper": 1, "list": 1, "help": 1, "nick": 1, "unknown": 1}


def fault_of(load: ChatLoad, *told: Any, **named: Any) -> str:
    """Load a chat; return the fault that it is said to have."""
    with chatting(*told, **named) as address, pytest.raises(LoadFault) as caught:
        load.run(address)
    return str(caught.value)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STALLED", 1.0)


# What is measured


@pytest.mark.parametrize("clients", [2, 4, 120])
def test_every_delivery_of_every_line_is_counted(clients: int) -> None:
    with chatting() as address:
        outcome = replace(FEW, clients=clients).run(address)
    assert outcome.sessions == outcome.first_replies.count == clients
    assert outcome.answers == outcome.latencies.count == outcome.lateness.count * (clients - 1) > 0
    assert outcome.notices == clients * (clients - 1) // 2
    assert outcome.seconds >= 0.1
    assert 0 < outcome.ready <= outcome.seconds + 20
    assert 0 < outcome.busy <= 1.1
    assert outcome.acts == {}


def test_lines_are_due_at_the_rate_that_was_asked_for() -> None:
    with chatting() as address:
        outcome = ChatLoad(3, talkers=2, rate=100, duration=0.4, warm_up=0.1).run(address)
    assert outcome.lateness.count == pytest.approx(40, abs=2)
    assert outcome.answers == 2 * outcome.lateness.count


def test_each_talker_is_measured_once_at_least() -> None:
    with chatting() as address:
        assert ChatLoad(2, talkers=2, rate=10, duration=0.001, warm_up=0).run(address).answers == 2


@pytest.mark.parametrize("rate", [None, 400.0])
def test_every_kind_of_act_is_measured(rate: float | None) -> None:
    with chatting() as address:
        outcome = ChatLoad(5, talkers=None, rate=rate, duration=0.4, acts=ALL_ACTS).run(address)
    assert set(outcome.acts) == set(ALL_ACTS)
    assert rate is None or all(latencies.count for latencies in outcome.acts.values())
    assert sum(latencies.count for latencies in outcome.acts.values()) == outcome.answers
    assert outcome.acts["nick"].count % 5 == outcome.acts["say"].count % 4 == outcome.acts["whisper"].count % 2 == 0


def test_the_same_seed_makes_the_same_choices() -> None:
    def acts(seed: int) -> list[bytes]:
        heard: list[bytes] = []
        room = Chat()
        obey = room.obey
        room.obey = lambda member, line: (heard.append(line), obey(member, line))[1]  # type: ignore[method-assign]
        load = ChatLoad(3, talkers=1, rate=500, duration=0.05, warm_up=0, acts=ALL_ACTS, seed=seed)
        with serving(room.converse) as address:
            load.run(address)
        return heard[:20]

    assert acts(7) == acts(7) != acts(8)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"clients": 1}, "two clients"),
        ({"clients": 4, "slow": 3}, "two clients"),
        ({"acts": {}}, "acts are some of"),
        ({"acts": {"shout": 1}}, "acts are some of"),
        ({"acts": {"say": 0}}, "above 0"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(FEW, **values)


@pytest.mark.parametrize(("rate", "many_wait"), [(100.0, True), (None, False)])
def test_an_open_loop_lets_no_stall_hide(rate: float | None, many_wait: bool) -> None:
    def stalls(said: int) -> None:
        if said == 20:
            time.sleep(0.5)  # the stall that this is about

    with chatting(before=stalls) as address:
        outcome = ChatLoad(2, talkers=1, rate=rate, duration=1.0, warm_up=0).run(address)
    assert outcome.latencies.percentile(100) >= 0.49e9
    # Half of all lines are due while the server stalls: a closed loop says none of them, and sees one that waits.
    waited = sum(n for slot, n in outcome.latencies.slots.items() if highest_of(slot) > 0.05e9)
    assert (waited >= 40) is many_wait


def test_a_delay_comes_out_as_it_went_in() -> None:
    delays = [0.01] * 15 + [0.06] * 5  # seconds
    turn = itertools.count()
    with chatting(before=lambda said: time.sleep(delays[next(turn) % 20])) as address:  # the delay that goes in
        outcome = ChatLoad(2, talkers=1, rate=10, duration=4.0, warm_up=0).run(address)
    for percent, least in ((50, 0.01), (90, 0.06), (100, 0.06)):
        assert outcome.latencies.percentile(percent) >= least * 1e9
    assert outcome.latencies.percentile(10) < 0.06e9


# What is said to all


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lost, "guest2: received line 4 of guest1, but no line 3 before it: that one is lost"),
        (twice, "guest2: received line 3 of guest1 for the second time"),
        (lambda line: [line.replace(b"[guest1]", b"[guest0]")], "which nobody said: line 3 is guest1's"),
        (lambda line: [line[:-1]], "which nobody said"),
        (lambda line: [line[:20]], "which nobody said"),
        (lambda line: [line.replace(b" line", b" [12:00:00] [guest0] line")], "which nobody said"),
        (lambda line: [line, b"[guest2] line 1 of guest2 " + b"." * 24], "guest2: received b'[12:00:00] [guest2]"),
        (lambda line: [b"[ERROR] usage: no"], "guest2: received b'[12:00:00] [ERROR] usage: no', which is no answer"),
        (
            lambda line: [line, b"[SERVER] guest3 left"],
            "guest2: received b'[12:00:00] [SERVER] guest3 left', which is not so",
        ),
        (lambda line: [line, b"[SERVER] guest3 joined"], " joined"),  # who came first is chance
        (lambda line: [line, b"[SERVER] guest4 joined"], "heard that guest4 joined, whom nobody knows"),
        (lambda line: [line, b"[SERVER] guest3 is now guest3n1"], "which nobody asked for"),
        (lambda line: [line + b"\n" + line], "guest2: expected [HH:MM:SS] and a source, received b'[guest1] line 3"),
    ],
    ids=[
        "lost",
        "twice",
        "name",
        "cut",
        "half",
        "two-in-one",
        "never-said",
        "refused",
        "left",
        "joined",
        "nobody-joined",
        "is-now",
        "no-stamp",
    ],
)
def test_a_line_that_goes_astray_is_named(change: Callable[[bytes], Iterable[bytes]], told: str) -> None:
    text = fault_of(OPEN, Once(rb"line 3 of guest1 ", change, to=b"guest2"))
    assert text.startswith("guest")
    assert told in text


def test_lines_in_the_wrong_order_are_named() -> None:
    told = fault_of(OPEN, Late(rb"line 3 of guest1 ", until=rb"line 4 of guest1 ", to=b"guest2"))
    assert told.startswith("guest2: received line 4 of guest1, but no line 3 before it")


def test_a_line_that_comes_back_to_its_sender_is_named() -> None:
    room = Chat()
    room.answers_the_sender = True
    with serving(room.converse) as address, pytest.raises(LoadFault, match=r"^guest\d: received its own line 1 \("):
        OPEN.run(address)


@pytest.mark.usefixtures("impatient")
def test_the_last_line_that_is_lost_is_named() -> None:
    told = fault_of(FEW, Once(rb"line 3 of guest1 ", lost, to=b"guest2"))
    # Closed loop: the fourth is not said before all have the third.
    assert told == "guest2 has waited 15 seconds for line 3 of guest1: that one is lost"


# What is asked, and what is for one alone

ASKING = replace(OPEN, rate=600, duration=0.3)


def each(*acts: str) -> ChatLoad:
    return replace(ASKING, acts=dict.fromkeys(acts, 1.0))


def swapped(line: bytes) -> Iterable[bytes]:
    return [line.replace(b"guest0, guest1", b"guest1, guest0")]


@pytest.mark.parametrize(
    ("load", "change", "told"),
    [
        (each("say", "list"), Once(rb"Connected", lambda _: [b"[SERVER] Connected users (3): guest0"]), "counts 3 and"),
        (each("say", "list"), Once(rb"Connected", swapped), "guest1 stands before guest0"),
        (
            each("say", "list"),
            Once(rb"Connected", lambda _: [b"[SERVER] Connected users (3): guest0, guest1, guest3"]),
            "guest2 is missing",
        ),
        (
            each("say", "list"),
            Once(rb"Connected", lambda line: [line.replace(b"(4)", b"(5)") + b", zoe"]),
            "nobody is called zoe",
        ),
        (each("say", "list"), Once(rb"Connected", lambda line: [line.replace(b"(4)", b"[4]")]), "not of the form"),
        (each("say", "list"), Once(rb"Connected", twice), "which is no answer that is due"),
        (
            each("nick", "list"),
            lambda _, line: [re.sub(rb"(Connected.*guest1)n\d+", rb"\1", line)],
            "guest1 is called guest1n",
        ),
        (each("list", "help"), Once(rb"whisper", lambda line: [b"[SERVER] That is all."]), "which is no answer"),
        (
            each("say", "unknown"),
            Once(rb"ERROR", lambda line: [b"[ERROR] unknown-command: no"]),
            "expected [ERROR] unknown-command with /shout",
        ),
        (
            each("say", "unknown"),
            Once(rb"ERROR", lambda line: [line.replace(b"unknown-command", b"usage")]),
            "expected [ERROR] unknown-command with /shout",
        ),
        (each("say", "nick"), Once(rb"guest1 is now", lost, to=b"guest2"), "did not hear that guest1 is now guest1n"),
        (each("say", "nick"), Once(rb"guest1 is now", twice, to=b"guest2"), "guest1 is now guest1n"),
        (
            each("say", "nick"),
            Once(rb"guest1 is now", lambda line: [line.replace(b"guest1 is", b"guest3 is")]),
            "but it is guest1 who takes that name",
        ),
        (
            each("say", "nick"),
            Once(rb"\[guest1n", lambda line: [re.sub(rb"\[guest1n\d+", b"[guest1", line)]),
            "is guest1n",
        ),
        (each("whisper"), Once(rb"PRIVATE FROM", twice), "which was whispered already"),
        (each("whisper"), Once(rb"PRIVATE TO", twice), "which is no answer that is due"),
        (each("whisper"), Once(rb"PRIVATE FROM", lambda line: [line[:-1]]), "which nobody whispered"),
        (each("whisper", "help"), Once(rb"PRIVATE TO", lost), "received"),
    ],
    ids=[
        "count",
        "order",
        "missing",
        "nobody",
        "form",
        "twice-listed",
        "old-name",
        "no-help",
        "no-word",
        "no-code",
        "no-is-now",
        "is-now-twice",
        "is-now-other",
        "old-name-line",
        "whisper-twice",
        "told-twice",
        "whisper-cut",
        "not-told",
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_wrong_answer_is_named(load: ChatLoad, change: Change, told: str) -> None:
    assert told in fault_of(load, change)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("act", "pattern", "told"),
    [
        ("help", rb"whisper", "for the answer to /help, of which /exit /whisper is missing"),
        ("list", rb"Connected", "for the answer to /list"),
        ("unknown", rb"ERROR", "for the answer to /shout"),
        ("whisper", rb"PRIVATE TO", "for the answer to /whisper"),
        ("whisper", rb"PRIVATE FROM", "for whisper 1 of guest"),
        ("nick", rb"is now", r"for the answer to /nick|to hear that guest\d is now guest\dn1"),
    ],
)
def test_an_answer_that_is_lost_is_named(act: str, pattern: bytes, told: str) -> None:
    text = fault_of(replace(FEW, acts={act: 1}), Once(pattern, lost))
    assert re.match(rf"guest\d has waited 15 seconds ({told})", text)


def test_a_whisper_to_another_one_is_named() -> None:
    room = Chat()

    def to_all(line: bytes) -> Iterable[bytes]:
        for member in room.members.values():
            member.connection.sendall(b"[12:00:00] " + line + b"\n")
        return []

    room.change = Once(rb"PRIVATE FROM", to_all)
    with serving(room.converse) as address, pytest.raises(LoadFault, match=r"is for guest\d alone|is not for it"):
        replace(OPEN, clients=10, acts={"whisper": 1}).run(address)


@pytest.mark.parametrize(
    ("acts", "pattern", "until"),
    [
        ({"whisper": 1}, rb"whisper \d+ of guest0", rb"whisper \d+ of guest0"),
        ({"whisper": 1, "say": 20}, rb"whisper \d+ of guest0", rb" line \d+ of guest0"),
        ({"whisper": 1, "say": 1}, rb" line \d+ of guest0", rb"whisper \d+ of guest0"),
    ],
)
def test_whispers_in_the_wrong_order_are_named(acts: dict[str, float], pattern: bytes, until: bytes) -> None:
    load = replace(ASKING, acts=acts, clients=2, talkers=1)
    assert "in the wrong order" in fault_of(load, Late(pattern, until, to=b"guest1"))


# Coming and going


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("welcome", "told"),
    [
        (b"[SERVER] Hello %b", "guest0 has not been welcomed for 15 seconds; is this a chat?"),
        (b"[ERROR] name-taken: %b", "guest0: received b'[12:00:00] [ERROR] name-taken: guest0', which is no answer"),
        (b"Welcome %b", "guest0: received b'[12:00:00] Welcome guest0', which nobody said"),
    ],
)
def test_who_is_not_welcome_is_named(welcome: bytes, told: str) -> None:
    text = fault_of(FEW, welcome=welcome)
    assert re.sub(r"guest\d", "guest0", text).startswith(told)  # who is served first is chance


@pytest.mark.usefixtures("impatient")
def test_who_is_not_asked_for_a_name_is_named() -> None:
    with serving(lambda connection, _: connection.recv(1) and None) as address, pytest.raises(LoadFault) as caught:
        FEW.run(address)
    assert str(caught.value) == "guest0 has not been asked for its username for 15 seconds; is this a chat?"


def test_a_member_that_is_disconnected_is_named() -> None:
    def closes(connection: socket.socket, number: int) -> None:
        if number < 3:
            room.converse(connection, number)
        else:
            connection.sendall(b"[12:00:00] [SERVER] username?\n")
            connection.recv(100)

    room = Chat()
    with serving(closes) as address, pytest.raises(LoadFault, match=r"^guest\d: the server ended the connection"):
        FEW.run(address)


def test_no_clock_no_line() -> None:
    with serving(lambda connection, _: connection.sendall(b"Who are you? username\n")) as address:
        with pytest.raises(LoadFault, match=r"expected \[HH:MM:SS\] and a source, received b'Who are"):
            FEW.run(address)


def test_a_full_server_is_told_from_a_faulty_one() -> None:
    def full(connection: socket.socket, number: int) -> None:
        if number < 10:
            room.converse(connection, number)
        else:
            connection.sendall(b"[12:00:00] [ERROR] server-full: come back later\n")

    room = Chat()
    with (
        serving(full, at_once=True) as address,
        pytest.raises(ServerFull, match=r"it takes [0-9]+ clients, and no more"),
    ):
        replace(FEW, clients=30).run(address)


def test_who_has_no_name_yet_must_hear_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "NAMED", 2)
    room = Chat()
    room.tells_the_nameless = True
    with (
        serving(room.converse) as address,
        pytest.raises(LoadFault, match=r"^guest[23]: has no name yet, and received"),
    ):
        FEW.run(address)


class Tenth:
    """Changes the notice that somebody joined for the one who hears of a tenth newcomer first."""

    def __init__(self, change: Callable[[bytes], Iterable[bytes]]) -> None:
        self.change, self.heard, self.done = change, dict[bytes, int](), False

    def __call__(self, to: bytes, line: bytes) -> Iterable[bytes]:
        if b"joined" not in line:
            return [line]
        self.heard[to] = self.heard.get(to, 0) + 1
        if self.done or self.heard[to] < 10:
            return [line]
        self.done = True
        return self.change(line)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("named", [7, 1000])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lost, r"neither guest\d+ nor guest\d+ heard that the other joined|did not hear that guest\d+ joined"),
        (twice, r"guest\d+ heard that guest\d+ joined for the second time"),
        (lambda line: [line[:-2]], r"did not hear that guest\d+ joined|nor guest\d+ heard|received b'.*joi"),
    ],
    ids=["lost", "twice", "cut"],
)
def test_of_45_thousand_notices_one_that_is_wrong_is_named(
    change: Callable[[bytes], Iterable[bytes]], told: str, named: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "NAMED", named)
    assert re.search(told, fault_of(replace(FEW, clients=300), Tenth(change)))


VISITED = replace(OPEN, comings=50, duration=0.2)


def test_visitors_are_measured_and_heard() -> None:
    with chatting() as address:
        outcome = VISITED.run(address)
    assert set(outcome.acts) == {"say", "visit"}
    assert outcome.acts["visit"].count == 10
    assert outcome.sessions >= 14


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            Once(rb"v0x3 joined", lost, to=b"guest2"),
            "guest2: received line 2 of v0x3, but did not hear that v0x3 joined",
        ),
        (Once(rb"v0x3 joined", twice, to=b"guest2"), "guest2: heard that v0x3 joined for the second time"),
        (Once(rb"line 2 of v0x3", lost, to=b"guest2"), "guest2: heard that v0x3 left, but no line 2 before"),
        (Once(rb"line 2 of v0x3", twice, to=b"guest2"), "guest2: received line 2 of v0x3 for the second time"),
        (
            Once(rb"v0x3 left", lost, to=b"guest2"),
            "guest2 has waited 15 seconds to hear that v0x3 left: that one is lost",
        ),
        (Once(rb"v0x3 left", twice, to=b"guest2"), "guest2: heard that v0x3 left for the second time"),
        (Once(rb"v0x3 joined", lambda _: [b"[SERVER] v0x3 left"], to=b"guest2"), "v0x3 left"),
        (Once(rb"Goodbye", lost, to=b"v0x3"), "v0x3: the server ended the connection"),
        (Once(rb"Welcome", lost, to=b"v0x3"), "v0x3 has waited 15 seconds to be welcomed"),
    ],
    ids=[
        "joined-lost",
        "joined-twice",
        "line-lost",
        "line-twice",
        "left-lost",
        "left-twice",
        "left-early",
        "goodbye",
        "welcome",
    ],
)
def test_a_visit_that_is_told_wrongly_is_named(change: Change, told: str) -> None:
    text = fault_of(VISITED, change)
    assert told in text


class Ghost:
    """Lists a visitor that left some lists ago."""

    def __init__(self) -> None:
        self.left, self.lists = False, 0

    def __call__(self, to: bytes, line: bytes) -> Iterable[bytes]:
        self.left = self.left or b"v0x0 left" in line
        listed = re.fullmatch(rb"(.*users \()(\d+)(\): .*)", line)
        if not self.left or listed is None:
            return [line]
        self.lists += 1
        if self.lists < 10:
            return [line]
        names = sorted([*listed[3][3:].split(b", "), b"v0x0"])
        return [b"%b%d): %b" % (listed[1], len(names), b", ".join(names))]


def test_a_visitor_that_is_listed_though_it_has_left_is_named() -> None:
    told = fault_of(replace(VISITED, rate=400, duration=0.5, acts={"list": 1}), Ghost())
    assert told.endswith("v0x0 has left")


# Who does not read

SLOW = replace(OPEN, slow=1)  # that is guest3


def test_a_slow_reader_gets_everything_in_the_end() -> None:
    with chatting() as address:
        outcome = SLOW.run(address)
    assert outcome.answers == 2 * outcome.lateness.count
    assert outcome.sessions == 4


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lost, "guest3: received line 4 of guest1, but no line 3 before it: that one is lost"),
        (twice, "guest3: received line 3 of guest1 for the second time"),
    ],
)
def test_a_gap_in_what_a_slow_reader_gets_is_named(change: Callable[[bytes], Iterable[bytes]], told: str) -> None:
    assert fault_of(SLOW, Once(rb"line 3 of guest1 ", change, to=b"guest3")) == told


def dropping(leaves: bool = True, change: Change = as_it_is) -> Chat:
    """Return a chat that disconnects guest3 after ten lines, and tells (or does not tell) that it left."""

    def drop(said: int) -> None:
        if said == 10:
            slow = room.members.pop(b"guest3")
            slow.connection.shutdown(socket.SHUT_RDWR)
            if leaves:
                room.tell_all(b"[SERVER] guest3 left")

    room = Chat(change, before=drop)
    return room


def test_a_slow_reader_that_is_dropped_too_early_is_named() -> None:
    with serving(dropping().converse) as address, pytest.raises(LoadFault) as caught:
        SLOW.run(address)
    told = "guest3: does not read, and was disconnected when at most [0-9,]+ bytes were due to it: a server has to keep"
    assert re.match(told, str(caught.value))


def test_a_slow_reader_may_be_dropped_when_enough_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "KEPT", 300)
    with serving(dropping().converse) as address:
        assert SLOW.run(address).answers > 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("leaves", "change", "told"),
    [
        (False, as_it_is, "guest0 has waited 15 seconds to hear that guest3 left: that one is lost"),
        (
            True,
            Once(b"left", lost, to=b"guest2"),
            "guest2 has waited 15 seconds to hear that guest3 left: that one is lost",
        ),
        (True, Once(b"left", twice, to=b"guest2"), "guest2: heard that guest3 left for the second time"),
    ],
)
def test_all_others_hear_once_that_a_slow_reader_was_dropped(
    leaves: bool, change: Change, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "KEPT", 300)
    with serving(dropping(leaves, change).converse) as address, pytest.raises(LoadFault) as caught:
        SLOW.run(address)
    assert str(caught.value) == told


# Several generators


def by_two(load: ChatLoad, address: Address) -> list[Outcome | Exception]:
    """Make a load by two generators that know nothing of each other."""

    def make(number: int) -> Outcome | Exception:
        try:
            return load.run(address, Share(number, 2))
        except LoadFault as fault:
            return fault

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(make, range(2)))


@pytest.mark.parametrize(
    "load",
    [
        replace(FEW, clients=9),
        replace(FEW, clients=9, talkers=1),
        ChatLoad(12, talkers=None, rate=300, duration=0.3, acts=ALL_ACTS, comings=40, slow=2),
        ChatLoad(9, talkers=5, duration=0.2, acts={"whisper": 1}),
    ],
    ids=["few", "one", "all", "whispers"],
)
def test_two_generators_share_a_load(load: ChatLoad) -> None:
    command = Command((sys.executable, str(SOLUTIONS / "lab06_select_chat.py")), Path("/"))
    with Program(command) as program:
        limit = time.monotonic() + PATIENCE
        assert program.wait_listening(lambda: limit - time.monotonic())
        first, second = by_two(load, program.address)
    assert isinstance(first, Outcome), first
    assert isinstance(second, Outcome), second
    first.add(second)
    load.check(first)
    assert first.sessions >= load.clients
    assert first.answers > 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lost, "guest2: received line 4 of guest1, but no line 3 before it: that one is lost"),
        (twice, "guest2: received line 3 of guest1 for the second time"),
        (lambda line: [line.replace(b"[guest1]", b"[guest3]")], "which nobody said: line 3 is guest1's"),
    ],
)
def test_a_line_that_is_lost_between_generators_is_named(change: Callable[[bytes], Iterable[bytes]], told: str) -> None:
    with chatting(Once(rb"line 3 of guest1 ", change, to=b"guest2")) as address:
        results = by_two(OPEN, address)
    assert any(told in str(one) for one in results), results


@pytest.mark.usefixtures("impatient")
def test_the_last_line_that_is_lost_between_generators_is_named() -> None:
    with chatting(Once(rb"last line \d+ of guest1 ", lost, to=b"guest2")) as address:
        results = by_two(OPEN, address)
    assert any(re.match(r"guest2 has waited 15 seconds for line \d+ of guest1", str(one)) for one in results), results


def test_a_generator_that_never_comes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "STALLED", 0.5)
    with chatting() as address, pytest.raises(LoadFault, match="there have been 2 members, of 4 that all 2 generators"):
        FEW.run(address, Share(1, 2))


def test_notices_of_all_generators_are_added_up() -> None:
    FEW.check(Outcome(notices=6))
    with pytest.raises(LoadFault, match="6 notices that somebody joined were due to all members, and 5 came"):
        FEW.check(Outcome(notices=5))
