"""The servers of the labs, for notebooks: the solutions, or in a student's copy of the kit the student's own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.course import load_course
from harness.course.layout import LABS, SOLUTIONS
from harness.course.stubs import has_solutions
from harness.errors import UsageError
from harness.launch import Program, ProgramEnded
from harness.launch.command import python_program
from harness.load.sweep import Server

START = 20.0  # seconds


def lab(number: int) -> Server:
    """Return the server of a lab."""
    one = load_course().lab(number)
    folder = SOLUTIONS if has_solutions() else LABS
    return Server(f"lab {number}", python_program(folder / one.program), one.kind)


@contextmanager
def running(number: int) -> Iterator[Program]:
    """The server of a lab, listening, until the end of the block. Raises UsageError where it does not listen."""
    with Program(lab(number).command) as program:
        limit = time.monotonic() + START
        try:
            listens = program.wait_listening(lambda: limit - time.monotonic())
        except ProgramEnded as ended:
            raise UsageError(f"lab {number} does not run yet ({ended}): write it first, then come back") from None
        if not listens:
            raise UsageError(f"lab {number} does not listen: write its first step, then come back")
        yield program
