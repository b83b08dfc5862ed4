"""`lab test`, `lab build`, `lab doctor`: for those who look after the kit."""

import argparse
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version

from harness.commands.choose import shown
from harness.course import load_course, stubs
from harness.course.layout import LABS, ROOT
from harness.shell import LAB, NC

TOOLS = {
    NC: "to talk to a server by hand",
    "cc": "for the C servers that prove the checks",
    "node": "for the JavaScript servers that prove the checks",
    "strace": "to watch a server's system calls",
}
PACKAGES = ("pytest", "rich", "psutil", "matplotlib", "jinja2", "watchfiles", "hypothesis", "ruff", "mypy")


def test(args: argparse.Namespace) -> int:
    """Run the kit's own tests; the arguments are pytest's."""
    import pytest

    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    workers = 2 * (os.cpu_count() or 1)  # many tests wait for what does not come
    return int(pytest.main(["-p", "xdist", "-n", str(workers), "--dist", "worksteal", *args.arguments]))


def build(args: argparse.Namespace) -> int:
    """Make the stubs, or say whether they are what the solutions give."""
    differing = stubs.differing()
    if args.check:
        for file in differing:
            print(f"{shown(LABS / file)} is not what the solution gives")
        print("labs/ and solutions/ agree" if not differing else f"`{LAB} build` makes the stubs anew")
        return int(bool(differing))
    for file in load_course().files:
        kept = stubs.put_stub(file)
        if file in differing:
            print(f"{shown(LABS / file)} made" + (f"; the old one is kept as {shown(kept)}" if kept else ""))
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
    for name in PACKAGES:
        try:
            print(f"{name:<13} {version(name)}")
        except PackageNotFoundError:
            print(f"{name:<13} missing: `{LAB}` installs it")
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
