"""No check fails a correct client: those in tests/clients pass, in other I/O models, languages and words."""

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support import SOLUTIONS, check, of_status

CLIENTS = Path(__file__).resolve().parent / "clients"
SOLUTION = SOLUTIONS / "lab07_chat_client.py"
LAB = 7
PATIENCE = 20.0  # seconds

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="these clients are written for POSIX")


def command(file: Path) -> str:
    """Return the command line of a client, for --target."""
    program = shutil.which("node") if file.suffix == ".mjs" else sys.executable
    if program is None:
        pytest.skip("needs node, which is not here")
    return f"'{program}' '{file}'"


@posix_only
@pytest.mark.parametrize("file", sorted(CLIENTS.glob("*.*")), ids=lambda file: file.stem)
def test_a_correct_client_passes(file: Path) -> None:
    status, results = check(LAB, command(file), "--any-model")
    told = [(one["id"], one["status"], one["message"]) for one in results["checks"] if one["status"] != "pass"]
    assert (status, told) == (0, [])


@posix_only
@pytest.mark.parametrize("name", ["one_thread_selectors", "asyncio_streams"])
def test_one_thread_is_not_the_model_of_this_lab(name: str) -> None:
    _, results = check(LAB, command(CLIENTS / f"{name}.py"))
    assert of_status(results, "fail") == {"receives-in-a-thread"}


# The solution, where the protocol says nothing


@contextmanager
def a_server(says: bytes) -> Iterator[int]:
    """Serve one client: say something, then close when the client says /exit or ends; yield the port."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(says)
            with suppress(ConnectionError):
                while (data := connection.recv(65536)) and b"/exit" not in data:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(PATIENCE)


def run_solution(*words: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[bytes]":
    """Run the solution without input."""
    full = [sys.executable, str(SOLUTION), *words]
    return subprocess.run(full, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False, env=env)


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "1e300"])
def test_a_timeout_that_is_none_is_told(timeout: str) -> None:
    done = run_solution("--port", "1", f"--timeout={timeout}")
    assert done.returncode == 1
    assert b"cannot connect to 127.0.0.1:1" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_port_that_is_none_is_told() -> None:
    done = run_solution("--port", "99999")
    assert done.returncode == 1
    assert b"cannot connect to 127.0.0.1:99999" in done.stderr


def test_characters_that_the_terminal_lacks_end_nothing() -> None:
    with a_server("Zürich 🙂\nplain\n".encode()) as port:
        done = run_solution("--port", str(port), env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stdout.split() == [b"Z?rich", b"?", b"plain"]


@posix_only
def test_nobody_who_reads_what_is_shown_ends_it_quietly() -> None:
    with a_server(b"a line\n" * 100_000) as port:
        words = [sys.executable, str(SOLUTION), "--port", str(port)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            process.wait(PATIENCE)
            assert process.stderr.read() == b""
    assert process.returncode in (0, 1)
