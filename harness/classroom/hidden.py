"""Hidden checks: a folder with checks of the instructor's own, made of everybody, whose names no student reads.

The folder holds modules of the kind of harness/checks/check_*.py, and `hidden.toml`, which says what each is worth:

    [6]                              # the lab
    keeps-its-word = 3               # points of the function check_keeps_its_word
"""

import ast
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.course import Lab, Step
from harness.errors import UsageError

MANIFEST = "hidden.toml"
EXAMPLE = "[6]\nkeeps-its-word = 3"
STEP = 0  # `6.0`: no step of a student's


@dataclass(frozen=True)
class Hidden:
    """Hidden checks, as data that can be sent to another machine."""

    files: Mapping[str, bytes] = field(default_factory=dict)  # modules, by their names
    points: Mapping[int, Mapping[str, int]] = field(default_factory=dict)  # by lab and check

    def added_to(self, lab: Lab) -> Lab:
        """Return a lab that has its hidden checks, too."""
        checks = self.points.get(lab.number)
        if not checks:
            return lab
        step = Step(lab=lab.number, number=STEP, title="Hidden checks", hints=(), checks=dict(checks))
        return replace(lab, steps=(*lab.steps, step))

    def modules_of(self, lab: Lab, folder: Path) -> list[Path]:
        """Return those modules in a folder in which checks of a lab stand."""
        names = [f"def check_{name.replace('-', '_')}(".encode() for name in self.points.get(lab.number, {})]
        return [folder / name for name, text in sorted(self.files.items()) if any(one in text for one in names)]


NOTHING_HIDDEN = Hidden()


def read_hidden(folder: Path | None, labs: Mapping[int, Lab]) -> Hidden:
    """Read a folder of hidden checks; raise UsageError with what is missing or wrong."""
    if folder is None:
        return NOTHING_HIDDEN
    manifest = folder / MANIFEST
    try:
        told = tomllib.loads(manifest.read_text(encoding="utf-8-sig"))
        files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}
    except OSError as error:
        raise UsageError(
            f"cannot read {manifest}: {error.strerror}; it says what each hidden check is worth:\n{EXAMPLE}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{manifest} is not TOML: {error}; it looks like this:\n{EXAMPLE}") from None
    points: dict[int, dict[str, int]] = {}
    for number, checks in told.items():
        if not number.isdecimal() or int(number) not in labs or not isinstance(checks, dict):
            raise UsageError(f"{manifest}: [{number}] is no lab; the labs are {', '.join(map(str, labs))}")
        points[int(number)] = _checked(manifest, labs[int(number)], checks)
    there = {name for name, text in files.items() for name in _checks_in(folder / name, text)}
    if missing := {name for checks in points.values() for name in checks} - there:
        raise UsageError(f"{manifest} names {min(missing)!r}, but no module in {folder} has its function")
    return Hidden(files, points)


def _checked(manifest: Path, lab: Lab, checks: dict[str, object]) -> dict[str, int]:
    for name, worth in checks.items():
        if type(worth) is not int or worth < 0:
            raise UsageError(f"{manifest}: {name!r} is worth a whole number of points from 0 on, not {worth!r}")
        if lab.step_of(name):
            raise UsageError(f"{manifest}: lab {lab.number} has a check {name!r} already: give yours another name")
    return checks  # type: ignore[return-value]


def _checks_in(path: Path, text: bytes) -> list[str]:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path} is not Python: {error}") from None
    names = [one.name for one in body if isinstance(one, ast.FunctionDef)]
    return [name.removeprefix("check_").replace("_", "-") for name in names if name.startswith("check_")]
