"""A program that uses what it is asked to: `threads 20`, `files 30`, `memory 16` (MiB), `children 2`, `spin 0.3`."""

import os
import threading
import time

from scripted import Told, behave, in_child, listener, park, park_within, say

SHORT_LIFE = 60.0  # seconds after which a child ends by itself
held: list[object] = []


def use(what: str, amount: float) -> None:
    """Use more of something; return when it is used."""
    number = int(amount)
    if what == "threads":
        for _ in range(number):
            threading.Thread(target=park, daemon=True).start()
    elif what == "files":
        held.extend(open(os.devnull) for _ in range(number))  # noqa: SIM115
    elif what == "memory":
        held.append(os.urandom(1 << 20) * number)
    elif what == "children":
        for _ in range(number):
            in_child(lambda: park_within(SHORT_LIFE))
    elif what == "spin":
        end = time.process_time() + amount
        while time.process_time() < end:
            pass
    else:
        raise ValueError(what)


def obeys(told: Told) -> None:
    """Do what the client asks, one line after another, and answer `done`."""
    with listener(told.host, told.port).accept()[0] as connection, connection.makefile("rwb", buffering=0) as lines:
        while words := lines.readline().decode().split():
            use(words[0], float(words[1]))
            lines.write(b"done\n")


def spins(told: Told) -> None:
    """Listen, and never wait for anything."""
    sock = listener(told.host, told.port)
    say("spinning")
    while sock:
        pass


if __name__ == "__main__":
    behave(obeys, spins)
