"""Every way to cut the same bytes into segments, and the simplest of those that fail."""

import random
from collections.abc import Callable, Iterator, Sequence

Chunks = list[int]  # sizes, in bytes, of the segments that the same bytes are sent in
MOST_REPEATED = 50  # ways in a row that were there before, after which there seem to be no others


def cut(data: bytes, chunks: Sequence[int]) -> list[bytes]:
    """Cut `data` into pieces of the given sizes."""
    if sum(chunks) != len(data) or min(chunks, default=1) < 1:
        raise ValueError(f"chunks {chunks} do not add up to {len(data)} bytes")
    pieces, start = [], 0
    for size in chunks:
        pieces.append(data[start : start + size])
        start += size
    return pieces


def segmentations(length: int, seed: int, number: int) -> Iterator[Chunks]:
    """Yield `number` ways to cut `length` bytes (2 or more): whole, byte by byte, then random ones.

    All are different; a few bytes may have fewer ways than that.
    """
    chance = random.Random(seed)
    ways = {(length,), (1,) * length}
    yield [length]
    yield [1] * length
    for _ in range(number - 2):
        for _ in range(MOST_REPEATED):
            cuts = sorted(chance.sample(range(1, length), chance.randint(1, min(length - 1, 8))))
            way = tuple(stop - start for start, stop in zip([0, *cuts], [*cuts, length], strict=True))
            if way not in ways:
                ways.add(way)
                yield list(way)
                break


def shrink(chunks: Chunks, fails: Callable[[Chunks], bool], tries: int = 60) -> Chunks:
    """Return the simplest way to cut, found in at most `tries` tries, that still fails.

    Fewer segments are simpler. Neighbours are joined as long as the result fails: first many at a time
    (as in delta debugging, Zeller and Hildebrandt 2002), then two by two.
    """
    span = len(chunks)
    while span > 1:
        before, start = len(chunks), 0
        while start + 1 < len(chunks) and tries > 0:
            joined = [*chunks[:start], sum(chunks[start : start + span]), *chunks[start + span :]]
            tries -= 1
            if fails(joined):
                chunks = joined
            else:
                start += 1 if span == 2 else span
        if span > 2:
            span = max(2, span // 2)
        elif len(chunks) == before or tries == 0:  # a join may let an earlier one fail, too
            break
    return chunks
