"""Lab 1: a blocking echo server (RFC 862 over TCP) that serves one client after another.

Run it:  python3 lab01_blocking_echo.py [--host HOST] [--port PORT]
"""

import argparse
import signal
import socket
import sys
from collections.abc import Callable


def make_listener(host: str, port: int) -> socket.socket:
    """Return a TCP socket that listens on (host, port); port 0 lets the system pick a free one."""
    # TODO 1.1: make a TCP socket, allow it to reuse its address (SO_REUSEADDR), bind it to
    #   (host, port), let it listen, and return it.
    raise NotImplementedError("step 1.1")


def echo(connection: socket.socket) -> None:
    """Return every byte to the client that sent it, until the client ends its stream."""
    # TODO 1.2: as long as recv() brings data, send all of it back; b"" is the end.
    raise NotImplementedError("step 1.2")


def serve(listener: socket.socket, handle: Callable[[socket.socket], None] = echo) -> None:
    """Let `handle` serve one client after another, for ever."""
    # TODO 1.3: when this client is done, accept the next one, and so on for ever.
    connection, _ = listener.accept()
    with connection:
        serve_client(connection, handle)


def serve_client(connection: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    """Let `handle` serve one client; however that client ends, the server lives on."""
    # TODO 1.4: recv() and sendall() raise OSError when the client resets or vanishes: that is
    #   the end of this client, and not of the server.
    handle(connection)


def listen_and_serve(host: str, port: int, serve: Callable[[socket.socket], None]) -> None:
    """Listen on (host, port), say so in one line, and serve for ever."""
    try:
        listener = make_listener(host, port)
    except OSError as error:
        sys.exit(f"cannot listen on {host}:{port}: {error}")
    with listener:
        host, port = listener.getsockname()
        print(f"listening on {host}:{port}", flush=True)
        serve(listener)


def run(serve: Callable[[socket.socket], None]) -> None:
    """Run a server as a program: with its arguments, until SIGINT (Ctrl-C) or SIGTERM ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    # TODO 1.5: let SIGINT and SIGTERM both raise KeyboardInterrupt, and let it end the server
    #   without a traceback.
    listen_and_serve(args.host, args.port, serve)


if __name__ == "__main__":
    run(serve)
