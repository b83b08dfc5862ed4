"""Bytes to send: patterns in which every loss, swap and repetition shows, and their shortest source text."""

import base64
import zlib
from functools import lru_cache

SHORT = 400  # bytes that are written out as a literal


@lru_cache(4)
def pattern(length: int) -> bytes:
    """Return `length` bytes that count: `00000000 00000009 00000012 ...` in hexadecimal.

    Each group of 9 bytes names its own place, so that the first byte that differs tells what was lost,
    repeated or changed.
    """
    return b"".join(b"%08x " % offset for offset in range(0, length, 9))[:length]


def source(data: bytes) -> str:
    """Return a Python expression for `data`, for scripts that know `pattern`, base64 and zlib."""
    if len(data) <= SHORT:
        return repr(data)
    if data.startswith(b"00000000 00000009 ") and data == pattern(len(data)):
        return f"pattern({len(data)})"
    head = data[:1]
    run = len(data) - len(data.lstrip(head))
    if len(data) - run <= SHORT:
        return _repeated(head, run, data[run:])
    for period in (2, 256):
        unit, times = data[:period], len(data) // period
        rest = data[period * times :]
        if data == unit * times + rest:
            return _repeated(unit, times, rest)
    packed = base64.b85encode(zlib.compress(data, 9)).decode()
    return f"zlib.decompress(base64.b85decode({packed!r}))"


def _repeated(unit: bytes, times: int, rest: bytes) -> str:
    return f"{unit!r} * {times}" + (f" + {rest!r}" if rest else "")
