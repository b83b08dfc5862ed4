"""`lab similarity`: which hand-ins share more code than the class does anyway."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import results
from harness.classroom.intake import load_roster, open_intake
from harness.classroom.similarity import Work, compare, of_the_course, works_of
from harness.classroom.similarity.told import as_csv, as_results
from harness.commands.choose import need_solutions, shown
from harness.course.layout import SOLUTIONS
from harness.errors import UsageError
from harness.report import similarity_page, similarity_table
from harness.report.terminal import console, progress, say

PLAIN = "plain"  # the layout of a folder from no platform


def similarity(args: argparse.Namespace) -> int:
    """Compare all hand-ins of a folder, print the pairs that stand out, and write a report."""
    need_solutions()
    if args.threshold is not None and not 0 < args.threshold <= 1:
        raise UsageError(
            "--threshold takes a number above 0, and 1 at most: the part of what either has that both have"
        )
    if args.top < 1:
        raise UsageError("--top takes a number from 1 on")
    roster = Path(args.roster) if args.roster else None
    with ExitStack() as stack:
        intake = open_intake(
            Path(args.folder),
            _for_now(stack),
            args.layout,
            load_roster(roster) if roster else None,
            skip=[roster] if roster else [],
        )
        works = works_of(intake.counting)
        if len(works) < 2:
            raise UsageError(f"{args.folder} has {len(works)} hand-in, and two are needed: a folder or a file for each")
        given = [open_intake(Path(folder), _for_now(stack), PLAIN) for folder in args.handed_out]
        handed_out = of_the_course(work for one in given for work in works_of(one.hand_ins))
        references = [_reference()] if args.solutions else []
        out = console()
        with progress(out, len(works) + len(references)) as step:
            compared = compare(works, handed_out, references, threshold=args.threshold, top=args.top, on_work=step)
    folder = results.new_run("similarity")
    outcome = {"folder": args.folder, **as_results(compared), "versions": results.surroundings()}
    results.save(folder, outcome)
    results.write_whole(folder / "pairs.csv", as_csv(outcome))
    results.write_whole(folder / "report.html", similarity_page.render(outcome))
    for line in similarity_table.lines(outcome):
        say(out, line) if isinstance(line, str) else out.print(line)
    say(out, f"Side by side: {shown(folder / 'report.html')}; for a spreadsheet: {shown(folder / 'pairs.csv')}")
    return 0


def _for_now(stack: ExitStack) -> Path:
    """Return a new folder that is gone at the end."""
    return Path(stack.enter_context(TemporaryDirectory(prefix="lab-similarity-")))


def _reference() -> Work:
    return Work("(the solutions)", "the solutions", {path.name: path for path in sorted(SOLUTIONS.glob("*.py"))})
