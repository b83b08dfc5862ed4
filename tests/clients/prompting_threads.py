"""A chat client with a thread for the keyboard, and the socket in the main thread; it draws its prompt anew."""

import argparse
import os
import queue
import select
import signal
import socket
import sys
import threading
import time

AT_TERMINAL = os.isatty(0) and os.isatty(1)
PROMPT = "you: " if AT_TERMINAL else ""
ALLOWED = {9}
TABLE = {code: f"^{code:02X}" for code in (*range(32), *range(127, 160)) if code not in ALLOWED}


def show(*texts: str) -> None:
    """Print lines in the place of the prompt, each in blue at a terminal, and the prompt below them."""
    if AT_TERMINAL:
        lines = "".join(f"\r\x1b[K\x1b[34m{text}\x1b[0m\n" for text in texts) + PROMPT
    else:
        lines = "".join(f"<- {text}\n" for text in texts)
    sys.stdout.write(lines)
    sys.stdout.flush()


def read_keys(typed: "queue.Queue[str | None]", wake: socket.socket) -> None:
    """Pass on what is typed."""
    try:
        for line in iter(sys.stdin.readline, ""):
            typed.put(line)
            wake.send(b"!")
        typed.put(None)
        wake.send(b"!")
    except (KeyboardInterrupt, OSError):  # the main thread has come to its end
        pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", default=5555, type=int)
    parser.add_argument("--timeout", default=5, type=float)
    args = parser.parse_args()
    sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    try:
        server = socket.create_connection((args.host, args.port), args.timeout)
    except OSError as error:
        print(f"Sorry, nobody there: {error}", file=sys.stderr)
        return 1
    print("log: connected", file=sys.stderr)
    server.setblocking(False)
    show("Welcome! Type and press Enter.")
    typed: queue.Queue[str | None] = queue.Queue(100)
    wake, waker = socket.socketpair()
    threading.Thread(target=read_keys, args=(typed, waker), daemon=True).start()
    until, pending, outgoing = None, [b""], b""
    while True:
        try:
            timeout = None if until is None else max(0, until - time.monotonic())
            watched = [server] if outgoing or until else [server, wake]
            readable, writable, _ = select.select(watched, [server] if outgoing else [], [], timeout)
            if until is not None and time.monotonic() >= until:
                show("The server keeps silent. Bye!")
                return 0
            if wake in readable:
                wake.recv(1)
                line = typed.get()
                if line is None or (line.rstrip() == "/exit" and line[0] == "/"):
                    outgoing, until = outgoing + b"/exit\n", time.monotonic() + 2
                else:
                    outgoing += line.removesuffix("\n").encode(errors="surrogateescape") + b"\n"
            if writable:
                try:
                    outgoing = outgoing[server.send(outgoing) :]
                except OSError:
                    outgoing = b""
            if server in readable:
                try:
                    data = server.recv(1 << 16)
                except ConnectionError:
                    data = b""
                if not data:
                    show("The conversation is over.")
                    return 0
                first, *others = data.split(b"\n")
                pending.append(first)
                if others:
                    complete = [b"".join(pending), *others[:-1]]
                    pending = [others[-1]]
                    show(*(line.decode(errors="replace").removesuffix("\r").translate(TABLE) for line in complete))
        except KeyboardInterrupt:
            if until is not None:
                return 0
            outgoing, until = outgoing + b"/exit\n", time.monotonic() + 2


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = main()
    except KeyboardInterrupt:
        status = 0
    sys.stdout.flush()
    os._exit(status)
