"""A command of the kit's own in a process of its own: the lines that it prints, and its end."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.launch.processes import let_children_heed_signals

HARNESS = Path(__file__).resolve().parents[2]  # where the package lies that the other process is to import
CALL = f"import sys; sys.path.insert(0, {str(HARNESS)!r}); from harness.cli import main; sys.exit(main())"
PATIENCE = 10.0  # seconds in which it ends what it has begun


class OwnCommand:
    """`lab WORDS` that runs; as a context manager it ends at the end of the block."""

    def __init__(self, *words: str) -> None:
        let_children_heed_signals()
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed below
        self._process = subprocess.Popen(
            [sys.executable, "-c", CALL, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
        )

    def lines(self) -> Iterator[str]:
        """Yield what it prints, line by line, until it ends."""
        assert self._process.stdout is not None
        yield from self._process.stdout

    def error(self) -> str:
        """Wait for its end; return what it said was wrong, "" if nothing was."""
        if not self._process.wait(PATIENCE):
            return ""
        self._errors.seek(0)
        return self._errors.read().strip().removeprefix("lab: ") or f"it ended with status {self._process.returncode}"

    def interrupt(self) -> None:
        """Let it end as Ctrl-C does; do not wait for that."""
        if self._process.poll() is None:
            self._process.terminate() if sys.platform == "win32" else self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Let it end, at once if it takes too long."""
        self.interrupt()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "OwnCommand":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()
