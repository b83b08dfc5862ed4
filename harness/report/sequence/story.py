"""What a sequence diagram tells: who takes part, and the steps from the top to the bottom."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from harness.units import number, seconds

Row = dict[str, Any]  # of a transcript, as in results.json

TESTED = ("server", "client")  # what is no peer: the program under test
USER, HOST = "user", "host"  # who speaks with a client under test
MOST_PEERS = 4  # more than that share a line, each step with its name
OTHERS = "others"
MOST_ALIKE = 6  # steps in a row of the same kind; of more, only the ends are drawn
ENDS = 2
MOST_STEPS, BEGINNING = 48, 8  # of a longer story the beginning and the end are drawn
GAP = 0.25  # seconds in which nothing happens that are worth a word (to see how a program ended takes 0.1)


class Look(StrEnum):
    """How a step is drawn."""

    CONNECT = "connect"
    REFUSED = "refused"
    DATA = "data"
    FIN = "fin"
    RST = "rst"
    NOTE = "note"
    MORE = "more"  # several like the one before
    SKIPPED = "skipped"
    GAP = "gap"
    FAILED = "failed"


@dataclass(frozen=True)
class Step:
    """One step: an arrow from one participant (by its place) to another, or something at one place."""

    look: Look
    start: int = 0
    end: int = 0
    words: str = ""
    name: str = ""  # whose step it is, on a line that several share
    data: str = ""  # bytes, as Python writes them
    seconds: float | None = None  # after the beginning
    wrong: bool = False  # whether this is what should not have come
    leaves: bool = False  # whether the peer's connection is over with it


@dataclass(frozen=True)
class Participant:
    """A line of the diagram: its name, and who that is."""

    name: str
    is_who: str
    tested: bool = False


@dataclass(frozen=True)
class Failure:
    """Where a check failed: what is wrong, what was due, what came, and how long after the beginning."""

    message: str
    expected: str = ""
    received: str = ""
    difference: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Story:
    """A transcript as it is drawn; a failure is its last step."""

    participants: tuple[Participant, ...]
    steps: tuple[Step, ...]
    failure: Failure | None = None


ARROWS = {  # kind of an event: its look, whether it goes to the program under test, what it is called
    "connect": (Look.CONNECT, True, "connects"),
    "send": (Look.DATA, True, ""),
    "receive": (Look.DATA, False, ""),
    "half-close": (Look.FIN, True, "FIN: sends no more"),
    "close": (Look.FIN, True, "closes its socket"),
    "reset": (Look.RST, True, "RST: ends the connection at once"),
    "end seen": (Look.FIN, False, "FIN: the end of the stream"),
    "reset seen": (Look.RST, False, "RST: the connection is gone"),
    "refused": (Look.REFUSED, True, "is refused"),
}
LEAVING = ("close", "reset", "reset seen", "refused")
INCOMING = ("receive", "end seen", "reset seen")
OF_A_USER = {"send": "typed", "receive": "shown", "half-close": "the end of the input (Ctrl-D)"}
WHO = {"server": "under test", "client": "under test", USER: "types and reads", HOST: "the check, as the server"}


def story_of(verdict: dict[str, Any]) -> Story:
    """Return the story of a check that failed (as in results.json)."""
    return story(verdict["transcript"], verdict.get("role", "server"), failure_of(verdict))


def failure_of(verdict: dict[str, Any]) -> Failure:
    """Return where a check failed (as in results.json)."""
    return Failure(
        verdict["message"],
        verdict["expected"],
        verdict["received"],
        verdict["difference"],
        verdict.get("failed_after"),
    )


def story(rows: Sequence[Row], tested: str = "server", failure: Failure | None = None) -> Story:
    """Return what the diagram of a transcript (rows as in results.json) tells."""
    peers = peers_of(rows)
    blamed = named_by(failure, peers) if failure else ""
    own = sorted(_with_lines_of_their_own(rows, peers, blamed), key=lambda name: name != USER)
    names = [*[OTHERS] * (len(own) < len(peers)), *own]  # these have most to say, and most room on the left
    names.insert(names.index(HOST) if HOST in names else len(names), tested)
    places = {name: names.index(name if name in names else OTHERS) for name in (*peers, *names)}
    places |= dict.fromkeys(TESTED, places[tested])
    teller = _Teller(places, places[tested], OTHERS in names)
    steps = [*_with_gaps(teller.steps(rows, _wrong_row(rows, blamed, failure)), failure)]
    if failure:
        steps.append(teller.failed(failure, blamed or tested))
    return Story(tuple(_participant(name, tested) for name in names), tuple(steps), failure)


def peers_of(rows: Sequence[Row]) -> list[str]:
    """Return the names of those who talk to the program under test, in the order in which they appear."""
    return list(dict.fromkeys(row["who"] for row in rows if row["who"] not in TESTED))


def size(row: Row) -> str:
    """Say how many bytes a row is about, "" if it is about none."""
    return "" if not row["bytes"] else "(1 byte)" if row["bytes"] == 1 else f"({row['bytes']} bytes)"


def without_repetitions(rows: Sequence[Row]) -> Iterator[Row | list[Row]]:
    """Yield the rows; of many of the same kind in a row the ends alone, and between them a list of the others."""
    for _, group in groupby(rows, lambda row: (row["who"], row["kind"], row["kind"] == "act" and row["note"])):
        alike = list(group)
        if len(alike) <= MOST_ALIKE:
            yield from alike
            continue
        yield from alike[:ENDS]
        yield alike[ENDS:-ENDS]
        yield from alike[-ENDS:]


def more_like_this(rows: Sequence[Row]) -> str:
    """Say how many rows are left out, and about how many bytes they are."""
    count = sum(row["bytes"] for row in rows)
    return f"{len(rows)} more like this" + (f", together {number(count)} bytes" if count else "")


def timed_out(rows: Sequence[Row], failure: Failure) -> bool:
    """Whether a check failed because something did not come in time."""
    return failure.seconds is not None and failure.seconds - rows[-1]["seconds"] >= GAP


def is_due(failure: Failure) -> bool:
    """Whether something was due and nothing came."""
    return bool(failure.expected) and failure.received in ("", "nothing")


def _participant(name: str, tested: str) -> Participant:
    if name == tested:
        return Participant(f"the {name}", WHO[name], True)
    return Participant(name, WHO.get(name, "clients" if name == OTHERS else "a client"))


def named_by(failure: Failure, peers: Sequence[str]) -> str:
    """Return the peer that the sentence about a failure names first, "" if it names none."""
    words = re.findall(r"\w+", failure.message)
    return next((word for word in words if word in peers), "")


def _with_lines_of_their_own(rows: Sequence[Row], peers: list[str], blamed: str) -> list[str]:
    if len(peers) <= MOST_PEERS:
        return peers
    latest = dict.fromkeys([blamed] * bool(blamed) + [row["who"] for row in reversed(rows) if row["who"] in peers])
    kept = list(latest)[: MOST_PEERS - 1]
    return [name for name in peers if name in kept]


def _wrong_row(rows: Sequence[Row], blamed: str, failure: Failure | None) -> Row | None:
    """Return the row that brought what should not have come, if something did come and not just too little of it."""
    if not failure or not blamed or timed_out(rows, failure):
        return None
    last = next(row for row in reversed(rows) if row["who"] == blamed)
    came = last["kind"] != "receive" or not is_due(failure)
    return last if last["kind"] in INCOMING and came else None


def _with_gaps(steps: Sequence[Step], failure: Failure | None) -> Iterator[Step]:
    """Yield the steps and, between them, how long nothing happened."""
    before: float | None = None
    ending = [Step(Look.FAILED, seconds=failure.seconds)] if failure else []
    for step in [*steps, *ending]:
        if step.seconds is not None:
            if before is not None and step.seconds - before >= GAP:
                yield Step(Look.GAP, words=f"nothing for {seconds(step.seconds - before)}")
            before = step.seconds
        elif step.look is Look.SKIPPED:
            before = None
        if step.look is not Look.FAILED:
            yield step


@dataclass(frozen=True)
class _Teller:
    """Turns rows into steps, knowing the place of everyone."""

    places: dict[str, int]
    tested: int
    some_share: bool

    def steps(self, rows: Sequence[Row], wrong: Row | None) -> list[Step]:
        told = [
            self._more(one) if isinstance(one, list) else self._step(one, one is wrong)
            for one in without_repetitions(rows)
        ]
        if len(told) <= MOST_STEPS:
            return told
        left_out = len(told) - MOST_STEPS
        skipped = Step(Look.SKIPPED, words=f"{left_out} steps are left out here")
        return [*told[:BEGINNING], skipped, *told[BEGINNING + left_out :]]

    def _step(self, row: Row, wrong: bool) -> Step:
        if row["kind"] == "act" or row["who"] in TESTED:
            place = self.places[row["who"]]
            return Step(Look.NOTE, place, place, row["note"] or row["kind"], seconds=row["seconds"])
        look, there, words = ARROWS[row["kind"]]
        if row["who"] == USER:
            words = OF_A_USER.get(row["kind"], words)
        start, end = self._ends(row, there)
        return Step(
            look,
            start,
            end,
            " ".join(filter(None, (words, size(row), row["note"]))),
            row["who"] if self.some_share and self.places[row["who"]] == self.places[OTHERS] else "",
            row["data"] if row["bytes"] else "",
            row["seconds"],
            wrong,
            row["kind"] in LEAVING,
        )

    def _ends(self, row: Row, there: bool) -> tuple[int, int]:
        place = self.places[row["who"]]
        return (place, self.tested) if there else (self.tested, place)

    def _more(self, rows: Sequence[Row]) -> Step:
        if rows[0]["kind"] == "act" or rows[0]["who"] in TESTED:
            start = end = self.places[rows[0]["who"]]
        else:
            start, end = self._ends(rows[0], there=ARROWS[rows[0]["kind"]][1])
        return Step(Look.MORE, start, end, more_like_this(rows), seconds=rows[-1]["seconds"])

    def failed(self, failure: Failure, who: str) -> Step:
        """Return the failing point: an arrow that was due, or the place where something wrong was seen."""
        place = self.places[who]
        due = is_due(failure)
        start = self.tested if due else place
        return Step(Look.FAILED, start, place, failure.expected if due else "", seconds=failure.seconds)
