"""Python programs: the recorder goes with them, and its notes come among what they print."""

import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from harness.launch import Command
from harness.trace import recorder
from harness.trace.calls import Call
from harness.trace.recorder import BEGIN, END, LISTENER

PYTHON = re.compile(r"(?i)(pythonw?[\d.]*|py|pypy[\d.]*)(\.exe)?")
NOTE = re.compile(f"{BEGIN}([^{BEGIN}{END}]*){END}")


def with_recorder(command: Command) -> Command | None:
    """Return the command that runs a Python program with the recorder in it, None if it is not one with a file."""
    words = command.words
    if not PYTHON.fullmatch(PurePath(words[0]).name):
        return None
    place = next((place for place, word in enumerate(words) if place and not word.startswith("-")), len(words))
    if not words[place:] or not words[place].endswith(".py") or {"-c", "-m"} & set(words[:place]):
        return None
    return Command((*words[:place], recorder.__file__, *words[place:]), command.folder)


def calls_of(printed: str, names: dict[int, str]) -> list[Call]:
    """Return the calls that a program noted, by their beginning; `names` tells whose the ports are."""
    found: dict[tuple[str, str, float], Call] = {}
    for text in NOTE.findall(printed):
        with suppress(ValueError, TypeError, RecursionError):  # no note of ours: a program may print what it likes
            call = _call(json.loads(text), names)
            key = call.thread, call.name, call.began
            # What may wait is noted at its beginning, too; its end takes the place of that.
            found[key] = replace(call, waits=call.ended is None or key in found)
    return sorted(found.values(), key=lambda call: call.began)


def _call(note: list[Any], names: dict[int, str]) -> Call:
    """Read one note; raises ValueError or TypeError where it is none."""
    process, thread, name, began, ended, who, size, data, more = note
    whom = _threads(who, process) if name == "lock" else _names(who, names)
    numbers = f"{int(process)}.{int(thread)}"
    end = None if ended is None else float(ended)
    if not 0 <= float(began) <= (began if end is None else end) < math.inf:
        raise ValueError("no time is like that")
    return Call(numbers, str(name), float(began), end, whom, int(size), str(data).encode("latin-1"), str(more))


def _names(ports: Sequence[int], names: dict[int, str]) -> tuple[str, ...]:
    return tuple("a new client" if port == LISTENER else names.get(port, f"port {port}") for port in ports)


def _threads(numbers: Sequence[int], process: int) -> tuple[str, ...]:
    return tuple(f"{process}.{number}" for number in numbers)
