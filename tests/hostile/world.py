"""What a hostile program would like to reach: all of it there, all of it ours, all of it harmless to lose."""

import os
import shutil
import socket
import tempfile
import time
from ast import literal_eval
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hostile.case import Case, Ends, Hangs, Outcome, Says
from hostile.surroundings import innocent
from support import HOST, PATIENCE, ROOT, SOLUTIONS

from harness.launch import Program, ProgramEnded
from harness.launch.command import python_program
from harness.launch.ports import reserved_port

ECHO = """\
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[-1]))) as listener:
    while True:
        with listener.accept()[0] as connection:
            while data := connection.recv(65536):
                connection.sendall(data)
"""


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that other users may enter (those of pytest are closed to them), for as long as the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="hand-ins-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hand_in(folder: Path, text: bytes, files: dict[str, str] | None = None) -> Path:
    """Write a hand-in; return its program."""
    folder.mkdir(parents=True)
    for name, content in (files or {}).items():
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "server.py").write_bytes(text)
    return folder / "server.py"


class World:
    """Listeners of ours, a bystander, a neighbour (another hand-in that is served in the same tier), secrets."""

    def __init__(self, tier: str, folder: Path, stack: ExitStack) -> None:
        self.tier, self.folder = tier, folder
        self.listener = stack.enter_context(socket.create_server((HOST, 0), backlog=100))
        self.listener6 = stack.enter_context(_listener6())
        self.datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.datagrams.bind((HOST, 0))
        self.abstract = stack.enter_context(_unix(f"\0hostile-{os.getpid()}-{tier}"))
        self.pathname = stack.enter_context(_unix(str(folder / "socket")))
        os.chmod(folder / "socket", 0o777)
        self.bystander = innocent()
        stack.callback(self._end_bystander)
        self.neighbour = stack.enter_context(
            Program(python_program(hand_in(folder / "neighbour", ECHO.encode())), tier=tier)
        )
        assert listening(self.neighbour)
        self.precious = folder / "precious"
        self.precious.mkdir(mode=0o700)
        (self.precious / "file").write_text("precious", encoding="utf-8")
        self.free = stack.enter_context(reserved_port(HOST))
        self.other = hand_in(folder / "another", b"print('solved')")
        self.number = 0

    def _end_bystander(self) -> None:
        self.bystander.kill()
        self.bystander.wait()

    def told(self, mark: str) -> dict[str, Any]:
        """Return what a program is told: whom and what it is to reach."""
        return {
            "tier": self.tier,
            "mark": mark,
            "root": os.getuid() == 0,
            "grader": os.getpid(),
            "bystander": self.bystander.pid,
            "neighbour": self.neighbour.port,
            "neighbour_pid": self.neighbour.pid,
            "port": self.listener.getsockname()[1],
            "port6": self.listener6.getsockname()[1],
            "udp": self.datagrams.getsockname()[1],
            "abstract": self.abstract.getsockname(),
            "pathname": self.pathname.getsockname(),
            "checks": str(ROOT / "harness/checks/check_echo.py"),
            "solution": str(SOLUTIONS / "lab01_blocking_echo.py"),
            "another": str(self.other),
            "precious": str(self.precious),
            "free": self.free,
            "home": str(Path.home()),
            "in_home": str(next(filter(Path.is_file, Path.home().iterdir()), "/no-such-file")),
            "runs": str(ROOT / "runs"),
            "root_folder": str(ROOT),
            "outside": str(self.folder),
        }

    def place(self, case: Case) -> tuple[Path, str]:
        """Write the hand-in of a case into a folder of its own; return its program, and the mark to leave."""
        self.number += 1
        mark = f"left-by-{os.getpid()}-{self.number}-"
        return hand_in(self.folder / f"hand-in-{self.number}", case.text(self.told(mark)), dict(case.files)), mark

    def is_served(self, program: Program) -> bool:
        """Whether a program echoes."""
        return exchange(program, b"hello\n") == b"hello\n"

    def serves_the_next(self) -> bool:
        """Whether the next submission is served."""
        self.number += 1
        file = hand_in(self.folder / f"next-{self.number}", ECHO.encode())
        with Program(python_program(file), tier=self.tier) as program:
            return listening(program) and self.is_served(program)


def _listener6() -> socket.socket:
    try:
        return socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:  # a machine without
        return socket.create_server((HOST, 0))


def _unix(name: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(name)
    made.listen()
    return made


def listening(program: Program, patience: float = PATIENCE) -> bool:
    """Wait until a program listens."""
    limit = time.monotonic() + patience
    return program.wait_listening(lambda: limit - time.monotonic())


def exchange(program: Program, data: bytes) -> bytes:
    """Connect, say something, and return all that comes until the end."""
    with program.new_socket() as client:
        client.settimeout(PATIENCE)
        client.connect(program.address)
        if data:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def outcome(program: Program, expected: Outcome) -> Outcome:
    """Return what a program comes to; words and patterns are those that were expected, if they fit."""

    try:
        if isinstance(expected, Hangs):
            program.output.first_line(PATIENCE)
            return Says("listens") if listening(program, 0.05) else Hangs()
        if listening(program):
            return Says(literal_eval(exchange(program, b"").decode()))
        return Hangs()
    except ProgramEnded as ended:
        program.output.finish(PATIENCE)
        printed = program.output.stdout.text() + program.output.stderr.text()
        came_to = Ends(str(ended), program.limit, printed)
        return expected if isinstance(expected, Ends) and expected.fits(came_to) else came_to
