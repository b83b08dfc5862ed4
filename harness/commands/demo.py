"""`lab demo`: the whole of the kit in one go."""

import argparse
import random
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from harness.checks.bench import Starter
from harness.checks.plugin import Run
from harness.checks.run import KitError, make_checks
from harness.checks.verdict import Status
from harness.commands.bench import server_of
from harness.commands.choose import program_of
from harness.commands.loading import Job, load_and_report
from harness.course import Lab, load_course
from harness.errors import UsageError
from harness.load.generators import Local
from harness.load.scenarios import scenario
from harness.load.summary import Row
from harness.load.sweep import Sweep
from harness.report.terminal import console, say, status_line
from harness.units import seconds as in_words


def demo(_: argparse.Namespace) -> int:
    """Check every solution, load labs 1 and 3, and say what a reader should take away."""
    out = console()
    checked = [_check_solution(lab, out) for lab in load_course().labs]
    servers = [server_of(load_course().lab(number), own=False) for number in (1, 3)]
    chosen = scenario("echo", {"echo"})
    with Local(1) as generators:
        sweep = Sweep(servers, [chosen.make(clients) for clients in chosen.clients], 1, generators)
        status = load_and_report(Demo("demo", "What a thread for each client buys", sweep, chosen, checked=checked))
    return max(status, *(int(lab["held"] < lab["made"]) for lab in checked))


class Demo(Job):
    """Says what a thread for each client buys, and not only what was measured."""

    def sentences(self, table: Sequence[Row]) -> list[str]:
        return lesson(table) or super().sentences(table)


def _check_solution(lab: Lab, out: Console) -> dict[str, Any]:
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


def lesson(rows: Sequence[Row]) -> list[str]:
    """Say in three sentences what a thread for each client buys, by the figures of labs 1 and 3 with most clients."""
    most = max(row["clients"] for row in rows)
    found = {row["server"]: row for row in rows if row["clients"] == most}
    if len(found) < 2:
        return []
    one, threads = found["lab 1"], found["lab 3"]
    more = (threads["memory"] - one["memory"]) / 2**20
    return [
        f"One client after another is a queue: with {most} clients the longest wait for a reply was "
        f"{in_words(one['latency']['100'])} (lab 1); with a thread for each client it was "
        f"{in_words(threads['latency']['100'])} (lab 3).",
        f"Threads turn more clients into more replies: {threads['throughput']:,.0f} a second instead of "
        f"{one['throughput']:,.0f}; the price is {threads['threads']:.0f} threads instead of {one['threads']:.0f}, "
        f"and {more:.1f} MiB of memory more.",
        f"The median would have hidden all of it: half of lab 1's replies took {in_words(one['latency']['50'])} "
        "or less, because only the first reply of each visit has to wait in the queue.",
    ]
