"""Echo with threads, one byte at a time, and with a great deal to say about it.

Peculiar: recv(1) and send of one byte, so it is slow and its replies come in crumbs; its log is coloured, goes to
standard output and to standard error, is full of harmless words that sound like failure, and contains the bytes
it received as they are, which need not be UTF-8. It ends by _exit(), in the middle of whatever its threads do.
"""

import argparse
import contextlib
import os
import signal
import socket
import threading
import time

STDOUT, STDERR = 1, 2


def say(text: str, raw: bytes = b"", where: int = STDOUT) -> None:
    """Log one coloured line by one write(), which threads need no lock for."""
    with contextlib.suppress(OSError):
        os.write(where, f"\x1b[1;35m~~> {text}\x1b[0m ".encode() + raw + b"\n")


def echo(connection: socket.socket, number: int) -> None:
    """Return each byte by itself, until the client ends its stream or is lost."""
    count = 0
    try:
        with connection:
            while byte := connection.recv(1):
                connection.sendall(byte)
                count += 1
                if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th...
                    say(f"guest {number}: byte no. {count} is", byte)
                    say(f"guest {number}: no error, no panic, 0 exceptions so far", where=STDERR)
    except OSError as error:
        say(f"guest {number} hung up on us after {count} ({error})", where=STDERR)
    else:
        say(f"guest {number} said good-bye; {count} bytes returned")


def take_guests(listener: socket.socket) -> None:
    """Start a thread for every client, for ever."""
    number = 0
    while True:
        try:
            connection, (host, port) = listener.accept()
            number += 1
            say(f"guest {number} walks in from {host}, door {port}")
            threading.Thread(target=echo, args=(connection, number), daemon=True).start()
        except (OSError, RuntimeError) as error:  # no descriptor, no thread
            say(f"the house is full: {error}", where=STDERR)
            time.sleep(0.2)


def main(host: str, port: int) -> None:
    """Let threads do everything, and wait for the signal that ends it."""
    stop_signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(512)
    print("listening on {}:{}".format(*listener.getsockname()), flush=True)
    say("*** WELCOME TO THE ONE BYTE INN *** errors: none, warnings: none", where=STDERR)
    threading.Thread(target=take_guests, args=(listener,), daemon=True).start()
    name = signal.Signals(signal.sigwait(stop_signals)).name
    say(f"closing time ({name}), everybody out!")
    os._exit(0)  # a thread that waits in a write() of its log would keep a gentler end waiting too


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    main(args.host, args.port)
