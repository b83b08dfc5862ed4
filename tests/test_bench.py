"""`lab bench`, as a person types it: figures, reports, faults, interruptions and misunderstandings."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, SOLUTIONS, lab, python

QUICK = ["--duration", "0.1", "--rounds", "1"]


def results_of(printed: str) -> tuple[dict[str, Any], str]:
    """Return the results and the HTML of the report that is named in what was printed."""
    report = ROOT / next(word for word in printed.split() if word.endswith("report.html"))
    return json.loads((report.parent / "results.json").read_text("utf-8")), report.read_text("utf-8")


def test_bench_checks_every_reply_and_writes_a_report() -> None:
    done = lab("bench", "1", "3", "--clients", "1,3", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "replies checked, all correct" in done.stdout
    results, text = results_of(done.stdout)
    assert text.count("<svg") == 5
    assert {row["server"] for row in results["rows"]} == {"lab 1", "lab 3"}
    assert results["load"]["closed"]


@pytest.mark.parametrize("options", [["--talkers", "3"], ["--rate", "100"]])
def test_bench_of_chats_checks_every_delivery_and_writes_a_report(options: list[str]) -> None:
    done = lab("bench", "4", "6", "--clients", "2,5", *QUICK, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "deliveries checked, all correct" in done.stdout
    results, text = results_of(done.stdout)
    assert text.count("<svg") == 4
    assert ("Open loop: 100 lines" in text) is ("--rate" in options)
    assert {row["server"] for row in results["rows"]} == {"lab 4", "lab 6"}


def test_all_servers_of_the_course_stand_in_one_picture() -> None:
    done = lab("bench", "1", "3", "4", "5", "6", "8", "9", "--clients", "2", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    results, text = results_of(done.stdout)
    assert {row["server"] for row in results["rows"]} == {f"lab {number}" for number in (1, 3, 4, 5, 6, 8, 9)}
    assert "one line in and one line out, whatever the server" in text


def test_a_sweep_over_the_rate_tells_which_rates_are_kept() -> None:
    done = lab("bench", "5", "--clients", "5", "--rate", "50,100,200", "--duration", "0.3", "--rounds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    results, _ = results_of(done.stdout)
    assert [row["rate"] for row in results["rows"]] == [50, 100, 200]
    assert results["load"]["over"] == "rate"
    assert "keeps every rate that was offered" in done.stdout or "o verdict" in done.stdout


@pytest.mark.parametrize("number", ["5", "6"])
def test_few_ask_among_many_who_are_silent(number: str) -> None:
    done = lab("bench", number, "--scenario", "idle", "--set", "active=3", "--clients", "4,40", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Then 3 of them go on asking" in results_of(done.stdout)[1]


def test_ones_own_server_is_compared_with_the_reference(tmp_path: Path) -> None:
    program = tmp_path / "mine.py"
    program.write_text((SOLUTIONS / "lab01_blocking_echo.py").read_text("utf-8"), encoding="utf-8")
    done = lab("bench", "1", "--target", python(program), "--clients", "1,2,5", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    results, text = results_of(done.stdout)
    assert {(row["server"], row["reference"]) for row in results["rows"]} == {("lab 1", True), ("mine.py", False)}
    assert "Mine.py has " in text or "no verdict" in text


def test_speed_is_worth_points_where_a_lab_gives_any(tmp_path: Path) -> None:
    """The stub of nobody, but the solution itself in the place of a student's work: it has all points or no verdict."""
    kit = tmp_path / "kit"
    for name in ("harness", "solutions"):
        (kit / name).mkdir(parents=True)
    shutil.copytree(ROOT / "harness", kit / "harness", dirs_exist_ok=True)
    shutil.copytree(ROOT / "solutions", kit / "solutions", dirs_exist_ok=True)
    shutil.copytree(ROOT / "solutions", kit / "labs")
    done = lab("bench", "6", "--own", "--clients", "5,10", *QUICK, cwd=kit)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"For its speed, yours \(lab 6\) earns [012] of 2 points", done.stdout) or (
        "o verdict" in done.stdout
    )


def test_generators_and_their_number_are_told() -> None:
    done = lab("bench", "5", "--clients", "7", "--generators", "2", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    results, text = results_of(done.stdout)
    assert results["load"]["generators"] == 2
    assert "from 2 generators of load" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["2"], "lab 2 is neither an echo server nor a chat"),
        (["3", "6", "--scenario", "broadcast"], "scenario broadcast is not for echo servers"),
        (["3", "--scenario", "nonsense"], "there is no scenario 'nonsense'; there are echo, "),
        (["6", "--clients", "1,5"], "--clients takes numbers from 2 to 100,000 (one alone has nobody to talk to)"),
        (["6", "--rate", "0"], "--rate takes numbers from 0.001 to 1,000,000"),
        (["6", "--rate", "10,x"], "--rate takes numbers with commas between them"),
        (["6", "--rate", "10,20", "--clients", "2,3"], "give one number of clients or one rate"),
        (["6", "--talkers", "0"], "talkers"),
        (["6", "--set", "talkers"], "--set takes a name and a value, such as talkers=10; not 'talkers'"),
        (["6", "--set", "nothing=1"], "scenario broadcast has no 'nothing'; it has "),
        (["1", "--clients", "many"], "--clients takes numbers with commas between them"),
        (["1", "--clients", "0"], "--clients takes numbers from 1 to"),
        (["1", "--duration", "0"], "--duration and --rounds take numbers above 0"),
        (["1", "--duration", "-1"], "take numbers above 0"),
        (["1", "--generators", "0"], "--generators takes a number above 0"),
        (["1", "--scheduler", "nowhere"], "--scheduler takes an address such as tcp://127.0.0.1:8786; not"),
        (["1", "--scheduler", "tcp://127.0.0.1:1"], "no scheduler answers at tcp://127.0.0.1:1: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_told_in_one_sentence(words: list[str], said: str) -> None:
    done = lab("bench", *words)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr


# Faults


def bench_of_a_faulty_server(folder: Path, lines: str, number: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Load a program that is a solution but for some lines, beside the solution itself."""
    program = folder / "faulty.py"
    program.write_text(f"import sys; sys.path.insert(0, {str(SOLUTIONS)!r})\n{lines}", encoding="utf-8")
    done = lab("bench", number, "--target", python(program), *QUICK, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    return done


def test_a_chat_that_loses_a_line_fails_loudly(tmp_path: Path) -> None:
    lines = (
        "import lab06_select_chat as lab\n"
        "class Lossy(lab.ChatServer):\n    def send(self, connection, data):\n"
        "        return super().send(connection, b'' if b'line 2 of guest1 ' in data else data)\n"
        "lab.run(lambda listener: Lossy(listener).serve())\n"
    )
    done = bench_of_a_faulty_server(tmp_path, lines, "6", "--clients", "3", "--rate", "50")
    assert "a fault under load: faulty.py, 3 clients: guest" in done.stdout
    assert "lost" in done.stdout
    results, _ = results_of(done.stdout)
    assert {row["server"] for row in results["rows"]} == {"lab 6"}, "what was measured of the others is told"
    assert results["sentences"][0].startswith("A fault under load: faulty.py, 3 clients: guest")


def test_a_server_that_loses_bytes_fails_loudly(tmp_path: Path) -> None:
    lines = (
        "import lab01_blocking_echo as lab\n"
        "def echo(connection):\n    while data := connection.recv(65536):\n"
        "        connection.sendall(data.replace(b'00003', b'00004'))\n"
        "lab.run(lambda listener: lab.serve(listener, echo))\n"
    )
    done = bench_of_a_faulty_server(tmp_path, lines, "1", "--clients", "2")
    assert "a fault under load: faulty.py, 2 clients: client" in done.stdout
    assert "request 3: expected" in done.stdout


def test_a_server_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    lines = (
        "import lab01_blocking_echo as lab\n"
        "def echo(connection):\n    connection.recv(65536)\n    raise SystemExit('out of memory')\n"
        "lab.run(lambda listener: lab.serve(listener, echo))\n"
    )
    done = bench_of_a_faulty_server(tmp_path, lines, "1", "--clients", "2")
    assert re.search(r"faulty.py, 2 clients: .*; it exited with status 1, and said: out of memory", done.stdout)


# Interruptions


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_an_interruption_reports_what_was_measured_until_then() -> None:
    command = [sys.executable, "-m", "harness", "bench", "1", "--clients", "1,2", "--duration", "0.1", "--rounds", "99"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for _ in wait_for_measurements(process.pid, 3):
            pass
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of its processes
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    results, text = results_of(out)
    assert 2 <= len(results["points"]) < 99
    assert "Interrupted: what follows is what was measured until then." in text
    assert left_of(process.pid) == []


def wait_for_measurements(pid: int, count: int) -> Any:
    """Yield until the command has started so many servers, one after another."""
    import time

    seen: set[str] = set()
    deadline = time.monotonic() + 60
    while len(seen) <= count:
        assert time.monotonic() < deadline
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            try:
                if "lab01" in Path(f"/proc/{child}/cmdline").read_text():
                    seen.add(child)
            except OSError:
                continue  # it has ended meanwhile
        time.sleep(0.005)  # polls: nobody tells when a process starts others
        yield


def left_of(session: int) -> list[str]:
    """Return what is left of the processes of a session."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.getsid(int(folder.name)) == session:
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue  # it has ended meanwhile
    return [one for one in found if one]
