"""The command line of a program under test."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path


class LaunchError(Exception):
    """A program could not be started at all; the text says why."""


@dataclass(frozen=True)
class Command:
    """A command line in which `{host}` and `{port}` stand for the address to listen on.

    A command without `{port}` is given `--host HOST --port PORT` at its end (PROTOCOL.md, C7).
    """

    words: tuple[str, ...]
    folder: Path

    def arguments(self, host: str | None, port: int | None) -> list[str]:
        """Return the words to execute; without host and port the program is left to its defaults."""
        if port is None or host is None:
            return list(self.words)
        if any("{port}" in word for word in self.words):
            return [word.replace("{host}", host).replace("{port}", str(port)) for word in self.words]
        return [*self.words, "--host", host, "--port", str(port)]

    @property
    def fills_in_address(self) -> bool:
        """Whether the command places the address itself, and so has no defaults of its own."""
        return any("{port}" in word for word in self.words)

    def __str__(self) -> str:
        return shlex.join(self.words)


def parse_command(text: str, folder: Path | None = None) -> Command:
    """Read a command line as a shell would split it; raise ValueError with what is wrong with it."""
    try:
        words = shlex.split(text, posix=os.name != "nt")
    except ValueError as error:
        raise ValueError(f"{text!r} is not a command line: {error}") from None
    if not words:
        raise ValueError("the command line is empty")
    return Command(tuple(words), folder or Path.cwd())


def python_program(file: Path) -> Command:
    """Return the command that runs a Python file as a student would, in the file's own folder."""
    return Command((sys.executable, str(file)), file.parent)
