"""`lab similarity`: which hand-ins share more code than the class does anyway."""

import argparse
from pathlib import Path

from harness import results
from harness.classroom.similarity import Work, compare, of_the_course, works_in
from harness.classroom.similarity.told import as_csv, as_results
from harness.commands.choose import need_solutions, shown
from harness.course.layout import SOLUTIONS
from harness.errors import UsageError
from harness.report import similarity_page, similarity_table
from harness.report.terminal import console, progress, say


def similarity(args: argparse.Namespace) -> int:
    """Compare all hand-ins of a folder, print the pairs that stand out, and write a report."""
    need_solutions()
    if args.threshold is not None and not 0 < args.threshold <= 1:
        raise UsageError(
            "--threshold takes a number above 0, and 1 at most: the part of what either has that both have"
        )
    if args.top < 1:
        raise UsageError("--top takes a number from 1 on")
    works = _works(Path(args.folder))
    if len(works) < 2:
        raise UsageError(f"{args.folder} has {len(works)} hand-ins, and two are needed: a folder or a file for each")
    given = [work for folder in args.handed_out for work in _works(Path(folder))]
    references = [_reference()] if args.solutions else []
    out = console()
    with progress(out, len(works) + len(references)) as step:
        compared = compare(
            works, of_the_course(given), references, threshold=args.threshold, top=args.top, on_work=step
        )
    folder = results.new_run("similarity")
    outcome = {"folder": args.folder, **as_results(compared), "versions": results.surroundings()}
    results.save(folder, outcome)
    results.write_whole(folder / "pairs.csv", as_csv(outcome))
    results.write_whole(folder / "report.html", similarity_page.render(outcome))
    for line in similarity_table.lines(outcome):
        say(out, line) if isinstance(line, str) else out.print(line)
    say(out, f"Side by side: {shown(folder / 'report.html')}; for a spreadsheet: {shown(folder / 'pairs.csv')}")
    return 0


def _works(folder: Path) -> list[Work]:
    try:
        return works_in(folder)
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}; give the folder of all hand-ins") from None


def _reference() -> Work:
    return Work("(the solutions)", "the solutions", {path.name: path for path in sorted(SOLUTIONS.glob("*.py"))})
