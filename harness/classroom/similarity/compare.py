"""Comparing a class: every work with every other, what was handed out left away."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from statistics import median_low
from typing import NamedTuple

from harness.classroom.similarity.handed_out import HandedOut
from harness.classroom.similarity.lexer import LANGUAGES
from harness.classroom.similarity.noise import Noise, few_of, noise_of, rare_of, weights
from harness.classroom.similarity.passages import Passage, passages
from harness.classroom.similarity.winnow import GRAM, Run, fingerprints
from harness.classroom.similarity.works import Reader, Source, Work

LONG = 40  # symbols of a passage for which a pair is told alone, if few others have it
TOP = 50  # pairs that are told, unless others are asked for
MOST_LOOKED_AT = 300  # pairs that are not alike as a whole, in which a long passage is looked for

TAGS = {language: bytes([number]) for number, language in enumerate(LANGUAGES)}  # of the fingerprints of a language


@dataclass(frozen=True)
class Part:
    """A file of a work, and what of it is the author's own."""

    source: Source
    own: tuple[Run, ...]


@dataclass(frozen=True)
class Taken:
    """A work that was taken apart."""

    work: Work
    parts: tuple[Part, ...]
    prints: frozenset[bytes]
    notes: tuple[str, ...]
    is_reference: bool = False

    @property
    def own(self) -> int:
        """How many symbols of it are the author's own."""
        return sum(stop - start for part in self.parts for start, stop in part.own)


@dataclass(frozen=True)
class Shared:
    """A passage that two works share, and how many works besides have most of it, as far as fingerprints tell."""

    passage: Passage
    rare: int  # symbols of it that stand in a rare fingerprint
    others: int
    is_common: bool  # whether more than a few have it


@dataclass(frozen=True)
class Pair:
    """Two works (by their numbers) and what they share of what is their own.

    A fingerprint counts the less the more of the class have it. `score` is what both have, of what either has (a
    weighted Jaccard index, from 0 to 1); `of_first` and `of_second` are what both have, of what the one has. A
    reference has more than any hand-in needs, so that its score is `of_first`, the part of the hand-in that stands
    in it.
    """

    first: int
    second: int
    score: float
    of_first: float
    of_second: float
    passages: tuple[Shared, ...]
    is_alike: bool  # as a whole; if not, it is told for a long passage that few others have


@dataclass(frozen=True)
class Comparison:
    """What was compared, and the pairs that stand out: those that are alike as a whole, and those with a passage."""

    works: tuple[Taken, ...]
    noise: Noise
    of_references: Noise | None  # for the pairs of a hand-in and a reference, None without references
    pairs: tuple[Pair, ...]  # those alike as a whole first, the most alike of them first
    left_out: int  # further pairs that are alike as a whole, but less than all these
    clusters: tuple[tuple[int, ...], ...]


def compare(
    works: Sequence[Work],
    handed_out: HandedOut,
    references: Iterable[Work] = (),
    threshold: float | None = None,
    top: int = TOP,
    on_work: Callable[[str], None] = lambda name: None,
) -> Comparison:
    """Compare all works, and each with the `references`; find out which pairs stand out.

    A pair stands out from a score on that is found from all pairs of the works, or from `threshold` on; `top` of them
    are compared passage by passage. `on_work` is called with the name of each work before it is read.
    """
    reader, taken = Reader(), []
    for work, is_reference in [*((one, False) for one in works), *((one, True) for one in references)]:
        on_work(work.name)
        taken.append(_taken(work, reader, handed_out, is_reference))
    ruler = _Ruler(taken)
    measures = ruler.measure()
    among = [one for one in measures if not taken[one.second].is_reference]
    leaked = [one for one in measures if taken[one.second].is_reference]
    noise = noise_of([one.score for one in among], [one.rare for one in among], ruler.hand_ins, threshold)
    of_references = noise_of([one.score for one in leaked], [], ruler.hand_ins, threshold) if leaked else None
    alike = ruler.alike(among, noise) + (ruler.alike(leaked, of_references) if of_references else [])
    pairs = [ruler.pair(one, is_alike=True) for one in alike[:top]]
    pairs += islice(ruler.with_long_passages(among, noise), top - len(pairs))
    clusters = _clusters(pair for pair in pairs if not taken[pair.second].is_reference)
    return Comparison(tuple(taken), noise, of_references, tuple(pairs), max(0, len(alike) - top), clusters)


def _taken(work: Work, reader: Reader, handed_out: HandedOut, is_reference: bool) -> Taken:
    sources, notes = reader.read(work)
    parts = tuple(Part(source, tuple(handed_out.own(source.tokens))) for source in sources)
    prints = frozenset(
        TAGS[part.source.tokens.language] + one
        for part in parts
        for run in part.own
        for _, one in fingerprints(part.source.tokens.symbols, run)
    )
    return Taken(work, parts, prints, tuple(notes), is_reference)


class _Measure(NamedTuple):
    """How much two works have in common; sums of weights are integers."""

    first: int
    second: int
    common: int
    score: float
    rare: int


class _Ruler:
    """Measures pairs of works."""

    def __init__(self, works: Sequence[Taken]) -> None:
        self.works = works
        hand_ins = [work for work in works if work.prints and not work.is_reference]
        self.hand_ins = len(hand_ins)
        self.holders = Counter(one for work in hand_ins for one in work.prints)
        for work in works:
            self.holders.update({one: 1 for one in work.prints if one not in self.holders})  # those of references alone
        self.weights = weights(self.holders, self.hand_ins)
        rare = rare_of(self.hand_ins)
        self.counted = [frozenset(one for one in work.prints if self.weights[one]) for work in works]
        self.rare = [frozenset(one for one in work.prints if self.holders[one] <= rare) for work in works]
        self.totals = [sum(map(self.weights.__getitem__, prints)) for prints in self.counted]

    def measure(self) -> list[_Measure]:
        """Measure all pairs that could have something in common, but for those of two references."""
        languages = [{one[:1] for one in prints} for prints in self.counted]
        return [
            self._between(first, second)
            for first, second in combinations(range(len(self.works)), 2)
            if not self.works[first].is_reference and languages[first] & languages[second]
        ]

    def _between(self, first: int, second: int) -> _Measure:
        common = sum(map(self.weights.__getitem__, self.counted[first] & self.counted[second]))
        either = self.totals[first]
        if not self.works[second].is_reference:
            either += self.totals[second] - common
        return _Measure(first, second, common, common / either, len(self.rare[first] & self.rare[second]))

    def alike(self, measures: Iterable[_Measure], noise: Noise) -> list[_Measure]:
        """Return the pairs that are alike as a whole, the most alike first."""
        found = [one for one in measures if noise.is_exceeded(one.score, one.common)]
        return sorted(found, key=lambda one: (-one.score, one.first, one.second))

    def with_long_passages(self, measures: Iterable[_Measure], noise: Noise) -> Iterator[Pair]:
        """Yield the pairs that are not, but share a long passage which is rare; those with the most of it first."""
        if noise.rare_threshold is None:
            return
        found = [
            one for one in measures if one.rare >= noise.rare_threshold and not noise.is_exceeded(one.score, one.common)
        ]
        for one in sorted(found, key=lambda one: (-one.rare, one.first, one.second))[:MOST_LOOKED_AT]:
            pair = self.pair(one, is_alike=False)
            if any(shared.rare >= LONG for shared in pair.passages):
                yield pair

    def pair(self, one: _Measure, is_alike: bool) -> Pair:
        """Compare two works passage by passage."""
        found = passages(*([_symbols(part) for part in self.works[number].parts] for number in one[:2]))
        return Pair(
            one.first,
            one.second,
            one.score,
            one.common / self.totals[one.first],
            one.common / self.totals[one.second],
            tuple(self._shared(one, passage) for passage in found),
            is_alike,
        )

    def _shared(self, pair: _Measure, passage: Passage) -> Shared:
        tokens = self.works[pair.first].parts[passage.first_file].source.tokens
        tag, rare, holders = TAGS[tokens.language], bytearray(passage.length), []
        for at in range(passage.length - GRAM + 1):
            begin = passage.first + at
            gram = tag + tokens.symbols[begin : begin + GRAM]
            if gram in self.works[pair.first].prints and gram in self.works[pair.second].prints:
                holders.append(self.holders[gram])
            if gram in self.rare[pair.first]:
                rare[at : at + GRAM] = b"\1" * GRAM
        usual = median_low(holders) if holders else 0
        of_the_class = 1 if self.works[pair.second].is_reference else 2
        return Shared(passage, sum(rare), max(0, usual - of_the_class), usual > few_of(self.hand_ins))


def _symbols(part: Part) -> tuple[str, bytes, tuple[Run, ...]]:
    tokens = part.source.tokens
    return tokens.language, tokens.symbols, part.own


def _clusters(pairs: Iterable[Pair]) -> tuple[tuple[int, ...], ...]:
    """Return the groups of three and more works that hang together by pairs."""
    group_of: dict[int, set[int]] = {}
    for pair in pairs:
        both = group_of.get(pair.first, {pair.first}) | group_of.get(pair.second, {pair.second})
        group_of.update(dict.fromkeys(both, both))
    groups = {tuple(sorted(group)) for group in group_of.values() if len(group) > 2}
    return tuple(sorted(groups, key=lambda group: (-len(group), group)))
