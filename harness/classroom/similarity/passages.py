"""Which passages two hand-ins share, each token in one of them at most, the longest first.

That is the aim of greedy string tiling (Wise: "YAP3", SIGCSE 1996), begun where grams agree and bounded.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.classroom.similarity.winnow import GRAM, GUARANTEED, Run

MOST_PLACES = 20  # of one gram that are tried
MOST_STEPS = 2_000_000  # symbols that are compared for one pair; what repeats itself for ever would need more

Symbols = Sequence[tuple[str, bytes, Sequence[Run]]]  # of each file: its language, its symbols, and what of them is own


@dataclass(frozen=True, order=True)
class Passage:
    """The same symbols in two hand-ins: the numbers of the files, where it begins in them, and how long it is."""

    first_file: int
    first: int  # the first symbol in that file
    second_file: int
    second: int
    length: int  # symbols


def passages(one: Symbols, other: Symbols) -> list[Passage]:
    """Return the passages of GUARANTEED symbols or more, in the order in which they stand in `one`."""
    free = [[_free(symbols, runs) for _, symbols, runs in work] for work in (one, other)]
    heap = [(-match.length, match) for match in _matches(one, other)]
    heapq.heapify(heap)
    taken = []
    while heap:
        match = heapq.heappop(heap)[1]
        rests = list(_still_free(match, free[0][match.first_file], free[1][match.second_file]))
        if rests == [match]:
            taken.append(match)
            for marks, begin in ((free[0][match.first_file], match.first), (free[1][match.second_file], match.second)):
                marks[begin : begin + match.length] = bytes(match.length)
        else:
            for rest in rests:
                heapq.heappush(heap, (-rest.length, rest))
    return sorted(taken)


def _free(symbols: bytes, runs: Sequence[Run]) -> bytearray:
    marks = bytearray(len(symbols))
    for start, stop in runs:
        marks[start:stop] = b"\1" * (stop - start)
    return marks


def _still_free(match: Passage, first: bytearray, second: bytearray) -> Iterator[Passage]:
    """Yield the parts of a match of which nothing is taken in either file, and that are long enough."""
    ones = first[match.first : match.first + match.length]
    others = second[match.second : match.second + match.length]
    both = int.from_bytes(ones, "big") & int.from_bytes(others, "big")
    place = 0
    for part in both.to_bytes(match.length, "big").split(b"\0"):
        if len(part) >= GUARANTEED:
            yield replace(match, first=match.first + place, second=match.second + place, length=len(part))
        place += len(part) + 1


def _matches(one: Symbols, other: Symbols) -> Iterator[Passage]:
    """Yield all matches that cannot be made longer, until MOST_STEPS are taken."""
    places: dict[tuple[str, bytes], list[tuple[int, int, int]]] = defaultdict(list)
    for file, (language, symbols, runs) in enumerate(other):
        for start, stop in runs:
            for at in range(start, stop - GRAM + 1):
                known = places[language, symbols[at : at + GRAM]]
                if len(known) < MOST_PLACES:
                    known.append((file, at, stop))
    steps = 0
    for file, (language, symbols, runs) in enumerate(one):
        done: dict[tuple[int, int], int] = {}  # up to where a diagonal was followed
        for start, stop in runs:
            for at in range(start, stop - GRAM + 1):
                for second_file, second, second_stop in places.get((language, symbols[at : at + GRAM]), ()):
                    diagonal = (second_file, second - at)
                    if done.get(diagonal, -1) > at:
                        continue
                    length = _common(symbols, at, stop, other[second_file][1], second, second_stop)
                    done[diagonal] = at + length
                    steps += length
                    if length >= GUARANTEED:
                        yield Passage(file, at, second_file, second, length)
                    if steps > MOST_STEPS:
                        return


def _common(one: bytes, start: int, stop: int, other: bytes, second: int, second_stop: int) -> int:
    """Return how many symbols are the same from there on."""
    most = min(stop - start, second_stop - second)
    if one[start : start + most] == other[second : second + most]:
        return most
    return next(at for at in range(GRAM, most) if one[start + at] != other[second + at])
