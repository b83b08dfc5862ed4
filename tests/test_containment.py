"""The tiers of containment themselves: what holds in them for honest programs, and what is said where there is none.

What hostile programs come to in them is in test_hostile.py.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hostile.multiplying import RELAY
from hostile.surroundings import left_by
from hostile.world import ECHO, exchange, hand_in, listening, open_folder
from support import PATIENCE, ROOT, SOLUTIONS, check, lab, of_status, python

from harness.launch import LaunchError, Program
from harness.launch.command import python_program
from harness.launch.descriptors import own_descriptors
from harness.launch.processes import state
from harness.launch.tiers import BOX, PLAIN, RULESET, hindrance

boxed = pytest.mark.skipif(bool(hindrance(BOX)), reason=hindrance(BOX))
ruled = pytest.mark.skipif(bool(hindrance(RULESET)), reason=hindrance(RULESET))
as_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a program a user of its own"
)
CONTAINING = [pytest.param(BOX, marks=boxed), pytest.param(RULESET, marks=ruled)]
in_each_containing_tier = pytest.mark.parametrize("tier", CONTAINING)
in_each_tier = pytest.mark.parametrize("tier", [*CONTAINING, PLAIN])


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter."""
    with open_folder() as made:
        yield made


def status_of(pid: int, field: str) -> str:
    """Return a field of proc_pid_status(5)."""
    return Path(f"/proc/{pid}/status").read_text().partition(f"\n{field}:")[2].split("\n")[0].strip()


SETTINGS = ("/etc/hosts", "/etc/localtime", "/etc/ssl/openssl.cnf")
READS_SETTINGS = (
    """
import os
print([place for place in {places!r} if os.access(place, os.R_OK) and open(place, "rb").read(1)], flush=True)
"""
    + ECHO
)


@in_each_containing_tier
def test_the_settings_of_the_system_can_be_read(folder: Path, tier: str) -> None:
    places = [place for place in SETTINGS if os.access(place, os.R_OK)]
    assert places
    file = hand_in(folder / "hand-in", READS_SETTINGS.format(places=places).encode())
    with Program(python_program(file), tier=tier) as program:
        assert program.output.first_line(PATIENCE) == repr(places)


@boxed
@as_root
def test_the_first_process_of_a_box_can_give_programs_their_user_and_nothing_else(folder: Path) -> None:
    with Program(python_program(hand_in(folder / "hand-in", ECHO.encode())), tier=BOX) as program:
        assert listening(program)
        assert int(status_of(program.place.init, "CapEff"), 16) == 1 << 6 | 1 << 7  # CAP_SETGID, CAP_SETUID
        assert int(status_of(program.pid, "Uid").split()[0]) == program.place.uid


@in_each_containing_tier
def test_a_program_that_multiplies_without_pause_is_ended_whole(folder: Path, tier: str) -> None:
    file = hand_in(folder / "hand-in", f"import os, time\n{RELAY}".encode())
    with Program(python_program(file), tier=tier) as program:
        assert program.output.first_line(PATIENCE) == "goes"
        program.kill()
        assert not program.is_running()
        assert program.members() == []


# A grader that is killed

STAYS = """
import os, signal, socket, sys, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
port = int(sys.argv[-1])
if os.fork() == 0:
    os.setsid()
    for _ in range(20):
        if os.fork() == 0:
            os.setsid()
            time.sleep(60)
    if os.fork():
        os._exit(0)
    os.environ.clear()
listener = socket.create_server(("127.0.0.1", port), reuse_port=True)
time.sleep(60)
"""
GRADER = """
import sys, time
from pathlib import Path
from harness.launch import Program
from harness.launch.command import python_program
from harness.launch.descriptors import own_descriptors
with Program(python_program(Path(sys.argv[1])), tier=sys.argv[2]) as program:
    program.wait_listening(lambda: 20.0)
    end = time.monotonic() + 20
    while len(program.members()) < 22 and time.monotonic() < end:
        time.sleep(0.001)  # polls: nobody announces it
    print(program.place.child, program.place.init, *program.members(), flush=True)
    time.sleep(60)
"""


@in_each_containing_tier
def test_a_grader_that_is_killed_leaves_nothing(folder: Path, tier: str) -> None:
    file = hand_in(folder / "hand-in", STAYS.encode())
    with subprocess.Popen(
        [sys.executable, "-c", GRADER, str(file), tier], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as grader:
        assert grader.stdout is not None
        pids = [int(word) for word in grader.stdout.readline().split()]
        assert len(pids) >= 24
        users = {status_of(pid, "Uid").split()[0] for pid in pids[2:] if state(pid)}
        grader.send_signal(signal.SIGKILL)
        began = time.monotonic()
    while (left := [pid for pid in pids if state(pid) not in ("", "Z")]) and time.monotonic() < began + PATIENCE:
        time.sleep(0.001)  # polls: the end of a process that is not our child is announced to nobody
    took = time.monotonic() - began
    assert not left
    print(f"{tier}: gone after {1000 * took:.0f} ms")
    assert took < 2.0  # 0.02 on a machine that has little else to do; this one may be busy
    for place in map(Path, ("/tmp", "/dev/shm")):
        assert not [path for path in place.iterdir() if str(path.lstat().st_uid) in users - {str(os.getuid())}]


IN_THE_MIDDLE = """
import sys
from pathlib import Path
from harness.launch import Program
from harness.launch.command import python_program
with Program(python_program(Path(sys.argv[1])), tier=sys.argv[2]) as program:
    program.wait_listening(lambda: 20.0)
    print("listens", flush=True)
    while True:
        program.allow_descriptors(100)
"""


@in_each_containing_tier
def test_a_grader_that_is_killed_in_the_middle_of_an_order_leaves_nothing(folder: Path, tier: str) -> None:
    file = hand_in(folder / "hand-in", ECHO.encode())
    for _ in range(3):
        words = [sys.executable, "-c", IN_THE_MIDDLE, str(file), tier]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as grader:
            assert grader.stdout is not None
            assert grader.stdout.readline() == "listens\n"
            grader.kill()
        end = time.monotonic() + PATIENCE
        while (left := left_by(0, file.parent)) and time.monotonic() < end:
            time.sleep(0.01)  # polls, as above
        assert not left


# Honest programs


@pytest.mark.parametrize(("number", "file"), [(1, "lab01_blocking_echo.py"), (5, "lab05_select_echo.py")])
@in_each_containing_tier
def test_the_solutions_pass(tier: str, number: int, file: str) -> None:
    status, results = check(number, python(SOLUTIONS / file), "--tier", tier)
    assert not [(one["id"], one["message"]) for one in results["checks"] if one["status"] != "pass"]
    assert (status, results["tier"]) == (0, tier)


@in_each_containing_tier
@pytest.mark.slow
def test_the_chat_passes(tier: str) -> None:
    done = lab("check", "6", "--solution", "--tier", tier)
    assert done.returncode == 0, done.stdout
    assert f"points (in the tier {tier})." in done.stdout


@in_each_tier
@pytest.mark.slow
def test_a_client_passes_in_each_tier(tier: str) -> None:
    done = lab("check", "7", "--solution", "--tier", tier)
    assert done.returncode == 0, done.stdout


STUBBORN = [
    ("listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)", "pass"),
    ("signal.signal(signal.SIGTERM, signal.default_int_handler)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"),
]


@in_each_containing_tier
def test_verdicts_are_the_same_in_each_tier(folder: Path, tier: str) -> None:
    text = (SOLUTIONS / "lab01_blocking_echo.py").read_text(encoding="utf-8")
    for right, wrong in STUBBORN:
        assert right in text, right
        text = text.replace(right, wrong)
    program = hand_in(folder / "hand-in", text.encode())
    words = ("-k", "restarts or stops or listens or byte")
    (_, plain), (_, contained) = (check(1, python(program), "--tier", one, *words) for one in (PLAIN, tier))
    assert of_status(contained, "fail") >= {"restarts-at-once", "stops-when-idle"}
    assert [(one["id"], one["status"]) for one in plain["checks"]] == [
        (one["id"], one["status"]) for one in contained["checks"]
    ]


# Other users, and root with less

# What root has in a container by Docker's defaults; the rest is dropped from the bounding set (capabilities(7)).
OF_CONTAINERS = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
AS_IN_A_CONTAINER = f"""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for number in set(range(41)) - set({OF_CONTAINERS}):
    libc.prctl(24, number, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
"""


@ruled
@as_root
def test_the_rules_hold_for_root_in_a_container(folder: Path) -> None:
    file = hand_in(folder / "hand-in", (SOLUTIONS / "lab01_blocking_echo.py").read_bytes())
    words = [sys.executable, "-c", AS_IN_A_CONTAINER, sys.executable, "-m", "harness", "check", "1"]
    words += ["--target", python(file), "--tier", RULESET, "-k", "not has_default_address"]  # others may use that port
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "26 of 26 checks hold" in done.stdout


# What is said


def test_a_tier_that_cannot_be_had_is_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = lab("check", "1", "--solution", "--tier", BOX)
    assert done.returncode == 2
    assert "install bubblewrap" in done.stderr or "needs Linux" in done.stderr
    said = lab("doctor").stdout
    assert "Containment   box      no: " in said
    assert "Containment   plain    yes" in said


@in_each_containing_tier
@as_root
def test_a_folder_that_is_closed_to_others_is_told(folder: Path, tier: str) -> None:
    file = hand_in(folder / "hand-in", ECHO.encode())
    file.parent.chmod(0o700)
    with pytest.raises(LaunchError, match=r"hand-in is closed to all but its owner.*chmod -R go\+rX"):
        Program(python_program(file), tier=tier)


@ruled
@as_root
def test_a_folder_that_leads_to_a_program_and_is_closed_to_others_is_told(folder: Path) -> None:
    file = hand_in(folder / "closed" / "hand-in", ECHO.encode())
    file.parent.parent.chmod(0o700)
    with pytest.raises(LaunchError, match=r"closed is closed to all but its owner"):
        Program(python_program(file), tier=RULESET)


@in_each_containing_tier
def test_what_cannot_be_executed_is_told(folder: Path, tier: str) -> None:
    command = python_program(folder / "server.py")
    words = (str(folder / "no-such-program"), "x")
    with Program(type(command)(words, folder), tier=tier) as program:
        with pytest.raises(LaunchError, match=f"no-such-program' in a {tier}: No such file"):
            listening(program)


@in_each_tier
def test_a_program_echoes_in_each_tier(folder: Path, tier: str) -> None:
    with Program(python_program(hand_in(folder / "hand-in", ECHO.encode())), tier=tier) as program:
        assert listening(program)
        assert exchange(program, b"hello") == b"hello"


@in_each_tier
def test_a_harness_with_many_descriptors_can_start_programs(folder: Path, tier: str) -> None:
    file = hand_in(folder / "hand-in", ECHO.encode())
    with own_descriptors(1500), ExitStack() as stack:
        for _ in range(1100):  # select() takes none from 1,024 on
            stack.enter_context(socket.socket())
        with Program(python_program(file), tier=tier) as program:
            assert listening(program)
