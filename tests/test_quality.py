"""The habits: linted, formatted, strictly typed; arrows between the packages run one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

TOOLS = {
    "lint": ["ruff", "check", "--no-cache", "."],
    "format": ["ruff", "format", "--no-cache", "--check", "."],
    "types": ["mypy"],
}

# Which packages of the harness each may import, beside itself and the modules at its root (see CONTRIBUTING.md).
ARROWS = {
    "course": set(),
    "launch": set(),
    "wire": set(),
    "report": set(),
    "checks": {"wire", "launch", "course"},
    "load": {"wire", "launch", "course"},
    "trace": {"wire", "launch"},
    "capture": {"trace", "wire", "launch"},
    "classroom": {"checks", "launch", "course", "report"},
    "seen": {"trace", "load", "wire", "launch", "course", "report"},
    "site": {"course"},
    "commands": {
        "site",
        "seen",
        "classroom",
        "checks",
        "load",
        "capture",
        "trace",
        "wire",
        "launch",
        "course",
        "report",
    },
}


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_finds_nothing(name: str) -> None:
    done = subprocess.run([sys.executable, "-m", *TOOLS[name]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def imported(file: Path) -> set[str]:
    """Return the modules that a file imports, by their full names."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("package", ARROWS)
def test_arrows_between_packages_run_one_way(package: str) -> None:
    allowed = ARROWS[package] | {package}
    for file in (ROOT / "harness" / package).rglob("*.py"):
        parts = {name.split(".")[1] for name in imported(file) if name.startswith("harness.")}
        assert parts & set(ARROWS) <= allowed, file


def test_the_harness_imports_neither_labs_nor_solutions() -> None:
    programs = {path.stem for path in (ROOT / "solutions").glob("*.py")}
    for file in (ROOT / "harness").rglob("*.py"):
        assert not {name.partition(".")[0] for name in imported(file)} & programs, file


def test_nothing_but_launch_starts_a_process() -> None:
    for file in (ROOT / "harness").rglob("*.py"):
        package = file.relative_to(ROOT / "harness").parts[0]
        if package != "launch" and not file.name.startswith("prelude"):  # these run alone, on a student's machine
            assert "subprocess" not in imported(file), file


@pytest.mark.parametrize("package", ["report", "launch", "wire", "trace", "capture"])
def test_what_knows_no_lab_names_none(package: str) -> None:
    for file in (ROOT / "harness" / package).rglob("*.py"):
        assert "lab0" not in file.read_text(encoding="utf-8"), file
