"""Programs that print."""

import os
import sys
import time

from scripted import Told, behave, listener, park, say, serve_one_after_another

LINES = (1 << 20) // 64  # of 64 bytes, in a MiB


def floods(told: Told) -> None:
    """Print so many MiB of numbered lines, in turn on the streams that are named after it (or on 1), then serve."""
    mib, streams = int(told.words[0]), [int(word) for word in told.words[1:]] or [1]
    for turn in range(mib):
        rest = memoryview(b"".join(b"%063x\n" % line for line in range(turn * LINES, (turn + 1) * LINES)))
        while rest:
            rest = rest[os.write(streams[turn % len(streams)], rest) :]
    serve_one_after_another(listener(told.host, told.port))


def exact(told: Told) -> None:
    """Print bytes, given in hexadecimal, and go on; between them, `until=FILE` waits until there is such a file."""
    for word in told.words:
        if word.startswith("until="):
            while not os.path.exists(word[6:]):
                time.sleep(0.002)
        else:
            os.write(1, bytes.fromhex(word))
    park()


def keeps_it(_: Told) -> None:
    """Print a line that stays in the buffer, and say on the other stream that it was printed."""
    print("listening on nothing")
    print("printed", file=sys.stderr, flush=True)
    park()


def endless_line(told: Told) -> None:
    """Print 200,000 bytes without a newline, then serve."""
    for _ in range(200):
        os.write(1, b"x" * 1000)
    sock = listener(told.host, told.port)
    print("done", file=sys.stderr, flush=True)
    serve_one_after_another(sock)


def tells_then_ends(told: Told) -> None:
    """Print words without a newline and end."""
    sys.stdout.write(" ".join(told.words))


def greets(told: Told) -> None:
    """Say where it listens, and serve."""
    sock = listener(told.host, told.port)
    say(f"listening on {told.host}:{told.port}")
    serve_one_after_another(sock)


if __name__ == "__main__":
    behave(floods, exact, keeps_it, endless_line, tells_then_ends, greets)
