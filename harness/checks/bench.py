"""What one check works with: programs that are started ahead, servers that listen, and the end of them all."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.checks.ahead import Ahead
from harness.checks.subject import EXCHANGES, NO_EXCHANGE, Subject
from harness.checks.tested import Tested
from harness.checks.verdict import Hindered
from harness.checks.visitor import Visit, Visitor
from harness.launch import Command, Figures, Program, ProgramEnded, processes
from harness.launch.limits import LIMITS, Limits
from harness.launch.private import can_be_private
from harness.launch.program import HOST
from harness.launch.sockets import holder
from harness.launch.tiers import PLAIN
from harness.launch.yardstick import slowness
from harness.wire import Fault, Patience, Transcript
from harness.wire.transcript import SERVER, Kind

CLIENT = "client"  # the kind of a lab whose program connects to others
START_PATIENCE = 10.0  # seconds until a program listens
PORTS_TRIED = 5
IN_USE = "ddress already in use"  # strerror(EADDRINUSE) on Linux and macOS
AHEAD = 3  # programs at most that are being started before they are needed
LEFT_CLEAN = 0.1  # seconds in which a server may let go of a check's clients to be kept for the next check
HOPELESS = 3  # servers in a row that were not left as they were found: those to come will not be either


class Starter:
    """Starts the program under test again and again; a few are always being started ahead.

    Raises LaunchError where the program cannot be executed at all.
    """

    def __init__(
        self,
        command: Command,
        kind: str,
        ahead: int = AHEAD,
        tier: str = PLAIN,
        limits: Limits = LIMITS,
    ) -> None:
        self.command = command
        self.tier = tier
        self.limits = limits
        self.exchange = EXCHANGES.get(kind, NO_EXCHANGE)
        self.patience = Patience(slowness)
        self.is_client = kind == CLIENT
        self._ahead = ahead
        self._servers = Ahead(self.begin, min(ahead, not self.is_client))
        self._visits = Ahead(self.invite, min(ahead, self.is_client))
        self._kept: tuple[Program, Figures] | None = None
        self._changed = 0  # servers in a row that were not left as they were found
        self.keeps = processes.LINUX  # where it can be seen whether a server is as it was

    def expect(self, checks: int) -> None:
        """Start no more ahead than so many checks may need; the first one has its program already."""
        ready = self._visits if self.is_client else self._servers
        ready.keep_ready(min(self._ahead, checks - 1))

    def begin(self, host: str = HOST, port: int | None = None, **options: Any) -> Program:
        """Start a server in the tier of this run; see Program for the options."""
        return Program(self.command, host, port, tier=self.tier, limits=self.limits, **options)

    def invite(self, **options: Any) -> Visit:
        """Start a client in the tier of this run; see Visit.begin for the options."""
        return Visit.begin(self.command, tier=self.tier, limits=self.limits, **options)

    def next(self) -> Program:
        """Return a server that was started a moment ago and that nobody has spoken to."""
        return self._servers.next()

    def begin_round(self) -> None:
        """Serve no check with a server that has served others in an earlier round."""
        self._let_go()
        self._changed = 0
        self.keeps = processes.LINUX

    def keep_if_unchanged(self, server: Subject, found: Figures) -> bool:
        """Keep a server that has served a check if it is again as it was found; return whether it is."""
        unchanged = server.is_left_as(found, LEFT_CLEAN)
        if unchanged:
            self._kept = (server.program, found)
        self._changed = 0 if unchanged else self._changed + server.is_running()
        self.keeps = self.keeps and self._changed < HOPELESS
        return unchanged

    def kept(self) -> tuple[Program, Figures] | None:
        """Return the server that was kept last, if there is one that still runs, and forget it."""
        if self._kept and self.keeps and self._kept[0].is_running():
            kept, self._kept = self._kept, None
            return kept
        self._let_go()
        return None

    def _let_go(self) -> None:
        if self._kept:
            self._kept[0].close()
            self._kept = None

    def next_visit(self) -> Visit:
        """Return a client that was started a moment ago, and the listener that it was told of."""
        return self._visits.next()

    def __enter__(self) -> "Starter":
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()
        self._servers.close()
        self._visits.close()


@dataclass
class Bench:
    """What one check works with: it starts servers or clients, and lets go of everything at its end."""

    starter: Starter
    transcript: Transcript
    subjects: list[Tested] = field(default_factory=list)
    kept: bool = False  # whether its server has served other checks before
    _found: Figures | None = None

    def serve(self, fresh: bool = False) -> Subject:
        """Return a server that listens; one that has served other checks will do, unless it shall be `fresh`.

        A check that fails with such a server has to be made again with a fresh one: its evidence shall be its own.
        """
        kept = None if fresh else self.starter.kept()
        if kept:
            self.kept = True
            self.transcript.act("server = start()")
            program, self._found = kept
            return self._ready(program)
        subject = self.start()
        self._found = subject.program.figures()
        return subject

    def hand_on(self) -> None:
        """Let go of all connections; keep the server for the next check if it is again as it was found."""
        if self.starter.keeps and self._found and len(self.subjects) == 1:
            (subject,) = self.subjects
            if isinstance(subject, Subject) and self.starter.keep_if_unchanged(subject, self._found):
                return
        self.close()

    def start(self, host: str = HOST, port: int | None = None, defaults: bool = False) -> Subject:
        """Start the program, told where to listen (unless `defaults`), and wait until it listens."""
        usual = (host, port, defaults) == (HOST, None, False)
        self.transcript.act("server = start()" if usual else f"server = start({host!r}, {port!r}, {defaults!r})")
        if port is None and not defaults:
            return self._ready_on_a_free_port(self.starter.next if usual else lambda: self.starter.begin(host))
        private = defaults and self.starter.tier == PLAIN and can_be_private()
        return self._ready(self.starter.begin(host, port, defaults=defaults, private=private))

    def start_again(self, before: Subject) -> Subject:
        """Start the program on the port that it had before (and in its network, which may remember it)."""
        self.transcript.act("server = start_again(server)")
        program = before.program
        again = {} if program.place.shares_network else {"place": program.place}
        return self._ready(self.starter.begin(program.host, program.port, **again))

    def _ready_on_a_free_port(self, begin: Callable[[], Program]) -> Subject:
        """Start the program; where somebody else took its port in the meantime, start it on another one."""
        for tries_left in reversed(range(PORTS_TRIED)):
            program = begin()
            try:
                return self._ready(program)
            except Fault:
                taken = program.port_was_taken()
                says_so = IN_USE in program.output.stderr.text() + program.output.stdout.text()
                if program.is_running() or not (taken or (says_so and tries_left)):
                    raise
        raise Hindered(f"{PORTS_TRIED} times somebody else took the port that was free for the program: try again")

    def _ready(self, program: Program) -> Subject:
        subject = Subject(program, self.transcript, self.starter.patience, self.starter.exchange)
        self.subjects.append(subject)
        _wait_listening(program, self.starter.patience)
        self.transcript.record(SERVER, Kind.ACT, note=f"listens on {program.host}:{program.port}")
        return subject

    def invite(self, **options: Any) -> Visitor:
        """Start a client, told to connect to a listener of the harness; see Visit.begin for the options."""
        words = ", ".join(f"{name}={value!r}" for name, value in options.items())
        self.transcript.act(f"host, client = invite({words})")
        visit = self.starter.invite(**options) if options else self.starter.next_visit()
        visitor = Visitor(visit.program, self.transcript, self.starter.patience, visit.listener)
        self.subjects.append(visitor)
        return visitor

    def close(self) -> None:
        """Let go of all connections and end all programs."""
        for subject in list(self.subjects):
            subject.close()


def _wait_listening(program: Program, patience: Patience) -> None:
    deadline = patience.deadline(START_PATIENCE)
    try:
        listens = program.wait_listening(deadline.remaining)
    except ProgramEnded as end:
        program.output.finish(1.0)
        raise Fault(f"it does not listen: {end}", why=_why_it_ended(program)) from None
    if not listens:
        elsewhere = ", ".join(f"{host}:{port}" for host, port in sorted(program.listening()))
        raise Fault(
            f"it does not listen on {program.host}:{program.port} within {deadline.seconds:.0f} s",
            expected=f"{program.host}:{program.port}",
            received=elsewhere or "no listening socket at all",
        )


def port_in_use(port: int) -> Hindered:
    """Return what hinders a check that needs this very port."""
    user = holder(port) or "another program"
    return Hindered(f"port {port} is in use by {user}: end that program, then check again")


def _why_it_ended(program: Program) -> str:
    if IN_USE in program.output.stderr.text():
        return (
            "Its port was still busy: SO_REUSEADDR (socket(7)), set before bind(), allows it all the same. "
            "(Connections of a server that ran without it keep the port busy for a minute more.)"
        )
    return "The end of its output says what happened."
