"""Winnowing: a few fingerprints of each text, so that no long match can be overlooked.

Schleimer, Wilkerson, Aiken: "Winnowing: Local Algorithms for Document Fingerprinting", SIGMOD 2003. GRAM symbols that
follow each other are a gram; of WINDOW grams that follow each other the one with the least hash is a fingerprint. Two
texts that share GUARANTEED symbols in a row share a fingerprint; fewer than GRAM in a row are never seen.
"""

import zlib
from collections.abc import Iterator

GRAM = 12  # symbols
WINDOW = 4  # grams
GUARANTEED = GRAM + WINDOW - 1  # symbols

Run = tuple[int, int]  # where a stretch of symbols begins, and where it ends


def fingerprints(symbols: bytes, run: Run, gram: int = GRAM, window: int = WINDOW) -> Iterator[tuple[int, bytes]]:
    """Yield the fingerprints of a run: where each begins, and its symbols; a run shorter than `gram` has none.

    A fingerprint is the gram itself, so that equal ones are equal code; the hash only chooses.
    """
    start, stop = run
    last = stop - gram + 1  # no gram begins here or later
    hashes = [zlib.crc32(symbols[at : at + gram]) for at in range(start, last)]
    window = min(window, len(hashes))
    chosen = -1
    for first in range(len(hashes) - window + 1 if hashes else 0):
        newest = first + window - 1
        if chosen < first:
            chosen = min(range(newest, first - 1, -1), key=hashes.__getitem__)  # of equals the one furthest right
        elif hashes[newest] <= hashes[chosen]:
            chosen = newest
        else:
            continue
        yield start + chosen, symbols[start + chosen : start + chosen + gram]
