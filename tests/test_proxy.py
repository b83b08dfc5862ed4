"""`lab proxy`: what a client and a server notice of what lies between them."""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from support import HOST, PATIENCE, ROOT, SOLUTIONS, lab

from harness.launch import Program
from harness.launch.command import python_program
from harness.launch.ports import reserved_port
from harness.wire.link import Address
from harness.wire.proxy import Proxy, Visit
from harness.wire.weather import Weather

COMMAND = [sys.executable, "-m", "harness", "proxy"]


@contextmanager
def line_server() -> Iterator[Address]:
    """Start the solution of lab 2."""
    with Program(python_program(SOLUTIONS / "lab02_line_server.py")) as program:
        assert program.wait_listening(lambda: PATIENCE)
        yield program.address


def ask(address: Address, data: bytes) -> bytes:
    """Send, end the stream, and return all that comes until the end."""
    with socket.create_connection(address, timeout=PATIENCE) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_a_proxy_serves_many_at_a_time_and_lets_go_of_all() -> None:
    opened, over = threading.Semaphore(0), threading.Semaphore(0)

    class Counted(Visit):
        def opened(self) -> None:
            opened.release()

        def closed(self) -> None:
            over.release()

    with line_server() as server, Proxy((HOST, 0), server, Weather(chunk=2), Counted) as proxy:
        assert ask(proxy.address, b"one\ntwo\n") == b"1 one\n2 two\n"
        assert over.acquire(timeout=PATIENCE)
        clients = [socket.create_connection(proxy.address, timeout=PATIENCE) for _ in range(20)]
        for _ in range(21):
            assert opened.acquire(timeout=PATIENCE)
        proxy.close()
        for client in clients:
            with client:
                assert client.recv(1) == b""
            assert over.acquire(timeout=PATIENCE)
        with pytest.raises(OSError):  # refused; on some systems it just does not work
            socket.create_connection(proxy.address, timeout=PATIENCE)


def test_each_connection_has_its_own_chance_and_the_same_one_again() -> None:
    def passed(seed: int) -> list[int]:
        """Return how much of each of three connections passed before the reset."""
        amounts = [0, 0, 0]

        class Counted(Visit):
            def seen(self, direction: object, passage: object, data: bytes) -> None:
                amounts[self.number - 1] += len(data) * (direction == "there")

        weather = Weather(chunk=1, reset_chance=0.05, seed=seed)
        listener = socket.create_server((HOST, 0))
        with listener, Proxy((HOST, 0), listener.getsockname(), weather, Counted) as proxy:
            for _ in range(3):
                with socket.create_connection(proxy.address, timeout=PATIENCE) as client, closing(listener.accept()[0]):
                    client.sendall(bytes(1000))
                    with pytest.raises(ConnectionResetError):
                        client.recv(1)
        return amounts

    first = passed(1)
    assert len(set(first)) > 1
    assert first == passed(1) != passed(2)


def test_who_wants_a_server_that_is_not_there_is_reset() -> None:
    with reserved_port(HOST) as port, Proxy((HOST, 0), (HOST, port)) as proxy:
        with pytest.raises(OSError):  # at whichever call it is noticed; an end would be none
            ask(proxy.address, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_the_verb_shows_what_passes_and_stops_on_ctrl_c() -> None:
    with line_server() as (_, port):
        command = [*COMMAND, "0", str(port), "--chunk", "3", "--show"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            told = re.fullmatch(
                rf"listening on {HOST}:(\d+); passes on to {HOST}:{port}: in segments of 3 bytes, 2 ms apart\n", first
            )
            assert told, first
            assert ask((HOST, int(told[1])), b"hello\n") == b"1 hello\n"
            shown = ""
            while "is over" not in shown:
                shown += process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
    rows = [line.split(maxsplit=2)[2] for line in shown.splitlines()[1:]]
    assert rows[0].endswith("connects")
    assert [row for row in rows if "──▶" in row] == [
        "──▶ 'hel' (3)",
        "──▶ 'lo\\n' (3)",
        "──▶ FIN (the end of the stream)",
    ]
    assert [row for row in rows if "◀──" in row][-1] == "◀── FIN (the end of the stream)"
    assert rows[-1] == "is over: 6 bytes there, 8 bytes back"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["5556", "somewhere"], "'somewhere' is no address; write a port, 5555, or host and port"),
        (["70000", "5555"], "'70000' is no address"),
        (["0", "5555", "--chunk", "-1"], "--chunk is 0 or more, not -1"),
        (["0", "5555", "--reset-chance", "2"], "--reset-chance is a probability"),
        (["192.0.2.1:0", "5555"], "cannot listen on 192.0.2.1:0"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_sentence(words: list[str], told: str) -> None:
    done = lab("proxy", *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
