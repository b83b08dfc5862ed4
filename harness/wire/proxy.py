"""A proxy: who connects to it talks to a server behind it, through the weather."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from harness.wire.link import CONNECT_PATIENCE, Address
from harness.wire.relay import Direction, Passage, Relay, reset_when_closed
from harness.wire.weather import FAIR, Weather

MOST = 500  # connections at a time; others wait in the accept queue


class Visit:
    """Somebody's connection to the proxy; a subclass may look at what passes."""

    def __init__(self, number: int, client: Address) -> None:
        """Connection number 1, 2, and so on came from `client`."""
        self.number = number
        self.client = client

    def opened(self) -> None:
        """The server has taken the connection; what passes is seen() from now on."""

    def refused(self, why: str) -> None:
        """The server could not be reached; the client is being reset."""

    def seen(self, direction: Direction, passage: Passage, data: bytes) -> None:
        """Something has just passed."""

    def closed(self) -> None:
        """The connection is over."""


class Proxy:
    """Listens, and relays each connection to a server; use it as a context manager."""

    def __init__(
        self,
        listen: Address,
        server: Address,
        weather: Weather = FAIR,
        visit: Callable[[int, Address], Visit] = Visit,
        new_socket: Callable[[], socket.socket] = socket.socket,
    ) -> None:
        """Listen on `listen`; raises OSError where that cannot be done.

        `new_socket` makes sockets of the network in which the server lives.
        What is random differs from connection to connection, and is the same again with the same seed.
        """
        self._server, self._weather, self._visit, self._new_socket = server, weather, visit, new_socket
        self._listener = socket.create_server(listen, backlog=128)
        self._relays: set[Relay] = set()
        self._places = threading.Semaphore(MOST)
        self._lock = threading.Lock()
        self._closing = False

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def start(self) -> "Proxy":
        """Serve in a thread."""
        threading.Thread(target=self.serve, name="proxy", daemon=True).start()
        return self

    def serve(self) -> None:
        """Take in one client after another, until close() is called."""
        number = 0
        while True:
            self._places.acquire()
            try:
                client, address = self._listener.accept()
            except OSError:  # it is closed
                return
            number += 1
            visit = self._visit(number, address[:2])
            threading.Thread(target=self._relay, args=(client, visit), name=f"visit {number}", daemon=True).start()

    def _relay(self, client: socket.socket, visit: Visit) -> None:
        try:
            server = self._connect(client, visit)
            if server is None:
                return
            weather = replace(self._weather, seed=self._weather.seed + visit.number - 1)
            visit.opened()
            relay = Relay(client, server, weather, visit.seen)
            with self._lock:
                if too_late := self._closing:
                    relay.close()
                else:
                    self._relays.add(relay.start())
            if not too_late:
                relay.wait()
                with self._lock:
                    self._relays.discard(relay)
            visit.closed()
        finally:
            self._places.release()

    def _connect(self, client: socket.socket, visit: Visit) -> socket.socket | None:
        with self._lock:
            server = self._new_socket()
        server.settimeout(CONNECT_PATIENCE)
        try:
            server.connect(self._server)
        except OSError as error:
            visit.refused(error.strerror or str(error))
            reset_when_closed(client)
            client.close()
            server.close()
            return None
        return server

    def close(self) -> None:
        """Listen no more, and close all connections."""
        with self._lock:
            self._closing = True
            relays = list(self._relays)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept() on Linux
        self._listener.close()
        for relay in relays:
            relay.close()

    def __enter__(self) -> "Proxy":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
