"""The command line, run as people run it: clear sentences, the right exit status, nothing lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT, SOLUTIONS, children_of, in_kit, lab, of_status, python

from harness.course.stubs import fill
from harness.launch.processes import state

ECHO = SOLUTIONS / "lab01_blocking_echo.py"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "10"], "there is no lab 10; the labs are 1, 2, 3"),
        (["check", "1.9"], "there is no step 1.9; the steps of lab 1 are 1.1, 1.2, 1.3, 1.4, 1.5"),
        (["check", "one"], "there is no lab one"),
        (["check", "1", "--target", ""], "the command line is empty"),
        (["check", "1", "--target", "'"], "is not a command line"),
        (["check", "1", "--target", "no-such-program"], "there is no such program"),
        (["check", "1", "--target", "./README.md"], "it is not executable"),
        (["check", "1", "--solution", "--repeat", "0"], "--repeat takes a number from 1 on"),
        (["check", "1", "--solution", "-k", "no_such_check"], "no check of lab 1 matches -k 'no_such_check'"),
        (["hint", "99.1"], "there is no lab 99"),
        (["reset", "99"], "there is no lab 99"),
        (["run", "0"], "there is no lab 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_told_in_one_sentence(words: list[str], said: str) -> None:
    done = lab(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("lab: ")
    assert "Traceback" not in done.stdout + done.stderr


def test_an_unknown_command_and_an_unknown_option_are_usage() -> None:
    assert lab("cheque").returncode == 2
    assert lab("check", "--frobnicate").returncode == 2


def test_a_program_that_does_not_stay_is_a_fault_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "broken.py"
    program.write_text("print('hello'\n")
    done = lab("check", "1", "--target", python(program), "-x")
    assert done.returncode == 1
    assert "it does not listen: it exited with status 1" in done.stdout
    assert "SyntaxError" in done.stdout


def test_a_program_that_is_not_python_is_checked_like_any_other(tmp_path: Path) -> None:
    program = tmp_path / "server.sh"
    program.write_text("#!/bin/sh\necho nothing to see here >&2\nexit 7\n")
    program.chmod(0o755)
    done = lab("check", "1", "--target", str(program), "-x")
    assert done.returncode == 1
    assert "exited with status 7" in done.stdout
    assert "nothing to see here" in done.stdout


def test_placeholders_are_filled_in(tmp_path: Path) -> None:
    target = f"{python(ECHO)} --host {{host}} --port {{port}}"
    done = lab("check", "1", "--target", target, "--json", str(tmp_path / "out.json"))
    results = json.loads((tmp_path / "out.json").read_text())
    blocked = {one["id"]: one["message"] for one in results["checks"] if one["status"] != "pass"}
    assert done.returncode == 1
    assert list(blocked) == ["has-default-address"]
    assert "names the address itself" in blocked["has-default-address"]


def test_json_on_standard_output_is_all_there_is_and_has_its_form() -> None:
    done = lab("check", "1", "--solution", "--json", "-", "--seed", "7")
    results = json.loads(done.stdout)
    assert done.returncode == 0
    assert results["seed"] == 7
    assert {"lab", "target", "seed", "tier", "versions", "points", "max_points", "checks"} <= set(results)
    fields = {"id", "step", "title", "clause", "status", "points", "max_points", "seconds", "message", "transcript"}
    assert all(fields <= set(one) for one in results["checks"])
    assert results["points"] == results["max_points"] == 47


def test_what_holds_is_drawn_on_request(kit: Path) -> None:
    words = ["check", "1", "--solution", "-k", "listens or half-close", "--json", "results.json"]
    assert "◀──" not in in_kit(kit, *words).stdout
    assert [one["transcript"] for one in json.loads((kit / "results.json").read_text())["checks"]] == [[], []]
    done = in_kit(kit, *words, "--draw")
    assert done.returncode == 0
    assert "◀── FIN (the end)" in done.stdout
    assert (kit / "runs" / "latest" / "report.html").read_text(encoding="utf-8").count("<svg") == 2
    client = in_kit(kit, "check", "7", "--solution", "-k", "shows-a-line", "--draw").stdout
    assert "host" in client


def test_json_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = lab("check", "1", "--solution", "-k", "listens", "--json", str(tmp_path / "no" / "folder" / "out.json"))
    assert done.returncode == 2
    assert "cannot write" in done.stderr


def test_one_step_is_checked_with_what_it_needs() -> None:
    done = lab("check", "1.4", "--solution", "--json", "-")
    results = json.loads(done.stdout)
    made = {one["id"] for one in results["checks"]}
    assert {"survives-reset", "leaks-nothing"} <= made
    assert {"listens", "echoes", "next-client"} <= made  # what those need
    assert "every-byte-value" not in made


def test_repeat_counts_what_differs(tmp_path: Path) -> None:
    program = tmp_path / "moody.py"
    state = tmp_path / "state"
    program.write_text(
        f"import sys, pathlib; sys.path.insert(0, {str(SOLUTIONS)!r})\n"
        f"import lab01_blocking_echo as lab\n"
        f"state = pathlib.Path({str(state)!r})\n"
        "def echo(connection):\n"
        "    turn = int(state.read_text()) if state.exists() else 0\n"
        "    while data := connection.recv(65536):\n"
        "        state.write_text(str(turn + 1))\n"
        "        connection.sendall(data if turn % 2 == 0 else data.upper())\n"
        "lab.run(lambda listener: lab.serve(listener, echo))\n"
    )
    done = lab(
        "check", "1", "--target", python(program), "-k", "answers_without_newline", "--repeat", "4", "--json", "-"
    )
    results = json.loads(done.stdout)
    assert done.returncode == 1
    (one,) = results["checks"]
    assert (one["status"], one["attempts"], one["failures"]) == ("fail", 4, 2)


def test_the_progress_of_a_student_is_kept_and_shown(kit: Path) -> None:
    file = kit / "labs" / "lab01_blocking_echo.py"
    file.write_text(fill(ECHO.read_text(encoding="utf-8"), {"1.1", "1.2"}), encoding="utf-8")
    done = in_kit(kit, "check", "1")
    assert done.returncode == 1
    assert "Next: step 1.3, The next client" in done.stdout
    assert "1.2 done" in (kit / "labs" / "progress.txt").read_text()
    where = in_kit(kit)
    assert where.returncode == 0
    assert "✓ 1.2" in where.stdout
    assert "▸ 1.3" in where.stdout
    assert "./lab check 1.3" in where.stdout
    file.write_text(fill(ECHO.read_text(encoding="utf-8"), {"1.1"}), encoding="utf-8")
    in_kit(kit, "check", "1")
    assert "1.2 done" not in (kit / "labs" / "progress.txt").read_text()


def test_an_untouched_stub_is_told_to_be_one(kit: Path) -> None:
    done = in_kit(kit, "check", "1")
    assert done.returncode == 1
    assert "is still the untouched stub: begin with step 1.1" in done.stdout
    assert "Step 1.1 is not written yet: look for `TODO 1.1`" in done.stdout


def test_a_missing_file_is_told_with_its_remedy(kit: Path) -> None:
    (kit / "labs" / "lab02_line_server.py").unlink()
    done = in_kit(kit, "check", "2")
    assert done.returncode == 2
    assert "labs/lab02_line_server.py is missing; `./lab reset 2` puts the stub there" in done.stderr
    assert in_kit(kit, "reset", "2").returncode == 0
    assert (kit / "labs" / "lab02_line_server.py").is_file()


def test_reset_loses_nothing(kit: Path) -> None:
    file = kit / "labs" / "lab01_blocking_echo.py"
    for number, text in enumerate(("my work\n", "my second try\n"), start=1):
        file.write_text(text)
        done = in_kit(kit, "reset", "1")
        assert done.returncode == 0
        kept = file.with_name(f"{file.name}.kept-{number}")
        assert str(kept.relative_to(kit)) in done.stdout
        assert kept.read_text() == text
        assert "TODO 1.1" in file.read_text()
    assert file.with_name(f"{file.name}.kept-1").read_text() == "my work\n"


def test_hints_come_one_at_a_time(kit: Path) -> None:
    first, second = in_kit(kit, "hint", "1.1").stdout, in_kit(kit, "hint", "1.1").stdout
    assert first.count("\n") == 2
    assert second.startswith(first.splitlines()[0])
    assert second.count("\n") == 3
    for _ in range(4):
        last = in_kit(kit, "hint", "1.1").stdout
    assert "That was the last hint" in last


def test_build_says_what_differs_and_mends_it(kit: Path) -> None:
    assert in_kit(kit, "build", "--check").returncode == 0
    file = kit / "labs" / "framing.py"
    file.write_text("mine\n")
    done = in_kit(kit, "build", "--check")
    assert (done.returncode, "framing.py" in done.stdout) == (1, True)
    assert in_kit(kit, "build").returncode == 0
    assert in_kit(kit, "build", "--check").returncode == 0
    assert file.with_name("framing.py.kept-1").read_text() == "mine\n"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_run_names_the_process_that_has_the_port(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    done = lab("run", "1", "--solution", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} is in use by" in done.stderr
    assert f"(process {os.getpid()})" in done.stderr


def test_run_is_the_server_itself_and_ends_with_it() -> None:
    command = [sys.executable, "-u", "-m", "harness", "run", "1", "--solution", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        port = int(lines[2].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"hello")
            assert client.recv(5) == b"hello"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


@pytest.mark.parametrize(("name", "expected"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_interrupting_a_check_leaves_nothing_behind(name: str, expected: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "harness", "check", "1", "--solution", "--repeat", "50"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as process:
        limit = time.monotonic() + 20
        while not (started := children_of(process.pid)) and time.monotonic() < limit:
            time.sleep(0.01)  # until it has started programs
        assert started
        process.send_signal(getattr(signal, name))
        assert process.wait(20) == expected
        assert not [pid for pid in started if state(pid) not in ("", "Z")]


IN_A_SCRIPT = ["sh", "-c", 'trap "" INT HUP; exec "$@"', "sh", sys.executable]  # as `nohup ... &` starts a command


def test_started_in_the_background_of_a_script_a_check_and_its_script_are_fair(kit: Path) -> None:
    heeds = "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    text = ECHO.read_text(encoding="utf-8")
    assert heeds in text
    correct, deaf = kit / "correct.py", kit / "deaf.py"
    correct.write_text(text.replace(heeds, ""), encoding="utf-8")  # as Python itself does where nobody says otherwise
    deaf.write_text(text.replace(heeds, "    signal.signal(signal.SIGINT, signal.SIG_IGN)\n"), encoding="utf-8")
    for program, status in ((correct, 0), (deaf, 1)):
        words = ["-m", "harness", "check", "1", "--target", python(program)]
        words += ["-k", "listens or echoes or stops-when-idle"]
        done = subprocess.run([*IN_A_SCRIPT, *words], cwd=kit, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout
    script = kit / "runs" / "latest" / "stops-when-idle.py"
    for program, status in ((deaf, 1), (correct, 0)):
        done = subprocess.run(
            [*IN_A_SCRIPT, script, sys.executable, program], capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout


def test_doctor_says_what_there_is() -> None:
    done = lab("doctor")
    assert done.returncode == 0
    for word in ("Python", "Containment", "plain", "Descriptors", "Port 5555", "pytest"):
        assert word in done.stdout


def test_the_checks_run_under_plain_pytest_too() -> None:
    command = [sys.executable, "-m", "pytest", "harness/checks", "--lab", "3", "-k", "silent", "-q"]
    command += ["--target", python(SOLUTIONS / "lab03_threaded_echo.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_statuses_are_told_apart() -> None:
    results = json.loads(lab("check", "3", "--target", python(ECHO), "--json", "-").stdout)
    assert of_status(results, "fail") == {"silent-client-delays-nobody"}
    assert of_status(results, "blocked") == {"thread-per-client"}


@pytest.mark.slow
def test_demo_checks_every_solution_loads_and_draws() -> None:
    done = lab("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "lab01_blocking_echo.py: 27 of 27",
        "lab02_line_server.py: 28 of 28",
        "lab03_threaded_echo.py: 27 of 27",
    ):
        assert f"{line} checks hold" in done.stdout
    assert [line[:2] for line in done.stdout.splitlines() if line[:2] in ("1.", "2.", "3.")] == ["1.", "2.", "3."]
    report = next(word for word in done.stdout.split() if word.endswith("report.html"))
    results = json.loads((ROOT / report).with_name("results.json").read_text(encoding="utf-8"))
    waits = {(row["server"], row["clients"]): row["latency"]["100"] for row in results["rows"]}
    assert waits["lab 1", 100] > 3 * waits["lab 3", 100]  # what the picture is there to show
    assert {span["client"] for span in results["talks"]["lab 1"]} == {0, 1}
