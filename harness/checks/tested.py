"""What checks do to a program under test and expect of it, be it a server or a client."""

import socket
import time
from dataclasses import dataclass
from typing import ClassVar

from harness.launch import Figures, Program
from harness.wire import Fault, Patience, Transcript
from harness.wire.transcript import Kind

SPIN_WINDOW = 0.1  # seconds of a first look; a program that seems to spin gets a second, longer one
SPIN_CONFIRMED = 1.0
SPINNING = 0.3  # of the time: a healthy program shows 0.00, a spinning one 0.95 or more
SETTLED = 2.0  # seconds; a program that is never at rest is told so by other checks
TRACEBACK = "Traceback (most recent call last)"


@dataclass
class Tested:
    """A program under test; every act and expectation is also a line of the transcript's script."""

    program: Program
    transcript: Transcript
    patience: Patience

    role: ClassVar[str] = "program"  # by which the transcript and its script name it

    def new_socket(self) -> socket.socket:
        """Return a TCP socket of the network in which it lives."""
        return self.program.new_socket()

    def is_running(self) -> bool:
        """Whether it is still there."""
        return self.program.is_running()

    def describe_end(self) -> str:
        """Say whether and how it ended (one that just closed everything gets a moment to end)."""
        self.program.wait(0.1)
        return self.program.describe_end()

    def settle(self) -> None:
        """Wait until it has done all that is to be done: every thread of it waits for something."""
        self.transcript.act(f"{self.role}.settle()")
        self.program.wait_settled(SETTLED)

    def held(self) -> Figures:
        """Return what it holds now, to be compared later."""
        self.transcript.act(f"held = {self.role}.held()")
        return self.program.figures()

    def expect_idle(self, why: str = "", window: float = SPIN_WINDOW) -> None:
        """Expect that it uses no processor time while nothing is to be done (for `window` seconds)."""
        self.transcript.act(f"{self.role}.expect_idle()")
        share = self._runnable_share(window)
        if share >= SPINNING:
            share = self._runnable_share(SPIN_CONFIRMED)
        if share >= SPINNING:
            raise Fault(
                "it spins: it uses the processor though there is nothing to do",
                expected="0 % of a processor",
                received=f"{100 * share:.0f} % of a processor",
                why=why or "A loop goes round without ever waiting in accept(), recv() or select().",
            )

    def _runnable_share(self, window: float) -> float:
        before, began = self.program.runnable_seconds(), time.monotonic()
        time.sleep(window)  # the window of the measurement
        return (self.program.runnable_seconds() - before) / (time.monotonic() - began)

    def _act(self, call: str, note: str) -> None:
        self.transcript.act(f"{self.role}.{call}")
        self.transcript.record(self.role, Kind.ACT, note=note)

    def _expect_no_traceback(self, why: str, after: str = "") -> None:
        """Expect that the program, which has ended, did not show what Python shows of an error that nobody caught."""
        self.program.output.finish(1.0)
        if TRACEBACK in (printed := self.program.output.stderr.text()):
            raise Fault(
                f"it ended with a traceback{after}",
                expected="no traceback",
                received=f"a traceback that ends with {printed.split()[-1]}",
                why=why,
            )

    def close(self) -> None:
        """End it, and let go of everything that belongs to it."""
        self.program.close()
