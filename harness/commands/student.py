"""`lab`, `lab run`, `lab hint`, `lab reset`: what a student types, beside `lab check`."""

import argparse
from typing import TYPE_CHECKING

from harness.commands.choose import lab_and_step, need_stubs, next_step, program_of, shown, todo_line
from harness.course import Step, load_course
from harness.course.layout import LABS
from harness.course.progress import load_progress
from harness.course.stubs import put_stub
from harness.errors import UsageError
from harness.shell import LAB, NC

if TYPE_CHECKING:
    from harness.launch import Command

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 5555


def where(_: argparse.Namespace) -> int:
    """Print what holds so far, the next step, and what to type."""
    course, done = load_course(), load_progress().done
    ahead = next_step()
    print(course.title)
    for lab in course.labs:
        held = sum(step.id in done for step in lab.steps)
        print(
            f"\n  Lab {lab.number}  {lab.title}: {lab.idea} ({held} of {len(lab.steps)} steps hold; labs/{lab.handout})"
        )
        for step in lab.steps:
            sign = "✓" if step.id in done else "▸" if step == ahead else " "
            since = f"  since {done[step.id]}" if step.id in done else ""
            print(f"    {sign} {step.id}  {step.title}{since}")
    if ahead is None:
        print("\nAll steps hold. Well done!")
        return 0
    place = todo_line(ahead)
    lab = course.lab(ahead.lab)
    print(f"\nNext: step {ahead.id}, {ahead.title}: " + (f"the TODO in {place}." if place else f"labs/{lab.program}."))
    print(f"Read labs/{lab.handout}, then type:  {LAB} check {ahead.id}    (stuck? {LAB} hint {ahead.id})")
    return 0


def run(args: argparse.Namespace) -> int:
    """Start a lab's program on this terminal."""
    lab, _ = lab_and_step(args.lab)
    command = program_of(lab, solution=args.solution)
    if lab.kind == "client":
        return _in_foreground(command, args)
    from harness.launch.sockets import holder

    if args.port and (user := holder(args.port)):
        raise UsageError(
            f"port {args.port} is in use by {user}; end that program, or choose another port: "
            f"{LAB} run {args.lab} --port 0 takes a free one"
        )
    port = args.port or "PORT"
    print(
        f"{shown(command.folder / lab.program)}: stop it with Ctrl-C; talk to it from another terminal with", flush=True
    )
    print(f"    {NC} {args.host} {port}", flush=True)
    if lab.kind == "chat":
        there = f" --host {args.host}" if args.host != DEFAULT_HOST else ""
        there += f" --port {port}" if args.port != DEFAULT_PORT else ""
        print(f"    {LAB} chat{there}", flush=True)
    return _in_foreground(command, args)


def chat(args: argparse.Namespace) -> int:
    """Join a chat with the client of the course: the student's own, or ours."""
    client = next((lab for lab in load_course().labs if lab.kind == "client"), None)
    if client is None:
        raise UsageError("this copy of the kit has no lab in which one writes a client; join with nc instead")
    return _in_foreground(program_of(client, solution=args.solution), args)


def _in_foreground(command: "Command", args: argparse.Namespace) -> int:
    from harness.launch import LaunchError
    from harness.launch.program import run_in_foreground

    try:
        return run_in_foreground(command, args.host, args.port)
    except LaunchError as error:
        raise UsageError(str(error)) from None


def hint(args: argparse.Namespace) -> int:
    """Print the hints of a step that were read already, and the next one."""
    try:
        step = load_course().step(args.step)
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None
    hints, left = one_more_hint(step)
    for number, text in enumerate(hints, start=1):
        print(f"{number}. {text}")
    print(f"({left} more: {LAB} hint {step.id})" if left else "(That was the last hint. The handout tells the rest.)")
    return 0


def one_more_hint(step: Step) -> tuple[tuple[str, ...], int]:
    """Return the hints of a step that were read already, with the next one; and how many are left."""
    progress = load_progress()
    number = min(progress.hints.get(step.id, 0) + 1, len(step.hints))
    progress.hints[step.id] = number
    progress.save()
    return step.hints[:number], len(step.hints) - number


def reset(args: argparse.Namespace) -> int:
    """Put the stubs of a lab back; what was there is kept beside them."""
    lab, _ = lab_and_step(args.lab)
    need_stubs()
    for file in lab.files:
        kept = put_stub(file)
        what = f"is the stub again; yours is kept as {shown(kept)}" if kept else "is the stub"
        print(f"{shown(LABS / file)} {what}")
    return 0
