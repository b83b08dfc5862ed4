"""The scenarios as data (`scenarios.toml`), and the loads that they become."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.load.chat import ChatLoad
from harness.load.echo import EchoLoad

FILE = Path(__file__).with_name("scenarios.toml")
LOADS: dict[str, type[EchoLoad] | type[ChatLoad]] = {"echo": EchoLoad, "chat": ChatLoad}
USUAL = {"echo": "echo", "chat": "broadcast"}  # the scenario for servers of one kind
CLOSED = (
    "Closed loop: who asks waits for the answer before asking again. That shows how long clients wait; it cannot show "
    "what happens when more is asked than is answered (--rate does)."
)
OPEN = (
    "Open loop: {rate} {rates} a second are due, evenly spaced, whatever became of those before. Latency runs from "
    "when one was due, not from when it was sent: a server that stalls cannot hide it by keeping the load from sending."
)
WAITED_FOR = "What was under way when the time was over was waited for, and counted."


class ScenarioError(Exception):
    """A scenario that there is not, or that cannot be as it is asked for; the text says what can."""


@dataclass(frozen=True)
class Scenario:
    """What the clients of a load do."""

    name: str
    title: str
    load: str  # a key of LOADS
    servers: Sequence[str]  # the kinds of servers that it is for
    clients: Sequence[int]  # how many, if nobody says
    answers: Sequence[str]  # what is counted and timed: one, and many
    rates: str  # what comes at a rate, where one is asked for
    how: str
    how_open: str  # the same in an open loop
    values: Mapping[str, Any]  # of the fields of the load

    def with_values(self, told: Mapping[str, str]) -> "Scenario":
        """Return it with other values, given as text. Raises ScenarioError."""
        known = {one.name for one in fields(LOADS[self.load])} - {"clients", "rate", "service"}
        values = dict(self.values)
        for name, text in told.items():
            if name not in known:
                raise ScenarioError(f"scenario {self.name} has no {name!r}; it has {', '.join(sorted(known))}")
            if text == "none":
                values[name] = None
                continue
            try:
                values[name] = tomllib.loads(f"value = {text}")["value"]
            except tomllib.TOMLDecodeError:
                raise ScenarioError(f"{name} takes a number, such as {name}=10; not {text!r}") from None
        return replace(self, values=values)

    def make(self, clients: int, rate: float | None = None) -> EchoLoad | ChatLoad:
        """Return its load for so many clients. Raises ScenarioError."""
        values = dict(self.values)
        if rate is not None and self.load == "echo":
            values |= {"requests": None}
        try:
            return LOADS[self.load](clients=clients, rate=rate, **values)
        except (TypeError, ValueError) as error:
            raise ScenarioError(f"scenario {self.name}: {error}") from None

    def how_measured(self, load: EchoLoad | ChatLoad) -> list[str]:
        """Say in sentences what was done."""
        words = {one.name: getattr(load, one.name) for one in fields(load)} | {"rates": self.rates}
        words |= {"pause_ms": f"{1000 * words.get('pause', 0):g}"}
        words["rate"] = f"{load.rate:,.0f}" if load.rate else "the given number of"
        text = self.how if load.rate is None else self.how_open
        time = f"{load.duration:g} s were measured"
        time += f", after a warm-up of {load.warm_up:g} s that was not." if load.warm_up else "."
        chance = [f"What was done by chance follows from the seed {load.seed}."] if isinstance(load, ChatLoad) else []
        return [
            text.format(**words),
            (CLOSED if load.rate is None else OPEN).format(**words),
            f"{time} {WAITED_FOR}",
            *chance,
        ]


@cache
def scenarios() -> dict[str, Scenario]:
    """Return all scenarios, by name."""
    found = {}
    for name, table in tomllib.loads(FILE.read_text(encoding="utf-8")).items():
        values = {key: None if value == "none" else value for key, value in table.pop("with").items()}
        found[name] = Scenario(name=name, values=values, **{"how_open": table["how"]} | table)
    return found


def scenario(name: str | None, kinds: set[str]) -> Scenario:
    """Return the scenario of that name, or the usual one for servers of these kinds. Raises ScenarioError."""
    if name is None:
        name = USUAL["echo" if len(kinds) > 1 else next(iter(kinds))]
    if name not in scenarios():
        raise ScenarioError(f"there is no scenario {name!r}; there are {', '.join(scenarios())}")
    found = scenarios()[name]
    if wrong := kinds - set(found.servers):
        fitting = [one.name for one in scenarios().values() if kinds <= set(one.servers)]
        raise ScenarioError(
            f"scenario {name} is not for {_kind(wrong)}; for the servers that you gave: {', '.join(fitting)}"
        )
    return found


def _kind(kinds: set[str]) -> str:
    return " and ".join({"echo": "echo servers", "chat": "chats"}[kind] for kind in sorted(kinds))
