"""Lab 3: an echo server with a thread for each client, so that nobody waits for another.

Run it:  python3 lab03_threaded_echo.py [--host HOST] [--port PORT]
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from lab01_blocking_echo import echo, run, serve_client

Clients = set[socket.socket]  # threads share it without a lock: add, discard and copy are one step each


def serve(listener: socket.socket, handle: Callable[[socket.socket], None] = echo) -> None:
    """Let `handle` serve every client in a thread of its own, for ever; when told to stop, let go of them all."""
    clients: Clients = set()
    try:
        while True:
            connection = accept(listener)
            clients.add(connection)
            # TODO 3.1: start a thread that runs serve_and_forget(connection, clients, handle).
            raise NotImplementedError("step 3.1")
    finally:
        # TODO 3.3: the process lives on until its last thread ends, and the threads wait in
        #   recv(): hang_up() on every client that is left.
        pass


def accept(listener: socket.socket) -> socket.socket:
    """Return the next client; while the process has no descriptor for one more, let them wait."""
    while True:
        try:
            connection, _ = listener.accept()
            return connection
        except OSError as error:
            print(f"cannot accept: {error}", flush=True)
            time.sleep(0.1)  # clients in the accept queue keep the listener ready: do not spin


def serve_and_forget(connection: socket.socket, clients: Clients, handle: Callable[[socket.socket], None]) -> None:
    """The work of one thread: serve its client, then keep nothing of it."""
    # TODO 3.2: serve; then, however it ended, discard the client and close its socket.
    serve_client(connection, handle)


def hang_up(connection: socket.socket) -> None:
    """End both directions of a connection, which wakes the thread that waits for it."""
    # TODO 3.3: shutdown() does it (close() would not wake the thread); the client may be gone
    #   already, which is an OSError.


if __name__ == "__main__":
    run(serve)
