"""Echo with the standard library's socketserver: a thread per client, made by ThreadingTCPServer.

Peculiar: the accept loop looks up twice a second, so stopping may take half a second; each client gets a
shutdown() before its close(). Four of the class's defaults do not suit the contract and are replaced: the backlog
of 5, no SO_REUSEADDR, a traceback for every lost client, and a loop that spins when no descriptor is left.
"""

import argparse
import contextlib
import signal
import socket
import socketserver
import sys
import threading
import time


class Echo(socketserver.BaseRequestHandler):
    """One client, in a thread of its own."""

    def handle(self) -> None:
        while data := self.request.recv(8192):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    """A ThreadingTCPServer that knows its clients and can hang up on them."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int]) -> None:
        self.clients: set[socket.socket] = set()
        super().__init__(address, Echo)

    def get_request(self) -> tuple[socket.socket, object]:
        try:
            request, address = super().get_request()
        except OSError:
            time.sleep(0.1)  # the caller tries again at once, which would be spinning
            raise
        self.clients.add(request)
        return request, address

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self.clients.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        print(f"{client_address}: {sys.exc_info()[1]!r}", flush=True)

    def stop(self) -> None:
        """Take no more clients, hang up on all there are, and wait for their threads."""
        self.shutdown()
        for request in self.clients.copy():
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        self.server_close()


def main(host: str, port: int) -> None:
    """Serve in a second thread; this one waits for the signal."""
    stop_signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    server = Server((host, port))
    print("listening on {}:{}".format(*server.server_address), flush=True)
    threading.Thread(target=server.serve_forever).start()
    signal.sigwait(stop_signals)
    server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    main(args.host, args.port)
