"""Lines out of a byte stream (PROTOCOL.md, part B). No socket here: bytes go in, lines come out."""

MAX_LINE = 4096  # bytes of a line, its end not counted (B4)


class LineBuffer:
    """What one connection has sent since its last complete line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str | None]:
        """Take what one recv() brought; return the lines it completes, None for one too long."""
        ### BEGIN SOLUTION 2.2: cut at every LF. What follows the last one is the beginning of a
        ### line that is not complete: keep it for the next call.
        *lines, self._rest = (self._rest + data).split(b"\n")
        ### STUB
        #: lines = [data.removesuffix(b"\n")]  # one recv() taken for one line: often right, often wrong
        ### END SOLUTION
        ### BEGIN SOLUTION 2.4: however long the rest gets, keep no more of it than it takes to
        ### know that the line is too long (4096 bytes, a CR, and one more).
        self._rest = self._rest[: MAX_LINE + 2]
        ### STUB
        ### END SOLUTION
        return [decode_line(line) for line in lines]


def decode_line(line: bytes) -> str | None:
    """Return the text of a line (its LF is gone already), or None if it is longer than MAX_LINE."""
    ### BEGIN SOLUTION 2.2: drop one CR at the end of the line, if there is one.
    line = line.removesuffix(b"\r")
    ### STUB
    ### END SOLUTION
    ### BEGIN SOLUTION 2.4: return None for a line that is too long.
    if len(line) > MAX_LINE:
        return None
    ### STUB
    ### END SOLUTION
    ### BEGIN SOLUTION 2.3: let U+FFFD stand for what is not valid UTF-8.
    return line.decode("utf-8", errors="replace")
    ### STUB
    #: return line.decode("utf-8")
    ### END SOLUTION
