"""Every way to cut the same bytes into segments, and the simplest of those that fail."""

import random
from collections.abc import Callable, Iterator, Sequence

Chunks = list[int]  # sizes, in bytes, of the segments that the same bytes are sent in


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
    """Yield `number` ways to cut `length` bytes (2 or more): whole, byte by byte, then random ones."""
    chance = random.Random(seed)
    yield [length]
    yield [1] * length
    for _ in range(number - 2):
        cuts = sorted(chance.sample(range(1, length), chance.randint(1, min(length - 1, 8))))
        yield [stop - start for start, stop in zip([0, *cuts], [*cuts, length], strict=True)]


def shrink(chunks: Chunks, fails: Callable[[Chunks], bool], tries: int = 60) -> Chunks:
    """Return the simplest way to cut, found in at most `tries` tries, that still fails.

    Fewer segments are simpler. Neighbours are joined as long as the result fails: first many at a time
    (as in delta debugging, Zeller and Hildebrandt 2002), then two by two.
    """
    span = len(chunks)
    while span > 1:
        start = 0
        while start + 1 < len(chunks) and tries > 0:
            joined = [*chunks[:start], sum(chunks[start : start + span]), *chunks[start + span :]]
            if len(joined) < len(chunks):
                tries -= 1
                if fails(joined):
                    chunks = joined
                    continue
            start += 1 if span <= 2 else span
        span = max(2, span // 2) if span > 2 else 1
    return chunks
