"""What a hostile program is, as data: its text, what it is to come to in each tier, and how that is seen.

A program does its deed, listens, and tells everybody who connects what it has `found`: mostly the names of the deeds
that worked. Each one has a bound of its own, and ends by itself after a minute: where a tier does not hold it, the test
turns red, and not the machine.
"""

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.launch.tiers import BOX, PLAIN, RULESET
from harness.launch.tiers.rules import MACHINES, NUMBERS

TIERS = (BOX, RULESET, PLAIN)
AS_ROOT = hasattr(os, "getuid") and os.getuid() == 0


@dataclass(frozen=True)
class Says:
    """It listens, and tells what it has found."""

    found: Any


@dataclass(frozen=True)
class Ends:
    """It ends, as `words` (a pattern) tell; because of a limit, or by itself with something on its standard error."""

    words: str
    limit: str | None = None
    prints: str = ""

    def fits(self, other: "Ends") -> bool:
        """Whether another end is as this one was expected to be."""
        found = re.search(self.words, other.words) and re.search(self.prints, other.prints)
        return bool(found) and self.limit == other.limit


@dataclass(frozen=True)
class Hangs:
    """It prints a line, never listens, and never ends."""


Outcome = Says | Ends | Hangs


@dataclass(frozen=True)
class Case:
    """One hostile or unlucky program."""

    name: str
    source: str | bytes  # bytes: all of the file; else what it does before it listens
    outcome: Outcome  # in every tier that holds somebody else's programs
    plain: Outcome | None = None  # in the tier that does not; None: it could do harm there
    ruleset: Outcome | None = None  # where it comes to something else than in a box
    tiers: tuple[str, ...] = TIERS
    limits: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # beside it, by their names

    def in_tier(self, tier: str) -> Outcome | None:
        """Return what it comes to in a tier; None where it is not to be run."""
        if tier not in self.tiers:
            return None
        if tier == RULESET and self.ruleset:
            return self.ruleset
        return self.plain if tier == PLAIN else self.outcome

    def text(self, world: Mapping[str, Any]) -> bytes:
        """Return the program, which knows its `world`: whom and what it is to reach, by names."""
        if isinstance(self.source, bytes):
            return self.source
        told = dict(world) | {"calls": CALLS}
        return f"{HEAD}\nworld = {told!r}\n{self.source}\n{TAIL}".encode()


COLUMN = MACHINES.get(platform.machine(), (0, 0))[1]
OTHER_CALLS = {  # which the filter lets through, or knows nothing of: on x86-64, on ARM 64
    "capget": (125, 90),
    "exit": (60, 93),
}
CALLS = {name: numbers[COLUMN] for name, numbers in (NUMBERS | OTHER_CALLS).items() if numbers[COLUMN] is not None}

HEAD = '''\
import ctypes, errno, mmap, os, resource, signal, socket, struct, sys, threading, time
signal.alarm(60)
port = int(sys.argv[sys.argv.index("--port") + 1])
libc = ctypes.CDLL(None, use_errno=True)
found = None

def call(name, *arguments):
    """Make a system call."""
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = libc.syscall(ctypes.c_long(world["calls"].get(name, name)), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), str(name))
    return result

def worked(**deeds):
    """Return the names of the deeds that were neither refused nor in vain."""
    done = []
    for name, deed in deeds.items():
        try:
            if deed() is not False:
                done.append(name)
        except (OSError, ValueError):
            pass
    return done

def in_child(deed, *arguments):
    """Do something in another process; return its number."""
    pid = os.fork()
    if pid == 0:
        try:
            deed(*arguments)
        finally:
            os._exit(0)
    return pid

def hang():
    """Say so, and go on for ever."""
    print("hangs", flush=True)
    time.sleep(60)
'''
TAIL = """\
with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(repr(found).encode())
"""
