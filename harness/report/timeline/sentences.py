"""What a time line comes to: for whom each client had to wait, and where."""

import math
from collections.abc import Sequence

from harness.report.timeline.lanes import LOOKS, SIGNS, Bar, Lane, Look, Row
from harness.units import seconds as in_words

WORTH_A_WORD = 0.1  # seconds that a client waits
SOON = 0.05  # seconds
LONG, NEARLY_ALL = 0.3, 0.95  # seconds of a thread's life, and the part of it in which it runs, if it spins
ELSEWHERE = (Look.RECEIVE, Look.SEND, Look.LOCK, Look.SLEEP, Look.RUNS)  # where a thread is not for everybody
NOWHERE: tuple[Look, str, tuple[str, ...]] = (Look.RUNS, "", ())


def of_a_server(threads: Sequence[Lane], clients: Sequence[Lane]) -> list[str]:
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


def spins(lane: Lane) -> bool:
    """Whether a thread ran nearly all the time, and so hardly waited."""
    life = sum(bar.length for bar in lane.bars)
    return life >= LONG and sum(bar.length for bar in lane.bars if bar.look is Look.RUNS) >= NEARLY_ALL * life


def of_a_spin(lane: Lane) -> str:
    """Say that a thread hardly ever waited."""
    return f"{_the(lane)} hardly ever waited: it asked again and again, or computed.".capitalize()


def of_a_client(calls: Sequence[Row], others: Sequence[Lane]) -> list[str]:
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
