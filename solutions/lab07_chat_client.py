"""Lab 7: a chat client. What is typed goes to the server, what the server says is shown, whichever comes first.

Run it:  python3 lab07_chat_client.py [--host HOST] [--port PORT] [--timeout SECONDS]
"""

import argparse
import contextlib
import io
import os
import re
import socket
import sys
import threading
from typing import NoReturn

from framing import LineBuffer

LONGEST = 1 << 24  # bytes of a line that is shown; B4's limit is one for clients, but memory stays bounded here too
FAREWELL = 2.0  # seconds that the server has to close, once it was told /exit (C8)
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # every control character but TAB (C3)


def connect(host: str, port: int, timeout: float) -> socket.socket:
    """Return a connection to the server; if there is none in time, say so and end with status 1."""
    ### BEGIN SOLUTION 7.1: socket.create_connection() takes an address and a timeout. sys.exit(text)
    ### prints a text on standard error and ends with status 1. The timeout is one for connecting:
    ### take it off the socket afterwards, for a server may be silent for as long as it likes.
    try:
        connection = socket.create_connection((host, port), timeout)
    except (OSError, ValueError, OverflowError) as error:  # the latter two: a port or a timeout that is none
        sys.exit(f"cannot connect to {host}:{port}: {error}")
    connection.settimeout(None)
    return connection
    ### END SOLUTION


def send_typed(connection: socket.socket) -> None:
    """Send what is typed, line by line, until the user wants to leave or the input ends."""
    ### BEGIN SOLUTION 7.2: for each line of sys.stdin.buffer (bytes, just as they were typed): return
    ### if it is_exit(), else send() it, ended by exactly one LF, which the last one may lack.
    for line in sys.stdin.buffer:
        if is_exit(line):
            return
        send(connection, line.removesuffix(b"\n") + b"\n")
    ### END SOLUTION


def is_exit(line: bytes) -> bool:
    """Whether a typed line is the command /exit."""
    ### BEGIN SOLUTION 7.6: it may be followed by spaces (C4) and by its line end.
    return line.rstrip(b" \r\n") == b"/exit"
    ### STUB
    #: return False
    ### END SOLUTION


def send(connection: socket.socket, data: bytes) -> None:
    """Send all of the data, if the server is still there."""
    ### BEGIN SOLUTION 7.5: where it is not, sendall() raises OSError. Suppress it here: receive()
    ### meets the end of the connection as well, and tells the user.
    with contextlib.suppress(OSError):
        connection.sendall(data)
    ### STUB
    #: connection.sendall(data)
    ### END SOLUTION


def show_lines(connection: socket.socket) -> None:
    """Show each line that the server sends, until it ends the stream."""
    ### BEGIN SOLUTION 7.3: feed what recv() brings to a LineBuffer(LONGEST), and print each line that
    ### comes out of it as harmless() makes it; flush, so that it is seen at once. b"" is the end.
    buffer = LineBuffer(LONGEST)
    while data := connection.recv(65536):
        print("".join(f"{harmless(line)}\n" for line in buffer.feed(data)), end="", flush=True)
    ### STUB
    #: pass
    ### END SOLUTION


def harmless(line: str | None) -> str:
    """Return a line as it may be shown: to this user's terminal nobody else gives commands."""
    if line is None:
        return "(a line that is too long to be shown)"
    ### BEGIN SOLUTION 7.4: put U+FFFD in the place of every control character (CONTROL).
    return CONTROL.sub("\ufffd", line)
    ### STUB
    #: return line
    ### END SOLUTION


def receive(connection: socket.socket, leaving: threading.Event) -> None:
    """The work of the second thread: show what comes; when the server ends the connection, end the program."""
    ### BEGIN SOLUTION 7.5: when show_lines() returns or raises OSError, the connection has ended: end()
    ### the program with a message, and with status 0 if it was `leaving`, else with 1.
    message = "the server has closed the connection"
    try:
        show_lines(connection)
    except BrokenPipeError:  # nobody reads what is shown any more (as in `... | head`): nobody to tell
        message = ""
    except OSError as error:
        message = f"the connection is lost: {error}"
    finally:
        end(0 if leaving.is_set() else 1, message)
    ### STUB
    #: show_lines(connection)
    ### END SOLUTION


def end(status: int, message: str = "") -> NoReturn:
    """End the process from any thread, at once, whatever the other one is doing."""
    # sys.exit() ends its own thread only. The other one may wait for a key, and holds the lock of stdin all the while:
    # an interpreter that shuts down cannot take it and aborts. os._exit() asks nobody, and flushes nothing either,
    # so whatever was printed was flushed before.
    try:
        print(message, end="\n" * bool(message), file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def converse(connection: socket.socket) -> None:
    """Send and show, until the user leaves or the server ends the connection."""
    leaving = threading.Event()
    ### BEGIN SOLUTION 7.3: start a thread that runs receive(connection, leaving); make it a daemon.
    receiver = threading.Thread(target=receive, args=(connection, leaving), daemon=True)
    receiver.start()
    ### STUB
    ### END SOLUTION
    ### BEGIN SOLUTION 7.6: send_typed() returns on /exit and at the end of the input; Ctrl-C raises
    ### KeyboardInterrupt in it. In each case the client is `leaving`: send /exit, and let receive()
    ### go on until the server closes, but let nothing last longer than FAREWELL (threading.Timer).
    with contextlib.suppress(KeyboardInterrupt):
        send_typed(connection)
    leaving.set()
    threading.Timer(FAREWELL, end, (0, "the server did not close the connection")).start()
    send(connection, b"/exit\n")  # may block as well, while the server does not read
    receiver.join()
    ### STUB
    #: send_typed(connection)
    ### END SOLUTION


def main() -> None:
    """Run the client as a program, with its arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for connecting")
    args = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # of a character that this terminal does not have
    ### BEGIN SOLUTION 7.6: Ctrl-C while connecting, or once more while leaving, ends it at once: end(0).
    try:
        converse(connect(args.host, args.port, args.timeout))
    except KeyboardInterrupt:
        end(0)
    ### STUB
    #: converse(connect(args.host, args.port, args.timeout))
    ### END SOLUTION


if __name__ == "__main__":
    main()
