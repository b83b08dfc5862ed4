"""Text that fits: into so many columns, in one line or in several."""

import unicodedata
from collections.abc import Iterator


def columns(text: str) -> int:
    """Return how many columns of a fixed-width font a text takes: a wide character, say a Chinese one, takes two."""
    return len(text) if text.isascii() else sum(_width(char) for char in text)


def _width(char: str) -> int:
    return 1 + (unicodedata.east_asian_width(char) in "WF")


def fitted(text: str, room: int) -> str:
    """Return a text in at most `room` columns (3 or more); what is too long loses its end."""
    if columns(text) <= room:
        return text
    return next(cut(text, room - 1)) + "…"


def cut(text: str, room: int) -> Iterator[str]:
    """Yield the pieces of a text, each of at most `room` columns (2 or more), wherever that cuts it."""
    piece, taken = "", 0
    for char in text:
        if piece and taken + _width(char) > room:
            yield piece
            piece, taken = "", 0
        piece, taken = piece + char, taken + _width(char)
    if piece:
        yield piece


def wrapped(text: str, room: int) -> list[str]:
    """Return the words of a text in lines of at most `room` columns (2 or more); a longer word is cut."""
    lines: list[str] = []
    for word in text.split():
        if lines and columns(lines[-1]) + 1 + columns(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines += cut(word, room)
    return lines
