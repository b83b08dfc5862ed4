"""What several tests need: the kit's own commands, run as people run them, and small servers in threads."""

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOLUTIONS = ROOT / "solutions"
PATIENCE = 20.0  # seconds, for what takes milliseconds: only a failure waits for it
HOST = "127.0.0.1"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LEADING_OUT = {"script", "iframe", "object", "embed", "link", "img", "base", "form", "foreignobject"}  # of HTML

Script = Callable[[socket.socket, int], None]  # what a server does with a connection, and its number from 0


def lab(*words: str, cwd: Path = ROOT, timeout: float = 180) -> subprocess.CompletedProcess[str]:
    """Run `lab WORDS`, in `cwd`; return its output and status."""
    command = [sys.executable, "-m", "harness", *words]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, encoding="utf-8", timeout=timeout, check=False
    )


def lab_of(kit: Path, *words: str) -> list[str]:
    """Return the command that is `lab WORDS` of a copy of the kit."""
    code = f"import sys; sys.path.insert(0, {str(kit)!r}); from harness.cli import main; sys.exit(main())"
    return [sys.executable, "-c", code, *words]


def in_kit(kit: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `lab WORDS` in a copy of the kit."""
    return subprocess.run(
        lab_of(kit, *words), cwd=kit, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def check(number: int, target: str, *options: str, timeout: float = 180) -> tuple[int, dict[str, Any]]:
    """Run `lab check` against a program; return its exit status and its results."""
    done = lab("check", str(number), "--target", target, "--json", "-", "--seed", "1", *options, timeout=timeout)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def python(file: Path) -> str:
    """Return a command line for --target that runs a Python file."""
    return f"'{sys.executable}' '{file}'"


def of_status(results: dict[str, Any], status: str) -> set[str]:
    """Return the ids of the checks with a verdict."""
    return {one["id"] for one in results["checks"] if one["status"] == status}


def in_a_browser(page: Path, profile: Path) -> str:
    """Return an HTML page as Chromium has it after loading it; `profile` is a folder of its own."""
    assert CHROMIUM is not None
    profile.mkdir()
    quiet = ("gpu", "quic", "background-networking", "component-update", "sync")
    words = [CHROMIUM, "--headless", "--no-sandbox", "--no-first-run", f"--user-data-dir={profile}", "--dump-dom"]
    words += [f"--disable-{what}" for what in quiet]
    done = subprocess.run(
        [*words, page.as_uri()], capture_output=True, text=True, encoding="utf-8", timeout=60, check=True
    )
    return done.stdout


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.policy = ""
        self.styles = ""
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag and everything in it that could lead somewhere."""
        self.tags.append(tag)
        self.text += " "
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster", "background", "style"):
                self.links.append((name, value or ""))
            assert not name.startswith("on"), f"{tag} {name}"
        fields = dict(attrs)
        if fields.get("http-equiv") == "Content-Security-Policy":
            self.policy = fields["content"] or ""

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.text += data
        if self.tags and self.tags[-1] == "style":
            self.styles += data


@contextmanager
def serving(script: Script, at_once: bool = True, backlog: int = 200) -> Iterator[tuple[str, int]]:
    """Serve each connection by `script`: a thread for each, or one after another in the order they came."""
    listener = socket.create_server((HOST, 0), backlog=backlog)
    threads: list[threading.Thread] = []

    def serve_one(connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(PATIENCE)
            script(connection, number)

    def serve() -> None:
        number = 0
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # shut down, below: the test is over
            if at_once:
                threads.append(threading.Thread(target=serve_one, args=(connection, number), daemon=True))
                threads[-1].start()
            else:
                serve_one(connection, number)
            number += 1

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    try:
        host, port = listener.getsockname()
        yield host, port
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [accepting, *threads]:
            thread.join(PATIENCE)


@contextmanager
def cluster(workers: int) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """Start a Dask scheduler and workers, each a process of its own, on loopback alone."""
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT))
        return started[-1]

    local = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    try:
        scheduler = start("dask_scheduler", *local, "--port", "0", "--no-show", "--no-jupyter")
        assert scheduler.stdout is not None
        address = next(word for line in scheduler.stdout for word in line.split() if word.startswith("tcp://"))
        threading.Thread(target=scheduler.stdout.read, daemon=True).start()
        for _ in range(workers):
            words = ["--nworkers", "1", "--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
            worker = start("dask_worker", address, *local, *words)
            assert worker.stdout is not None
            assert any("Registered to" in line for line in worker.stdout)
            threading.Thread(target=worker.stdout.read, daemon=True).start()
        yield address, started[1:]
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()
