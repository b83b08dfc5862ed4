"""Where programs under test run: what every tier of containment offers for them."""

import os
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from harness.launch import descriptors, figures, processes
from harness.launch.limits import Limits
from harness.launch.network import OURS, Network
from harness.launch.ports import is_free, reserved_port
from harness.launch.streams import Streams

PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "SYSTEMROOT",
    "PATHEXT",
    "COMSPEC",
    "TEMP",
    "USERPROFILE",
)
END_WITHIN = 5.0  # seconds

open_places: dict[int, "Place"] = {}  # those that have not been closed yet, by our child


class Process(Protocol):
    """The first process of a program; as subprocess.Popen shows one."""

    @property
    def pid(self) -> int:
        """Its number; raises LaunchError where the command could not be executed."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """Where it reads from, if that is ours to write."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """Where it prints to, if that is ours to read."""

    @property
    def stderr(self) -> IO[bytes] | None:
        """Where it prints its errors to."""

    def poll(self) -> int | None:
        """Return its exit status (minus the signal that ended it), None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; raises subprocess.TimeoutExpired."""


@dataclass(frozen=True)
class Stored:
    """What a program has written into files."""

    size: int  # bytes
    files: int  # and folders


class Place(ABC):
    """Where one program runs, or several one after another: its network remembers the first ones."""

    shares_network = True  # whether programs are in our network
    uid = 0  # of the programs, where that is a user of their own
    process: Process

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    @abstractmethod
    def begin(self, words: list[str], folder: Path, streams: Streams, port: int) -> Process:
        """Start a program in a folder, with the port where it listens, or connects to.

        Raises LaunchError, at once or when its `pid` is asked for.
        """

    @property
    @abstractmethod
    def child(self) -> int:
        """Our own child, by which all that is here is known."""

    @abstractmethod
    def members(self) -> list[int]:
        """Return the processes of the program, those left by parents that have ended included."""

    @abstractmethod
    def close(self) -> None:
        """End all that is here; when this returns, nothing of it is left."""

    def end(self) -> None:
        """End every process of the program at once (SIGKILL), one that multiplies included. Raises RuntimeError."""
        deadline = time.monotonic() + END_WITHIN
        ended: set[int] = set()  # not waited for yet; a zombie has no environment that would tell whose it is
        left = True  # who hands over to another one all the time may not be seen at all
        while left:
            members = self.members()
            self.kill()
            ended.update(pid for pid in members if pid not in open_places)
            ended = {pid for pid in ended if not processes.reap(pid)}
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.002)
            left = bool(ended or self.members())
            if time.monotonic() > deadline and left:
                raise RuntimeError(f"cannot end the processes {ended or self.members()}")
        self.process.wait()

    def kill(self) -> None:
        """End every process that is seen now."""
        processes.kill(self.members())

    @contextmanager
    def port(self, host: str, wanted: int | None) -> Iterator[int]:
        """Keep a port (a free one, unless told which) for the program."""
        with reserved_port(host, wanted) as port:
            yield port

    def port_was_taken(self, host: str, port: int) -> bool:
        """Whether somebody else holds a port, so that the program cannot listen there."""
        return not is_free(host, port)

    def new_socket(self) -> socket.socket:
        """Return a TCP socket of the network of the program."""
        return OURS.new_socket()

    def network(self) -> Network:
        """Return a way into the network of the program for another process of ours."""
        return OURS

    def diag(self) -> socket.socket | None:
        """Return the socket by which the kernel is asked about the program's network, where it is not ours."""
        return None

    @property
    def of_network(self) -> int:
        """A process in the program's network."""
        return self.process.pid if self.process.poll() is None else os.getpid()

    def allow_descriptors(self, number: int) -> None:
        """Let each process open descriptors below `number` only. Raises descriptors.TooFew."""
        descriptors.allow_descriptors(self.members(), number)

    def stored(self) -> Stored | None:
        """Return what the program has written into files, where that can be told."""
        return None

    def ended_cpu(self) -> float:
        """Return the seconds of processor time of those that have ended, and that no parent has waited for."""
        return 0.0

    def memory(self, pids: list[int]) -> int:
        """Return the bytes of memory of processes, shared pages counted in proportion."""
        return figures.figures(pids).pss

    def _environment(self) -> dict[str, str]:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return environment | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
