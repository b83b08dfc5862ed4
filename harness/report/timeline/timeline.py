"""How a time line is made of the calls that a program made, and of what others did meanwhile."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from harness.report.timeline.lanes import LOOKS, NO_CALLS, SIGNS, Bar, Lane, Look, Mark, Row, Timeline
from harness.report.timeline.sentences import of_a_client, of_a_server, of_a_spin, spins

FINEST = 1 / 250  # of the whole time: what is shorter is no waiting
CLIENT = "client"
MOST_LANES = 16  # threads that are drawn
GONE = ("close", "reset", "end seen", "reset seen")
NO_REST = ("has its answer", "")
GIVES_UP, FAILS = "gives up", "✗"


def timeline(traced: dict[str, Any]) -> Timeline:
    """Return the time line of what harness.trace has seen."""
    total = traced["seconds"]
    threads = _threads(traced["calls"], total)
    of_client = traced["kind"] == CLIENT  # those who talk to it are a server and a user, who do not wait
    clients = [_client(name, rows, total, not of_client) for name, rows in _by_client(traced["transcript"]).items()]
    lanes = (*list(threads.values())[:MOST_LANES], *clients)
    said = of_a_client(traced["calls"], clients) if of_client else of_a_server(list(threads.values()), clients)
    faults = [f"The program ended: {traced['end']}."] * bool(traced["end"]) + _given_up(traced["transcript"])
    said += [of_a_spin(lane) for lane in threads.values() if spins(lane)]
    return Timeline(traced["program"], total, lanes, tuple(said), tuple(faults))


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


def _given_up(rows: Sequence[Row]) -> list[str]:
    """Return what clients said who gave up."""
    return [f"{row['who']} {row['note']}." for row in rows if row["note"].startswith(GIVES_UP)]
