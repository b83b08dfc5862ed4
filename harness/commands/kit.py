"""`lab test`, `lab build`, `lab doctor`: for those who look after the kit."""

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.commands.choose import shown
from harness.commands.extras import JUPYTER, SPHINX
from harness.course import load_course, notebooks, stubs
from harness.course.layout import LABS, ROOT
from harness.shell import LAB, NC

TOOLS = {
    NC: "to talk to a server by hand",
    "cc": "for the C servers that prove the checks",
    "node": "for the JavaScript servers that prove the checks",
    "strace": "to watch a server's system calls",
}
PACKAGES = dict.fromkeys(
    ("pytest", "rich", "psutil", "matplotlib", "jinja2", "watchfiles", "hypothesis", "ruff", "mypy"), LAB
)
PACKAGES |= {"jupyterlab": f"{LAB} notebook"}


def test(args: argparse.Namespace) -> int:
    """Run the kit's own tests; the arguments are pytest's."""
    import pytest

    for extra in (JUPYTER, SPHINX):
        extra.install("test")
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    workers = 2 * (os.cpu_count() or 1)  # many tests wait for what does not come
    return int(pytest.main(["-p", "xdist", "-n", str(workers), "--dist", "worksteal", *args.arguments]))


def build(args: argparse.Namespace) -> int:
    """Make the stubs, or say whether they are what the solutions give."""
    differing, changed = stubs.differing(), notebooks.differing()
    if args.check:
        for file in differing:
            print(f"{shown(LABS / file)} is not what the solution gives")
        for source in changed:
            print(f"{shown(notebooks.notebook_of(source))} is not what {shown(source)} gives")
        good = "labs/ and solutions/ agree, and so do the notebooks and their sources"
        print(good if not differing + changed else f"`{LAB} build` makes anew what differs")
        return int(bool(differing + changed))
    for file in load_course().files:
        kept = stubs.put_stub(file)
        if file in differing:
            print(f"{shown(LABS / file)} made" + (f"; the old one is kept as {shown(kept)}" if kept else ""))
    return _build_notebooks(changed)


def _build_notebooks(changed: Sequence[Path]) -> int:
    """Run the notebooks whose sources have changed; 1 where a claim of theirs does not hold here."""
    if not changed:
        return 0
    from harness.commands.notebook import build as build_notebook

    JUPYTER.install("build")
    failed = import_module("nbclient.exceptions").CellExecutionError
    for source in changed:
        try:
            build_notebook(source)
        except failed as error:
            print(f"{shown(source)} does not run to its end: {error.ename}: {error.evalue}")
            return 1
        print(f"{shown(notebooks.notebook_of(source))} made")
    return 0


def doctor(_: argparse.Namespace) -> int:
    """Print what this machine offers, and what could be installed."""
    from harness.launch import sockdiag
    from harness.launch.sockets import holder
    from harness.launch.tiers import TIERS, hindrance

    linux = sys.platform == "linux"
    print(f"Python        {platform.python_version()} ({sys.executable})")
    print(f"System        {platform.system()} {platform.release()}, {os.cpu_count()} cores")
    for tier, what in TIERS.items():
        why = hindrance(tier)
        print(f"{'Containment':<13} {tier:<8} {f'no: {why}' if why else f'yes ({what})'}")
    exact = "netlink" if sockdiag.can_ask() else "/proc" if linux else "no: short waits instead, marked in the results"
    print(f"Exact recipes {exact}")
    print(f"Descriptors   {_descriptors()}")
    user = holder(5555)
    print(f"Port 5555     {f'in use by {user}: end it before `{LAB} check`' if user else 'free'}")
    for name, installer in PACKAGES.items():
        try:
            print(f"{name:<13} {version(name)}")
        except PackageNotFoundError:
            print(f"{name:<13} missing: `{installer}` installs it")
    for name, use in TOOLS.items():
        print(f"{name:<13} {shutil.which(name) or f'not found ({use})'}")
    return 0


def _descriptors() -> str:
    try:
        import resource
    except ImportError:
        return "no limit that can be asked for"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"{soft} (can be raised to {hard})"
