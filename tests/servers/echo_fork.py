"""Echo with a process per client, as inetd and the first web servers did it.

Peculiar: the connections belong to child processes, so the first process has none among its descriptors, and
killing a child ends one client. Every child is reaped when it ends; all of them are killed when the server stops.
Signals arrive as bytes on a descriptor (set_wakeup_fd): one that came just before a blocking accept() would have to
wait for the next client.
"""

import argparse
import os
import select
import signal
import socket
import time

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)


def echo(connection: socket.socket) -> None:
    """Return every byte until the client ends its stream or is lost."""
    try:
        while data := connection.recv(32768):
            connection.sendall(data)
    except OSError as error:
        print(f"child {os.getpid()}: {error.strerror}", flush=True)


def run_child(connection: socket.socket, listener: socket.socket) -> None:
    """The whole life of a child, which never returns into what was its parent's."""
    try:
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        listener.close()
        connection.setblocking(True)
        echo(connection)
    finally:
        os._exit(0)  # the kernel closes the connection


def accept(listener: socket.socket) -> int | None:
    """Give one client a process and return its id; None when there is no client, descriptor or process."""
    try:
        connection, _ = listener.accept()
    except BlockingIOError:  # it was there, and is gone again
        return None
    except OSError as error:
        print(f"accept: {error}", flush=True)
        time.sleep(0.1)  # it would fail at once again
        return None
    with connection:  # the child has its own descriptor of it
        try:
            child = os.fork()
        except OSError as error:
            print(f"no process for this client: {error}", flush=True)
            return None
        if child == 0:
            run_child(connection, listener)
        return child


def reap(children: set[int]) -> None:
    """Take leave of every child that has ended, without waiting for the others."""
    while children and (child := os.waitpid(-1, os.WNOHANG)[0]) != 0:
        children.discard(child)


def serve(listener: socket.socket, wakeup: socket.socket, children: set[int]) -> None:
    """Give every client a process, until a signal says stop."""
    while True:
        ready, _, _ = select.select([listener, wakeup], [], [])
        if wakeup in ready:
            if set(wakeup.recv(4096)) & {signal.SIGINT, signal.SIGTERM}:
                return
            reap(children)
        if listener in ready and (child := accept(listener)) is not None:
            children.add(child)


def kill(children: set[int]) -> None:
    """End every child and wait for it. SIGKILL, for a child that was stopped takes no other signal."""
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)


def main(host: str, port: int) -> None:
    """Listen, and serve until SIGINT or SIGTERM."""
    wakeup, written_by_python = socket.socketpair()
    for end in (wakeup, written_by_python):
        end.setblocking(False)
    signal.set_wakeup_fd(written_by_python.fileno(), warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    children: set[int] = set()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        serve(listener, wakeup, children)
    kill(children)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    main(args.host, args.port)
