"""The standard input and output of a program: nothing and a pipe, two pipes, or a terminal to type at."""

import os
import queue
import struct
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from enum import Enum, auto
from typing import IO, TYPE_CHECKING

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = termios = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from harness.launch.tiers.place import Process

HAS_TERMINALS = hasattr(os, "openpty")
LINES, COLUMNS = 24, 80
CTRL_D = b"\x04"  # what ends the input at a terminal (termios(3), VEOF)
PIECE = 65536  # bytes that are handed over at once

# Runs in place of the program, and becomes it: its terminal sends it signals from now on (tty_ioctl(4), TIOCSCTTY).
ENTER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class Stdin(Enum):
    """What a program has for its standard input."""

    NOTHING = auto()  # it reads the end of it at once
    PIPE = auto()
    TERMINAL = (
        auto()
    )  # which is its standard output as well; it echoes, and sends SIGINT for Ctrl-C (where there is one)


class Keyboard:
    """Types at a program: a thread hands over what was typed, so that a program that does not read delays nobody."""

    def __init__(self, descriptor: int, end: bytes = b"") -> None:
        """Write to `descriptor`, which is this object's own now; `end` is what ends the input ("": closing it)."""
        self._descriptor = descriptor
        self._end = end
        self._typed = self._taken = 0  # bytes; each is counted by one thread alone
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._hand_over, name="keyboard", daemon=True)
        self._thread.start()

    def type(self, data: bytes) -> None:
        """Type; returns at once."""
        self._typed += len(data)
        self._waiting.put(data)

    def end_input(self) -> None:
        """End the input, behind all that was typed."""
        self._waiting.put(self._end or None)

    @property
    def untaken(self) -> int:
        """How many bytes were typed that neither the program nor the system has taken yet."""
        return self._typed - self._taken

    def _hand_over(self) -> None:
        try:
            while (data := self._waiting.get()) is not None:
                for start in range(0, len(data), PIECE):
                    rest = data[start : start + PIECE]
                    while rest:
                        taken = os.write(self._descriptor, rest)
                        rest, self._taken = rest[taken:], self._taken + taken
        except OSError:  # the program has closed its input, or has ended
            pass
        finally:
            os.close(self._descriptor)

    def close(self, timeout: float) -> None:
        """Type no more (the program has ended)."""
        self._waiting.put(None)
        self._thread.join(timeout)


class Streams:
    """Both ends of a program's standard input and output: its own for the start, ours from then on."""

    def __init__(self, kind: Stdin) -> None:
        """Make what has to be there before the program is."""
        self.is_terminal = kind is Stdin.TERMINAL and HAS_TERMINALS
        self._kind = kind
        self._ours: int | None = None
        self._its: int | None = None
        if self.is_terminal:
            self._ours, self._its = os.openpty()
            fcntl.ioctl(self._its, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))

    @property
    def stdin(self) -> int:
        """What subprocess.Popen is to be given."""
        if self._its is not None:
            return self._its
        return subprocess.DEVNULL if self._kind is Stdin.NOTHING else subprocess.PIPE

    @property
    def stdout(self) -> int:
        """What subprocess.Popen is to be given."""
        return subprocess.PIPE if self._its is None else self._its

    def before(self, words: list[str]) -> list[str]:
        """Return the command line that runs `words` on these streams."""
        return [sys.executable, "-I", "-S", "-c", ENTER, *words] if self.is_terminal else words

    @property
    def environment(self) -> dict[str, str]:
        """What a program shall know of them."""
        return {"TERM": "xterm"} if self.is_terminal else {}

    def ends(self, theirs: ExitStack) -> tuple[int, int, IO[bytes] | None, IO[bytes] | None]:
        """Return the program's ends of its input and output, which `theirs` closes, and ours (None: not a pipe)."""
        if self._its is not None:
            return self._its, self._its, None, None
        output, stdout = os.pipe()
        theirs.callback(os.close, stdout)
        ours = os.fdopen(output, "rb", buffering=0)
        if self._kind is Stdin.NOTHING:
            return theirs.enter_context(open(os.devnull, "rb")).fileno(), stdout, None, ours
        stdin, keys = os.pipe()
        theirs.callback(os.close, stdin)
        return stdin, stdout, os.fdopen(keys, "wb", buffering=0), ours

    def of(self, process: "Process") -> tuple[IO[bytes], Keyboard | None]:
        """Return our end of the output of the process that was started, and the keyboard if it has one."""
        if self._ours is not None:
            stdout = os.fdopen(self._ours, "rb", buffering=0)
            keyboard = Keyboard(os.dup(self._ours), CTRL_D)
            self._ours = None
            return stdout, keyboard
        assert process.stdout is not None
        if process.stdin is None:
            return process.stdout, None
        with process.stdin:
            return process.stdout, Keyboard(os.dup(process.stdin.fileno()))

    def close(self) -> None:
        """Let go of the program's end, and of ours where no program was started."""
        for descriptor in (self._its, self._ours):
            if descriptor is not None:
                with suppress(OSError):
                    os.close(descriptor)
        self._its = self._ours = None
