"""The correct servers of this folder: every check must pass on each of them that its lab is about.

They share the contract: not the language, not the I/O model, not a word of their logs (those on asyncio share how they
start and end). Of the chats, the two with threads share a room, and so do the two on asyncio; the wording is each
one's own.

    python3 catalogue.py        # builds what is to be built and lists everything
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HERE = Path(__file__).resolve().parent
BUILD_SECONDS = 120  # more than a compiler can need for some hundred lines

Kind = Literal["echo", "lines", "chat"]


@dataclass(frozen=True)
class Server:
    """A correct server. Append `--host HOST --port PORT` to its command to start it."""

    name: str
    kind: Kind
    command: tuple[str, ...]
    model: str  # "sequential", "threads", "pool", "processes" or "event loop"
    needs: tuple[str, ...]  # of "cc", "node", "fork", "linux", "posix"
    bounded: bool = True  # of a chat: whether it hangs up on who does not read (if not, it is one for lab 4 alone)


@dataclass(frozen=True)
class Source:
    """A server as it lies in this folder."""

    file: str
    kind: Kind
    model: str
    needs: tuple[str, ...] = ()
    bounded: bool = True

    @property
    def name(self) -> str:
        """The file's name without its dot: `lines_c` and `lines_mjs` are two servers."""
        return self.file.removesuffix(".py").replace(".", "_")


SOURCES = (
    Source("echo_sequential_slow.py", "echo", "sequential", ("posix",)),
    Source("echo_one_byte.py", "echo", "threads", ("posix",)),
    Source("echo_socketserver.py", "echo", "threads", ("posix",)),
    Source("echo_pool.py", "echo", "pool", ("posix",)),
    Source("echo_fork.py", "echo", "processes", ("fork",)),
    Source("echo_selectors.py", "echo", "event loop"),
    Source("echo_asyncio_streams.py", "echo", "event loop"),
    Source("echo_asyncio_protocol.py", "echo", "event loop"),
    Source("echo_epoll.c", "echo", "event loop", ("cc", "linux")),
    Source("echo.mjs", "echo", "event loop", ("node",)),
    Source("lines_one_byte.py", "lines", "sequential"),
    Source("lines_threaded.py", "lines", "threads", ("posix",)),
    Source("lines_asyncio.py", "lines", "event loop"),
    Source("lines.c", "lines", "threads", ("cc", "posix")),
    Source("lines.mjs", "lines", "event loop", ("node",)),
    Source("chat_locked.py", "chat", "threads", ("posix",), bounded=False),
    Source("chat_queues.py", "chat", "threads", ("posix",)),
    Source("chat_selectors.py", "chat", "event loop"),
    Source("chat_streams.py", "chat", "event loop"),
    Source("chat_protocol.py", "chat", "event loop"),
    Source("chat_epoll.c", "chat", "event loop", ("cc", "linux")),
    Source("chat.mjs", "chat", "event loop", ("node",)),
)


def echo_servers(cache: Path | None = None) -> Iterator[Server]:
    """Yield the echo servers that can run here; C programs are built into `cache`."""
    return _servers("echo", cache)


def line_servers(cache: Path | None = None) -> Iterator[Server]:
    """Yield the line servers that can run here; C programs are built into `cache`."""
    return _servers("lines", cache)


def chat_servers(cache: Path | None = None) -> Iterator[Server]:
    """Yield the chat servers that can run here; C programs are built into `cache`."""
    return _servers("chat", cache)


def missing(cache: Path | None = None) -> dict[str, str]:
    """Return the servers that cannot run here, by name, each with the reason."""
    return {source.name: reason for source in SOURCES if (reason := _obstacle(source, cache)) is not None}


def _servers(kind: Kind, cache: Path | None) -> Iterator[Server]:
    for source in SOURCES:
        if source.kind == kind and _obstacle(source, cache) is None:
            yield Server(source.name, kind, _command(source, cache), source.model, source.needs, source.bounded)


def _command(source: Source, cache: Path | None) -> tuple[str, ...]:
    path = HERE / source.file
    if path.suffix == ".c":
        return (str(built(path, cache)),)
    if path.suffix == ".mjs":
        return (_tool("node") or "node", str(path))
    return (sys.executable, str(path))


def _obstacle(source: Source, cache: Path | None) -> str | None:
    """Return why a server cannot run here, or None if it can."""
    for need in source.needs:
        if (reason := _lacking(need)) is not None:
            return reason
    if source.file.endswith(".c"):
        try:
            built(HERE / source.file, cache)
        except BuildError as error:
            return str(error)
    return None


@functools.cache
def _lacking(need: str) -> str | None:
    """Return what is wrong if a need is not met here."""
    met = {
        "cc": _tool("cc") is not None,
        "node": _tool("node") is not None,
        "fork": hasattr(os, "fork"),
        "linux": sys.platform == "linux",
        "posix": os.name == "posix",
    }[need]
    return None if met else f"needs {need}, which is not here"


def _tool(name: str) -> str | None:
    """Return the path of a tool; any C compiler is a `cc`."""
    names = ("cc", "gcc", "clang") if name == "cc" else (name,)
    return next((path for path in map(shutil.which, names) if path), None)


class BuildError(Exception):
    """A C program could not be built; the text says why."""


@functools.cache
def built(source: Path, cache: Path | None = None) -> Path:
    """Return the program made from a C source, building it unless the cache has it.

    The name of the program holds a digest of the source, so an edited source is built again; it appears in the
    cache complete or not at all, so any number of processes may build at once.
    """
    compiler = _tool("cc")
    if compiler is None:
        raise BuildError("needs cc, which is not here")
    folder = cache or _default_cache()
    flags = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-pthread")
    digest = hashlib.sha256("\0".join((compiler, *flags, source.read_text("utf-8"))).encode()).hexdigest()[:16]
    program = folder / f"{source.stem}-{digest}"
    if program.exists():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as scratch:
        unfinished = Path(scratch, source.stem)
        command = [compiler, *flags, "-o", str(unfinished), str(source)]
        try:
            run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=BUILD_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildError(f"cannot be built: {error}") from error
        if run.returncode != 0:
            raise BuildError(f"cannot be built: {run.stderr.strip()}")
        os.replace(unfinished, program)
    return program


def _default_cache() -> Path:
    """Return a folder of this user's own under the system's temporary one.

    Others can write there too, so a folder of that name which is somebody else's (and what lies in it) is refused.
    Others may read this one: a grader that is root runs servers as another user.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir(), f"reference-servers-{user}")
    folder.mkdir(mode=0o755, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or (os.name == "posix" and (status.st_uid != user or status.st_mode & 0o022)):
        raise BuildError(f"{folder} is not this user's alone: remove it, or name another cache")
    return folder


def main() -> None:
    """List every server: those that run here with their commands, the others with the reason."""
    for server in (*echo_servers(), *line_servers(), *chat_servers()):
        print(f"{server.name:24} {server.model:12} {' '.join(server.command)}")
    for name, reason in missing().items():
        print(f"{name:24} cannot run here: {reason}")


if __name__ == "__main__":
    main()
