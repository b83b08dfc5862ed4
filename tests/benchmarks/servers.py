"""How fast the select() servers of the course are, against peers in C and on asyncio and uvloop, in the same run.

    .venv/bin/python tests/benchmarks/servers.py [--rounds 5] [--seconds 1]

Every row is a ratio: the course's server over the peer, both measured by the same load client (load.c, built on the
spot), in turns. The figure is the median over the rounds, with its range. A server has one core, the client the
other. The load client checks each reply and each delivery. On a machine that is shared, wall time says little: the
second ratio is that of work done per second of processor time that the server used, which nobody else can steal.
"""

import argparse
import importlib.util
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from harness.launch.ports import reserved_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "servers"))

import catalogue  # noqa: E402

PEERS = [sys.executable, str(HERE / "asyncio_peers.py")]


@dataclass(frozen=True)
class Row:
    """One comparison: what is asked of the server, and the ratio that it should reach."""

    title: str
    ours: str
    peer: str
    load: tuple[str, ...]
    at_least: float


def rows() -> list[Row]:
    """Return all comparisons."""
    found = [Row(f"lab 5, echo, {n} clients", "lab 5", "C, epoll", ("echo", n), 0.90) for n in ("100", "1000")]
    found += [Row(f"lab 5, echo, {n} clients", "lab 5", "uvloop", ("echo", n), 1.0) for n in ("100", "1000")]
    for n in ("100", "1000"):  # what select() in Python can do here at all, and how much of it lab 5 does
        found.append(Row(f"bare select(), echo, {n} clients", "select(), bare", "C, epoll", ("echo", n), 0.90))
        found.append(Row(f"lab 5, echo, {n} clients", "lab 5", "select(), bare", ("echo", n), 0.90))
    found += [Row("lab 6, chat, 100 clients, 1 line in flight", "lab 6", "C, chat", ("chat", "100", "1"), 0.85)]
    for n in ("100", "1000"):
        title, load = f"lab 6, chat, {n} clients, 100 lines in flight", ("chat", n, "100")
        found += [Row(title, "lab 6", "C, chat", load, 0.50), Row(title, "lab 6", "asyncio, chat", load, 1.0)]
    return found


def commands() -> dict[str, list[str]]:
    """Return the command of each server that can be had here."""
    found = {
        "lab 5": [sys.executable, str(ROOT / "solutions" / "lab05_select_echo.py")],
        "lab 6": [sys.executable, str(ROOT / "solutions" / "lab06_select_chat.py")],
        "asyncio, chat": [*PEERS, "chat"],
        "select(), bare": [sys.executable, str(HERE / "bare_select.py")],
    }
    if importlib.util.find_spec("uvloop"):
        found["uvloop"] = [*PEERS, "echo", "--uvloop"]
    servers = {server.name: list(server.command) for server in (*catalogue.echo_servers(), *catalogue.chat_servers())}
    for name, ours in (("C, epoll", "echo_epoll_c"), ("C, chat", "chat_epoll_c")):
        if ours in servers:
            found[name] = servers[ours]
    return found


@dataclass(frozen=True)
class Figure:
    """What one server did: requests or deliveries per second, and per second of its processor time."""

    rate: float
    per_cpu: float


def measure(command: list[str], load: tuple[str, ...], client: Path, seconds: float) -> Figure:
    """Start a server, load it, end it."""
    kind, number, *in_flight = load
    with reserved_port() as port:
        words = ["taskset", "-c", "0", *command, "--port", str(port)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            server.stdout.readline()
            told = [str(client), kind, "127.0.0.1", str(port), number, str(seconds), *in_flight]
            with subprocess.Popen(["taskset", "-c", "1", *told], stdout=subprocess.PIPE, text=True) as loader:
                assert loader.stdout is not None
                loader.stdout.readline()
                before = cpu_seconds(server.pid)
                found = re.match(r"(\d+) done, (\d+) per second", loader.stdout.readline())
                used = cpu_seconds(server.pid) - before
            server.kill()
    if not found:
        sys.exit(f"{' '.join(command)} failed under {' '.join(load)}")
    return Figure(float(found[2]), float(found[1]) / used)


def cpu_seconds(pid: int) -> float:
    """Return for how long a process has run on a processor (schedstat, first field: nanoseconds)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main() -> None:
    """Print the table; say of every peer that is not here why."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("-k", default="", help="only rows whose title contains this")
    args = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        sys.exit("two cores are needed: one for the server, one for its clients")
    client = catalogue.built(HERE / "load.c")
    have = commands()
    print(f"{'':45} {'peer':14} {'ratio (range)':22} {'by processor time':22} {'ours / s':>12} {'peer / s':>12}  asked")
    for row in rows():
        if args.k not in row.title:
            continue
        if row.peer not in have:
            print(f"{row.title:45} {row.peer:14} is not to be had here")
            continue
        pairs = []
        for _ in range(args.rounds):
            ours, peer = (measure(have[name], row.load, client, args.seconds) for name in (row.ours, row.peer))
            pairs.append((ours, peer))
            time.sleep(0.1)  # lets what the last pair has left behind come to its end
        ratios = told([ours.rate / peer.rate for ours, peer in pairs])
        by_cpu = told([ours.per_cpu / peer.per_cpu for ours, peer in pairs])
        rates = [statistics.median(figure.rate for figure in column) for column in zip(*pairs, strict=True)]
        figures = " ".join(f"{rate:>12,.0f}" for rate in rates)
        print(f"{row.title:45} {row.peer:14} {ratios:22} {by_cpu:22} {figures}  {row.at_least:.2f}", flush=True)


def told(ratios: list[float]) -> str:
    """Write a median and its range."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
