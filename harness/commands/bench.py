"""`lab bench`: many clients, more and more of them, for several servers side by side."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from harness.commands.choose import lab_and_step, limits_of, program_of, tier_of
from harness.commands.loading import Job, load_and_report
from harness.course import Lab, load_course
from harness.course.stubs import has_solutions
from harness.errors import UsageError
from harness.launch.limits import Limits
from harness.launch.tiers import BOX
from harness.load.generators import Cluster, Generators, Local
from harness.load.outcome import CannotLoad
from harness.load.scenarios import Scenario, ScenarioError, scenario
from harness.load.summary import Over
from harness.load.sweep import Load, Server, Sweep
from harness.shell import LAB

MOST_CLIENTS = 100_000
MOST_RATE = 1_000_000  # a second
SERVERS = "1, 3 and 5 (echo servers), or 4, 6, 8 and 9 (chats)"


def bench(args: argparse.Namespace) -> int:
    """Load the servers of some labs with more and more clients; print figures, write a report."""
    if args.duration <= 0 or args.rounds < 1 or args.warm_up < 0:
        raise UsageError("--duration and --rounds take numbers above 0, --warm-up takes 0 or more")
    servers = list(_servers(args))
    try:
        chosen = scenario(args.scenario, {server.kind for server in servers})
        told = dict(_name_and_value(text) for text in args.set)
        chosen = chosen.with_values(told | {"duration": str(args.duration), "warm_up": str(args.warm_up)})
        if args.talkers is not None:
            chosen = chosen.with_values({"talkers": str(args.talkers)})
        if chosen.load == "chat":
            chosen = chosen.with_values({"seed": str(args.seed)})
        loads, over = _loads(chosen, args)
        tier = tier_of(args.tier)
        if args.scheduler and tier == BOX:
            raise UsageError("a box has a network of its own, which no other machine reaches: --scheduler takes others")
        with _generators(args) as generators:
            sweep = Sweep(servers, loads, args.rounds, generators, args.host, tier)
            own = {server_of(lab, own=True).name: lab for lab in _labs(args)} if args.own else {}
            return load_and_report(Job("bench", chosen.title, sweep, chosen, over, args.seed, own=own))
    except (ScenarioError, CannotLoad) as error:
        raise UsageError(str(error)) from None


# What is asked for


def _labs(args: argparse.Namespace) -> list[Lab]:
    return [lab_and_step(number)[0] for number in args.labs or ([] if args.target else ["1", "3"])]


def _servers(args: argparse.Namespace) -> Iterator[Server]:
    labs, references = _labs(args), has_solutions()
    if labs and not references and not args.own:
        numbers = " ".join(str(lab.number) for lab in labs)
        raise UsageError(
            f"this copy of the kit has no solutions that could be loaded; `{LAB} bench {numbers} --own` loads yours"
        )
    for lab in labs:
        if references:
            yield server_of(lab, own=False, reference=args.own or bool(args.target))
        if args.own:
            yield server_of(lab, own=True)
    kind = labs[0].kind if labs else args.kind
    for target in args.target:
        command = program_of(load_course().labs[0], target)
        yield Server(Path(command.words[-1]).name, command, kind, limits=limits_of(labs[0]) if labs else Limits())


def server_of(lab: Lab, own: bool, reference: bool = False) -> Server:
    """Return the server of a lab, the student's `own` or ours; the `reference` is what others are compared with."""
    if lab.kind not in ("echo", "chat"):
        raise UsageError(f"lab {lab.number} is neither an echo server nor a chat; try labs {SERVERS}")
    name = f"yours (lab {lab.number})" if own else f"lab {lab.number}"
    return Server(name, program_of(lab, solution=not own), lab.kind, reference, limits_of(lab))


def _name_and_value(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"--set takes a name and a value, such as talkers=10; not {text!r}")
    return name.strip().replace("-", "_"), value.strip()


def _loads(chosen: Scenario, args: argparse.Namespace) -> tuple[list[Load], Over]:
    rates = _numbers("--rate", args.rate, 1e-3, MOST_RATE) if args.rate else []
    least = 2 if chosen.load == "chat" else 1
    clients = [int(one) for one in _numbers("--clients", args.clients, least, MOST_CLIENTS)] if args.clients else []
    if len(rates) > 1:
        if len(clients) > 1:
            raise UsageError("a sweep is over the clients or over the rates: give one number of clients or one rate")
        return [chosen.make((clients or [100])[0], rate) for rate in rates], "rate"
    return [chosen.make(one, *rates) for one in clients or chosen.clients], "clients"


def _numbers(option: str, text: str, least: float, most: float) -> list[float]:
    try:
        numbers = sorted({float(word) for word in text.split(",")})
    except ValueError:
        raise UsageError(f"{option} takes numbers with commas between them, such as 1,10,100; not {text!r}") from None
    if not least <= numbers[0] <= numbers[-1] <= most:
        why = " (one alone has nobody to talk to)" if least == 2 else ""
        raise UsageError(f"{option} takes numbers from {least:g} to {most:,}{why}")
    return numbers


def _generators(args: argparse.Namespace) -> Generators:
    if args.scheduler:
        return Cluster(args.scheduler)
    if args.generators is not None and args.generators < 1:
        raise UsageError("--generators takes a number above 0")
    return Local(args.generators or max(1, (os.cpu_count() or 2) - 1))
