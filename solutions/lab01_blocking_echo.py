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
    ### BEGIN SOLUTION 1.1: make a TCP socket, allow it to reuse its address (SO_REUSEADDR),
    ### bind it to (host, port), let it listen, and return it.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener
    ### END SOLUTION


def echo(connection: socket.socket) -> None:
    """Return every byte to the client that sent it, until the client ends its stream."""
    ### BEGIN SOLUTION 1.2: as long as recv() brings data, send all of it back; b"" is the end.
    while data := connection.recv(65536):
        connection.sendall(data)
    ### END SOLUTION


def serve(listener: socket.socket, handle: Callable[[socket.socket], None] = echo) -> None:
    """Let `handle` serve one client after another, for ever."""
    ### BEGIN SOLUTION 1.3: when this client is done, accept the next one, and so on for ever.
    while True:
        connection, _ = listener.accept()
        with connection:
            serve_client(connection, handle)
    ### STUB
    #: connection, _ = listener.accept()
    #: with connection:
    #:     serve_client(connection, handle)
    ### END SOLUTION


def serve_client(connection: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    """Let `handle` serve one client; however that client ends, the server lives on."""
    ### BEGIN SOLUTION 1.4: recv() and sendall() raise OSError when the client resets or vanishes:
    ### that is the end of this client, and not of the server.
    try:
        handle(connection)
    except OSError as error:
        print(f"lost a client: {error}", flush=True)
    ### STUB
    #: handle(connection)
    ### END SOLUTION


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
    ### BEGIN SOLUTION 1.5: let SIGINT and SIGTERM both raise KeyboardInterrupt, and let it end
    ### the server without a traceback.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        listen_and_serve(args.host, args.port, serve)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    ### STUB
    #: listen_and_serve(args.host, args.port, serve)
    ### END SOLUTION


if __name__ == "__main__":
    run(serve)
