"""What the contained process does: it reads the files of a program, and prints what the wanted rules see in them."""

import json
import re
import sys
from pathlib import Path

from harness.checks.diagnosis import rules_bytes, rules_serving  # noqa: F401 - they register their rules
from harness.checks.diagnosis.code import Code
from harness.checks.diagnosis.rule import RULES

MOST_FILES = 12
MOST_BYTES = 200_000  # of one file; ast needs a thousand times as much at worst
MOST_SEEN = 2  # places of one rule
MOST_COLUMNS = 120
IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+(\w+)", re.MULTILINE)


def main(program: str, *wanted: str) -> None:
    """Look at a program, and at those of its modules that lie beside it; print a list as JSON."""
    code = Code(files_of(Path(program)))
    seen = [one for name in wanted for one in places(code, name)]
    json.dump(seen, sys.stdout)


def places(code: Code, name: str) -> list[dict[str, object]]:
    """Return what one rule sees: its name, file, line and the line itself."""
    found: dict[tuple[str, int], dict[str, object]] = {}
    for node in RULES[name].look(code):
        file, number = code.file[node], getattr(node, "lineno", 1)
        found[file, number] = {"rule": name, "file": file, "line": number, "code": code.line(node)[:MOST_COLUMNS]}
    return [found[place] for place in list(found)[:MOST_SEEN]]


def files_of(program: Path) -> dict[str, str]:
    """Return the texts of a program and of the modules beside it that it imports, by their names."""
    texts: dict[str, str] = {}
    ahead = [program.name]
    while ahead and len(texts) < MOST_FILES:
        name = ahead.pop(0)
        path = program.with_name(name)
        if name in texts or not path.is_file():
            continue
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) <= MOST_BYTES:
            texts[name] = content.decode("utf-8", errors="replace")
            ahead += [f"{module}.py" for module in IMPORT.findall(texts[name])]
    return texts
