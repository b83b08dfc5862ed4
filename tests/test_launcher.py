"""The launcher, run for real in a copy: a lock of one small package, no network, a harness that echoes."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pip
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
HARNESS_STATUS = 7
ECHO = f"""
import json, os, sys
import socket, tiny
seen = {{"arguments": sys.argv[1:], "cwd": os.getcwd(), "tiny": tiny.VERSION, "prefix": sys.prefix,
        "socket": socket.__file__, "pythonpath": os.environ.get("PYTHONPATH")}}
print(json.dumps(seen))
sys.exit({HARNESS_STATUS})
"""
posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and links")


@dataclass(frozen=True)
class Start:
    """How one start of the launcher ended."""

    status: int
    out: str
    err: str

    @property
    def seen(self) -> dict[str, Any]:
        """What the harness saw; a start that never reached it has nothing to show."""
        assert self.status == HARNESS_STATUS, f"the harness was not reached: {self.err}"
        return dict(json.loads(self.out))

    @property
    def made(self) -> bool:
        return "ready after" in self.err


@dataclass(frozen=True)
class Kit:
    """A folder with a launcher, its lock and its harness; a shelf of wheels in place of a package index."""

    root: Path
    shelf: Path

    @property
    def quick_pip(self) -> str:
        """Code that lays an unpacked pip where ensurepip has its wheel: real, and seconds faster to start."""
        wheel = self.shelf / "ensurepip" / "_bundled" / "pip-0-py3-none-any.whl"
        wheel.mkdir(parents=True, exist_ok=True)
        if not (wheel / "pip").exists():
            (wheel / "pip").symlink_to(Path(pip.__file__).parent)
        return f"import ensurepip\nensurepip.__file__ = {str(wheel.parents[1] / '__init__.py')!r}"

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def stamp(self) -> Path:
        return self.venv / "lab-stamp"

    @property
    def python(self) -> Path:
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def site(self) -> Path:
        return next(self.venv.rglob("site-packages"))

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
        ours = {
            "HOME": str(self.shelf),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.shelf),
            "PYTHONUTF8": "1",
        }
        return {**kept, **ours, **changes}

    def command(self, *arguments: str, before: str = "") -> list[str]:
        """The launcher's command line; `before` is Python that runs first, to give it another world."""
        lines = [
            "import os, runpy, sys",
            "sys.argv = sys.argv[1:]",
            self.quick_pip,
            before,
            "runpy.run_path(sys.argv[0], run_name='__main__')",
        ]
        return [sys.executable, "-c", "\n".join(lines), str(self.root / "lab"), *arguments]

    def start(self, *arguments: str, cwd: Path | None = None, before: str = "", **changes: str) -> Start:
        return self.run(self.command(*arguments, before=before), cwd, **changes)

    def run(self, command: list[str], /, cwd: Path | None = None, **changes: str) -> Start:
        ended = subprocess.run(
            command,
            cwd=cwd or self.root.parent,
            env=self.environment(**changes),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        return Start(ended.returncode, ended.stdout, ended.stderr)

    def lock(self, version: str, digest: str = "") -> None:
        """Write a lock that names the package `tiny` in a version, and put its wheel on the shelf."""
        wheel = self.shelf / f"tiny-{version}-py3-none-any.whl"
        info = f"tiny-{version}.dist-info"
        files = {
            "tiny/__init__.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
        (self.root / "requirements.lock").write_text(f"tiny=={version} \\\n    --hash=sha256:{digest}\n")


def make_kit(folder: Path) -> Kit:
    kit = Kit(folder / "a kit – né", folder / "shelf")
    (kit.root / "harness").mkdir(parents=True)
    kit.shelf.mkdir()
    shutil.copy(ROOT / "lab", kit.root / "lab")
    (kit.root / "harness/__main__.py").write_text(ECHO)
    kit.lock("1.0")
    return kit


@pytest.fixture
def fresh(tmp_path: Path) -> Kit:
    """A kit as cloned."""
    return make_kit(tmp_path)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A kit that has been started; who damages its environment has it repaired."""
    kit = make_kit(tmp_path_factory.mktemp("used"))
    assert kit.start().status == HARNESS_STATUS
    return kit


def files_below(folder: Path) -> dict[str, int]:
    """Each file with the time of its last change, in nanoseconds; Python's own caches left out."""
    files = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {str(path): path.lstat().st_mtime_ns for path in files if path.is_file()}


# What a start hands over


def test_first_start_makes_the_environment_and_hands_everything_over(fresh: Kit, tmp_path: Path) -> None:
    arguments = ["check", "", "two  words", "é*?", "--target=x 'a b.py' {host}", "--", "-h", 'say "hi"\\']
    command = [sys.executable, str(fresh.root / "lab"), *arguments]
    start = fresh.run(command, cwd=tmp_path)
    assert start.made
    assert "first start" in start.err
    assert start.seen["arguments"] == arguments
    assert start.seen["cwd"] == str(tmp_path)
    assert start.seen["prefix"] == str(fresh.venv)
    assert start.seen["tiny"] == "1.0"


def test_second_start_touches_nothing_and_says_nothing(used: Kit) -> None:
    before = files_below(used.venv)
    start = used.start("again")
    assert start.seen["arguments"] == ["again"]
    assert start.err == ""
    assert files_below(used.venv) == before


def test_the_users_modules_and_environments_stay_outside(used: Kit, tmp_path: Path) -> None:
    (tmp_path / "socket.py").write_text("raise SystemExit('a student named a program socket.py')")
    start = used.start(cwd=tmp_path, PYTHONPATH=str(tmp_path / "elsewhere"), VIRTUAL_ENV=str(tmp_path))
    assert start.seen["socket"] != str(tmp_path / "socket.py")
    assert start.seen["pythonpath"] is None
    assert start.seen["prefix"] == str(used.venv)


def test_packages_that_a_student_adds_are_kept(used: Kit) -> None:
    (used.site() / "extra.py").write_text("")
    assert not used.start().made
    assert (used.site() / "extra.py").exists()


def test_settings_that_install_elsewhere_do_not_apply(fresh: Kit, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[install]\nuser = true\n")
    start = fresh.start(PIP_CONFIG_FILE=str(tmp_path / "pip.conf"), PIP_TARGET=str(tmp_path / "target"))
    assert start.seen["tiny"] == "1.0"
    assert not (tmp_path / "target").exists()


# When the environment is made again


def test_a_changed_lock_makes_it_again(used: Kit) -> None:
    used.lock("2.0")
    start = used.start()
    assert "requirements.lock has changed" in start.err
    assert start.seen["tiny"] == "2.0"
    assert not (used.site() / "tiny-1.0.dist-info").exists()


def lose_stamp(kit: Kit) -> None:
    kit.stamp.unlink()


def cut_stamp(kit: Kit) -> None:
    kit.stamp.write_bytes(kit.stamp.read_bytes()[:20])


def lose_package(kit: Kit) -> None:
    shutil.rmtree(kit.site() / "tiny")


def lose_all_packages(kit: Kit) -> None:
    shutil.rmtree(kit.site())


def point_nowhere(kit: Kit) -> None:
    kit.python.unlink()
    kit.python.symlink_to(kit.root / "gone" / "python3.11")


def remove_python_behind(kit: Kit) -> None:
    """As after an upgrade: the link leads where it led, and nothing is there any more."""
    gone = kit.root / "gone-python"
    point_nowhere(kit)
    kit.python.unlink()
    kit.python.symlink_to(gone)
    parts = kit.stamp.read_bytes().split(b"\0")
    parts[1] = os.fsencode(gone)
    kit.stamp.write_bytes(b"\0".join(parts))


def spoil_python(kit: Kit) -> None:
    """The stamp finds no fault, and the system refuses to run it."""
    real = Path(os.path.realpath(kit.python))
    spoilt = kit.root / "spoilt-python"
    spoilt.write_bytes(b"\0 no program")
    spoilt.chmod(0o755)
    kit.python.unlink()
    kit.python.symlink_to(spoilt)
    kit.stamp.write_bytes(kit.stamp.read_bytes().replace(os.fsencode(real), os.fsencode(spoilt), 1))


@posix_only
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lose_stamp, "an earlier start did not finish"),
        (cut_stamp, "an earlier start did not finish"),
        (lose_package, "tiny is gone from .venv"),
        (lose_all_packages, "the packages are gone"),
        (point_nowhere, "the Python that .venv was made with is gone"),
        (remove_python_behind, "the Python that .venv was made with is gone"),
        (spoil_python, "the Python in .venv does not start"),
    ],
)
def test_a_damaged_environment_is_repaired(used: Kit, damage: Any, told: str) -> None:
    damage(used)
    start = used.start()
    assert told in start.err
    assert start.seen["prefix"] == str(used.venv)
    assert used.start().err == ""


def test_a_moved_folder_is_repaired(used: Kit, tmp_path: Path) -> None:
    moved = Kit(tmp_path / "moved", used.shelf)
    shutil.copytree(used.root, moved.root, symlinks=True)
    start = moved.start()
    assert "the folder has moved" in start.err
    assert start.seen["prefix"] == str(moved.venv)


def test_an_environment_made_by_other_means_is_taken_over(fresh: Kit) -> None:
    fresh.venv.mkdir()
    (fresh.venv / "pyvenv.cfg").write_text("home = /nowhere\n")
    assert fresh.start().seen["tiny"] == "1.0"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_environment_is_left_alone(fresh: Kit, kind: str) -> None:
    thesis = fresh.venv / "thesis.txt" if kind == "folder" else fresh.venv
    thesis.parent.mkdir(exist_ok=True)
    thesis.write_text("years of work")
    start = fresh.start()
    assert start.status == 2
    assert "Next:" in start.err
    assert thesis.read_text() == "years of work"


# When it cannot be made


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ("missing", "No matching distribution"),
        ("other bytes", "not what the lock names"),
        ("no network", "needs the network once"),
    ],
)
def test_a_failing_pip_is_told_and_nothing_half_made_is_trusted(fresh: Kit, trouble: str, told: str) -> None:
    index = {}
    if trouble == "missing":
        (fresh.shelf / "tiny-1.0-py3-none-any.whl").unlink()
    elif trouble == "other bytes":
        fresh.lock("1.0", digest="0" * 64)
    else:
        with socket.create_server(("127.0.0.1", 0)) as closed_soon:
            url = f"http://127.0.0.1:{closed_soon.getsockname()[1]}/"
        index = {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": url, "PIP_RETRIES": "1"}
    start = fresh.run(fresh.command(), None, **index)
    assert start.status == 2
    assert start.out == ""
    assert told in start.err
    assert "Next:" in start.err
    assert "Traceback" not in start.err
    assert not fresh.stamp.exists()
    fresh.lock("1.0")
    assert fresh.start().seen["tiny"] == "1.0"


def test_a_full_disk_at_the_last_moment_leaves_no_stamp(fresh: Kit) -> None:
    full = "def full(*_): raise OSError(28, 'No space left on device')\nos.replace = full"
    start = fresh.start(before=full)
    assert start.status == 2
    assert "No space left" in start.err
    assert not fresh.stamp.exists()
    assert fresh.start().seen["tiny"] == "1.0"


@pytest.mark.parametrize("module", ["ensurepip", "venv"])
def test_a_python_without_venv_names_the_package_to_install(fresh: Kit, module: str) -> None:
    start = fresh.start(before=f"sys.modules[{module!r}] = None")
    assert start.status == 2
    assert f"sudo apt install python{sys.version_info.major}.{sys.version_info.minor}-venv" in start.err
    assert fresh.start().seen["tiny"] == "1.0"


def test_a_lock_that_is_missing_is_told(fresh: Kit) -> None:
    (fresh.root / "requirements.lock").unlink()
    start = fresh.start()
    assert start.status == 2
    assert "git checkout requirements.lock" in start.err


# Two starts, and starts cut short


def test_two_first_starts_at_once_make_one_environment(fresh: Kit) -> None:
    children = [
        subprocess.Popen(
            fresh.command(name),
            env=fresh.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for name in ("one", "two", "three")
    ]
    ends = [(*child.communicate(timeout=60), child.returncode) for child in children]
    starts = [Start(status, out, err) for out, err, status in ends]
    assert [start.seen["arguments"] for start in starts] == [["one"], ["two"], ["three"]]
    assert sum(start.made for start in starts) == 1, "\n".join(start.err for start in starts)


@posix_only
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_start_cut_short_is_never_trusted(fresh: Kit, how: signal.Signals) -> None:
    """SIGINT as a terminal sends it, to pip too; SIGKILL to the launcher only: its pip lives on a while."""
    with socket.create_server(("127.0.0.1", 0)) as silent_index:
        silent_index.settimeout(30)
        slow = {
            "PIP_NO_INDEX": "0",
            "PIP_FIND_LINKS": "",
            "PIP_INDEX_URL": f"http://127.0.0.1:{silent_index.getsockname()[1]}/",
            "PIP_RETRIES": "0",
            "PIP_TIMEOUT": "1.5",
        }
        child = subprocess.Popen(
            fresh.command(),
            env=fresh.environment(**slow),
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        connection, _ = silent_index.accept()
        with connection:
            if how == signal.SIGINT:
                os.killpg(child.pid, how)
                assert child.wait(timeout=30) == 130
            else:
                child.kill()
                child.wait(timeout=30)
            assert not fresh.stamp.exists()
            start = fresh.start()
        assert child.stderr is not None
        child.stderr.close()
    assert start.seen["tiny"] == "1.0"
    if how == signal.SIGKILL:
        assert "waiting for it" in start.err, "the pip that lived on should have kept others out"


# Older Pythons


@posix_only
def test_an_old_python_hands_over_to_a_newer_one_that_really_runs(used: Kit, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, script in {
        "python3.14": "exit 127",
        "python3.13": "exec /nowhere/python3.13",
        "python3.12": f"exec '{sys.executable}' \"$@\"",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    old = "sys.version_info = (2, 7, 18, 'final', 0)"
    start = used.start("a b", "", before=old, PATH=f"{programs}:/usr/bin:/bin")
    assert start.seen["arguments"] == ["a b", ""]


@pytest.mark.parametrize("version", ["2.7.18", "3.6.15", "3.10.1"])
def test_an_old_python_alone_says_what_is_needed(fresh: Kit, tmp_path: Path, version: str) -> None:
    numbers = version.replace(".", ", ")
    start = fresh.start(before=f"sys.version_info = ({numbers}, 'final', 0)", PATH=str(tmp_path))
    assert start.status == 2
    assert f"this is Python {version}" in start.err
    assert "needs Python 3.11 or later" in start.err
    assert "Next: install one" in start.err
    assert not fresh.venv.exists()


@posix_only
def test_an_old_python_suffices_once_the_environment_is_there(used: Kit, tmp_path: Path) -> None:
    used.start()
    start = used.start("x", before="sys.version_info = (3, 8, 1, 'final', 0)", PATH=str(tmp_path))
    assert start.seen["arguments"] == ["x"]
    assert start.err == ""


def test_the_launcher_parses_under_every_python() -> None:
    """Python 2.7 knows no f-strings, annotations, nonlocal, keyword-only arguments or `raise from`."""
    source = (ROOT / "lab").read_bytes()
    assert source.isascii(), "Python 2 would ask for a coding line"
    assert source.startswith(b"#!/usr/bin/env python3\n")
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Nonlocal, ast.Await, ast.YieldFrom)
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, newer), f"line {node.lineno}"
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            assert not any(isinstance(item, ast.Starred) for item in node.elts), f"line {node.lineno}"
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            assert not node.args.posonlyargs + node.args.kwonlyargs, f"line {node.lineno}"
            assert not node.returns, f"line {node.lineno}"
            assert not any(argument.annotation for argument in arguments), f"line {node.lineno}"
        if isinstance(node, ast.Raise):
            assert not node.cause, f"line {node.lineno}"


# The lock


def test_the_lock_holds_what_the_project_needs_with_hashes_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "//" not in text, "an address"
    entries = re.findall(r"^([\w.-]+)==(\S+).*((?:\n    --hash=sha256:[0-9a-f]{64}.*)+)$", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[a-z]", text, re.MULTILINE)), "an entry without hashes"
    locked = {name: version for name, version, _ in entries}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in project["dependencies"] + project["optional-dependencies"]["dev"]:
        need = Requirement(line)
        assert need.specifier.contains(locked[need.name]), f"{line}: the lock is out of date"
