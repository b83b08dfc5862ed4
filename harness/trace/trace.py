"""A program is started with its calls recorded, a scene is played, and what both sides saw is put together."""

import signal
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.launch import Command, Program, ProgramEnded
from harness.launch.limits import LIMITS, Limits
from harness.launch.program import HOST
from harness.launch.streams import Stdin
from harness.launch.tiers import PLAIN
from harness.launch.yardstick import slowness
from harness.trace.conversation import SERVER, converse
from harness.trace.python import calls_of, with_recorder
from harness.trace.scenes import SCENES, Stage
from harness.trace.system_calls import calls_in, under_strace
from harness.wire import Listener, Patience, Peer, Transcript

CLIENT = "client"
KINDS = (*SCENES, CLIENT)
START_PATIENCE = 10.0  # seconds until a program listens, or has connected
END_PATIENCE = 1.0  # seconds until it has ended, after it was told to
SETTLING = 0.3  # seconds at most in which a server sees that its last client has gone


class TraceError(Exception):
    """A program cannot be traced; the text says why."""


class NotServing(Exception):
    """A program does not come to the point where it serves anybody; the text says how it failed."""


@dataclass(frozen=True)
class _Played:
    """A scene that is over: what the others did, whose the ports were, and what the program printed."""

    transcript: Transcript
    began: float  # seconds of time.monotonic()
    ended: float
    names: dict[int, str]
    printed: str
    others: int


def trace(command: Command, kind: str, tier: str = PLAIN, limits: Limits = LIMITS) -> dict[str, Any]:
    """Start a program, play the scene of its `kind` (echo, lines, chat or client) with it, and end it.

    Returns what a report is made of: `program`, `kind`, `seconds`, `others` (how many played), `calls` (rows of
    Call.as_row) and `transcript`. Raises TraceError, NotServing, or LaunchError where the program cannot be started.
    """
    if kind not in KINDS:
        raise TraceError(f"there is no scene for a program of the kind {kind!r}, only for {', '.join(KINDS)}")
    if kind == CLIENT and tier != PLAIN:
        raise TraceError("a client can be traced in the tier plain only")
    with TemporaryDirectory() as folder:
        recorded = with_recorder(command) or _under_strace(command, Path(folder), tier)
        play = _with_a_client if kind == CLIENT else _with_a_server
        played = play(recorded, kind, tier, limits)
        calls = calls_of(played.printed, played.names) or calls_in(Path(folder), played.names)
    return {
        "program": str(command),
        "kind": kind,
        "seconds": round(played.ended - played.began, 6),
        "others": played.others,
        "calls": [call.as_row(played.began) for call in calls],
        "transcript": [
            {
                "seconds": round(event.seconds, 6),
                "who": event.who,
                "kind": str(event.kind),
                "bytes": len(event.data),
                "note": event.note,
            }
            for event in played.transcript.events
        ],
    }


def _with_a_server(command: Command, kind: str, tier: str, limits: Limits) -> _Played:
    patience = Patience(slowness)
    with Program(command, stdin=Stdin.PIPE, tier=tier, limits=limits) as program:
        wait_listening(program, patience)
        transcript = Transcript()
        began = _beginning(transcript)
        stage = Stage(program, transcript, patience)
        SCENES[kind].play(stage)
        program.wait_settled(SETTLING)
        ended = _end(program)
    return _Played(transcript, began, ended, stage.names, program.output.stdout.text(), len(SCENES[kind].roles))


def _with_a_client(command: Command, _: str, tier: str, limits: Limits) -> _Played:
    patience = Patience(slowness)
    with (
        closing(Listener()) as listener,
        Program(command, HOST, listener.port, stdin=Stdin.PIPE, tier=tier, limits=limits) as program,
    ):
        sock = listener.accept(patience.deadline(START_PATIENCE).remaining, program.is_running)
        if sock is None:
            raise NotServing(f"the program did not connect: {program.describe_end()}{_last_words(program)}")
        transcript = Transcript()
        began = _beginning(transcript)
        converse(program, Peer(SERVER, program, transcript, patience, accepted=sock))
        ended = _end(program)
    return _Played(transcript, began, ended, {listener.port: SERVER}, program.output.stdout.text(), 1)


def _beginning(transcript: Transcript) -> float:
    return time.monotonic() - transcript.since_began(time.monotonic())


def _end(program: Program) -> float:
    """Tell a program to end, so that strace writes down what it still has; return when it was told."""
    now = time.monotonic()
    if program.status is None:
        program.signal(signal.SIGTERM)
        program.wait(END_PATIENCE)
    return now


def _last_words(program: Program) -> str:
    program.output.finish(END_PATIENCE)
    printed = program.output.stderr.text().strip().splitlines()
    return f" ({printed[-1]})" if printed else ""


def _under_strace(command: Command, folder: Path, tier: str) -> Command:
    if tier != PLAIN:
        raise TraceError("in this tier, only Python programs can be traced that are started as `python3 FILE.py`")
    if not (found := under_strace(command, folder)):
        raise TraceError(
            "this is no Python program that is started as `python3 FILE.py`; others need strace (on Linux), install it"
        )
    return found


def wait_listening(program: Program, patience: Patience) -> None:
    """Wait until a program listens; raises NotServing if it does not come to that."""
    try:
        if program.wait_listening(patience.deadline(START_PATIENCE).remaining):
            return
    except ProgramEnded as error:
        raise NotServing(f"the program ended before it listened: {error}{_last_words(program)}") from None
    raise NotServing(f"the program does not listen on its port, {program.port}, after {START_PATIENCE:.0f} s")
