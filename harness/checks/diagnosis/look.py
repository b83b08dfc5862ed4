"""A look at the source of a program, made in a process that is contained as the program itself is.

The source may be hostile: parsing it can take any time and any memory, and can crash an interpreter. So that process
has limits of its own, gets this package's modules typed in, and what it prints is believed only as far as it makes
sense. Where it says nothing, there is nothing to say.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checks.diagnosis import code, inside, rule, rules_bytes, rules_serving
from harness.checks.diagnosis.rule import RULES
from harness.launch import Command, LaunchError, Program
from harness.launch.limits import Limits
from harness.launch.streams import Stdin
from harness.launch.tiers import PLAIN

PATIENCE = 20.0  # seconds; it takes a tenth of one, and whoever takes without end has used its processor time before
LIMITS = Limits(wall=20, cpu=4, memory=192, addresses=1024, processes=4, output=1)
MODULES = (code, rule, rules_bytes, rules_serving, inside)  # each after those that it imports
RUN = "import sys; exec(sys.stdin.read())"
LOADER = """
import sys, types
for name, text in {modules!r}:
    sys.modules[name] = module = types.ModuleType(name)
    package, _, last = name.rpartition(".")
    setattr(sys.modules.setdefault(package, types.ModuleType(package)), last, module)
    exec(compile(text, name, "exec"), module.__dict__)
module.main(*sys.argv[1:])
"""


@dataclass(frozen=True)
class Place:
    """A line of a program at which a rule sees something."""

    rule: str
    file: str
    line: int
    code: str


def look(program: Path, wanted: Sequence[str], tier: str = PLAIN) -> list[Place]:
    """Return what the wanted rules see in a program and in its modules; nothing where it cannot be looked at."""
    modules = [(one.__name__, Path(str(one.__file__)).read_text(encoding="utf-8")) for one in MODULES]
    command = Command((sys.executable, "-I", "-S", "-c", RUN, str(program), *wanted), program.parent)
    try:
        with Program(command, defaults=True, stdin=Stdin.PIPE, tier=tier, limits=LIMITS) as process:
            assert process.keyboard is not None
            process.keyboard.type(LOADER.format(modules=modules).encode())
            process.keyboard.end_input()
            if not process.wait(PATIENCE) or process.status != 0:
                return []
            process.output.finish(1.0)
            return _understood(process.output.stdout.text())
    except (LaunchError, OSError):
        return []


def _understood(printed: str) -> list[Place]:
    try:
        return [_place(**one) for one in json.loads(printed)]
    except (ValueError, TypeError, RecursionError):
        return []


def _place(**fields: Any) -> Place:
    place = Place(**fields)
    if place.rule not in RULES or not (
        isinstance(place.line, int) and isinstance(place.file, str) and isinstance(place.code, str)
    ):
        raise ValueError("no place that was asked for")
    return place
