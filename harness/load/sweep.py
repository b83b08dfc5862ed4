"""A sweep over the number of clients, or over the offered rate, for several servers side by side."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace

from harness.launch import Command, Figures, LaunchError, Program, ProgramEnded
from harness.launch.descriptors import TooFew, own_descriptors
from harness.launch.limits import LIMITS, Limits
from harness.launch.tiers import PLAIN
from harness.load.chat import ChatLoad
from harness.load.echo import EchoLoad, Service
from harness.load.generators import OWN_DESCRIPTORS, Generators
from harness.load.outcome import CannotLoad, LoadFault, Outcome, ServerFull, Share, Span

START = 10.0  # seconds until a server listens
PAUSED_TALK = EchoLoad(clients=2, requests=6, pause=0.03, duration=0.0, stagger=0.04)
SHARE_OF_LOOKING = 0.1  # of a processor, at most: a look at 10,000 threads takes a while
LOCAL = "127.0.0.1"

Load = EchoLoad | ChatLoad


@dataclass(frozen=True)
class Server:
    """A server in a sweep."""

    name: str
    command: Command
    kind: str = "echo"  # or "chat"
    reference: bool = False  # whether others are compared with it
    limits: Limits = LIMITS


@dataclass(frozen=True)
class Used:
    """What a server took while it was measured."""

    threads: int  # the most that were seen
    memory: int  # bytes of PSS, the most that was seen
    descriptors: int  # the most that were seen
    cpu: float  # seconds of processor time
    switches: int  # context switches


@dataclass(frozen=True)
class Measurement:
    """One server under one load, once."""

    server: Server
    load: Load
    round: int
    outcome: Outcome
    used: Used


@dataclass
class Sweep:
    """Measures every server under every load, in turn, so that a drifting machine is fair to all.

    A server that is full, or at fault, is not asked for more: `full` and `faults` say why. The rest goes on.
    """

    servers: Sequence[Server]
    loads: Sequence[Load]
    rounds: int
    generators: Generators
    host: str = LOCAL  # where servers listen, and what generators connect to
    tier: str = PLAIN  # in which servers are held
    done: list[Measurement] = field(default_factory=list)
    full: dict[str, str] = field(default_factory=dict)  # by the server's name: from how many clients on, and why
    faults: dict[str, str] = field(default_factory=dict)

    def plan(self) -> list[tuple[int, Load, Server]]:
        """Return what is to be measured: the round, the load and the server."""
        return [(turn, load, server) for turn in range(self.rounds) for load in self.loads for server in self.servers]

    def run(self) -> Iterator[tuple[int, Load, Server]]:
        """Yield each part of the plan before it is measured. Raises CannotLoad or GeneratorDied."""
        too_many: dict[str, int] = {}
        for turn, load, server in self.plan():
            yield turn, load, server
            if server.name in self.faults or load.clients >= too_many.get(server.name, load.clients + 1):
                continue
            try:
                self.done.append(self._measure(turn, load, server))
            except ServerFull as full:
                too_many[server.name] = load.clients
                self.full[server.name] = f"{full} ({load.clients:,} came)"
            except LoadFault as fault:
                self.faults[server.name] = f"{server.name}, {load.clients} clients: {fault}"

    def _measure(self, turn: int, load: Load, server: Server) -> Measurement:
        if isinstance(load, EchoLoad):
            load = replace(load, service=_service(server))
        with _running(server, self.host, load.clients, self.tier) as program:
            watch = _Watch(program)
            outcome = self.generators.run(load, program, watch.look)
            watch.look_now()
            if not outcome.answers:
                raise LoadFault("nothing was answered in the time that was measured")
            return Measurement(server, load, turn, outcome, watch.used(*outcome.measured))


def talk(server: Server, tier: str = PLAIN) -> list[Span]:
    """Let two clients talk with pauses, the second one beginning a little later; return who waited when.

    Raises LoadFault.
    """
    with _running(server, LOCAL, PAUSED_TALK.clients, tier) as program, program.network() as network:
        load = replace(PAUSED_TALK, service=_service(server))
        return load.run(program.address, Share(network=network), keep_spans=True).spans


def _service(server: Server) -> Service:
    return "echo" if server.kind == "echo" else "ask"


@contextmanager
def _running(server: Server, host: str, clients: int, tier: str) -> Iterator[Program]:
    """Start a server, with as many descriptors as it may need, and wait until it listens."""
    try:
        most = max(server.limits.descriptors, 2 * clients)
        limits = replace(server.limits, wall=0, cpu=0, descriptors=most)  # a load ends by itself
        with ExitStack() as stack:
            stack.enter_context(own_descriptors(clients + OWN_DESCRIPTORS))
            program = stack.enter_context(Program(server.command, host, tier=tier, limits=limits))
            limit = time.monotonic() + START
            if not program.wait_listening(lambda: limit - time.monotonic()):
                raise LoadFault("it does not listen")
            try:
                yield program
            except LoadFault as fault:
                program.wait(1.0)  # a connection that was ended may be the first sign of the end of a program
                raise LoadFault(f"{fault}{_last_words(program)}") from None
    except TooFew as error:
        raise CannotLoad(f"{server.name} needs a descriptor for each of {clients:,} clients, but {error}") from None
    except (LaunchError, ProgramEnded) as error:
        raise LoadFault(str(error)) from None


def _last_words(program: Program) -> str:
    if program.is_running():
        return ""
    program.output.finish(1.0)
    lines = program.output.stderr.text().strip().splitlines()
    return f"; {program.describe_end()}{f', and said: {lines[-1]}' if lines else ''}"


class _Watch:
    """Looks at a program now and then, so that its figures can be told for the time that was measured."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.seen: list[tuple[int, Figures, int]] = []  # when, what, and all context switches so far
        self._switches: dict[int, int] = {}  # by thread; those that have ended keep what they had
        self._next = 0
        self.look_now()

    def look(self) -> None:
        """Look, unless looking took so long that it would disturb."""
        if time.perf_counter_ns() >= self._next:
            self.look_now()

    def look_now(self) -> None:
        """Look."""
        began = time.perf_counter_ns()
        self._switches.update(self.program.switches())
        self.seen.append((began, self.program.figures(), sum(self._switches.values())))
        over = time.perf_counter_ns()
        self._next = over + int((over - began) / SHARE_OF_LOOKING)

    def used(self, since: int, until: int) -> Used:
        """Return what was used between two times of this machine's clock (if it is not this machine's: in all)."""
        if not self.seen[0][0] <= since <= until <= self.seen[-1][0]:
            since, until = self.seen[0][0], self.seen[-1][0]
        within = [figures for when, figures, _ in self.seen if since <= when <= until] or [self.seen[-1][1]]
        return Used(
            threads=max(one.threads for one in within),
            memory=max(one.pss for one in within),
            descriptors=max(one.descriptors for one in within),
            cpu=self._at(until, lambda seen: seen[1].cpu) - self._at(since, lambda seen: seen[1].cpu),
            switches=round(self._at(until, lambda seen: seen[2]) - self._at(since, lambda seen: seen[2])),
        )

    def _at(self, when: int, value: Callable[[tuple[int, Figures, int]], float]) -> float:
        """Return what a sum was at some time, between two looks in proportion."""
        after = next(number for number, (seen, _, _) in enumerate(self.seen) if seen >= when)
        if after == 0:
            return value(self.seen[0])
        (began, *_), (over, *_) = before, behind = self.seen[after - 1], self.seen[after]
        part = (when - began) / max(1, over - began)
        return value(before) + part * (value(behind) - value(before))


def as_rows(spans: Sequence[Span]) -> list[dict[str, object]]:
    """Return spans as they stand in results.json."""
    return [asdict(span) for span in spans]
