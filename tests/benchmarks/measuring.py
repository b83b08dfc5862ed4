"""What the benchmarks share: a server on one core, a load client on the other, several rounds in turns, ratios.

Only ratios carry over from one machine to another, and only those of measurements that were made in turns, so every
figure is the median over the rounds, with its range.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.launch.ports import reserved_port

HERE = Path(__file__).resolve().parent
SOLUTIONS = HERE.parents[1] / "solutions"
sys.path.insert(0, str(HERE.parent / "servers"))

import catalogue  # noqa: E402

SERVER_CORE, CLIENT_CORE = "0", "1"
BUSY = 1.0  # load average
PATIENCE = 240.0  # seconds, beside those of the load, after which a load client is given up
RESULT = re.compile(
    r"(\d+) done, (\d+) per second, busy ([\d.]+)(?:, p50 ([\d.]+), p90 ([\d.]+), p99 ([\d.]+), max ([\d.]+) us)?"
)


class Failed(Exception):
    """A server or a load client did not do its work; the text is what it said last."""


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """Return for how long it has run on a processor (schedstat, first field: nanoseconds)."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9


@dataclass(frozen=True)
class Result:
    """What a load client has told at its end."""

    done: int  # requests, or deliveries
    rate: float  # of these, a second
    busy: float  # the part of a processor that the client itself took
    server_cpu: float  # seconds of processor time that the server took meanwhile; NaN where nobody said `begin`
    p50: float = 0.0  # microseconds, as are the others
    p90: float = 0.0
    p99: float = 0.0
    highest: float = 0.0

    @property
    def by_server_cpu(self) -> float:
        """What was done for a second of the server's processor time."""
        return self.done / self.server_cpu

    @property
    def by_client_cpu(self) -> float:
        """What was done for a second of the client's processor time."""
        return self.rate / max(self.busy, 0.01)


Results = dict[str, list[Result] | str]  # by who was measured: one for each round, or why there are none


@contextmanager
def served(command: Sequence[str]) -> Iterator[Served]:
    """Let a server run, on its core, while the block does. Raises Failed when it does not start."""
    with reserved_port() as port:
        words = ["taskset", "-c", SERVER_CORE, *command, "--port", str(port)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                if not server.stdout.readline():
                    raise Failed("the server does not start")
                yield Served(server.pid, port)
            finally:
                server.kill()


def loaded(
    command: Sequence[str], load: Sequence[str], server: Served, at_begin: Callable[[], None] = lambda: None
) -> Result:
    """Load a server with a client on the other core; call `at_begin` when its warm-up is over. Raises Failed.

    `load` is what load.c is told: the kind, the number of clients, the seconds, and what else belongs to the kind.
    """
    kind, *rest = load
    words = ["taskset", "-c", CLIENT_CORE, *command, kind, "127.0.0.1", str(server.port), *rest]
    before, used, found = float("nan"), float("nan"), None
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True) as client,
    ):
        assert client.stdout is not None
        watchdog = threading.Timer(PATIENCE + float(rest[1]), client.kill)
        watchdog.start()
        for line in client.stdout:
            if line == "begin\n":
                before = server.cpu_seconds()
                at_begin()
            elif found := RESULT.match(line):
                used = server.cpu_seconds() - before
        client.wait()
        watchdog.cancel()
        errors.seek(0)
        said = errors.read().strip().splitlines()
    if not found or client.returncode:
        raise Failed(said[-1] if said else f"the load client has ended with status {client.returncode}")
    latencies = [float(one) for one in found.groups()[3:] if one]
    return Result(int(found[1]), float(found[2]), float(found[3]), used, *latencies)


def in_turns(rounds: int, names: Sequence[str], measure: Callable[[str], Result]) -> Results:
    """Measure everyone in every round, one after the other."""
    results: Results = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            so_far = results[name]
            if isinstance(so_far, str):
                continue
            try:
                so_far.append(measure(name))
            except Failed as failure:
                results[name] = str(failure)
            time.sleep(0.1)  # lets what the last one has left behind come to its end
    return results


def ratio(ours: list[Result], peers: list[Result] | str | None, figure: str) -> str:
    """Write the median of the ratios, round by round, and their range."""
    if not isinstance(peers, list):
        return "?"
    ratios = [getattr(our, figure) / getattr(peer, figure) for our, peer in zip(ours, peers, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def median(results: list[Result], figure: str) -> float:
    """Return the median of one figure over the rounds."""
    return statistics.median(getattr(result, figure) for result in results)


def c_program(name: str) -> list[str]:
    """Return the command of a C program of this folder or of the servers', built; raises catalogue.BuildError."""
    folder = HERE if (HERE / name).exists() else HERE.parent / "servers"
    return [str(catalogue.built(folder / name))]


def has(python: str, module: str) -> bool:
    """Whether an interpreter can import a module."""
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


def read_words(document: str, rounds: int, seconds: float, **numbers: int) -> argparse.Namespace:
    """Read the command line (`numbers` are further options), and say what it takes to measure anything at all."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds, help="of each measurement, beside its warm-up")
    parser.add_argument("--peers", default=sys.executable, help="a Python in which the peers are installed")
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("-k", default="", help="only rows whose title contains this")
    if not sys.platform.startswith("linux") or (os.cpu_count() or 1) < 2:
        sys.exit("Linux and two cores are needed: one core for the server, one for its clients")
    try:
        c_program("load.c")
    except catalogue.BuildError as error:
        sys.exit(f"load.c {error}; install a C compiler")
    args = parser.parse_args()
    if (load := os.getloadavg()[0]) > BUSY:
        print(f"Others are at work on this machine (load average {load:.1f}): what is told of wall time means little.")
    return args
