"""A server is started with its calls recorded, a scene is played, and what both sides saw is put together."""

import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.launch import Command, Program, ProgramEnded
from harness.launch.limits import LIMITS, Limits
from harness.launch.streams import Stdin
from harness.launch.tiers import PLAIN
from harness.launch.yardstick import slowness
from harness.trace.python import calls_of, with_recorder
from harness.trace.scenes import SCENES, Stage
from harness.trace.system_calls import calls_in, under_strace
from harness.wire import Patience, Transcript

START_PATIENCE = 10.0  # seconds until a program listens
END_PATIENCE = 1.0  # seconds until it has ended, after it was told to
SETTLING = 0.3  # seconds at most in which a server sees that its last client has gone


class TraceError(Exception):
    """A program cannot be traced; the text says why."""


class NotServing(Exception):
    """A program does not come to the point where it serves anybody; the text says how it failed."""


def trace(command: Command, kind: str, tier: str = PLAIN, limits: Limits = LIMITS) -> dict[str, Any]:
    """Start a server, let the clients of the scene of its `kind` (echo, lines or chat) talk to it, and end it.

    Returns what a report is made of: `program`, `kind`, `seconds`, `clients` (how many), `calls` (rows of Call.as_row)
    and `transcript`.
    Raises TraceError, NotServing, or LaunchError where the program cannot be started.
    """
    if kind not in SCENES:
        raise TraceError(f"there is no scene for a program of the kind {kind!r}: {', '.join(SCENES)} are servers")
    patience = Patience(slowness)
    with TemporaryDirectory() as folder:
        recorded = with_recorder(command) or _under_strace(command, Path(folder), tier)
        with Program(recorded, stdin=Stdin.PIPE, tier=tier, limits=limits) as program:
            wait_listening(program, patience)
            transcript = Transcript()
            began = time.monotonic() - transcript.since_began(time.monotonic())
            stage = Stage(program, transcript, patience)
            SCENES[kind].play(stage)
            program.wait_settled(SETTLING)
            ended = time.monotonic()
            program.signal(signal.SIGTERM)  # strace writes down what it still has
            program.wait(END_PATIENCE)
        calls = calls_of(program.output.stdout.text(), stage.names) or calls_in(Path(folder), stage.names)
    return {
        "program": str(command),
        "kind": kind,
        "seconds": round(ended - began, 6),
        "clients": len(SCENES[kind].roles),
        "calls": [call.as_row(began) for call in calls],
        "transcript": [
            {
                "seconds": round(event.seconds, 6),
                "who": event.who,
                "kind": str(event.kind),
                "bytes": len(event.data),
                "note": event.note,
            }
            for event in transcript.events
        ],
    }


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
        printed = program.output.stderr.text().strip().splitlines()
        last = f" ({printed[-1]})" if printed else ""
        raise NotServing(f"the program ended before it listened: {error}{last}") from None
    raise NotServing(f"the program does not listen on its port, {program.port}, after {START_PATIENCE:.0f} s")
