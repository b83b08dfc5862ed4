"""Packages that few people need: installed from a lock of their own when a verb first needs them."""

import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.course.layout import NOTEBOOKS, ROOT
from harness.errors import UsageError
from harness.launch.program import run_to_its_end
from harness.shell import LAB

PIP = ("-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile", "--no-input")
QUIET = ("--disable-pip-version-check", "--quiet", "-r")


@dataclass(frozen=True)
class Extra:
    """Some packages with all that they need, pinned and hashed."""

    title: str
    size: int  # MiB, fetched and unpacked
    lock: Path
    packages: tuple[str, ...]  # that the kit itself uses

    def install(self, verb: str) -> None:
        """Install what is not there as the lock names it, for a verb of `lab`. Raises UsageError."""
        if not self.missing():
            return
        print(f"lab: fetching and installing {self.title}, once (about {self.size} MB)", file=sys.stderr)
        if run_to_its_end([sys.executable, *PIP, *QUIET, str(self.lock)], ROOT):
            raise UsageError(
                f"{self.title} could not be installed (see above); that needs the network once: then "
                f"`{LAB} {verb}` again"
            )

    def missing(self) -> list[str]:
        """Return the packages that are not installed as the lock names them."""
        locked = set(re.findall(r"^([\w-]+)==(\S+)", self.lock.read_text(encoding="utf-8"), re.MULTILINE))
        return [name for name in self.packages if (name, _installed(name)) not in locked]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


JUPYTER = Extra(
    "JupyterLab", 170, NOTEBOOKS / "requirements.lock", ("jupyterlab", "nbclient", "ipykernel", "ipywidgets")
)
SPHINX = Extra("Sphinx", 70, ROOT / "harness" / "site" / "requirements.lock", ("sphinx", "furo", "myst-parser"))
