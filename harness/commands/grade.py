"""`lab grade`: a class's hand-ins in, marks, feedback and a page about the class out."""

import argparse
import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.classroom.batch import Batch, Executor, Graded, Order
from harness.classroom.hidden import read_hidden
from harness.classroom.intake import Intake, load_roster, open_intake
from harness.classroom.journal import JOURNAL, Journal
from harness.classroom.marking import class_of
from harness.classroom.marks import Class, class_from
from harness.classroom.policy import OVERRIDES, read_policy
from harness.commands.choose import LAB, limits_of, shown, tier_of
from harness.course import Lab, load_course
from harness.course.stubs import has_solutions
from harness.errors import UsageError
from harness.launch.tiers import PLAIN
from harness.results import write_whole

GRADES = "grades.json"
TAKEN_IN = "hand-ins"
OVERRIDES_FILE = "overrides.csv"
RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def grade(args: argparse.Namespace) -> int:
    """Grade a class; return 0 if every hand-in has its marks, 1 if a person has to look at some."""
    labs = chosen_labs(args.labs)
    if not has_solutions():
        raise UsageError("this copy of the kit has no solutions: their modules stand in for the labs not graded")
    if args.repeat < 1 or args.seconds <= 0 or (args.workers is not None and args.workers < 1):
        raise UsageError("--repeat, --seconds and -j take numbers above 0")
    by_number = {lab.number: lab for lab in load_course().labs}
    hidden = read_hidden(args.hidden and Path(args.hidden), by_number)
    tier = _tier(args)
    for lab in labs:
        limits_of(lab)  # now, not in the middle
    out = Path(args.output)
    policy = read_policy(args.course and Path(args.course), out / OVERRIDES_FILE, by_number)
    _prepare(out, args.resume)
    with Journal(out).open() as journal:
        seed = args.seed if args.seed is not None else journal.seed
        order = Order(
            labs,
            random.randrange(10**6) if seed is None else seed,
            tier,
            args.repeat,
            args.rule == "majority",
            args.own_deps,
            args.seconds,
            hidden,
        )
        batch = Batch(_taken_in(args, out), order, journal)
        graded = _graded(args, batch)
        before = _read_grades(out)
        marks = class_of(batch, graded, policy, _titles(graded))
        _write(out, marks, before, batch)
    return int(any(student.to_be_looked_at for student in marks.students))


def chosen_labs(text: str) -> list[Lab]:
    """Read `6`, `1,3` or `1-4,6`; raise UsageError."""
    course = load_course()
    numbers: set[int] = set()
    for part in text.split(","):
        match = RANGE.fullmatch(part.strip())
        if not match:
            raise UsageError(f"--labs takes numbers of labs, such as 6, or 1-4,6; not {text!r}")
        numbers |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    try:
        return [course.lab(number) for number in sorted(numbers)]
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None


def _tier(args: argparse.Namespace) -> str:
    tier = tier_of(args.tier)
    if tier == PLAIN and not args.trust_everybody:
        raise UsageError(
            "programs of others would run as you, with your files and your network (tier plain): "
            f"`{LAB} doctor` says what to install for a better tier; --trust-everybody grades all the same, and every "
            "report says so"
        )
    return tier


def _prepare(out: Path, resume: bool) -> None:
    if (out / JOURNAL).exists() and not resume:
        raise UsageError(
            f"{shown(out)} holds a grading already: --resume goes on with it, and grades what has changed since; "
            "or name another folder with -o"
        )
    if out.exists() and not out.is_dir():
        raise UsageError(f"-o takes a folder; {shown(out)} is a file")
    if out.is_dir() and any(out.iterdir()) and not (out / JOURNAL).exists() and not resume:
        known = {OVERRIDES_FILE}
        if strange := sorted(entry.name for entry in out.iterdir() if entry.name not in known):
            raise UsageError(f"{shown(out)} is not empty ({strange[0]} is there): name a new folder with -o")
    out.mkdir(parents=True, exist_ok=True)


def _taken_in(args: argparse.Namespace, out: Path) -> Intake:
    roster = load_roster(Path(args.roster)) if args.roster else None
    into = out / TAKEN_IN
    if into.exists():
        shutil.rmtree(into)  # of an earlier run; what it was made from is the source
    skip = [Path(args.roster)] if args.roster else []
    return open_intake(Path(args.folder), into, args.layout, roster, skip=skip)


def _graded(args: argparse.Namespace, batch: Batch) -> list[Graded]:
    from harness.report.terminal import console, progress, say

    out, order = console(), batch.order
    hand_ins = len(batch.intake.counting)
    labs = ", ".join(str(lab.number) for lab in order.labs)
    say(out, f"{hand_ins} hand-ins ({batch.intake.layout}), lab {labs}; tier {order.tier}, seed {order.seed}.")
    with _executor(args) as executor, progress(out, hand_ins * len(order.labs)) as step:
        step("")
        graded = batch.run(executor, step)
    if batch.kept:
        say(out, f"{batch.kept} were graded before, and have not changed.")
    for name, number in sorted(batch.changed.items()):
        say(out, f"{number} graded again: the {name} changed.")
    return graded


@contextmanager
def _executor(args: argparse.Namespace) -> Iterator[Executor]:
    if args.scheduler:
        from harness.classroom.cluster import Cluster

        with Cluster(args.scheduler) as cluster:
            yield cluster
        return
    from harness.launch.workers import Workers

    with Workers(args.workers or os.cpu_count() or 1) as workers:
        yield workers


def _titles(graded: list[Graded]) -> dict[str, str]:
    return {check["id"]: check["title"] for one in graded if one.outcome for check in one.outcome["checks"]}


def _read_grades(out: Path) -> Class | None:
    file = out / GRADES
    return class_from(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def _write(out: Path, marks: Class, before: Class | None, batch: Batch) -> None:
    write_whole(out / GRADES, json.dumps(marks.as_dict(), indent=1, ensure_ascii=False) + "\n")
    if not (out / OVERRIDES_FILE).exists():
        write_whole(out / OVERRIDES_FILE, ",".join(OVERRIDES) + "\n")
