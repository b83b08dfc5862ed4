"""Make every small mistake in the modules that all chats share, and tell which of them no check of lab 6 catches.

    .venv/bin/python tests/mutation.py                  # all mutations of framing.py and room.py (takes a while)
    .venv/bin/python tests/mutation.py --only room.py rename
    .venv/bin/python tests/mutation.py --list           # the mutations; nothing is run
    .venv/bin/python tests/mutation.py --seeded 4 6     # instead: does the check that is named meet each mutant first?

A survivor is either a gap in the checks, or it is equivalent: it breaks no sentence of PROTOCOL.md that a check could
hold against it. Those are listed in mutants/equivalent.toml, each with the reason.
"""

from __future__ import annotations

import argparse
import ast
import copy
import multiprocessing
import re
import shlex
import shutil
import sys
import tempfile
import time
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mutants.catalogue import HERE, SOLUTIONS, load_mutants

from harness.wire.deadline import PATIENCE, Deadline, Patience

if TYPE_CHECKING:
    from harness.checks.verdict import Verdict
    from harness.launch import Command

ROOT = SOLUTIONS.parent
PYTHON = (sys.executable, "-S")  # starts faster
FILES = ("framing.py", "room.py")
LAB, PROGRAM = 6, "lab06_select_chat.py"
PROCESSES = 2
SLOW = (  # made only of what passes all others
    "binds-what-it-is-told or has-default-address or restarts-at-once or idles or burst-of-100 or stops-when-idle or "
    "stops-with-clients or stops-in-the-middle or tells-the-time or rests-while-all-are-silent or all-talk-at-once or "
    "late-reader or descriptor-limit or more-clients or one-thread or agrees-with-a-model or keeps-no-endless-line or "
    "keeps-nothing-of-clients"
)
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
METHODS = {
    "strip": ("lstrip", "rstrip"),
    "lstrip": ("strip", "rstrip"),
    "partition": ("rpartition",),
    "fullmatch": ("match", "search"),
    "lower": ("upper", "casefold", "strip"),
    "removesuffix": ("rstrip", "removeprefix"),
    "split": ("rsplit",),
    "startswith": ("endswith", "__contains__"),
    "sub": ("subn",),
    "tell": ("tell_all",),
}
FIXED = re.compile(  # the words which PROTOCOL.md fixes; all other wording is free
    r"username|Welcome|joined|left|is now|Goodbye|Connected users|/\w+|[a-z]+(?:-[a-z]+)+|usage|SERVER|ERROR|"
    r"PRIVATE (?:FROM|TO)|server|error|%\w|[^\w\s]"
)


@dataclass(frozen=True)
class Mutation:
    """One small change: in which function, and the line of code before and after it."""

    file: str
    function: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.file}, {self.function}:\n    - {self.old}\n    + {self.new}"


def mutations(file: str) -> Iterator[tuple[Mutation, str]]:
    """Yield every mutation of a file, each with the whole text of the file that has it."""
    tree = _without_docstrings(ast.parse((SOLUTIONS / file).read_text(encoding="utf-8")))
    seen = set()
    for place in list(_places(tree, tree, "")):
        old = _head(place.statement)
        for replacement in _changes(place.node):
            place.put(replacement)
            new = _head(replacement if place.node is place.statement else place.statement)
            mutation = Mutation(file, place.function, old, new)
            if mutation not in seen and old != new:
                seen.add(mutation)
                yield mutation, ast.unparse(tree)
            place.put(place.node)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


@dataclass
class Place:
    """Where a node stands in its tree, and how another one is put there."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    statement: ast.AST  # the innermost one around it
    function: str

    def put(self, node: ast.AST) -> None:
        """Put a node in this place."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def _places(parent: ast.AST, statement: ast.AST, function: str) -> Iterator[Place]:
    """Yield the places of all nodes below a node, in the order of the source."""
    for field, value in ast.iter_fields(parent):
        for index, node in enumerate(value) if isinstance(value, list) else ((None, value),):
            if isinstance(node, ast.AST):
                around = node if isinstance(node, ast.stmt | ast.match_case) else statement
                inside = f"{function}.{node.name}".strip(".") if isinstance(node, DEFINITIONS) else function
                yield Place(node, parent, field, index, around, function)
                yield from _places(node, around, inside)


def _head(statement: ast.AST) -> str:
    """Return the first line of a statement."""
    return ast.unparse(statement).strip().splitlines()[0]


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a node; each is a new one, or the node itself, changed."""
    match node:
        case ast.Compare(ops=[operator]):
            for other in COMPARISONS[type(operator)]:
                yield ast.Compare(node.left, [other()], node.comparators)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
            yield from node.values
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.BinOp(op=ast.Add()):
            yield ast.BinOp(node.left, ast.Sub(), node.right)
            yield node.left
        case ast.If() | ast.While() | ast.IfExp() | ast.comprehension():
            yield from _tests(node)
        case ast.Constant():
            yield from (ast.Constant(value) for value in _constants(node.value))
        case ast.Call():
            yield from _calls(node)
        case ast.Slice():
            for lower, upper in ((None, node.upper), (node.lower, None)):
                if (lower, upper) != (node.lower, node.upper):
                    yield ast.Slice(lower, upper)
        case ast.Return(value=ast.expr()) if ast.unparse(node) != "return None":
            yield ast.Return(None)
        case ast.AugAssign():
            yield ast.Assign([node.target], node.value, lineno=0)
            yield ast.Pass()
        case ast.Expr(value=ast.Constant()) | ast.Pass() | ast.Return():
            return
        case ast.Expr() | ast.Assign() | ast.AnnAssign() | ast.Delete() | ast.Raise() | ast.Break():
            yield ast.Pass()


def _tests(node: Any) -> Iterator[ast.AST]:
    if isinstance(node, ast.comprehension):
        if node.ifs:
            yield ast.comprehension(node.target, node.iter, [], 0)
        return
    for value in (True, False):
        changed = copy.copy(node)
        changed.test = ast.Constant(value)
        yield changed


def _constants(value: Any) -> Iterator[Any]:
    match value:
        case bool():
            yield not value
        case int():
            yield from (value + 1, value - 1)
        case bytes():
            yield from (b"x", value + b"x")
        case str():
            if re.search(r"\[.*\]", value) and not FIXED.search(re.sub(r"[^\w\s]", "", value)):  # a pattern
                yield from filter(_is_pattern, _patterns(value))
            elif found := list(FIXED.finditer(value)):
                for match in found:
                    yield value[: match.start()] + value[match.end() :]
                    if match[0][-1].isalnum():
                        yield value[: match.end()] + "x" + value[match.end() :]
            elif len(value) < 3:  # longer ones are free wording
                yield from ("", value + "x", *value * (len(value) > 1))


def _patterns(value: str) -> Iterator[str]:
    for place, character in enumerate(value):
        yield value[:place] + value[place + 1 :]
        for step in (1, -1):
            if ord(character) + step >= 0:
                yield value[:place] + chr(ord(character) + step) + value[place + 1 :]


def _is_pattern(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except re.error:
        return False
    return True


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    for place in range(len(node.args) - 1):
        arguments = list(node.args)
        arguments[place], arguments[place + 1] = arguments[place + 1], arguments[place]
        yield ast.Call(node.func, arguments, node.keywords)
    for place in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, node.keywords[:place] + node.keywords[place + 1 :])
    if isinstance(node.func, ast.Attribute):
        for name in METHODS.get(node.func.attr, ()):
            arguments = node.args[1:] if name == "tell_all" else node.args
            yield ast.Call(ast.Attribute(node.func.value, name, ast.Load()), arguments, node.keywords)
        if node.func.attr in ("lower", "copy", "strip", "lstrip", "removesuffix"):
            yield node.func.value  # as if it had not been called
        if node.func.attr in ("strip", "lstrip") and node.args:
            yield ast.Call(node.func, [], [])
    if isinstance(node.func, ast.Name) and node.func.id in ("sorted", "str"):
        yield node.args[0]
    if isinstance(node.func, ast.Name) and node.func.id == "sorted":
        yield ast.Call(node.func, node.args, [ast.keyword("reverse", ast.Constant(True))])


# The verdicts


def equivalents() -> dict[Mutation, str]:
    """Return the mutations that break nothing which could be seen, each with the reason."""
    entries = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8"))["mutation"]
    return {Mutation(one["file"], one["function"], one["old"], one["new"]): one["reason"] for one in entries}


@dataclass(frozen=True)
class Scaled(Patience):
    """A patience that is so many times as long as usual."""

    times: float = 1.0

    def deadline(self, seconds: float = PATIENCE) -> Deadline:
        """Start a deadline."""
        return super().deadline(seconds * self.times)


def command_of(program: Path) -> Command:
    """Return the command that runs a program; it needs nothing but the standard library."""
    from harness.launch import parse_command

    return parse_command(shlex.join((*PYTHON, str(program))))


def first_to_fail(number: int, program: Path, keywords: Sequence[str] = ("",), patience: float = 1.0) -> Verdict | None:
    """Return the verdict of the check of a lab that fails first against a program; None if all hold.

    The checks are made in the order of the keywords (of pytest's -k), all that match the first one, then the next;
    and in this process, which for a few checks takes a fifth of the time that `lab check` needs. The `patience` is
    how many times as long as usual they wait for what does not come.
    """
    from harness.checks.bench import Starter
    from harness.checks.plugin import Run
    from harness.checks.run import make_checks
    from harness.checks.verdict import Status
    from harness.course import load_course
    from harness.launch.yardstick import slowness

    lab = load_course().lab(str(number))
    with Starter(command_of(program), lab.kind, ahead=0) as starter:
        starter.patience = Scaled(slowness, patience)
        for keyword in keywords:
            for verdict in make_checks(Run(lab, starter, seed=1), keyword, stop_at_first=True):
                if verdict.status is not Status.PASS:
                    return verdict
    return None


def _told(verdict: Verdict | None) -> tuple[str, str]:
    return (verdict.id, f"{verdict.status.value}: {verdict.message}") if verdict else ("", "")


def try_mutation(made: tuple[Mutation, str]) -> tuple[Mutation, str, str]:
    """Run the checks against a mutation; return it, and which of them caught it (and how)."""
    mutation, text = made
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        for file in SOLUTIONS.glob("*.py"):
            shutil.copy(file, folder)
        Path(folder, mutation.file).write_text(text, encoding="utf-8")
        return mutation, *_told(first_to_fail(LAB, Path(folder, PROGRAM), (f"not ({SLOW})", SLOW)))


def try_seeded(mutant: Any) -> tuple[Any, str, str]:
    """Run the checks against a seeded mutant; return it, and which of them caught it (and how)."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        return mutant, *_told(first_to_fail(mutant.lab, mutant.write(Path(folder))))


def run_mutations(words: list[str]) -> int:
    """Try all mutations that contain all words; return 1 if one survives that is not known to be equivalent."""
    made = [one for file in FILES for one in mutations(file) if all(word in str(one[0]) for word in words)]
    known, bad, began = equivalents(), 0, time.monotonic()
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for number, (mutation, check, how) in enumerate(pool.imap_unordered(try_mutation, made), start=1):
            if check and mutation in known:
                bad += 1
                print(f"\nNOT EQUIVALENT, {check} catches it ({how}): {mutation}", flush=True)
            elif not check and mutation not in known:
                bad += 1
                print(f"\nSURVIVES: {mutation}", flush=True)
            else:
                print(f"{check or 'equivalent'} ", end="", flush=True)
            if number % 50 == 0:
                print(f"\n{number} of {len(made)}, {time.monotonic() - began:.0f} s", flush=True)
    print(f"\n{len(made)} mutations, {sum(one in known for one, _ in made)} equivalent, {bad} to look at")
    return int(bad > 0)


def run_seeded(labs: list[int]) -> int:
    """Try the seeded mutants of some labs with all checks; return 1 if another check meets one first."""
    chosen, bad = [mutant for mutant in load_mutants() if mutant.lab in labs], 0
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for mutant, check, how in pool.imap_unordered(try_seeded, chosen):
            if check not in mutant.caught_by:
                bad += 1
                print(f"{mutant}: caught by {check or 'nobody'} instead of {mutant.caught_by} ({how})", flush=True)
    print(f"{len(chosen)} mutants, {bad} to look at")
    return int(bad > 0)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="only mutations whose description has all these words")
    parser.add_argument("--list", action="store_true", help="list the mutations")
    parser.add_argument("--seeded", nargs="+", type=int, help="the labs whose seeded mutants are tried instead")
    args = parser.parse_args()
    if args.seeded:
        return run_seeded(args.seeded)
    if args.list:
        for file in FILES:
            for mutation, _ in mutations(file):
                print(mutation)
        return 0
    return run_mutations(args.only)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
