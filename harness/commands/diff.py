"""`lab diff`: what a student has changed."""

import argparse
import difflib
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.commands.choose import find, need_solutions, need_stubs, shown, whole_lab
from harness.course.progress import load_progress
from harness.course.stubs import pristine, with_steps
from harness.report.safe import safe
from harness.report.terminal import console, say

STYLES = {"---": "bold", "+++": "bold", "@": "cyan", "-": "red", "+": "green"}  # by how a line begins


def diff(args: argparse.Namespace) -> int:
    """Print how the files of a lab differ from their stubs, or from the solution as far as the steps hold."""
    lab, out = whole_lab(args.lab), console()
    need_stubs()
    if args.solution:
        need_solutions()
    held = load_progress().done if args.solution else {}
    if args.solution and not any(step.id in held for step in lab.steps):
        say(out, f"No step of lab {lab.number} holds yet, so nothing of its solution is shown")
        return 0
    what = "solution" if args.solution else "stub"
    for file in lab.places:
        given = with_steps(file, held) if args.solution else pristine(file)
        _print_difference(out, find(file, lab), given, what)
    hidden = [step.id for step in lab.steps if step.id not in held]
    if args.solution and hidden:
        say(out, f"Not shown is the solution of what does not hold yet: {', '.join(hidden)}")
    return 0


def _print_difference(out: Console, path: Path, given: str, what: str) -> None:
    own = path.read_text(encoding="utf-8", errors="backslashreplace")
    names = (f"{what} of {shown(path)}", shown(path))
    lines = list(difflib.unified_diff(given.splitlines(), own.splitlines(), *names, lineterm=""))
    for line in lines:
        style = next((style for sign, style in STYLES.items() if line.startswith(sign)), "")
        say(out, Text(safe(line), style))
    if not lines:
        say(out, f"{shown(path)} is as the {what} is")
