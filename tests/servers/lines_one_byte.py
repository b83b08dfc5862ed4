"""Numbered lines, one client after another, one byte at a time.

Peculiar: recv(1) and a state machine, slow by nature; a line too long is refused when its LF arrives, never before;
an answer leaves in two pieces (the number, then the rest), between which Nagle's algorithm may wait 40 ms for the
client's acknowledgement. It catches no signal: the first SIGINT or SIGTERM kills it, as its exit status tells.
"""

import argparse
import enum
import signal
import socket
import time

MAX_LINE = 4096  # bytes, the LF and the CR before it not counted
CR, LF = b"\r", b"\n"


class State(enum.Enum):
    """Where in a line the next byte falls."""

    TEXT = enum.auto()
    AFTER_CR = enum.auto()  # a CR is held back: it is text only if no LF follows
    TOO_LONG = enum.auto()


class Line:
    """The line that is coming in."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget what came before."""
        self.state = State.TEXT
        self.text = bytearray()

    def take(self, byte: bytes) -> str | None:
        """Take one byte; return what to answer if it ends the line."""
        if byte == LF:
            return self.finish()
        if self.state is State.AFTER_CR:
            self.add(CR)
        if self.state is not State.TOO_LONG:
            if byte == CR:
                self.state = State.AFTER_CR
            else:
                self.add(byte)
        return None

    def add(self, byte: bytes) -> None:
        """Add a byte that belongs to the text for certain."""
        self.text += byte
        self.state = State.TOO_LONG if len(self.text) > MAX_LINE else State.TEXT

    def finish(self) -> str:
        """Return the answer, and be ready for the next line."""
        text = "ERROR line-too-long" if self.state is State.TOO_LONG else self.text.decode("utf-8", "replace")
        self.begin()
        return text


def answer_lines(connection: socket.socket) -> None:
    """Answer every line of a client, until the client ends its stream or is lost."""
    line, number = Line(), 0
    try:
        while byte := connection.recv(1):
            text = line.take(byte)
            if text is not None:
                number += 1
                connection.sendall(str(number).encode())
                connection.sendall(f" {text}\n".encode())
    except OSError as error:
        print(f"gone after {number} lines: {error}", flush=True)


def serve(listener: socket.socket) -> None:
    """Serve one client after another, for ever."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            print(f"accept() says {error}", flush=True)
            time.sleep(0.1)
            continue
        with connection:
            answer_lines(connection)


def main(host: str, port: int) -> None:
    """Listen, and serve until SIGINT or SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        serve(listener)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    main(args.host, args.port)
