"""The clauses of labs/PROTOCOL.md, which every check quotes."""

import re
from functools import cache
from pathlib import Path

from harness.course.layout import PROTOCOL


@cache
def clauses(path: Path = PROTOCOL) -> dict[str, str]:
    """Return the text of every clause by its name: `A1` to `B6` are list items, `C1` to `C8` sections."""
    text = path.read_text(encoding="utf-8")
    found = {
        name: _one_line(body)
        for name, body in re.findall(r"^- ([AB]\d) (.*?)(?=^- [AB]\d |^## |\Z)", text, re.MULTILINE | re.DOTALL)
    }
    for name, body in re.findall(r"^### (C\d)\. .*?$\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL):
        found[name] = _one_line(body)
    return found


def says(clause: str, sentence: str) -> bool:
    """Whether a clause contains the sentence, word by word (line breaks and list marks aside)."""
    return _one_line(sentence) in clauses().get(clause, "")


def _one_line(text: str) -> str:
    return " ".join(re.sub(r"^- ", "", text, flags=re.MULTILINE).split())
