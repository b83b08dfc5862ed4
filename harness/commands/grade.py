"""`lab grade`: a class's hand-ins in, marks, feedback and a page about the class out."""

import argparse
import json
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.classroom.batch import Batch, Executor, Graded, Order
from harness.classroom.hidden import read_hidden
from harness.classroom.intake import Intake, load_roster, open_intake
from harness.classroom.interop import CHAT, CLIENT, Interop
from harness.classroom.journal import JOURNAL, Journal
from harness.classroom.marking import class_of
from harness.classroom.policy import OVERRIDES, Together, read_policy
from harness.commands.choose import chosen_labs, limits_of, shown, tier_of
from harness.course import load_course
from harness.course.layout import LABS
from harness.errors import UsageError
from harness.launch.tiers import PLAIN
from harness.marks import Class, InteropMap, class_from
from harness.report.marks.class_page import Extra, class_html
from harness.report.marks.feedback import feedback_html, feedback_markdown
from harness.report.marks.regrade import regrade_markdown
from harness.report.marks.terminal import summarise_class
from harness.report.terminal import console, progress, say
from harness.results import write_whole
from harness.shell import LAB

GRADES = "grades.json"
TAKEN_IN = "hand-ins"
OVERRIDES_FILE = "overrides.csv"
FEEDBACK = "feedback"
PAGE = "class.html"
REGRADE = "regrade.md"
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]+")  # of a file: names are hostile texts


def grade(args: argparse.Namespace) -> int:
    """Grade a class; return 0 if every hand-in has its marks, 1 if a person has to look at some."""
    began = time.monotonic()
    labs = chosen_labs(args.chosen)
    if args.repeat < 1 or args.seconds <= 0 or (args.workers is not None and args.workers < 1):
        raise UsageError("--repeat, --seconds and -j take numbers above 0")
    by_number = {lab.number: lab for lab in load_course().labs}
    hidden = read_hidden(args.hidden and Path(args.hidden), by_number)
    tier = _tier(args)
    for lab in labs:
        limits_of(lab)  # now, not in the middle
    out = Path(args.output)
    policy = read_policy(args.course and Path(args.course), out / OVERRIDES_FILE, by_number)
    wanted = args.interop or policy.together.points > 0
    if wanted and not {CHAT, CLIENT} <= {lab.kind for lab in labs}:
        raise UsageError(
            "programs can meet where lab 7 and a chat (lab 4, 6, 8 or 9) are graded: name them with --labs"
        )
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
        with _executor(args) as executor:
            graded = _graded(batch, executor)
            interop = _interop(batch, policy.together, executor) if wanted else None
        before = _read_grades(out)
        marks = class_of(batch, graded, policy, _titles(graded), interop)
        handouts = os.path.relpath(LABS, out.resolve())
        took = time.monotonic() - began
        extra = Extra({}, handouts, "", (*policy.late.sentences,), took, args.workers or os.cpu_count() or 1)
        _write(out, marks, before, extra)
    return int(any(student.to_be_looked_at for student in marks.students))


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


def _graded(batch: Batch, executor: Executor) -> list[Graded]:
    out, order = console(), batch.order
    hand_ins = len(batch.intake.counting)
    labs = ", ".join(str(lab.number) for lab in order.labs)
    say(out, f"{hand_ins} hand-ins ({batch.intake.layout}), lab {labs}; tier {order.tier}, seed {order.seed}.")
    with progress(out, hand_ins * len(order.labs)) as step:
        step("")
        graded = batch.run(executor, step)
    if batch.kept:
        say(out, f"Graded before, and not changed since: {batch.kept}.")
    for name, number in sorted(batch.changed.items()):
        say(out, f"Graded again, because of changes of the {name}: {number}.")
    return graded


def _interop(batch: Batch, together: Together, executor: Executor) -> InteropMap | None:
    interop = Interop(batch, together.partners)
    with progress(console(), interop.receptions) as step:
        step("")
        return interop.run(executor, step)


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


def _write(out: Path, marks: Class, before: Class | None, extra: Extra) -> None:
    """Write all reports: first what they are made of, so that nothing is lost if one of them cannot be made."""
    write_whole(out / GRADES, json.dumps(marks.as_dict(), indent=1, ensure_ascii=False) + "\n")
    if not (out / OVERRIDES_FILE).exists():
        write_whole(out / OVERRIDES_FILE, ",".join(OVERRIDES) + "\n")
    (out / FEEDBACK).mkdir(exist_ok=True)
    pages = {}
    for student in marks.students:
        results = {number: _results(out / mark.results) for number, mark in student.labs.items() if mark.results}
        stem = f"{FEEDBACK}/{NOT_IN_A_NAME.sub('-', student.name)[:40].strip('-')}-{student.key}"
        write_whole(out / f"{stem}.md", feedback_markdown(marks, student, results))
        write_whole(out / f"{stem}.html", feedback_html(marks, student, results))
        pages[student.key] = f"{stem}.html"
    write_whole(out / PAGE, class_html(marks, replace(extra, feedback=pages)))
    reports = [f"The page of the class: {shown(out / PAGE)}", f"Feedback for each student: {shown(out / FEEDBACK)}"]
    if before is not None:
        write_whole(out / REGRADE, regrade_markdown(before, marks))
        reports.append(f"What changed since the last grading: {shown(out / REGRADE)}")
    summarise_class(console(), marks, reports)


def _results(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
