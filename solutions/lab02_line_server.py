"""Lab 2: a server that answers each line of a client with its number and its text.

Run it:  python3 lab02_line_server.py [--host HOST] [--port PORT]
"""

import functools
import itertools
import socket

from framing import LineBuffer
from lab01_blocking_echo import run, serve


def number_lines(connection: socket.socket) -> None:
    """Answer every line of a client, until the client ends its stream."""
    buffer = LineBuffer()
    numbers = itertools.count(1)
    while data := connection.recv(65536):
        ### BEGIN SOLUTION 2.1: feed `data` to the buffer, and send back an answer() for each line
        ### that comes out of it, with the next of the `numbers`.
        answers = [answer(next(numbers), line) for line in buffer.feed(data)]
        connection.sendall("".join(answers).encode())
        ### END SOLUTION


def answer(number: int, line: str | None) -> str:
    """Return the answer to a line: `<n> <text>` and LF. A `line` of None was too long."""
    ### BEGIN SOLUTION 2.4: for a line that was too long the text is `ERROR line-too-long`.
    if line is None:
        line = "ERROR line-too-long"
    ### STUB
    ### END SOLUTION
    return f"{number} {line}\n"


if __name__ == "__main__":
    run(functools.partial(serve, handle=number_lines))
