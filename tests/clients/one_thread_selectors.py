"""A chat client with one thread: selectors on standard input and on the socket, both read as bytes (POSIX)."""

import argparse
import os
import selectors
import signal
import socket
import sys
import time
import unicodedata
from typing import NoReturn

STDIN, STDOUT = 0, 1
KINDS = ("Cc", "Cf")  # of characters that are shown as \x1b


def shown(line: bytes) -> bytes:
    """Return a line for the screen."""
    text = line.removesuffix(b"\r").decode("utf-8", errors="replace")
    return "".join(c if unicodedata.category(c) not in KINDS else f"\\x{ord(c):02x}" for c in text).encode() + b"\n"


def write(data: bytes) -> None:
    """Write all of it to standard output."""
    while data:
        data = data[os.write(STDOUT, data) :]


def bye(status: int, words: str) -> NoReturn:
    """End."""
    write(f"*** {words}\n".encode())
    sys.exit(status)


def stop(*_: object) -> NoReturn:
    """What Ctrl-C does."""
    raise KeyboardInterrupt


class Client:
    """Two buffers and a socket that does not block."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.setblocking(False)
        self.outgoing = bytearray()
        self.typed = b""
        self.received: list[bytes] = []  # pieces of the line that is not complete yet
        self.leaves_at: float | None = None
        self.selector = selectors.DefaultSelector()
        self.selector.register(connection, selectors.EVENT_READ)
        self.selector.register(STDIN, selectors.EVENT_READ)

    def leave(self) -> None:
        """Say so, and wait for two seconds at most."""
        if self.leaves_at is None:
            self.outgoing += b"/exit\n"
            self.leaves_at = time.monotonic() + 2
            if STDIN in self.selector.get_map():
                self.selector.unregister(STDIN)

    def read_typed(self) -> None:
        data = os.read(STDIN, 65536)
        *lines, self.typed = (self.typed + data).split(b"\n")
        for line in lines:
            if line == b"/exit":
                self.leave()
                return
            self.outgoing += line + b"\n"
        if not data:
            if self.typed:
                self.outgoing += self.typed + b"\n"
            self.leave()
        elif len(self.outgoing) > 1 << 20:
            self.selector.unregister(STDIN)  # until some of it is gone

    def read_received(self) -> None:
        try:
            data = self.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            bye(1, f"connection lost ({error.strerror})")
        if not data:
            bye(0 if self.leaves_at else 1, "connection closed by the server")
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join(self.received) + lines[0]
            self.received = []
        self.received.append(rest)
        write(b"".join(map(shown, lines)))

    def write_some(self) -> None:
        try:
            del self.outgoing[: self.connection.send(self.outgoing)]
        except BlockingIOError:
            return
        except OSError:
            self.outgoing.clear()  # reading will tell
        if not self.outgoing and self.leaves_at is None and STDIN not in self.selector.get_map():
            self.selector.register(STDIN, selectors.EVENT_READ)

    def turn(self) -> None:
        """Wait for something, and do it."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.outgoing else 0)
        self.selector.modify(self.connection, events)
        timeout = None if self.leaves_at is None else self.leaves_at - time.monotonic()
        if timeout is not None and timeout <= 0:
            bye(0, "left without an answer")
        for key, mask in self.selector.select(timeout):
            if key.fileobj is not self.connection:
                self.read_typed()
                continue
            if mask & selectors.EVENT_WRITE:
                self.write_some()
            if mask & selectors.EVENT_READ:
                self.read_received()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    parser.add_argument("--timeout", type=float, default=5)
    args = parser.parse_args()
    signal.signal(signal.SIGINT, stop)
    try:
        connection = socket.create_connection((args.host, args.port), args.timeout)
    except KeyboardInterrupt:
        sys.exit(0)
    except OSError as error:
        sys.exit(f"*** no server at {args.host}:{args.port} ({error})")
    write(f"*** connected to {args.host}, port {args.port}; /exit leaves\n".encode())
    client = Client(connection)
    while True:
        try:
            client.turn()
        except KeyboardInterrupt:
            if client.leaves_at is not None:
                sys.exit(0)
            client.leave()


if __name__ == "__main__":
    main()
