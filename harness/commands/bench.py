"""`lab bench` and `lab demo`: many clients, and the whole of the kit in one go."""

import argparse
import random
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from harness import results
from harness.checks.bench import Starter
from harness.checks.plugin import Run
from harness.checks.run import KitError, make_checks
from harness.checks.verdict import Status
from harness.commands.choose import lab_and_step, program_of, shown
from harness.course import Lab, load_course
from harness.errors import UsageError
from harness.load.chat import ChatLoad
from harness.load.echo import SIZE, EchoLoad
from harness.load.engine import BUSY, LoadFault
from harness.load.sweep import Load, Server, as_rows, summary, sweep, talk
from harness.report.terminal import console, say, status_line

CLIENTS = (1, 2, 5, 10, 20, 50, 100)
MOST_CLIENTS = 500
MOST_LINES = 100_000  # a second
ANSWERS = {"echo": "replies", "chat": "deliveries"}  # what is counted and timed
TITLES = {"echo": "Echo servers under load", "chat": "Chats under load"}


def bench(args: argparse.Namespace) -> int:
    """Load the servers of some labs with more and more clients; print figures, write a report."""
    labs = [lab_and_step(number)[0] for number in args.labs or ["1", "3"]]
    servers = [_server_of(lab, args.own) for lab in labs]
    for target in args.target:
        command = program_of(load_course().labs[0], target)
        servers.append(Server(Path(command.words[-1]).name, command))
    if args.duration <= 0 or args.rounds < 1:
        raise UsageError("--duration and --rounds take numbers above 0")
    return _load_and_report(servers, _loads(_kind_of(labs), args), args.rounds, checked=[], what="bench")


def demo(_: argparse.Namespace) -> int:
    """Check every solution, load labs 1 and 3, and say what a reader should take away."""
    out = console()
    checked = [_check_solution(lab, out) for lab in load_course().labs]
    servers = [_server_of(load_course().lab(number), own=False) for number in (1, 3)]
    loads = [EchoLoad(clients) for clients in CLIENTS]
    status = _load_and_report(servers, loads, rounds=1, checked=checked, what="demo")
    return max(status, *(int(lab["held"] < lab["made"]) for lab in checked))


def _server_of(lab: Lab, own: bool) -> Server:
    if lab.kind not in ("echo", "chat"):
        raise UsageError(f"lab {lab.number} is neither an echo server nor a chat; try labs 1, 3 and 5, or 4 and 6")
    return Server(f"lab {lab.number}", program_of(lab, solution=not own))


def _kind_of(labs: Sequence[Lab]) -> str:
    kinds = {lab.kind for lab in labs}
    if len(kinds) > 1:
        raise UsageError("echo servers (labs 1, 3, 5) and chats (labs 4, 6) get different loads: give one kind only")
    return kinds.pop()


def _loads(kind: str, args: argparse.Namespace) -> list[Load]:
    if kind == "echo":
        if args.rate is not None or args.talkers is not None:
            raise UsageError("--rate and --talkers are for chats: in an echo load every client waits for its reply")
        return [EchoLoad(clients, duration=args.duration) for clients in _counts(args.clients, least=1)]
    talkers = 5 if args.talkers is None else args.talkers
    if talkers < 1:
        raise UsageError("--talkers takes a number above 0")
    if args.rate is not None and not 0 < args.rate <= MOST_LINES:
        raise UsageError(f"--rate takes a number of lines a second, above 0 and up to {MOST_LINES:,}")
    return [ChatLoad(clients, talkers, args.rate, duration=args.duration) for clients in _counts(args.clients, least=2)]


def _counts(text: str | None, least: int) -> list[int]:
    if text is None:
        return [count for count in CLIENTS if count >= least]
    try:
        counts = sorted({int(word) for word in text.split(",")})
    except ValueError:
        raise UsageError(f"--clients takes numbers with commas between them, such as 1,10,100; not {text!r}") from None
    if counts[0] < least or counts[-1] > MOST_CLIENTS:
        why = " (one alone has nobody to talk to)" if least == 2 else ""
        raise UsageError(f"--clients takes numbers from {least} to {MOST_CLIENTS}{why}")
    return counts


def _check_solution(lab: Lab, out: Any) -> dict[str, Any]:
    began = time.monotonic()
    with Starter(program_of(lab, solution=True), lab.kind) as starter, out.status(f"checking lab {lab.number}"):
        try:
            verdicts = make_checks(Run(lab, starter, seed=random.randrange(10**6)))
        except KitError as error:
            raise UsageError(str(error)) from None
    held = sum(verdict.status is Status.PASS for verdict in verdicts)
    seconds = time.monotonic() - began
    say(
        out,
        status_line(
            held == len(verdicts), f"solutions/{lab.program}: {held} of {len(verdicts)} checks hold ({seconds:.1f} s)"
        ),
    )
    for verdict in verdicts:
        if verdict.status is not Status.PASS:
            say(out, status_line(False, f"   {verdict.step} {verdict.title} {verdict.message}"))
    return {
        "program": f"solutions/{lab.program}",
        "held": held,
        "made": len(verdicts),
        "points": sum(verdict.points for verdict in verdicts),
        "max_points": lab.points,
        "seconds": seconds,
    }


def _load_and_report(
    servers: Sequence[Server], loads: Sequence[Load], rounds: int, checked: list[dict[str, Any]], what: str
) -> int:
    out = console()
    began = time.monotonic()
    kind = "echo" if isinstance(loads[0], EchoLoad) else "chat"
    try:
        with out.status("loading the servers") as status:
            points = sweep(servers, loads, rounds, lambda text: status.update(f"loading: {text}"))
            talks = {server.name: as_rows(talk(server)) for server in servers if kind == "echo"}
    except LoadFault as fault:
        say(out, status_line(False, f"a fault under load: {fault}"))
        return 1
    rows = summary(points)
    answers = f"{sum(point.answers for point in points):,} {ANSWERS[kind]}"
    say(out, status_line(True, f"{answers} checked, all correct ({time.monotonic() - began:.1f} s)"))
    outcome = {
        "kind": what,
        "title": "What a thread for each client buys" if what == "demo" else TITLES[kind],
        "when": f"{datetime.now():%Y-%m-%d %H:%M}",
        "command": shlex.join(["lab", *sys.argv[1:]]),
        "versions": results.surroundings(),
        "load": {"kind": kind, "rounds": rounds} | ({"size": SIZE} if kind == "echo" else {}) | asdict(loads[-1]),
        "sentences": lesson(rows) if what == "demo" else [*sentences(rows, kind), *cautions(rows)],
        "checked": checked,
        "rows": rows,
        "points": as_rows(points),
        "talks": talks,
    }
    _write_report(outcome, what, out)
    return 0


def lesson(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Say in three sentences what a thread for each client buys, by the figures of labs 1 and 3 with most clients."""
    most = max(row["clients"] for row in rows)
    one, threads = (next(r for r in rows if (r["server"], r["clients"]) == (f"lab {n}", most)) for n in (1, 3))
    more = (threads["memory"] - one["memory"]) / 2**20
    return [
        f"One client after another is a queue: with {most} clients the longest wait for a reply was "
        f"{_time(one['latency']['100'])} (lab 1); with a thread for each client it was "
        f"{_time(threads['latency']['100'])} (lab 3).",
        f"Threads turn more clients into more replies: {threads['throughput']:,.0f} a second instead of "
        f"{one['throughput']:,.0f}; the price is {threads['threads']:.0f} threads instead of {one['threads']:.0f}, "
        f"and {more:.1f} MiB of memory more.",
        f"The median would have hidden all of it: half of lab 1's replies took {_time(one['latency']['50'])} or less, "
        "because only the first reply of each visit has to wait in the queue.",
    ]


def sentences(rows: Sequence[dict[str, Any]], kind: str) -> list[str]:
    """Say of each server what its figures with most clients are."""
    most = max(row["clients"] for row in rows)
    return [
        _sentence(
            f"{row['server']}, with {most} clients: {row['throughput']:,.0f} {ANSWERS[kind]} a second; half of them "
            f"within {_time(row['latency']['50'])}, 99 of 100 within {_time(row['latency']['99'])}, the last after "
            f"{_time(row['latency']['100'])}; {row['threads']:.0f} {'thread' if row['threads'] == 1 else 'threads'}, "
            f"{row['memory'] / 2**20:.1f} MiB"
        )
        for row in rows
        if row["clients"] == most
    ]


def cautions(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Say where the load itself, not a server, may have been what was measured."""
    return [
        f"With {row['clients']} clients of {row['server']} the load itself was busy for {100 * row['busy']:.0f} % of "
        "the time: a faster server would hardly have given other figures."
        for row in rows
        if row["busy"] >= BUSY
    ]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.2g} ms" if seconds < 0.01 else f"{1000 * seconds:.0f} ms"


def _write_report(outcome: dict[str, Any], what: str, out: Any) -> None:
    with out.status("drawing"):
        from harness.report import html, plots

        folder = results.new_run(what)
        results.write_whole(folder / "load.svg", plots.load_figure(outcome["rows"], outcome["load"]["kind"]))
        if outcome["talks"]:
            results.write_whole(folder / "talk.svg", plots.talk_figure(outcome["talks"]))
        results.write_whole(folder / "report.html", html.render(outcome))
        results.save(folder, outcome)
    say(out)
    for number, sentence in enumerate(outcome["sentences"], start=1):
        say(out, f"{number}. {sentence}")
    say(out)
    say(out, f"The report: {shown(folder / 'report.html')}  (also runs/latest/report.html)")
