"""Echo with `selectors` (epoll or kqueue, where there is one): one thread, non-blocking sockets, a buffer per client.

Peculiar: it never tries to send before it is told that it can, so every byte waits for one more turn of the loop;
it stops reading from a client at 256 KiB of unsent output; signals arrive as bytes on a descriptor of their own
(set_wakeup_fd); at the limit of descriptors it looks away from its listener for half a second.
"""

import argparse
import selectors
import signal
import socket
import time

ENOUGH = 256 * 1024  # bytes of unsent output at which a client is read from no more
PAUSE = 0.5  # seconds without accept() when no descriptor is left


class Client:
    """One connection and what it is still owed."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.unsent = bytearray()
        self.ended = False

    def wishes(self) -> int:
        """Return the events to wait for; 0 when there is nothing left to do."""
        reading = not self.ended and len(self.unsent) < ENOUGH
        return reading * selectors.EVENT_READ | bool(self.unsent) * selectors.EVENT_WRITE

    def handle(self, events: int) -> None:
        """Write, then read, as far as the kernel goes along. Raises OSError when the client is lost."""
        try:
            if events & selectors.EVENT_WRITE and self.unsent:
                del self.unsent[: self.socket.send(self.unsent)]
            if events & selectors.EVENT_READ and not self.ended and len(self.unsent) < ENOUGH:
                data = self.socket.recv(65536)
                self.unsent += data
                self.ended = not data
        except BlockingIOError:
            pass


class Server:
    """The loop, its listener and its clients."""

    def __init__(self, listener: socket.socket, wakeup: socket.socket) -> None:
        self.listener = listener
        self.wakeup = wakeup
        self.selector = selectors.DefaultSelector()
        self.selector.register(wakeup, selectors.EVENT_READ)
        self.selector.register(listener, selectors.EVENT_READ)
        self.resume_at: float | None = None  # when to look at the listener again; None while it is watched

    def run(self) -> None:
        """Serve until a signal comes, then close every connection."""
        while self.turn():
            pass
        for key in list(self.selector.get_map().values()):
            if isinstance(key.data, Client):
                self.drop(key.data)

    def turn(self) -> bool:
        """Handle what is ready; return False when it is time to stop."""
        timeout = None if self.resume_at is None else max(0.0, self.resume_at - time.monotonic())
        for key, events in self.selector.select(timeout):
            if key.fileobj is self.wakeup:
                return False
            if key.fileobj is self.listener:
                self.accept()
            else:
                self.serve(key.data, events)
        if self.resume_at is not None and time.monotonic() >= self.resume_at:
            self.selector.register(self.listener, selectors.EVENT_READ)
            self.resume_at = None
        return True

    def accept(self) -> None:
        """Take one client; when that fails for want of descriptors, look away for a while."""
        try:
            connection, _ = self.listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            print(f"[accept] {error}; next try in {PAUSE} s", flush=True)
            self.selector.unregister(self.listener)
            self.resume_at = time.monotonic() + PAUSE
            return
        connection.setblocking(False)
        self.selector.register(connection, selectors.EVENT_READ, Client(connection))

    def serve(self, client: Client, events: int) -> None:
        """Handle one client's events, and drop it when it is served or lost."""
        try:
            client.handle(events)
        except OSError as error:
            print(f"[gone] {error}", flush=True)
            self.drop(client)
            return
        if wishes := client.wishes():
            self.selector.modify(client.socket, wishes, client)
        else:
            self.drop(client)

    def drop(self, client: Client) -> None:
        """Forget a client."""
        self.selector.unregister(client.socket)
        client.socket.close()


def main(host: str, port: int) -> None:
    """Listen, and serve until SIGINT or SIGTERM."""
    wakeup, written_by_python = socket.socketpair()
    for end in (wakeup, written_by_python):
        end.setblocking(False)
    signal.set_wakeup_fd(written_by_python.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(200)
        listener.setblocking(False)
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        Server(listener, wakeup).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    main(args.host, args.port)
