"""Marks in the forms that others read: one small module a format.

All of them are made of a Class alone. Who has no mark yet is left out or empty as the format allows, and never a
zero; what a platform already has of others stays as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

from harness.classroom.exports import brightspace, canvas, flat, hand_ins, junit, moodle
from harness.classroom.exports.request import Export, Request


@dataclass(frozen=True)
class Format:
    """One form in which marks can be had."""

    what: str  # it is for, in a few words
    make: Callable[[Request], Export]
    file: str  # what it is called if nobody says so; a file for each hand-in lies in a folder of this name


FORMATS = {
    "gradescope": Format("results.json of hand-ins", hand_ins.for_gradescope, "gradescope.json"),
    "classroom50": Format("result.json of a hand-in", hand_ins.for_classroom50, "result.json"),
    "prairielearn": Format("results.json of hand-ins", hand_ins.for_prairielearn, "prairielearn.json"),
    "canvas": Format("a CSV for the gradebook", canvas.export, "canvas.csv"),
    "moodle": Format("the worksheet of an assignment, filled in", moodle.export, "moodle.csv"),
    "brightspace": Format("a CSV for the grades", brightspace.export, "brightspace.csv"),
    "junit": Format("XML, for tools that show tests", junit.export, "junit.xml"),
    "csv": Format("a table with a row for each student", flat.as_csv, "grades.csv"),
    "json": Format("all there is", flat.as_json, "export.json"),
}

__all__ = ["FORMATS", "Export", "Format", "Request"]
