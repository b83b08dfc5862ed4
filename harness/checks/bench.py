"""What one check works with: programs that are started ahead, servers that listen, and the end of them all."""

from dataclasses import dataclass, field
from typing import Any

from harness.checks.ahead import Ahead
from harness.checks.subject import EXCHANGES, NO_EXCHANGE, Subject
from harness.checks.tested import Tested
from harness.checks.verdict import Hindered
from harness.checks.visitor import Visit, Visitor
from harness.launch import Command, Program, ProgramEnded
from harness.launch.ports import is_free
from harness.launch.private import can_be_private
from harness.launch.program import HOST
from harness.launch.yardstick import slowness
from harness.wire import Fault, Patience, Transcript
from harness.wire.transcript import SERVER, Kind

CLIENT = "client"  # the kind of a lab whose program connects to others
START_PATIENCE = 10.0  # seconds until a program listens
PORTS_TRIED = 5
AHEAD = 3  # programs that are being started before they are needed


class Starter:
    """Starts the program under test again and again; a few are always being started ahead.

    Raises LaunchError where the program cannot be executed at all.
    """

    def __init__(self, command: Command, kind: str, ahead: int = AHEAD) -> None:
        self.command = command
        self.exchange = EXCHANGES.get(kind, NO_EXCHANGE)
        self.patience = Patience(slowness)
        self._servers = Ahead(lambda: Program(command), ahead * (kind != CLIENT))
        self._visits = Ahead(lambda: Visit.begin(command), ahead * (kind == CLIENT))

    def next(self) -> Program:
        """Return a server that was started a moment ago and that nobody has spoken to."""
        return self._servers.next()

    def next_visit(self) -> Visit:
        """Return a client that was started a moment ago, and the listener that it was told of."""
        return self._visits.next()

    def __enter__(self) -> "Starter":
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.close()
        self._visits.close()


@dataclass
class Bench:
    """What one check works with: it starts servers or clients, and lets go of everything at its end."""

    starter: Starter
    transcript: Transcript
    subjects: list[Tested] = field(default_factory=list)

    def start(self, host: str = HOST, port: int | None = None, defaults: bool = False) -> Subject:
        """Start the program, told where to listen (unless `defaults`), and wait until it listens."""
        if (host, port, defaults) == (HOST, None, False):
            self.transcript.act("server = start()")
            return self._ready_on_a_free_port()
        self.transcript.act(f"server = start({host!r}, {port!r}, {defaults!r})")
        return self._ready(Program(self.starter.command, host, port, defaults, private=defaults and can_be_private()))

    def start_again(self, before: Subject) -> Subject:
        """Start the program on the port that it had before."""
        self.transcript.act("server = start_again(server)")
        return self._ready(Program(self.starter.command, before.program.host, before.program.port))

    def _ready_on_a_free_port(self) -> Subject:
        """Start the program; where somebody else took its port in the meantime, start it on another one."""
        for _ in range(PORTS_TRIED):
            program = self.starter.next()
            try:
                return self._ready(program)
            except Fault:
                if program.is_running() or is_free(program.host, program.port):
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
        visit = Visit.begin(self.starter.command, **options) if options else self.starter.next_visit()
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


def _why_it_ended(program: Program) -> str:
    if "Address already in use" in program.output.stderr.text():
        return (
            "Its port was still busy: SO_REUSEADDR (socket(7)), set before bind(), allows it all the same. "
            "(Connections of a server that ran without it keep the port busy for a minute more.)"
        )
    return "The end of its output says what happened."
