"""`lab export`: the marks of a class in the forms that others read, and graders for platforms that run them."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from harness.classroom.exports import FORMATS, Export, Request, autograder
from harness.classroom.exports.request import called, listed
from harness.commands.choose import shown, whole_lab
from harness.course import Lab
from harness.errors import UsageError
from harness.marks import Class, StudentMark, class_from
from harness.report.safe import safe
from harness.results import write_whole

GRADES = "grades.json"
GRADERS: dict[str, Callable[[Lab], bytes]] = {
    "gradescope-autograder": autograder.for_gradescope,
    "classroom50-autograder": autograder.for_classroom50,
}


def export(args: argparse.Namespace) -> int:
    """Write the marks of a run of `lab grade`, or a grader; tell on standard error who is not in it, and why."""
    if args.format in GRADERS:
        if args.run is not None:
            raise UsageError(f"{args.format} is about a lab and no run of a class: leave {args.run} out, and say --lab")
        if args.lab is None:
            raise UsageError(f"say which lab {args.format} is to grade, with --lab")
        target = Path(args.output or f"{args.format}.zip")
        made = Export(GRADERS[args.format](whole_lab(args.lab)))
    else:
        form = FORMATS[args.format]
        folder = _folder(args.run)
        request = _request(args, _chosen(_grades(folder), args))
        made = form.make(request)
        name = Path(form.file).stem if isinstance(made.content, Mapping) else form.file
        target = Path(args.output) if args.output else folder / name
        made = replace(made, told=(*request.undecided(), *made.told))
    _write(made.content, target, args.force)
    for sentence in made.told:
        print(f"lab: {safe(sentence)}", file=sys.stderr)
    print(f"{shown(target.absolute())} is written")
    return 0


def _folder(run: str | None) -> Path:
    if run is None:
        raise UsageError("name the run whose marks are wanted: the folder that `lab grade` has written")
    folder = Path(run)
    return folder.parent if folder.name == GRADES else folder


def _grades(folder: Path) -> Class:
    file = folder / GRADES
    try:
        return class_from(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(
            f"cannot read {file}: {error.strerror}; name the folder that `lab grade` has written"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} is not what `lab grade` writes ({error!r}): grade again") from None


def _chosen(marks: Class, args: argparse.Namespace) -> Class:
    """Return the class with only the lab and the student that were asked for."""
    if args.lab is not None:
        numbers = [lab.number for lab in marks.labs]
        if args.lab not in map(str, numbers):
            raise UsageError(f"this run has no lab {args.lab}; it has {', '.join(map(str, numbers)) or 'none'}")
        kept = [lab for lab in marks.labs if str(lab.number) == args.lab]
        marks = replace(marks, labs=tuple(kept), students=tuple(_with_labs(one, args.lab) for one in marks.students))
    if args.student is not None:
        marks = replace(marks, students=(_student(marks.students, args.student),))
    return marks


def _with_labs(student: StudentMark, lab: str) -> StudentMark:
    return replace(student, labs={number: mark for number, mark in student.labs.items() if str(number) == lab})


def _student(students: tuple[StudentMark, ...], wanted: str) -> StudentMark:
    word = wanted.casefold()
    found = [one for one in students if one.key == wanted] or [
        one
        for one in students
        if word in (text.casefold() for text in (one.name, one.id, one.sid, one.login, one.email))
    ]
    if len(found) != 1:
        several = f"several students are {wanted!r}" if found else f"nobody is {wanted!r}"
        names = listed([f"{called(one)} ({one.key})" for one in found or students])
        raise UsageError(safe(f"{several}; name one by key, id, login, email or name: {names}"))
    return found[0]


def _request(args: argparse.Namespace, marks: Class) -> Request:
    if args.out_of is not None and not 0 < args.out_of < float("inf"):
        raise UsageError("--out-of takes a number above 0: the points that the platform has for all that can be had")
    worksheet = Path(args.worksheet) if args.worksheet else None
    if worksheet and args.format != "moodle":
        raise UsageError("--worksheet is for moodle alone")
    return Request(marks, _titles(args.title, marks), args.out_of, worksheet, args.grade_column)


def _titles(told: list[str], marks: Class) -> dict[int, str]:
    titles = {}
    for text in told:
        number, _, title = text.partition("=")
        if number not in {str(lab.number) for lab in marks.labs} or not title.strip():
            raise UsageError(f"--title is LAB=TITLE with a lab of this run, such as '1=Echo (4711)'; not {text!r}")
        titles[int(number)] = title.strip()
    return titles


def _write(content: str | bytes | Mapping[str, str], target: Path, force: bool) -> None:
    """Write a file, or a folder of files, whole or not at all."""
    if os.path.lexists(target) and not force:
        raise UsageError(f"{shown(target.absolute())} is there already: name another one with -o, or add --force")
    if target.is_dir() and not isinstance(content, Mapping):
        raise UsageError(f"{shown(target.absolute())} is a folder: name a file with -o")
    try:
        if isinstance(content, Mapping):
            _write_folder(content, target)
        else:
            write_whole(target, content)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}; name another place with -o") from None


def _write_folder(files: Mapping[str, str], target: Path) -> None:
    """Put a folder in place of whatever there was, in one step; only files that were exported before are replaced."""
    if target.exists() and (not target.is_dir() or any(path.suffix != ".json" for path in target.iterdir())):
        raise UsageError(f"{shown(target.absolute())} holds more than an export: name another folder with -o")
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as name:
        fresh, old = Path(name, "fresh"), Path(name, "old")
        fresh.mkdir()
        for file, text in files.items():
            write_whole(fresh / file, text)
        if target.exists():
            shutil.move(target, old)
        fresh.rename(target)
