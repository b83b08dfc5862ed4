"""Python programs: the recorder goes with them, and its notes come among what they print."""

import json
import re
from collections.abc import Sequence
from pathlib import PurePath

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
    found: dict[tuple[str, float, str], Call] = {}
    for text in NOTE.findall(printed):
        process, thread, name, began, ended, who, size, data, note = json.loads(text)
        whom = _threads(who, process) if name == "lock" else _names(who, names)
        key = f"{process}.{thread}", began, name
        waits = ended is None or key in found  # what may wait is noted at its beginning, too
        found[key] = Call(key[0], name, began, ended, whom, size, data.encode("latin-1"), note, waits)
    return sorted(found.values(), key=lambda call: call.began)


def _names(ports: Sequence[int], names: dict[int, str]) -> tuple[str, ...]:
    return tuple("a new client" if port == LISTENER else names.get(port, f"port {port}") for port in ports)


def _threads(numbers: Sequence[int], process: int) -> tuple[str, ...]:
    return tuple(f"{process}.{number}" for number in numbers)
