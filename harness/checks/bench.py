"""What one check works with: programs that are started ahead, servers that listen, and the end of them all."""

import threading
from dataclasses import dataclass, field

from harness.checks.subject import EXCHANGES, Subject
from harness.launch import Command, Program, ProgramEnded
from harness.launch.private import can_be_private
from harness.launch.program import HOST
from harness.launch.yardstick import slowness
from harness.wire import Fault, Patience, Transcript
from harness.wire.transcript import SERVER, Kind

START_PATIENCE = 10.0  # seconds until a program listens
AHEAD = 3  # programs that are being started before they are needed


class Starter:
    """Starts the program under test again and again; a few are always being started ahead.

    Raises LaunchError where the program cannot be executed at all.
    """

    def __init__(self, command: Command, kind: str, ahead: int = AHEAD) -> None:
        self.command = command
        self.exchange = EXCHANGES[kind]
        self.patience = Patience(slowness)
        self._ahead = ahead
        self._spares: list[Program] = []
        self._lock = threading.Lock()  # checks that wait are made in threads
        self._fill()

    def _fill(self) -> None:
        while len(self._spares) < self._ahead:
            self._spares.append(Program(self.command))

    def next(self) -> Program:
        """Return a program that was started a moment ago and that nobody has spoken to."""
        with self._lock:
            if not self._spares:
                return Program(self.command)
            program = self._spares.pop(0)
            self._fill()
            return program

    def __enter__(self) -> "Starter":
        return self

    def __exit__(self, *_: object) -> None:
        while self._spares:
            self._spares.pop().close()


@dataclass
class Bench:
    """What one check works with: it starts servers, and lets go of everything at its end."""

    starter: Starter
    transcript: Transcript
    subjects: list[Subject] = field(default_factory=list)

    def start(self, host: str = HOST, port: int | None = None, defaults: bool = False) -> Subject:
        """Start the program, told where to listen (unless `defaults`), and wait until it listens."""
        if (host, port, defaults) == (HOST, None, False):
            self.transcript.act("server = start()")
            return self._ready(self.starter.next())
        self.transcript.act(f"server = start({host!r}, {port!r}, {defaults!r})")
        return self._ready(Program(self.starter.command, host, port, defaults, private=defaults and can_be_private()))

    def start_again(self, before: Subject) -> Subject:
        """Start the program on the port that it had before."""
        self.transcript.act("server = start_again(server)")
        return self._ready(Program(self.starter.command, before.program.host, before.program.port))

    def _ready(self, program: Program) -> Subject:
        subject = Subject(program, self.transcript, self.starter.patience, self.starter.exchange)
        self.subjects.append(subject)
        _wait_listening(program, self.starter.patience)
        self.transcript.record(SERVER, Kind.ACT, note=f"listens on {program.host}:{program.port}")
        return subject

    def close(self) -> None:
        """Let go of all clients and end all programs."""
        for subject in list(self.subjects):
            subject.drop_clients()
            subject.program.close()


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
