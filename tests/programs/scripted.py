"""What the scripted programs of this folder share: each file is a program, its first argument names a behaviour."""

import argparse
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Told:
    """The arguments of a program."""

    host: str
    port: int
    words: list[str]  # what stands between the behaviour and the address

    @property
    def file(self) -> Path:
        """The file that the first word names."""
        return Path(self.words[0])


def behave(*behaviours: Callable[[Told], None]) -> None:
    """Do what the command line asks for: FILE BEHAVIOUR [WORD ...] --host HOST --port PORT."""
    parser = argparse.ArgumentParser()
    parser.add_argument("behaviour", choices=[behaviour.__name__ for behaviour in behaviours])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    chosen = next(behaviour for behaviour in behaviours if behaviour.__name__ == args.behaviour)
    chosen(Told(args.host, args.port, args.words))


def listener(host: str, port: int, backlog: int = 100) -> socket.socket:
    """Return a socket that listens, of the family of its address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=backlog)


def say(text: str) -> None:
    """Print a line, flushed."""
    print(text, flush=True)


def park() -> None:
    """Do nothing until somebody ends this process."""
    while True:
        time.sleep(60)


def park_within(seconds: float) -> None:
    """Do nothing for a while: what a test should fail to end does not stay for long."""
    time.sleep(seconds)
    sys.exit(0)


def serve_one_after_another(sock: socket.socket) -> None:
    """Echo."""
    while True:
        connection, _ = sock.accept()
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except ConnectionError:
                pass


def in_child(work: Callable[[], None]) -> int:
    """Do `work` in a forked child, which ends with it; return the child's number."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid
