"""What many clients cost: memory and delay of a chat with 10,000, an event beside idle neighbours, their coming.

    .venv/bin/python tests/benchmarks/scale.py [--rounds 3] [--seconds 2] [--clients 10000]

1. A chat of 10,000 of whom 100 talk, 100 lines a second in all (a million deliveries a second are due, each checked
   by load.c and timed from when its line was due): memory for each client, delay. Memory is what the server has (PSS)
   when all are registered and the talk is on, less what it had before the first came.
2. What one question costs the server, in microseconds of its processor time, when 10, 100 and 1,000 others are
   connected and say nothing: select() is told of all of them each time, epoll is not. A question is a byte that comes
   back from lab 5, and a refusal of the name `?` by a chat.
3. How long the kit's load engine takes to connect 10,000 clients and to have an answer of each, checked.
"""

import argparse
import os
import resource
import socket
import statistics
import sys
import time
from contextlib import ExitStack

from measuring import (
    CLIENT_CORE,
    SOLUTIONS,
    Failed,
    Result,
    Served,
    c_program,
    catalogue,
    in_turns,
    loaded,
    median,
    ratio,
    read_words,
    served,
)

from harness.launch.figures import figures
from harness.load.chat import ChatLoad
from harness.load.echo import EchoLoad

TALKERS, RATE = 100, 100  # lines a second of all of them
NEIGHBOURS = (10, 100, 1000)
SPARE = 200  # descriptors that a process needs for anything else


def servers() -> dict[str, list[str]]:
    """Return the servers of the course and the peers in C, by name."""
    labs = {5: "lab05_select_echo", 6: "lab06_select_chat", 8: "lab08_epoll_chat", 9: "lab09_asyncio_chat"}
    found = {f"lab {number}": [sys.executable, str(SOLUTIONS / f"{lab}.py")] for number, lab in labs.items()}
    return found | {"C, echo": c_program("echo_epoll.c"), "C, chat": c_program("chat_epoll.c")}


def main() -> None:
    """Print the three tables."""
    args = read_words(__doc__, rounds=3, seconds=2.0, clients=10_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < args.clients + SPARE:
        sys.exit(f"a process may have {hard:,} descriptors here: take fewer --clients, or raise the limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, args.clients + SPARE), hard))
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    try:
        everyone = servers()
    except catalogue.BuildError as error:
        sys.exit(f"a server in C {error}")
    for title, show in (
        (f"{args.clients:,} in a chat, {TALKERS} of them talk, {RATE} lines a second", crowd),
        ("processor time of the server for one question, beside idle neighbours", neighbours),
        (f"the kit's engine connects {args.clients:,} clients, and each has its answer", coming),
    ):
        if args.k in title:
            print(f"\n{title}")
            show(everyone, args)


# 10,000 in a chat


def crowd(everyone: dict[str, list[str]], args: argparse.Namespace) -> None:
    """Print memory for each client, and how long deliveries take."""
    memory: dict[str, list[float]] = {name: [] for name in everyone}

    def measure(name: str) -> Result:
        with served(everyone[name]) as server:
            before = figures([server.pid]).pss
            load = ("talk", str(args.clients), str(args.seconds), str(RATE), str(TALKERS))
            at_begin = lambda: memory[name].append((figures([server.pid]).pss - before) / args.clients / 1024)  # noqa: E731
            return loaded(c_program("load.c"), load, server, at_begin)

    results = in_turns(args.rounds, ["lab 8", "lab 9", "C, chat"], measure)
    print(f"  {'':10} {'KiB a client':>12} {'held':>6} {'p50 ms':>8} {'p99 ms':>8} {'p99 to that of lab 9':22}")
    for name, found in results.items():
        if isinstance(found, str):
            print(f"  {name:10} {found}")
            continue
        held = median(found, "rate") / (RATE * (args.clients - 1))
        times = " ".join(f"{median(found, figure) / 1000:>8,.0f}" for figure in ("p50", "p99"))
        to_lab_9 = ratio(found, results["lab 9"], "p99")
        asked = "   asked: 8 KiB at most, 1.0 at most" if name == "lab 8" else ""
        print(f"  {name:10} {statistics.median(memory[name]):>12.1f} {held:>6.2f} {times} {to_lab_9:22}{asked}")


# One who asks, and others who do not


def neighbours(everyone: dict[str, list[str]], args: argparse.Namespace) -> None:
    """Print what a question costs."""
    names = ("lab 5", "C, echo", "lab 6", "lab 8", "lab 9", "C, chat")
    costs: dict[tuple[str, int], list[float]] = {(name, number): [] for name in names for number in NEIGHBOURS}
    for _ in range(args.rounds):
        for name, number in costs:
            with served(everyone[name]) as server:
                costs[name, number].append(cost_of_question(server, number, args.seconds / 4))
    numbers = "".join(f"{number:>8,}" for number in NEIGHBOURS)
    print(f"  {'microseconds beside':22}{numbers}   the last to the first")
    for name in names:
        few, *_, many = columns = [costs[name, number] for number in NEIGHBOURS]
        told = "".join(f"{statistics.median(column):>8.1f}" for column in columns)
        ratios = [last / first for last, first in zip(many, few, strict=True)]
        print(f"  {name:22}{told}   {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def cost_of_question(server: Served, number: int, seconds: float) -> float:
    """Connect as many neighbours as told, and ask for some time; return microseconds a question."""
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        asking = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asking.settimeout(10)
        for _ in range(20):  # until all greetings were sent, and what a first time costs is paid
            ask(asking)
        asked, over, before = 0, time.monotonic() + seconds, server.cpu_seconds()
        while time.monotonic() < over:
            ask(asking)
            asked += 1
        return (server.cpu_seconds() - before) / asked * 1e6


def ask(asking: socket.socket) -> None:
    """Ask, and wait for the answer: `?` is no name; a server that echoes says the same."""
    asking.sendall(b"?\n")
    answer = b""
    while not answer.endswith(b"\n") or (answer != b"?\n" and b"name-invalid" not in answer):
        if not (more := asking.recv(65536)):
            raise Failed("the server has ended the connection")
        answer += more


# They come


def coming(everyone: dict[str, list[str]], args: argparse.Namespace) -> None:
    """Print how long it takes until all are there."""
    echo = EchoLoad(clients=args.clients, requests=None, duration=0.1, active=1)
    chat = ChatLoad(clients=args.clients, talkers=1, duration=0.1)
    for what, name, load in (("answered", "C, echo", echo), ("registered in a chat", "C, chat", chat)):
        times = []
        for _ in range(args.rounds):
            with served(everyone[name]) as server:
                times.append(load.run(("127.0.0.1", server.port)).ready)
        told = f"{statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})"
        print(f"  {what:22} {told:24} asked: 3 s at most", flush=True)


if __name__ == "__main__":
    main()
