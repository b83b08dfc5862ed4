"""How fast the one-threaded servers of the course are, against peers in C and on asyncio, uvloop and twisted.

    .venv/bin/python tests/benchmarks/servers.py [--rounds 5] [--seconds 1] [--peers PYTHON]

Every row is a ratio: the course's server over the peer, both measured by the same load client (load.c, built on the
spot), in turns. The figure is the median over the rounds, with its range. A server has one core, the client the
other. The load client checks each reply and each delivery. On a machine that is shared, wall time says little: the
second ratio is that of work done per second of processor time that the server used, which nobody else can steal.

uvloop and twisted have to be installed somewhere, `python3 -m venv peers; peers/bin/pip install uvloop twisted`, and
`--peers peers/bin/python` tells where. Without them, their rows say so.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from measuring import (
    HERE,
    SOLUTIONS,
    Result,
    Results,
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

LABS = {"lab 5": "lab05_select_echo", "lab 6": "lab06_select_chat"}
LABS |= {"lab 8": "lab08_epoll_chat", "lab 9": "lab09_asyncio_chat"}
IN_C = {"C, epoll": "echo_epoll.c", "C, chat": "chat_epoll.c"}


@dataclass(frozen=True)
class Row:
    """One comparison: what is asked of the server, and the ratio that it should reach, if one was set."""

    title: str
    ours: str
    peer: str
    load: tuple[str, ...]  # as load.c is told: the kind, the clients, the lines in flight
    at_least: float | None = None


def rows() -> Iterator[Row]:
    """Yield all comparisons, those under the same load one after another."""
    for n in ("100", "1000"):
        title, load = f"echo, {n} clients", ("echo", n)
        for peer, at_least in (("C, epoll", 0.90), ("uvloop", 1.0), ("asyncio", None), ("twisted", None)):
            yield Row(f"lab 5, {title}", "lab 5", peer, load, at_least)
        # what select() in Python can do here at all, and how much of it lab 5 does
        yield Row(f"bare select(), {title}", "select(), bare", "C, epoll", load, 0.90)
        yield Row(f"lab 5, {title}", "lab 5", "select(), bare", load, 0.90)
    for n, in_flight in (("100", "1"), ("100", "100"), ("1000", "100")):
        title = f"chat, {n} clients, {in_flight} line{'s' * (in_flight != '1')} in flight"
        load = ("chat", n, in_flight)
        yield Row(f"lab 6, {title}", "lab 6", "C, chat", load, 0.85 if in_flight == "1" else 0.50)
        yield Row(f"lab 6, {title}", "lab 6", "asyncio, chat", load, None if in_flight == "1" else 1.0)
        yield Row(f"lab 8, {title}", "lab 8", "lab 6", load)
        for lab in ("lab 8", "lab 9"):
            for peer in ("C, chat", "asyncio, chat", "uvloop, chat"):
                yield Row(f"{lab}, {title}", lab, peer, load)


def commands(peers: str) -> dict[str, list[str]]:
    """Return the command of each server that can be had here."""
    found = {name: [sys.executable, str(SOLUTIONS / f"{lab}.py")] for name, lab in LABS.items()}
    found["select(), bare"] = [sys.executable, str(HERE / "bare_select.py")]
    for kind, suffix in (("echo", ""), ("chat", ", chat")):
        words = [str(HERE / "asyncio_peers.py"), kind]
        found[f"asyncio{suffix}"] = [sys.executable, *words]
        if has(peers, "uvloop"):
            found[f"uvloop{suffix}"] = [peers, *words, "--uvloop"]
    if has(peers, "twisted"):
        found["twisted"] = [peers, str(HERE / "twisted_echo.py")]
    for name, source in IN_C.items():
        try:
            found[name] = c_program(source)
        except catalogue.BuildError:
            continue
    return found


def main() -> None:
    """Print the table; say of every peer that is not here that it is not."""
    args = read_words(__doc__, rounds=5, seconds=1.0)
    client, have = c_program("load.c"), commands(args.peers)
    print(f"{'':48} {'peer':14} {'ratio (range)':22} {'by processor time':22} {'ours / s':>12} {'peer / s':>12}  asked")
    wanted = [row for row in rows() if args.k in row.title]
    for load in dict.fromkeys(row.load for row in wanted):
        same = [row for row in wanted if row.load == load]
        names = dict.fromkeys(name for row in same for name in (row.ours, row.peer) if name in have)
        kind, number, *in_flight = load

        def measure(name: str, told: tuple[str, ...] = (kind, number, str(args.seconds), *in_flight)) -> Result:
            with served(have[name]) as server:
                return loaded(client, told, server)

        results = in_turns(args.rounds, list(names), measure)
        for row in same:
            print(line(row, results), flush=True)


def line(row: Row, results: Results) -> str:
    """Write a row of the table."""
    ours, peer = (results.get(name, f"{name} is not to be had here") for name in (row.ours, row.peer))
    begin = f"{row.title:48} {row.peer:14}"
    if isinstance(ours, str) or isinstance(peer, str):
        return f"{begin} {ours if isinstance(ours, str) else peer}"
    ratios = " ".join(f"{ratio(ours, peer, figure):22}" for figure in ("rate", "by_server_cpu"))
    figures = " ".join(f"{median(column, 'rate'):>12,.0f}" for column in (ours, peer))
    asked = "" if row.at_least is None else f"{row.at_least:.2f}"
    return f"{begin} {ratios} {figures}  {asked}"


if __name__ == "__main__":
    main()
