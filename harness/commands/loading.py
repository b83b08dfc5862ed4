"""A sweep, from its first measurement to its report: what `lab bench` and `lab demo` share."""

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from rich.console import Console

from harness import results
from harness.commands.choose import shown
from harness.course import Lab
from harness.errors import UsageError
from harness.load import summary
from harness.load.generators import GeneratorDied
from harness.load.outcome import CannotLoad, LoadFault
from harness.load.scenarios import USUAL, Scenario
from harness.load.summary import Over, Row
from harness.load.sweep import Sweep, as_rows, talk
from harness.report.terminal import console, progress, say, status_line

INTERRUPTED = 130  # the exit status after Ctrl-C, as shells have it
SHARED = (
    "The clients and the servers shared one machine: compare the servers with each other, not with those of other "
    "machines."
)


@dataclass(frozen=True)
class Job:
    """What is to be measured, and what is to be told of it."""

    kind: str  # "bench" or "demo"
    title: str
    sweep: Sweep
    scenario: Scenario
    over: Over = "clients"
    seed: int | None = None
    checked: Sequence[dict[str, Any]] = ()  # what checks of solutions came to
    own: Mapping[str, Lab] = field(default_factory=dict)  # a student's labs, by their servers' names

    def sentences(self, table: Sequence[Row]) -> list[str]:
        """Say what is to be taken away."""
        return [
            *summary.compared(table, self.over),
            *self._speed(table),
            *summary.sentences(table, self.over, self.scenario.answers[1], knee=self.asking_grows),
            *(f"{name.capitalize()} is full: {why}." for name, why in self.sweep.full.items()),
        ]

    @property
    def asking_grows(self) -> bool:
        """Whether more clients ask more: of few who ask among many, there is no knee to be told."""
        return self.over == "rate" or self.scenario.values.get("active") is None

    def _speed(self, table: Sequence[Row]) -> list[str]:
        """Say what the speed of a student's labs is worth, where it is worth anything."""
        beside = summary.beside_reference(table)
        found = []
        for name, lab in self.own.items():
            if lab.speed and name in beside and self.scenario.name == USUAL[lab.kind]:
                ratio = beside[name][0]["throughput"] / beside[name][1]["throughput"]
                points = f"{lab.points_for_speed(ratio)} of {max(lab.speed.values())} points"
                steps = ", ".join(f"{worth} from {least}" for least, worth in lab.speed.items())
                found.append(f"For its speed, {name} earns {points} ({ratio:.2f} of the reference; {steps} on).")
        return found


@dataclass
class Ending:
    """How a sweep has ended."""

    status: int = 0
    said: str = ""  # why it was cut short


def load_and_report(job: Job) -> int:
    """Measure, print, and write the report of what was measured; return the exit status.

    Raises UsageError, or KeyboardInterrupt, where nothing was measured at all.
    """
    out, began = console(), time.monotonic()
    ending, talks = _measure(job, out)
    faults, done = job.sweep.faults.values(), job.sweep.done
    for fault in faults:
        say(out, status_line(False, f"a fault under load: {fault}"))
    if not done and ending.status:
        raise KeyboardInterrupt if ending.status == INTERRUPTED else UsageError(ending.said)
    if not done:
        return 1
    table = summary.rows(done, job.over)
    answers = f"{sum(one.outcome.answers for one in done):,} {job.scenario.answers[1]}"
    say(out, status_line(not faults, f"{answers} checked, all correct ({time.monotonic() - began:.1f} s)"))
    cut_short = [ending.said] if ending.said else []
    _report(
        {
            "kind": job.kind,
            "title": job.title,
            "when": f"{datetime.now():%Y-%m-%d %H:%M}",
            "command": shlex.join(["lab", *sys.argv[1:]]),
            "versions": results.surroundings(),
            "load": _described(job) | {"answers_each": _answers_each(table)},
            "sentences": [*cut_short, *(f"A fault under load: {fault}." for fault in faults), *job.sentences(table)],
            "checked": list(job.checked),
            "rows": table,
            "points": summary.points(done, job.over),
            "talks": talks,
        },
        out,
    )
    return ending.status or int(bool(faults))


def _measure(job: Job, out: Console) -> tuple[Ending, dict[str, list[dict[str, object]]]]:
    """Measure until all is done, Ctrl-C, or a generator that dies: that ends the measuring, not what is told of it."""
    sweep = job.sweep
    talks: dict[str, list[dict[str, object]]] = {}
    try:
        with progress(out, len(sweep.plan())) as step:
            for turn, load, server in sweep.run():
                offered = f", {load.rate:,.0f} {job.scenario.rates} a second" if load.rate else ""
                step(f"round {turn + 1} of {sweep.rounds}: {server.name}, {load.clients:,} clients{offered}")
            if job.scenario.name == "echo" and not sweep.loads[0].rate:
                talks = _talks(sweep)
    except KeyboardInterrupt:
        return Ending(INTERRUPTED, "Interrupted: what follows is what was measured until then."), talks
    except (CannotLoad, GeneratorDied) as error:
        return Ending(2, f"Not all was measured: {error}."), talks
    return Ending(), talks


def _talks(sweep: Sweep) -> dict[str, list[dict[str, object]]]:
    found = {}
    for server in sweep.servers:
        try:
            found[server.name] = as_rows(talk(server, sweep.tier))
        except LoadFault as error:
            sweep.faults.setdefault(server.name, f"{server.name}, 2 clients: {error}")
    return found


def _described(job: Job) -> dict[str, Any]:
    sweep, scenario, load = job.sweep, job.scenario, job.sweep.loads[-1]
    return {
        **asdict(load),
        "scenario": scenario.name,
        "title": scenario.title,
        "how": [
            *scenario.how_measured(load),
            f"{_several(sweep.rounds, 'round')}, the servers in turn; each figure is the median over the rounds, from "
            f"{_several(sweep.generators.number, 'generator')} of load.",
            SHARED,
        ],
        "answer": scenario.answers[0],
        "answers": scenario.answers[1],
        "unit": scenario.rates,
        "over": job.over,
        "closed": load.rate is None,
        "rounds": sweep.rounds,
        "tier": sweep.tier,
        "generators": sweep.generators.number,
        "seed": job.seed,
    }


def _answers_each(table: Sequence[Row]) -> float:
    """Return how many answers there are to one that is due: of a line that is said to all, many."""
    return median(row["answers"] / (row["rate"] * row["offered"]) for row in table) if table[0]["rate"] else 1


def _several(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _report(outcome: dict[str, Any], out: Console) -> None:
    from harness.report.figures_table import load_table

    if outcome["kind"] == "bench":
        say(out)
        out.print(load_table(outcome["rows"], outcome["load"]))
    with out.status("drawing"):
        from harness.report import html, plots

        folder = results.new_run(outcome["kind"])
        drawn = plots.pictures(outcome)
        for name, picture in drawn.items():
            results.write_whole(folder / name, picture)
        results.write_whole(folder / "report.html", html.render(outcome, drawn))
        results.save(folder, outcome)
    say(out)
    for number, sentence in enumerate(outcome["sentences"], start=1):
        say(out, f"{number}. {sentence}")
    say(out)
    linked = "  (also runs/latest/report.html)" if (folder.parent / "latest").resolve() == folder.resolve() else ""
    say(out, f"The report: {shown(folder / 'report.html')}{linked}")
