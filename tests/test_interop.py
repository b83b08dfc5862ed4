"""Every client that one might chat with, against every chat server of the course: ours, and those of other people."""

import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import ROOT, SOLUTIONS

from harness.checks.bench import Bench, Starter
from harness.checks.chat import join
from harness.checks.subject import Subject
from harness.launch.command import python_program
from harness.wire import Transcript

SERVERS = ["lab04_threaded_chat.py", "lab06_select_chat.py", "lab08_epoll_chat.py", "lab09_asyncio_chat.py"]
CLIENTS = {
    "lab 7": [sys.executable, str(SOLUTIONS / "lab07_chat_client.py"), "--host", "{host}", "--port", "{port}"],
    "nc": ["nc", "{host}", "{port}"],
    "telnet": ["telnet", "{host}", "{port}"],
    "socat": ["socat", "-", "TCP:{host}:{port}"],
    "node": ["node", str(ROOT / "tests" / "programs" / "plain.mjs"), "{host}", "{port}"],
}
SECONDS = 10.0


@contextmanager
def server_of(program: str) -> Iterator[Subject]:
    """Start a server of the course."""
    with Starter(python_program(SOLUTIONS / program), "chat", ahead=0) as starter:
        bench = Bench(starter, Transcript())
        try:
            yield bench.start()
        finally:
            bench.close()


class Person:
    """Somebody at a client: types, and reads what is shown."""

    def __init__(self, words: list[str], server: Subject) -> None:
        host, port = server.address
        command = [word.format(host=host, port=port) for word in words]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TERM": "dumb"},
        )
        self.shown: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.shown.put(line.decode(errors="replace").rstrip("\r\n"))

    def type(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def sees(self, words: str) -> str:
        """Wait for a line that contains the words."""
        seen = []
        while True:
            try:
                seen.append(self.shown.get(timeout=SECONDS))
            except queue.Empty:
                raise AssertionError(f"no line with {words!r} in {seen}") from None
            if words in seen[-1]:
                return seen[-1]

    def leave(self) -> None:
        """Close what is left of the client."""
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("program", SERVERS)
@pytest.mark.parametrize("name", CLIENTS)
def test_any_client_can_chat_on_any_server(name: str, program: str) -> None:
    if shutil.which(CLIENTS[name][0]) is None:
        pytest.skip(f"{CLIENTS[name][0]} is not on this machine")
    with server_of(program) as server:
        bob = join(server, "bob")
        zoe = Person(CLIENTS[name], server)
        try:
            zoe.sees("username")
            zoe.type("zoe")
            zoe.sees("Welcome")
            bob.expect_joined("zoe")
            zoe.type("hello from Zürich 🙂")
            bob.expect_message("zoe", "hello from Zürich 🙂")
            bob.say("hello zoe")
            assert zoe.sees("hello zoe").endswith("[bob] hello zoe")
            zoe.type("/whisper bob psst")
            bob.expect_private_from("zoe", "psst")
            zoe.type("/nick zora")
            bob.expect_renamed("zoe", "zora")
            zoe.type("/exit")
            zoe.sees("Goodbye")
            bob.expect_left("zora")
            bob.expect_silence()
        finally:
            zoe.leave()
