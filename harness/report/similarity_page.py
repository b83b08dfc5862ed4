"""A comparison of hand-ins as one HTML file: each pair side by side, what they share in the same colour."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.report import page
from harness.report.similarity_table import MEANING

COLOURS = 6  # in which passages take turns
AROUND = 2  # lines that are shown before and behind a passage
LEAST_HIDDEN = 6  # lines; fewer are shown
LONGEST = 400  # characters of a line that are shown

Stretch = tuple[int, int, int]  # where it begins and ends in a text, and its passage from 1 on; 0 was handed out


@dataclass(frozen=True)
class Piece:
    """Some text of a line: plain, `given` to everybody, or of a passage."""

    text: str
    passage: int = 0
    given: bool = False
    is_first: bool = False  # of its passage


@dataclass(frozen=True)
class Line:
    """A line with its number; or so many lines that are `hidden`."""

    number: int
    pieces: tuple[Piece, ...] = ()
    hidden: int = 0


def render(results: dict[str, Any]) -> str:
    """Return a comparison (as in results.json) as HTML."""
    works = {work["key"]: work for work in results["works"]}
    return (
        page.environment()
        .get_template("similarity.html")
        .render(
            results=results,
            meaning=MEANING,
            works=works,
            colours=COLOURS,
            sides=_sides(results),
            foremost=[_foremost(pair["passages"]) for pair in results["pairs"]],
        )
    )


def _foremost(passages: list[dict[str, Any]]) -> int:
    """Return the number of the passage that says most (much of it is rare, and it is long), 0 if there is none."""
    numbers = range(1, len(passages) + 1)
    return max(numbers, key=lambda one: (passages[one - 1]["rare"], passages[one - 1]["symbols"]), default=0)


def _sides(results: dict[str, Any]) -> list[list[list[tuple[str, list[Line]]]]]:
    """Return for each pair both its sides: the files that share something, with their lines."""
    return [
        [list(_files(results["texts"][pair[side]], pair["passages"], side)) for side in ("first", "second")]
        for pair in results["pairs"]
    ]


def _files(texts: list[dict[str, Any]], passages: list[dict[str, Any]], side: str) -> Iterator[tuple[str, list[Line]]]:
    for file in texts:
        own = [
            (passage[side]["start"], passage[side]["end"], number)
            for number, passage in enumerate(passages, start=1)
            if passage[side]["path"] == file["path"]
        ]
        if own:
            stretches = sorted(own + [(start, end, 0) for start, end in file["given"]])
            yield file["path"], list(_folded(list(_lines(file["text"], stretches))))


def _lines(text: str, stretches: list[Stretch]) -> Iterator[Line]:
    """Yield the lines of a text, cut where a stretch begins or ends."""
    begin, ahead, begun = 0, 0, 0
    for number, line in enumerate(text.split("\n"), start=1):
        end, at, pieces = begin + len(line), begin, []
        while ahead < len(stretches) and stretches[ahead][0] < end:
            start, stop, passage = stretches[ahead]
            start = min(max(start, begin + len(line) - len(line.lstrip())), end)
            pieces.append(Piece(text[at:start]))
            at = start
            piece = Piece(text[at : min(stop, end)], passage, not passage, bool(passage) and begun != passage)
            pieces.append(piece)
            begun, at = passage or begun, min(stop, end)
            if stop > end:
                break
            ahead += 1
        pieces.append(Piece(text[at:end]))
        yield Line(number, tuple(piece for piece in _cut(pieces) if piece.text))
        begin = end + 1


def _cut(pieces: list[Piece]) -> Iterator[Piece]:
    """Yield the first LONGEST characters of a line."""
    left = LONGEST
    for piece in pieces:
        if left <= 0:
            yield Piece(" …", given=True)
            return
        yield Piece(piece.text[:left], piece.passage, piece.given, piece.is_first)
        left -= len(piece.text)


def _folded(lines: list[Line]) -> Iterator[Line]:
    """Yield the lines around passages; so many in between are hidden."""
    near = {
        number + by
        for number, line in enumerate(lines)
        if any(piece.passage for piece in line.pieces)
        for by in range(-AROUND, AROUND + 1)
    }
    hidden: list[Line] = []
    for number, line in enumerate([*lines, None]):
        if line is not None and number not in near:
            hidden.append(line)
            continue
        if len(hidden) < LEAST_HIDDEN:
            yield from hidden
        else:
            yield Line(hidden[0].number, hidden=len(hidden))
        hidden = []
        if line is not None:
            yield line
