"""Echo servers that note each of their starts in a file, and what becomes of them while clients come and go."""

import itertools
import socket
import sys
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


def finds_its_port_taken(told: Told) -> None:
    """Find, at every second start, that somebody else has taken the port in the meantime."""
    if told.file.exists() and len(told.file.read_text(encoding="utf-8").splitlines()) % 2:
        with told.file.open("a", encoding="utf-8") as file:
            file.write("no place\n")
        sys.exit("cannot listen: [Errno 98] Address already in use")
    _serve(told)


def lingers(told: Told) -> None:
    """Have a thread for each client that has gone, for a minute."""
    _serve(told, after_each=60)


if __name__ == "__main__":
    behave(well, five_clients, finds_its_port_taken, lingers)
