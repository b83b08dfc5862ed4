"""A byte ruler: one stream of bytes, where its writer cut it (above) and where its reader did (below)."""

from collections.abc import Sequence
from itertools import accumulate

from harness.seen.ink import FAINT, INK, PALE, WAITS, WIDTH, WORKS, Sheet
from harness.units import number

LEFT, RIGHT = 96, 20  # the column of the names, and the edge
CELLS = 48  # bytes, up to which each is shown
WRITER, READER = "#cfe6ef", "#f6dcdc"


def ruler(title: str, writes: Sequence[int], reads: Sequence[int], data: bytes = b"") -> str:
    """Draw a stream: the sizes of its writes above, those of its reads below, and its bytes where they are few."""
    sheet = Sheet(title)
    length = max(sum(writes), sum(reads), 1)
    scale = (WIDTH - LEFT - RIGHT) / length
    y = sheet.top + 22
    _pieces(sheet, "send()", writes, y, scale, WRITER, WORKS)
    sheet.rect(LEFT, y + 40, length * scale, 34, "#fff", PALE)
    sheet.text(12, y + 62, "the stream", FAINT)
    if 0 < len(data) <= CELLS:
        for place, byte in enumerate(data):
            shown = chr(byte) if 32 < byte < 127 else {10: "\\n", 32: "␣"}.get(byte, f"{byte:02x}")
            sheet.text(LEFT + (place + 0.5) * scale, y + 62, shown, INK, "middle", 14 if scale > 18 else 11, mono=True)
    else:
        sheet.text(LEFT + length * scale / 2, y + 62, f"{number(length)} bytes, in order", INK, "middle")
    for edge in accumulate(writes, initial=0):
        sheet.line(LEFT + edge * scale, y + 30, LEFT + edge * scale, y + 48, WORKS, 2)
    for edge in accumulate(reads, initial=0):
        sheet.line(LEFT + edge * scale, y + 66, LEFT + edge * scale, y + 86, WAITS, 2)
    _pieces(sheet, "recv()", reads, y + 84, scale, READER, WAITS)
    return sheet.svg(y + 132)


def _pieces(sheet: Sheet, name: str, sizes: Sequence[int], y: float, scale: float, fill: str, colour: str) -> None:
    many = "" if len(sizes) == 1 else f" × {len(sizes)}"
    sheet.text(12, y + 21, f"{name}{many}", colour, bold=True)
    for start, size in zip(accumulate(sizes, initial=0), sizes, strict=False):
        x, width = LEFT + start * scale, size * scale
        sheet.rect(x + 1, y + 2, width - 2 if width > 4 else width, 28, fill, colour if width > 4 else "none")
        words = number(size)
        if width > 8 * len(words) + 4:
            sheet.text(x + width / 2, y + 21, words, INK, "middle", 12)
