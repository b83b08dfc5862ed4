"""What of a program's source explains why a check failed: where its own traceback says so, or where a rule agrees."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.checks.diagnosis.look import Place, look
from harness.checks.diagnosis.rule import RULES
from harness.checks.diagnosis.traces import raised
from harness.checks.verdict import Status, Verdict
from harness.launch import Command

MOST = 2  # places of each kind that are told for one failure
RAISED = "{error} (in {function}, as its own traceback says)"


def from_traceback(printed: str, command: Command) -> list[dict[str, Any]]:
    """Return the places that a program's own tracebacks name, as they stand in results.json."""
    program = program_of(command)
    if program is None:
        return []
    files = frozenset(path.name for path in program.parent.glob("*.py"))
    return [
        {"file": one.file, "line": one.line, "code": one.code, "says": RAISED.format(**vars(one))}
        for one in raised(printed, files)[:MOST]
    ]


def point_out(verdicts: Iterable[Verdict], command: Command, tier: str) -> None:
    """Add to each failure the places in the program's source that explain it; the source is looked at once."""
    failed = [verdict for verdict in verdicts if verdict.status is Status.FAIL and not verdict.limit]
    agreeing = {verdict.id: rules_for(verdict) for verdict in failed}
    wanted = [name for name in RULES if any(name in names for names in agreeing.values())]
    program = program_of(command)
    if not wanted or program is None:
        return
    seen = look(program, wanted, tier)
    for verdict in failed:
        places = [place for name in agreeing[verdict.id] for place in seen if place.rule == name]
        known = {(one["file"], one["line"]) for one in verdict.in_code}
        verdict.in_code += [_told(place) for place in places if (place.file, place.line) not in known][:MOST]


def rules_for(verdict: Verdict) -> list[str]:
    """Return the names of the rules that may explain a failure."""
    return [name for name, rule in RULES.items() if rule.agrees(verdict.id, verdict.message)]


def _told(place: Place) -> dict[str, Any]:
    return {"file": place.file, "line": place.line, "code": place.code, "says": RULES[place.rule].sentence}


def program_of(command: Command) -> Path | None:
    """Return the Python file that a command runs; None where it runs none."""
    for word in command.words:
        path = command.folder / word
        if word.endswith(".py") and path.is_file():
            return path
    return None
