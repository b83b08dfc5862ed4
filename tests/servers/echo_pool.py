"""Echo with a fixed pool of 160 threads that all wait in accept() on the same listener.

Peculiar: the number of threads never changes, whoever is connected; a 161st client waits in the accept queue until
another leaves; recv() asks for 4 MiB; after its first line it logs nothing at all. On Linux each thread that
waits in accept() has a descriptor's number reserved, so that below 200 descriptors part of the pool rests.
"""

import argparse
import contextlib
import signal
import socket
import threading

THREADS = 160
REST = 1.0  # seconds that a thread rests when accept() fails


class Pool:
    """The listener, and the connections that its threads are busy with."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.busy: set[socket.socket] = set()
        self.stopping = threading.Event()

    def work(self) -> None:
        """The life of one thread: one client after another."""
        while not self.stopping.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                self.stopping.wait(REST)
                continue
            with connection, contextlib.suppress(OSError):
                self.busy.add(connection)
                # stop() sets the event and then looks at the busy ones: one of us two sees the other
                while not self.stopping.is_set() and (data := connection.recv(4 << 20)):
                    connection.sendall(data)
            self.busy.discard(connection)

    def stop(self) -> None:
        """Wake every thread from accept(), recv() or send(), which ends it."""
        self.stopping.set()
        for waiting in (self.listener, *self.busy.copy()):
            with contextlib.suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)


def main(host: str, port: int) -> None:
    """Start the pool and wait for the signal."""
    stop_signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    threading.stack_size(256 * 1024)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
        pool = Pool(listener)
        for _ in range(THREADS):
            threading.Thread(target=pool.work, daemon=True).start()
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        signal.sigwait(stop_signals)
        pool.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    main(args.host, args.port)
