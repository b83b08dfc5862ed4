"""What a time line tells: a lane for each thread and each client, bars where it waits, and why clients had to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from harness.units import seconds as in_words

Row = dict[str, Any]
FINEST = 1 / 250  # of the whole time: what is shorter is no waiting
WORTH_A_WORD = 0.1  # seconds that a client waits
CLIENT = "client"
SOON = 0.05  # seconds
MOST_LANES = 16  # threads that are drawn
NO_CALLS = ("thread", "end")


class Look(StrEnum):
    """What a bar means, by which it has its colour."""

    ACCEPT = "waits for a client to come"
    RECEIVE = "waits for bytes of one peer"
    SEND = "waits for one peer to read"
    READY = "waits for whoever is ready"
    LOCK = "waits for another thread"
    KEY = "waits for a key"
    SLEEP = "sleeps"
    RUNS = "runs"
    WAITS = "waits for its answer"
    RESTS = "does nothing"


LOOKS = {
    "accept": Look.ACCEPT,
    "connect": Look.SEND,
    **dict.fromkeys(("recv", "recv_into", "recvfrom", "recvmsg"), Look.RECEIVE),
    **dict.fromkeys(("read", "readline"), Look.KEY),
    **dict.fromkeys(("send", "sendall", "sendmsg"), Look.SEND),
    **dict.fromkeys(("select", "poll", "epoll", "kqueue"), Look.READY),
    **dict.fromkeys(("lock", "join", "wait", "waitpid"), Look.LOCK),
    **dict.fromkeys(("sleep", "pause", "sigwait"), Look.SLEEP),
}
SIGNS = {
    "connect": "○",
    "send": "▶",
    "receive": "◀",
    "half-close": "┤",
    "close": "✕",
    "reset": "✕",
    "end seen": "◁",
    "reset seen": "✕",
    "refused": "✕",
}
ELSEWHERE = (Look.RECEIVE, Look.SEND, Look.LOCK, Look.SLEEP, Look.RUNS)  # where a thread is not for everybody
GONE = ("close", "reset", "end seen", "reset seen")
NOWHERE: tuple[Look, str, tuple[str, ...]] = (Look.RUNS, "", ())
NO_REST = ("has its answer", "")
GIVES_UP, FAILS = "gives up", "✗"


@dataclass(frozen=True)
class Bar:
    """From `began` to `ended` (seconds) somebody did one thing; `who` it was about."""

    began: float
    ended: float
    look: Look
    label: str = ""
    who: tuple[str, ...] = ()

    @property
    def length(self) -> float:
        """How many seconds it took."""
        return self.ended - self.began

    def shared_with(self, other: "Bar") -> float:
        """Return how many seconds of it are of another bar, too."""
        return max(0.0, min(self.ended, other.ended) - max(self.began, other.began))


@dataclass(frozen=True)
class Mark:
    """A moment at which a client did or got something."""

    seconds: float
    sign: str


@dataclass(frozen=True)
class Lane:
    """One thread of the program, or one client."""

    name: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...] = ()
    hears: frozenset[str] = frozenset()  # of a thread: whose bytes it receives
    is_client: bool = False
    types: bool = False  # whether it is a user, who uses the keyboard


@dataclass(frozen=True)
class Timeline:
    """Everything that is drawn, and what it comes to in sentences."""

    program: str
    seconds: float
    lanes: tuple[Lane, ...]
    sentences: tuple[str, ...]


def timeline(traced: dict[str, Any]) -> Timeline:
    """Return the time line of what harness.trace has seen."""
    total = traced["seconds"]
    threads = _threads(traced["calls"], total)
    of_client = traced["kind"] == CLIENT  # those who talk to it are a server and a user, who do not wait
    clients = [_client(name, rows, total, not of_client) for name, rows in _by_client(traced["transcript"]).items()]
    lanes = (*list(threads.values())[:MOST_LANES], *clients)
    said = _of_a_client(traced["calls"], clients) if of_client else _sentences(list(threads.values()), clients)
    told = [*said, *_faults(traced["transcript"])]
    return Timeline(traced["program"], total, lanes, tuple(told))


# Threads


def _threads(calls: Sequence[Row], total: float) -> dict[str, Lane]:
    """Return the lanes of those threads that did anything, by their ids, in the order of their beginning."""
    names = thread_names(calls)
    return {
        thread: Lane(names[thread], tuple(_bars(rows, total, names)), hears=_heard(rows))
        for thread, rows in _by_thread(calls).items()
        if _is_of_interest(thread, rows) and rows[0]["began"] < total
    }


def _is_of_interest(thread: str, rows: Sequence[Row]) -> bool:
    """Whether a thread is the first one, or had to do with sockets: a language's own helpers have not."""
    if all(row["name"] in NO_CALLS for row in rows):
        return False
    return thread.endswith(".0") or any(row["who"] and LOOKS.get(row["name"]) is not Look.LOCK for row in rows)


def _by_thread(calls: Sequence[Row]) -> dict[str, list[Row]]:
    by_thread: dict[str, list[Row]] = {}
    for row in calls:
        by_thread.setdefault(row["thread"], []).append(row)
    return by_thread


def _heard(rows: Sequence[Row]) -> frozenset[str]:
    return frozenset(who for row in rows if LOOKS.get(row["name"]) is Look.RECEIVE for who in row["who"])


def thread_names(calls: Sequence[Row]) -> dict[str, str]:
    """Call a thread by the client whose bytes it waits for, the first one by what it is."""
    by_thread = _by_thread(calls)
    processes = list(dict.fromkeys(thread.partition(".")[0] for thread in by_thread))
    names: dict[str, str] = {}
    for thread, rows in by_thread.items():
        process, _, number = thread.partition(".")
        whom = _heard(rows)
        own = f"thread of {next(iter(whom))}" if len(whom) == 1 else f"thread {number}"
        if number == "0":
            main = "main thread" if len(processes) == 1 else f"process {processes.index(process) + 1}"
            names[thread] = own.replace("thread", "process") if process != processes[0] and len(whom) == 1 else main
        else:
            names[thread] = own
    return names


def _bars(rows: Sequence[Row], total: float, names: dict[str, str]) -> list[Bar]:
    """Return a bar for each call that took its time, and for what lies between."""
    begun = max(0.0, rows[0]["began"])
    over = next((row["began"] for row in rows if row["name"] == "end"), total)
    bars: list[Bar] = []
    at = begun
    for row in rows:
        look, start = LOOKS.get(row["name"]), max(at, row["began"])
        end = min(total, over, total if row["ended"] is None else row["ended"])
        if look is None or not row["waits"] or end - start < FINEST * total:
            continue
        if start - at > 0:
            bars.append(Bar(at, start, Look.RUNS))
        bars.append(Bar(start, end, look, _label(row, look, names), tuple(row["who"])))
        at = end
    if min(over, total) > at:
        bars.append(Bar(at, min(over, total), Look.RUNS))
    return bars


def _label(row: Row, look: Look, names: dict[str, str]) -> str:
    if row["name"] == "lock":
        return "lock" + "".join(f" of {names[who]}" for who in row["who"] if who in names)
    if look in (Look.RECEIVE, Look.SEND):
        return " ".join((row["name"], *row["who"]))
    if look is Look.READY and " of " in row["note"]:
        return f"{row['name']}: {row['note'].split()[2]} watched"
    return str(row["name"])


# Clients


def _by_client(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {
        name: list(group)
        for name, group in groupby(sorted(rows, key=lambda row: row["who"]), lambda row: str(row["who"]))
    }


def _client(name: str, rows: Sequence[Row], total: float, asks: bool) -> Lane:
    """Return the lane of a client: it waits from what it asks to its answer, and says when it does nothing."""
    bars, since, look, label = [], 0.0, None, ""
    for row in [*rows, {"kind": "act", "note": "", "seconds": total}]:
        said = row["kind"] == "act"
        if look and (look is Look.RESTS or said or row["kind"] in GONE):
            bars.append(Bar(since, row["seconds"], look, label))
            look = None
        if said and row["note"] not in NO_REST and not row["note"].startswith(GIVES_UP):
            since, look, label = row["seconds"], Look.RESTS, row["note"]
        elif row["kind"] == "send" and look is None and not row["note"] and asks:
            since, look, label = row["seconds"], Look.WAITS, "waits"
    marks = [Mark(row["seconds"], SIGNS[row["kind"]]) for row in rows if row["kind"] in SIGNS]
    marks += [Mark(row["seconds"], FAILS) for row in rows if row["note"].startswith(GIVES_UP)]
    types = any(row["note"] == "types" for row in rows)
    return Lane(name, tuple(bars), tuple(marks), is_client=True, types=types)


def _faults(rows: Sequence[Row]) -> list[str]:
    """Return what clients said who gave up."""
    return [f"{row['who']} {row['note']}." for row in rows if row["note"].startswith(GIVES_UP)]


# Sentences


def _sentences(threads: Sequence[Lane], clients: Sequence[Lane]) -> list[str]:
    """Say for whom each client had to wait."""
    told = []
    for client in clients:
        for bar in client.bars:
            if bar.look is Look.WAITS and bar.length >= WORTH_A_WORD:
                why = _why(client.name, bar, threads)
                told.append(f"{client.name} waited {in_words(bar.length)} for an answer{why}.")
    if told or not clients:
        return told
    return ["No client had to wait because of another one."]


def _of_a_client(calls: Sequence[Row], others: Sequence[Lane]) -> list[str]:
    """Say whether a thread waited for the server whenever that sent something."""
    waits = [
        (row["began"] - SOON, SOON + (math.inf if row["ended"] is None else row["ended"]))
        for row in calls
        if LOOKS.get(row["name"]) in (Look.RECEIVE, Look.READY)
    ]
    sent = [mark.seconds for lane in others for mark in lane.marks if mark.sign == SIGNS["send"] and not lane.types]
    missed = sum(not any(began <= moment <= ended for began, ended in waits) for moment in sent)
    if missed:
        return [f"The server sent something {len(sent)} times, and {missed} of these times no thread waited for it."]
    return ["Whenever the server sent something, a thread was waiting for it, whatever the user did."]


def _why(client: str, waited: Bar, threads: Sequence[Lane]) -> str:
    """Say where the thread was that should have served a client; "" if it was nowhere for long."""
    concerned = [lane for lane in threads if client in lane.hears or lane is threads[0]]
    spent: dict[tuple[Lane, Look, str, tuple[str, ...]], float] = {}  # seconds
    for lane in concerned:
        for bar in lane.bars:
            if bar.look in ELSEWHERE and client not in bar.who:
                place = lane, bar.look, bar.label, bar.who
                spent[place] = spent.get(place, 0.0) + bar.shared_with(waited)
    (lane, look, label, who), longest = max(spent.items(), key=lambda one: one[1], default=((threads[0], *NOWHERE), 0))
    if longest < waited.length / 2:
        return ""
    if look is not Look.LOCK:
        return f": {_the(lane)} {_is_in(look, label, who)}"
    holder = next((other for other in threads if label.endswith(f" of {other.name}")), None)
    there = max(holder.bars, key=waited.shared_with) if holder else None
    if holder is None or there is None:
        return f": {_the(lane)} {_is_in(look, label, who)}"
    what = _is_in(there.look, there.label, there.who)
    return f": {_the(lane)} waited for a lock that {_the(holder)} held, which {what}"


def _the(lane: Lane) -> str:
    return lane.name if lane.name[-1].isdigit() else f"the {lane.name}"


def _is_in(look: Look, label: str, who: tuple[str, ...]) -> str:
    if look is Look.RUNS:
        return "ran all the while"
    return f"was in {label.split()[0]}()" + f" for {', '.join(who)}" * bool(who)
