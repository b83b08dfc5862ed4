"""No check fails a correct program: servers in other I/O models and languages pass everything that is asked of them."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, check, of_status

from harness.course import load_course

sys.path.insert(0, str(ROOT / "tests" / "servers"))

import catalogue

MODELS = "threads", "processes"  # what lab 3 is about


def cases() -> list[tuple[int, catalogue.Server, bool]]:
    """Return which lab each server is checked as, and whether the I/O model is left out."""
    echo, lines, chats = (list(of()) for of in (catalogue.echo_servers, catalogue.line_servers, catalogue.chat_servers))
    found = [(1, server, True) for server in echo]
    found += [(3, server, server.model not in MODELS) for server in echo if server.model != "sequential"]
    found += [(1, server, False) for server in echo if server.model == "sequential"]
    found += [(2, server, False) for server in lines]
    # Lab 5 moves mebibytes and brings a thousand clients at once: byte by byte the one takes too long, and the other
    # with a process each; a pool of threads has an end.
    found += [
        (5, server, True) for server in echo if server.model == "event loop" or server.name == "echo_socketserver"
    ]
    found += [(4, server, server.model != "threads") for server in chats]
    found += [(6, server, True) for server in chats if server.bounded]
    found += [(8, server, True) for server in chats if server.model == "event loop"]  # not a thread for each of 10,000
    return found


def options(lab: int, any_model: bool) -> list[str]:
    """Return what a server is checked with: all of it, but from lab 8 on only what is new there since lab 6."""
    words = ["--any-model"] * any_model
    if lab >= 8:
        new, known = ([name for step in load_course().lab(number).steps for name in step.checks] for number in (lab, 6))
        words += ["-k", " or ".join(["asks-for-a-name", *(name for name in new if name not in known)])]
    return words


def command(server: catalogue.Server) -> str:
    """Return the command line of a server, for --target."""
    return shlex.join(server.command)


@pytest.mark.parametrize(
    ("lab", "server", "any_model"), cases(), ids=lambda value: getattr(value, "name", str(value)).lower()
)
def test_a_correct_server_passes(lab: int, server: catalogue.Server, any_model: bool) -> None:
    status, results = check(lab, command(server), *options(lab, any_model))
    told = [(one["id"], one["status"], one["message"]) for one in results["checks"] if one["status"] != "pass"]
    assert (status, told) == (0, [])


def test_every_correct_server_can_run_here() -> None:
    assert catalogue.missing() == {}


def test_lab_3_is_not_passed_by_a_single_thread() -> None:
    loop = next(server for server in catalogue.echo_servers() if server.name == "echo_selectors")
    _, results = check(3, command(loop))
    assert of_status(results, "fail") == {"thread-per-client"}


def test_lab_5_is_not_passed_by_threads() -> None:
    _, results = check(5, f"{sys.executable} {Path('solutions/lab03_threaded_echo.py')}")
    assert of_status(results, "fail") == {"one-thread-for-all"}


def test_lab_6_is_not_passed_by_threads() -> None:
    threads = next(server for server in catalogue.chat_servers() if server.name == "chat_queues")
    _, results = check(6, command(threads), "-k", "one-thread or asks or registers or listens")
    assert of_status(results, "fail") == {"one-thread-for-all"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limits of another program cannot be changed")
def test_too_few_descriptors_are_no_fault_of_the_server() -> None:
    words = "check", "8", "--target", f"{sys.executable} solutions/lab08_epoll_chat.py", "-k", "talks-past or asks"
    limited = ["sh", "-c", 'ulimit -n 1300 && exec "$@"', "sh", sys.executable, "-m", "harness", *words]
    done = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "and this check needs 1400: raise the hard limit" in done.stdout


def test_lab_1_checked_as_lab_3_is_told_that_it_serves_one_after_another() -> None:
    _, results = check(3, f"{sys.executable} {Path('solutions/lab01_blocking_echo.py')}")
    told = {one["id"]: one["why"] for one in results["checks"] if one["status"] == "fail"}
    assert list(told) == ["silent-client-delays-nobody"]
    assert "one client after another, which is lab 1's model" in told["silent-client-delays-nobody"]
