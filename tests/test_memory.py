"""What clients send fills no server's memory: the solutions are measured while clients do their worst."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Iterator

import pytest
from support import PATIENCE, SOLUTIONS

from harness.launch import Program
from harness.launch.command import python_program

MIB = 1 << 20
LITTLE = 3 * MIB  # more than this is no noise of an allocator
TRIES = 10_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is not counted by PSS")


class Member:
    """A client that has said its name, and reads line by line."""

    def __init__(self, program: Program, name: str) -> None:
        self.socket = socket.create_connection(program.address, PATIENCE)
        self.socket.settimeout(PATIENCE)
        self.stream = self.socket.makefile("rb")
        self.say(name)
        self.wait_for(rb"\[SERVER\] .*Welcome")

    def say(self, text: str) -> None:
        self.socket.sendall(text.encode() + b"\n")

    def wait_for(self, pattern: bytes) -> None:
        """Read lines until one matches."""
        while not re.search(pattern, line := self.stream.readline()):
            assert line, "the server ended the connection"


@pytest.fixture(params=["lab04_threaded_chat.py", "lab06_select_chat.py"])
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    with Program(python_program(SOLUTIONS / request.param)) as program:
        assert program.wait_listening(lambda: PATIENCE)
        yield program


def grown(program: Program, deed: Callable[[Member], None]) -> int:
    """Return by how many bytes a server has grown while a member did something, and another one was served."""
    ann, bob = Member(program, "ann"), Member(program, "bob")
    ann.wait_for(rb"bob joined")
    before = program.figures().pss
    deed(ann)
    bob.say("/list")
    bob.wait_for(rb"Connected users")
    return program.figures().pss - before


def no_newline(ann: Member) -> None:
    for _ in range(64):
        ann.socket.sendall(b"x" * MIB)
    ann.say("")
    ann.wait_for(rb"\[ERROR\] line-too-long")


def names_that_are_refused(ann: Member) -> None:
    with socket.create_connection(ann.socket.getpeername(), PATIENCE) as nobody, nobody.makefile("rb") as stream:
        for number in range(0, TRIES, 100):
            nobody.sendall(b"".join(b"%d\n" % one for one in range(number, number + 100)))
            while b" name-invalid: %d " % (number + 99) not in (line := stream.readline()):
                assert line, "the server ended the connection"


def names_that_are_taken_and_given_up(ann: Member) -> None:
    for number in range(0, TRIES, 100):
        for one in range(number, number + 100):
            ann.say(f"/nick ann{one}")
        ann.wait_for(rb" is now ann%d\b" % (number + 99))


@pytest.mark.parametrize("deed", [no_newline, names_that_are_refused, names_that_are_taken_and_given_up])
def test_what_a_client_sends_fills_no_memory(program: Program, deed: Callable[[Member], None]) -> None:
    assert grown(program, deed) < LITTLE


@pytest.mark.parametrize("program", ["lab06_select_chat.py"], indirect=True)
def test_what_a_client_does_not_read_fills_no_memory(program: Program) -> None:
    ann, deaf = Member(program, "ann"), Member(program, "deaf")
    before = program.figures().pss
    for _ in range(16 * MIB // 4000):
        ann.say("x" * 4000)
    ann.wait_for(rb"deaf left")
    assert program.figures().pss - before < LITTLE
    deaf.socket.close()
