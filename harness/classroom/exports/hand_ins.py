"""Formats that have a file for each hand-in: one file where one is asked for, otherwise a folder of them."""

import os
import re
from collections.abc import Callable

from harness.classroom.exports import classroom50, gradescope, prairielearn
from harness.classroom.exports.request import Export, Request
from harness.errors import UsageError
from harness.marks import LabInfo, LabMark, StudentMark

NOTHING = "nothing of what is asked for has a mark, so there is nothing to export"


def for_gradescope(request: Request) -> Export:
    """Return `results.json` of each hand-in."""
    return _each(request, lambda lab, _, mark: gradescope.render(lab, mark))


def for_prairielearn(request: Request) -> Export:
    """Return `results.json` of each hand-in."""
    return _each(request, lambda lab, _, mark: prairielearn.render(lab, mark))


def for_classroom50(request: Request) -> Export:
    """Return `result.json` of one hand-in: the environment says whose."""
    if len(list(request.marked())) > 1:
        raise UsageError("a result for Classroom 50 is of one hand-in: say which, with --student and --lab")
    return _each(request, lambda lab, student, mark: classroom50.render(lab, mark, os.environ, student.login))


def _each(request: Request, render: Callable[[LabInfo, StudentMark, LabMark], str]) -> Export:
    made: dict[str, str] = {}
    for lab, student, mark in request.marked():
        made[_file(student, lab, made)] = render(lab, student, mark)
    if not made:
        raise UsageError(NOTHING)
    if len(request.students) == len(request.labs) == 1:
        return Export(next(iter(made.values())))
    return Export(made)


def _file(student: StudentMark, lab: LabInfo, taken: dict[str, str]) -> str:
    """Return a name for a file, made of a key that may hold anything."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", student.key)[:100].strip("-") or "hand-in"
    number, name = 1, f"{stem}-lab{lab.number}.json"
    while name.casefold() in {one.casefold() for one in taken}:
        number += 1
        name = f"{stem}-{number}-lab{lab.number}.json"
    return name
