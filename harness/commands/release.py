"""`lab release`: the copy of the kit that students get."""

import argparse
import ast
from pathlib import Path

from harness.commands.choose import chosen_labs, shown
from harness.commands.watch import imported
from harness.course import Lab, load_course
from harness.course.answers import PUBLIC, revealed
from harness.course.layout import SOLUTIONS
from harness.course.release import ReleaseError, contents, write
from harness.course.stubs import MarkerError
from harness.errors import UsageError


def release(args: argparse.Namespace) -> int:
    """Write a copy of the kit without solutions, unless something in it gives an answer away."""
    labs, target = chosen(args.chosen), Path(args.target)
    try:
        files = contents(labs)
        if leaks := revealed(files):
            name, answer = leaks[0]
            line = answer.code.partition("\n")[0]
            others = f" (and {len(leaks) - 1} more places)" if len(leaks) > 1 else ""
            raise UsageError(
                f"{name} has a line of the answer to step {answer.step}, `{line}`{others}: take it out, or let "
                f"students see it by listing it, with a reason, in {shown(PUBLIC)}"
            )
        write(files, target, args.force)
    except (MarkerError, ReleaseError) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"the release cannot be made: {error.filename}: {error.strerror}") from None
    numbers = ", ".join(str(lab.number) for lab in labs)
    size = sum(len(text.encode()) for text in files.values()) / 2**20
    print(f"{shown(target)}: labs {numbers}; {len(files)} files, {size:.1f} MiB; nothing in them is an answer")
    return 0


def chosen(text: str | None) -> list[Lab]:
    """Read `1-3,7`; None is all labs. What they import has to be among them."""
    if text is None:
        return list(load_course().labs)
    labs = chosen_labs(text)
    numbers = {lab.number for lab in labs}
    for lab in labs:
        if missing := sorted(needed(lab) - numbers):
            also = " and ".join(str(number) for number in missing)
            raise UsageError(f"--labs: lab {lab.number} goes on with what one writes in lab {also}: name that, too")
    return labs


def needed(lab: Lab) -> set[int]:
    """Return the labs whose files a lab imports or goes on with."""
    owner = {file: one.number for one in load_course().labs for file in one.files}
    files = set(lab.places)
    for file in lab.places:
        files.update(imported(ast.parse((SOLUTIONS / file).read_text(encoding="utf-8"))))
    return {owner[file] for file in files if file in owner}
