"""What a rule is: something that can be seen in a program's source, and the checks that it may explain.

The docstring of a rule is the sentence that a student sees beside the line. A rule speaks only where one of its checks
has failed: what it sees may be harmless elsewhere.
"""

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.checks.diagnosis.code import Code

Seen = Iterable[ast.AST]


@dataclass(frozen=True)
class Rule:
    """What is looked for, and for which checks; `when` is searched in what the check says is wrong."""

    name: str
    sentence: str
    checks: frozenset[str]
    when: str
    look: Callable[[Code], Seen]

    def agrees(self, check: str, message: str) -> bool:
        """Whether it may explain why a check failed."""
        return check in self.checks and re.search(self.when, message) is not None


RULES: dict[str, Rule] = {}  # those for a check are tried in this order


def rule(checks: str, when: str = "") -> Callable[[Callable[[Code], Seen]], Callable[[Code], Seen]]:
    """Make a function a rule for some checks (their ids, with spaces between them)."""

    def register(look: Callable[[Code], Seen]) -> Callable[[Code], Seen]:
        name = look.__name__.replace("_", "-")
        sentence = " ".join((look.__doc__ or "").split())
        RULES[name] = Rule(name, sentence, frozenset(checks.split()), when, look)
        return look

    return register
