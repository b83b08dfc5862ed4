"""Which lab, which step, which program: what people type, or a sentence that says what is wrong with it."""

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from harness.course import Lab, Step, load_course
from harness.course.layout import LABS, ROOT, SOLUTIONS
from harness.course.progress import load_progress
from harness.course.stubs import has_solutions, has_stubs
from harness.errors import UsageError
from harness.shell import LAB, PYTHON

if TYPE_CHECKING:  # `lab` alone starts nothing, and answers at once
    from harness.launch import Command
    from harness.launch.limits import Limits

RANGE = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")


def lab_and_step(text: str | None) -> tuple[Lab, Step | None]:
    """Read `3` or `3.2`; None is the lab at which the student is."""
    course = load_course()
    try:
        if text is None:
            step = next_step() or course.labs[-1].steps[-1]
            return course.lab(step.lab), None
        return course.lab(text.partition(".")[0]), course.step(text) if "." in text else None
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None


def whole_lab(text: str | None) -> Lab:
    """Read `3`, where a step makes no sense; None is the lab at which the student is."""
    lab, step = lab_and_step(text)
    if step:
        raise UsageError(f"this takes a whole lab, and no step of it: {lab.number}")
    return lab


def chosen_labs(text: str) -> list[Lab]:
    """Read `6`, `1,3` or `1-3,7`."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = RANGE.fullmatch(part.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise UsageError(f"--labs takes numbers of labs, such as 1-3,7; not {text!r}")
        ends = [lab_and_step(end)[0].number for end in (match[1], match[2] or match[1])]
        numbers.update(range(ends[0], ends[1] + 1))
    return [lab for lab in load_course().labs if lab.number in numbers]


def next_step(within: Lab | None = None) -> Step | None:
    """Return the first step (of a lab, or of all) that does not hold yet, None when all do."""
    done = load_progress().done
    labs = load_course().labs if within is None else [within]
    return next((step for lab in labs for step in lab.steps if step.id not in done), None)


def limits_of(lab: Lab) -> "Limits":
    """Return what the program of a lab may use."""
    from harness.launch.limits import Limits, LimitsError

    try:
        return Limits().with_values(lab.limits)
    except LimitsError as error:
        raise UsageError(f"harness/course/course.toml: {error}") from None


def tier_of(name: str) -> str:
    """Return the tier of containment that is asked for; `best` is the best one that this machine offers."""
    from harness.launch.tiers import best, hindrance

    if name == "best":
        return best()
    if why := hindrance(name):
        raise UsageError(f"--tier {name} is not to be had here: {why}")
    return name


def program_of(lab: Lab, target: str | None = None, solution: bool = False) -> "Command":
    """Return the command of a lab's program: the student's, the reference, or any other."""
    from harness.launch.command import python_program

    if target is not None:
        return _any_program(target)
    if not solution:
        return python_program(find(lab.program, lab))
    need_solutions()
    return python_program(SOLUTIONS / lab.program)


def find(file: str, lab: Lab) -> Path:
    """Return where a student's file lies."""
    path = LABS / file
    if not path.is_file():
        raise UsageError(f"{shown(path)} is missing; `{LAB} reset {lab.number}` puts the stub there")
    return path


def need_solutions() -> None:
    """Raise UsageError where there are no solutions."""
    if not has_solutions():
        raise UsageError(
            "this is a student's copy of the kit: it has no solutions, nor what needs them; "
            f"`{LAB} --help` shows what there is"
        )


def need_stubs() -> None:
    """Raise UsageError where nothing tells what a stub looks like."""
    if not has_stubs():
        raise UsageError(
            "this copy of the kit has no solutions, from which the stubs are made, and not the stubs either; "
            f"a copy that `{LAB} release` has made for students has them"
        )


def _any_program(target: str) -> "Command":
    from harness.launch.command import Command, parse_command

    try:
        command = parse_command(target)
    except ValueError as error:
        raise UsageError(f"--target: {error}") from None
    program = command.words[0]
    if shutil.which(program) is None:
        raise UsageError(
            f"--target: cannot run {program!r}: there is no such program, or it is not executable "
            f"(a Python file is run as --target '{PYTHON} {program}')"
        )
    found = Path(program)
    words = (str(found.absolute()), *command.words[1:]) if found.parent != Path() else command.words
    return Command(words, command.folder)


def shown(path: Path) -> str:
    """Write a path as short as it can be typed from here."""
    for base in (Path.cwd(), ROOT):
        if path.is_relative_to(base):
            return str(path.relative_to(base))
    return str(path)


def todo_line(step: Step) -> str | None:
    """Return where the first TODO of a step stands (`labs/framing.py, line 18`), None if there is none left."""
    for file in load_course().lab(step.lab).places:
        path = LABS / file
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            for number, line in enumerate(lines, start=1):
                if f"TODO {step.id}:" in line:
                    return f"{shown(path)}, line {number}"
    return None
