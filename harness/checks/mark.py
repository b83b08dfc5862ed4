"""How a check is declared."""

from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Declaration:
    """What a check says of itself, beside its docstring, which is the sentence that the student sees."""

    clause: str  # of labs/PROTOCOL.md
    quote: str  # the sentence of that clause which it enforces
    hint: str  # where to look, when it fails
    needs: tuple[str, ...] = ()  # checks that must hold before this one makes sense
    model: bool = False  # whether it is about how the program does it (threads, select)
    fresh: bool = False  # whether it needs a server that nobody has spoken to (about memory, say)
    waits: bool = False  # whether it mostly waits: it is then made beside others, and is handed a Bench alone


def check(
    clause: str,
    quote: str,
    hint: str,
    needs: tuple[str, ...] = (),
    *,
    model: bool = False,
    fresh: bool = False,
    waits: bool = False,
) -> pytest.MarkDecorator:
    """Declare a function to be a check; its step and its points stand in the course's manifest."""
    return pytest.mark.check(Declaration(clause, quote, hint, needs, model, fresh, waits))


def declaration(item: Any) -> Declaration | None:
    """Return what a collected function declares, None if it is no check."""
    mark = item.get_closest_marker("check")
    return mark.args[0] if mark else None


def check_id(function_name: str) -> str:
    """Return the name of a check as people write it: `check_half_close` is `half-close`."""
    return function_name.removeprefix("check_").replace("_", "-")
