"""A sweep over the number of clients, for several servers side by side."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

from harness.launch import Command, Figures, LaunchError, Program, ProgramEnded
from harness.load.chat import ChatLoad
from harness.load.echo import EchoLoad
from harness.load.engine import Address, LoadFault, Outcome, Span

PERCENTS = (50, 90, 99, 99.9, 100)
START = 10.0  # seconds until a server listens
PAUSED_TALK = EchoLoad(clients=2, requests=6, pause=0.03, duration=0.0, stagger=0.04)


@dataclass(frozen=True)
class Server:
    """A server in a sweep."""

    name: str
    command: Command


@dataclass(frozen=True)
class Point:
    """One measurement: one server, one number of clients, one round. Latencies are in seconds."""

    server: str
    clients: int
    round: int
    answers: int  # replies, or deliveries, that were checked
    seconds: float
    throughput: float  # answers a second
    latency: dict[str, float]  # by percentile: "50", "90", "99", "99.9", "100"
    first_reply: dict[str, float]  # the same, from connecting to the first answer (of a chat: the welcome)
    threads: int  # the most that were seen
    memory: int  # bytes of PSS, the most that was seen
    descriptors: int
    cpu: float  # seconds of the server's processor time
    busy: float  # the part of a processor that the load itself took


Load = EchoLoad | ChatLoad


def sweep(
    servers: Sequence[Server],
    loads: Sequence[Load],
    rounds: int,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Point]:
    """Measure every server under every load, in turn, so that a drifting machine is fair to all.

    Raises LoadFault, with the server's name, when a reply is wrong or missing.
    """
    points = []
    for number in range(rounds):
        for load in loads:
            for server in servers:
                tell(f"round {number + 1} of {rounds}: {load.clients} clients, {server.name}")
                points.append(_measure(server, load, number))
    return points


def talk(server: Server) -> list[Span]:
    """Let two clients talk with pauses, the second one beginning a little later; return who waited when."""
    return _under_load(server, PAUSED_TALK.clients, partial(PAUSED_TALK.run, keep_spans=True))[0].spans


def _measure(server: Server, load: Load, number: int) -> Point:
    outcome, most = _under_load(server, load.clients, load.run)
    return Point(
        server=server.name,
        clients=load.clients,
        round=number,
        answers=outcome.answers,
        seconds=outcome.seconds,
        throughput=outcome.answers / outcome.seconds,
        latency={f"{percent:g}": outcome.latencies.percentile(percent) / 1e9 for percent in PERCENTS},
        first_reply={f"{percent:g}": outcome.first_replies.percentile(percent) / 1e9 for percent in PERCENTS},
        threads=most.threads,
        memory=most.pss,
        descriptors=most.descriptors,
        cpu=most.cpu,
        busy=outcome.busy,
    )


def _under_load(
    server: Server, clients: int, run: Callable[[Address, Callable[[], None]], Outcome]
) -> tuple[Outcome, Figures]:
    seen: list[Figures] = []
    try:
        with Program(server.command) as program:
            limit = time.monotonic() + START
            if not program.wait_listening(lambda: limit - time.monotonic()):
                raise LoadFault("it does not listen")
            outcome = run(program.address, lambda: seen.append(program.figures()))
            seen.append(program.figures())
    except (LoadFault, LaunchError, ProgramEnded) as error:
        raise LoadFault(f"{server.name}, {clients} clients: {error}") from None
    return outcome, Figures(
        cpu=seen[-1].cpu,
        pss=max(one.pss for one in seen),
        threads=max(one.threads for one in seen),
        descriptors=max(one.descriptors for one in seen),
        processes=max(one.processes for one in seen),
    )


def summary(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return a row for each server and number of clients: the median over the rounds, and the range of p99."""
    keys = list(dict.fromkeys((point.server, point.clients) for point in points))
    rows = []
    for server, clients in keys:
        same = [point for point in points if (point.server, point.clients) == (server, clients)]
        row: dict[str, Any] = {"server": server, "clients": clients, "rounds": len(same)}
        for name in ("answers", "seconds", "throughput", "threads", "memory", "descriptors", "cpu", "busy"):
            row[name] = median(getattr(point, name) for point in same)
        for name in ("latency", "first_reply"):
            row[name] = {
                percent: median(getattr(point, name)[percent] for point in same) for percent in same[0].latency
            }
        row["p99_range"] = [min(p.latency["99"] for p in same), max(p.latency["99"] for p in same)]
        rows.append(row)
    return rows


def as_rows(items: Sequence[Point | Span]) -> list[dict[str, Any]]:
    """Return measurements as they stand in results.json."""
    return [asdict(item) for item in items]
