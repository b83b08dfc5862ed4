"""Echo, one client after another, seven bytes at a time, through the smallest buffers.

Peculiar: SO_RCVBUF and SO_SNDBUF are tiny, so a client that sends much without reading is stopped after a few
kilobytes; Nagle's algorithm is on, so the second crumb of a reply waits for the client's acknowledgement of the
first, up to 40 ms. One thread serves; the first one only waits for the signal that ends the process.
"""

import argparse
import os
import signal
import socket
import threading
import time

BUFFER = 4096  # bytes asked for; Linux gives twice that, for its own bookkeeping


def echo(connection: socket.socket) -> None:
    """Return every byte until the client ends its stream or is lost."""
    try:
        while data := connection.recv(7):
            connection.sendall(data)
    except OSError as error:
        print(f"next, please ({error})", flush=True)


def serve(listener: socket.socket) -> None:
    """Serve one client after another, for ever."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            print(f"cannot take the next one: {error}", flush=True)
            time.sleep(0.1)
            continue
        with connection:
            echo(connection)


def main(host: str, port: int) -> None:
    """Listen, and serve until SIGINT or SIGTERM."""
    stop_signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)  # the connections inherit it
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        listener.bind((host, port))
        listener.listen(128)
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        signal.sigwait(stop_signals)
        os.write(1, b"closed for today\n")
        os._exit(0)  # the kernel closes what is open, whatever the thread is waiting for


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    main(args.host, args.port)
