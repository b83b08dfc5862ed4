"""Echo servers that note each of their starts in a file, and what becomes of them while clients come and go."""

import itertools
import socket
import threading
import time
from contextlib import suppress

from scripted import Told, behave, listener, park, say


def _serve(told: Told, clients: int | None = None, after_each: float = 0.0) -> None:
    with told.file.open("a", encoding="utf-8") as file:
        file.write("started\n")
    sock = listener(told.host, told.port)
    host, port = sock.getsockname()
    say(f"listening on {host}:{port}")
    for _ in itertools.count() if clients is None else range(clients):
        connection, _ = sock.accept()
        with connection, suppress(ConnectionError):
            _echo(connection)
        if after_each:
            threading.Thread(target=time.sleep, args=(after_each,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def well(told: Told) -> None:
    """Serve one client after the other."""
    _serve(told)


def five_clients(told: Told) -> None:
    """Serve five clients, and nobody after them."""
    _serve(told, clients=5)
    park()


def lingers(told: Told) -> None:
    """Have a thread for each client that has gone, for a minute."""
    _serve(told, after_each=60)


if __name__ == "__main__":
    behave(well, five_clients, lingers)
