"""How much load the kit's engine makes, and how true its clock is, against other load clients on the same C server.

    .venv/bin/python tests/benchmarks/clients.py [--rounds 5] [--seconds 1] [--peers PYTHON]

Every client does the same work: 64 bytes a request, each reply compared with its own request, every latency kept; one
process, one core, the server on the other. They are measured in turns; a figure is the median over the rounds, a ratio
that of the same round, with its range. On a machine that is shared wall time says little: the second ratio is that of
the requests for a second of processor time that the client itself used.

uvloop, twisted and Locust have to be installed somewhere, `python3 -m venv peers; peers/bin/pip install uvloop twisted
locust`, and `--peers peers/bin/python` tells where. tcpkali is taken from the PATH; it checks no reply, has no closed
loop and no warm-up. Without them, their rows say so.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from measuring import (
    CLIENT_CORE,
    HERE,
    Failed,
    Result,
    Results,
    Served,
    c_program,
    catalogue,
    has,
    in_turns,
    loaded,
    median,
    ratio,
    read_words,
    served,
)

C, SLEEPING, KIT, LOCUST, TCPKALI = "C, epoll", "C, epoll, sleeping", "the kit", "Locust", "tcpkali"
STANDARD = {"asyncio, Protocol": "protocol", "asyncio, streams": "streams", "threads": "threads"}
ENOUGH = 0.5  # of the rate that is asked for: who makes less in the closed loop is not asked

MESSAGE = "!" + 63 * "."  # tcpkali times from one exclamation mark to the next
NUMBER = r"([\d.]+)"
TOLD = re.compile(rf"received:.*\({NUMBER} bytes\).*: {NUMBER}/{NUMBER}/{NUMBER}/{NUMBER} ms.*: {NUMBER} s", re.S)

CLOSED = (
    f"  {'':20} {'a second':>9} {'of C (range)':22} {'by processor time':22} {'of Locust, by proc.':>19} "
    f"{'p50 us':>9} {'p99 us':>9}"
)
OPEN = f"  {'':20} {'held':>6} {'p50 us':>9} {'p99 us':>9} {'p50 to that of C':22} {'p99 to that of C':22} {'busy':>5}"


@dataclass(frozen=True)
class Client:
    """A load client: its command, and what it is told beside the load. Without a command it is not here."""

    command: tuple[str, ...]
    further: tuple[str, ...] = ()


def clients(peers: str) -> dict[str, Client]:
    """Return all load clients, by name."""
    c, in_python = tuple(c_program("load.c")), str(HERE / "client_peers.py")
    found = {C: Client(c, ("spin",)), SLEEPING: Client(c, ("wait",))}
    found[KIT] = Client((sys.executable, str(HERE / "kit_client.py")))
    found |= {name: Client((sys.executable, in_python, kind)) for name, kind in STANDARD.items()}
    for name in ("uvloop", "twisted"):
        found[name] = Client((peers, in_python, name) if has(peers, name) else ())
    found[LOCUST] = Client((peers, str(HERE / "locust_user.py")) if has(peers, "locust") else ())
    found[TCPKALI] = Client((TCPKALI,) if shutil.which(TCPKALI) else ())
    return found


def main() -> None:
    """Print the tables."""
    args = read_words(__doc__, rounds=5, seconds=1.0)
    everyone = clients(args.peers)
    try:
        server = c_program("echo_epoll.c")
    except catalogue.BuildError as error:
        sys.exit(f"echo_epoll.c {error}")
    capacity: dict[str, float] = {}
    for number in (100, 1000):
        title = f"closed loop, {number:,} connections, one request in flight on each"
        if args.k in title:
            print(f"\n{title}\n{CLOSED}")
            capacity = closed_loop(everyone, server, number, args) | capacity
    for rate in (1_000, 10_000, 20_000, 50_000):
        title = f"open loop, {rate:,} requests a second over 100 connections, counted from when they were due"
        if args.k in title:
            print(f"\n{title}\n{OPEN}")
            open_loop(everyone, server, rate, args, capacity)


def closed_loop(
    everyone: dict[str, Client], server: list[str], number: int, args: argparse.Namespace
) -> dict[str, float]:
    """Print who makes how many requests a second; return that."""
    here = [name for name, client in everyone.items() if client.command and name not in (SLEEPING, TCPKALI)]

    def measure(name: str) -> Result:
        with served(server) as running:
            return loaded(everyone[name].command, ("echo", str(number), str(args.seconds)), running)

    results = in_turns(args.rounds, here, measure)
    c, locust = (results.get(name) for name in (C, LOCUST))
    rates = {}
    for name in everyone:
        if name in (SLEEPING, TCPKALI) or (found := found_or_told(name, results)) is None:
            continue
        rates[name] = median(found, "rate")
        of_c = " ".join(f"{ratio(found, c, figure):22}" for figure in ("rate", "by_client_cpu"))
        of_locust = "?"
        if isinstance(locust, list):
            pairs = [(median(found, one), median(locust, one)) for one in ("rate", "by_client_cpu")]
            of_locust = " / ".join(f"{ours / theirs:.1f}" for ours, theirs in pairs)
        asked = "   asked: 0.50 of C, 5 of Locust" if name == KIT and number == 100 else ""
        times = f"{median(found, 'p50'):>9,.0f} {median(found, 'p99'):>9,.0f}"
        print(f"  {name:20} {rates[name]:>9,.0f} {of_c} {of_locust:>19} {times}{asked}", flush=True)
    return rates


def open_loop(
    everyone: dict[str, Client], server: list[str], rate: int, args: argparse.Namespace, capacity: dict[str, float]
) -> None:
    """Print how long requests take, as each client sees it."""
    too_few = {name for name, most in capacity.items() if name != C and most < ENOUGH * rate}
    here = [name for name, client in everyone.items() if client.command and name not in too_few]

    def measure(name: str) -> Result:
        with served(server) as running:
            if name == TCPKALI:
                return tcpkali(running, rate, args.seconds)
            load = ("open", "100", str(args.seconds), str(rate), *everyone[name].further)
            return loaded(everyone[name].command, load, running)

    results = in_turns(args.rounds, here, measure)
    for name in everyone:
        if name in too_few:
            print(f"  {name:20} does not make so many: {capacity[name]:,.0f} a second in the closed loop")
        elif (found := found_or_told(name, results)) is not None:
            to_c = " ".join(f"{ratio(found, results[C], figure):22}" for figure in ("p50", "p99"))
            held, busy = median(found, "rate") / rate, median(found, "busy")
            asked = "   asked: 1.10 and 1.25" if name == KIT and rate == 20_000 else ""
            times = f"{median(found, 'p50'):>9,.0f} {median(found, 'p99'):>9,.0f}"
            print(f"  {name:20} {held:>6.2f} {times} {to_c} {busy:>5.2f}{asked}", flush=True)


def found_or_told(name: str, results: Results) -> list[Result] | None:
    """Return the results of a client, or say why there are none."""
    found = results.get(name, "is not to be had here")
    if isinstance(found, list):
        return found
    print(f"  {name:20} {found}")
    return None


def tcpkali(server: Served, rate: int, seconds: float) -> Result:
    """Load a server with tcpkali, which has words, and a way of telling, of its own. Raises Failed."""
    words = [TCPKALI, "-c", "100", "--connect-rate", "10k", "-w", "1", "-T", f"{seconds}s", "-r", f"{rate / 100:g}"]
    words += ["--nagle", "off", "--write-combine", "off", "-m", MESSAGE, "--latency-marker", MESSAGE[0]]
    words += ["--latency-percentiles", "50,90,99,100", f"127.0.0.1:{server.port}"]
    before = os.times()
    words = ["taskset", "-c", CLIENT_CORE, *words]
    try:
        run = subprocess.run(words, capture_output=True, text=True, timeout=10 + seconds)
    except subprocess.TimeoutExpired:
        raise Failed("does not come to an end") from None
    used = sum(os.times()[2:4]) - sum(before[2:4])
    found = TOLD.search(run.stdout)
    if not found:
        raise Failed((run.stderr or run.stdout).strip().splitlines()[-1])
    done, lasted = int(found[1]) // len(MESSAGE), float(found[6])
    times = [float(found[place]) * 1000 for place in (2, 3, 4, 5)]
    return Result(done, done / lasted, used / lasted, float("nan"), *times)


if __name__ == "__main__":
    main()
