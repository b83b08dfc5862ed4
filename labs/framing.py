"""Lines out of a byte stream (PROTOCOL.md, part B). No socket here: bytes go in, lines come out."""

MAX_LINE = 4096  # bytes of a line that a client sends, its end not counted (B4)


class LineBuffer:
    """What one connection has sent since its last complete line; a line has at most `limit` bytes."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._rest = b""
        self._limit = limit

    def feed(self, data: bytes) -> list[str | None]:
        """Take what one recv() brought; return the lines it completes, None for one too long."""
        # TODO 2.2: cut at every LF. What follows the last one is the beginning of a line that
        #   is not complete: keep it for the next call.
        lines = [data.removesuffix(b"\n")]  # one recv() taken for one line: often right, often wrong
        # TODO 2.4: however long the rest gets, keep no more of it than it takes to know that
        #   the line is too long (self._limit bytes, a CR, and one more).
        return [decode_line(line, self._limit) for line in lines]


def decode_line(line: bytes, limit: int = MAX_LINE) -> str | None:
    """Return the text of a line (its LF is gone already), or None if it is longer than `limit` bytes."""
    # TODO 2.2: drop one CR at the end of the line, if there is one.
    # TODO 2.4: return None for a line that is too long.
    # TODO 2.3: let U+FFFD stand for what is not valid UTF-8.
    return line.decode("utf-8")
