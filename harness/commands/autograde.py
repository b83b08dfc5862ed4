"""`lab autograde`: one hand-in, checked where a platform runs graders, its results in the platform's form."""

import argparse
import os
import random
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.checks.bench import Starter
from harness.checks.plugin import Run
from harness.checks.run import KitError, make_checks, within
from harness.checks.verdict import Verdict
from harness.classroom.exports import classroom50, gradescope, prairielearn
from harness.classroom.exports.one import lab_info, lab_mark
from harness.classroom.intake import find_labs, lay_out
from harness.commands.choose import limits_of, tier_of, whole_lab
from harness.course import Lab, load_course
from harness.errors import UsageError
from harness.launch import Command, LaunchError
from harness.launch.command import python_program
from harness.launch.tiers import PLAIN
from harness.marks import LabInfo, LabMark, State
from harness.results import write_whole

FORMATS: dict[str, Callable[[LabInfo, LabMark], str]] = {
    "gradescope": gradescope.render,
    "classroom50": lambda lab, mark: classroom50.render(lab, mark, os.environ),
    "prairielearn": prairielearn.render,
}
UNSETTLED = ("gradescope", "prairielearn")  # these can say that a result is not final
MOST_FILES, MOST_BYTES = 2_000, 64 << 20  # of a hand-in
NOBODY = 65534  # the user (and the group) without any rights that every Linux has

LAID_OUT = ".laid-out"  # below the files of a hand-in, none of which lies in a folder of such a name
MISSING = "There is no {program} in what was handed in ({found}). Hand in the files of the lab with their own names."
TOO_MUCH = "it holds more than {files:,} files or {mebibytes} MiB"
NO_OTHER_USER = (
    "root runs a hand-in in the tier plain only as another user: that takes setpriv (of util-linux), a user "
    f"{NOBODY}, and a Python that others may run, outside of /root"
)
TIME_IS_OVER = "the time for grading was over"
KIT_FAILED = "the kit failed: {}"


def autograde(args: argparse.Namespace) -> int:
    """Check the hand-in in a folder, and write its results; exit status 0 says that they can be used.

    Where a check could not be made the status is 2, and there is no result, or one that says that it is not final.
    """
    os.umask(0o022)  # the program's user reads what is laid out
    lab, tier, results = whole_lab(args.lab), tier_of(args.tier), Path(args.output)
    if not Path(args.folder).is_dir():
        raise UsageError(f"there is no folder {args.folder}; name the one with the files that were handed in")
    render, info = FORMATS[args.format], lab_info(lab)

    def write(info: LabInfo, mark: LabMark) -> None:
        if mark.points is None and args.format not in UNSETTLED:
            return
        try:
            write_whole(results, render(info, mark))
        except OSError as error:
            raise UsageError(f"cannot write {results}: {error.strerror}; name another file with -o") from None

    with tempfile.TemporaryDirectory(prefix="socket-lab-kit-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            found = _taken(Path(args.folder), folder)
        except UsageError as why:
            found, mark = [], LabMark(State.REVIEW, max_points=info.max_points, reason=str(why))
        else:
            program, notes = _program(found, folder, lab)
            if program is not None:
                info, mark = _checked(lab, info, _command(program, tier), tier, args.seconds, write)
            elif notes:
                mark = LabMark(State.REVIEW, max_points=info.max_points, reason=notes, tier=tier)
            else:
                names = ", ".join(sorted(path.name for path in found)[:5]) or "nothing"
                text = MISSING.format(program=lab.program, found=names)
                mark = LabMark(State.NOTHING, max_points=info.max_points, reason=text, tier=tier)
        write(info, mark)
    print(gradescope.told(info, mark))
    return 2 if mark.points is None else 0


def _taken(source: Path, folder: Path) -> list[Path]:
    """Copy the regular files of a hand-in, and nothing that leads elsewhere; return where they lie now."""
    taken, left = [], MOST_BYTES
    for place, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(names):
            target = folder / Path(place).relative_to(source) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            left -= _copied(Path(place, name), target, left)
            taken.append(target)
            if len(taken) > MOST_FILES or left < 0:
                raise UsageError(TOO_MUCH.format(files=MOST_FILES, mebibytes=MOST_BYTES >> 20))
    return [path for path in taken if path.is_file()]


def _copied(source: Path, target: Path, most: int) -> int:
    """Copy a file if it is a regular one; return its bytes, those above `most` uncopied."""
    try:
        file = os.open(source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return 0  # a link, or nothing that can be read: what it leads to was not handed in
    with open(file, "rb") as opened:
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode) and status.st_size <= most:
            target.write_bytes(opened.read(status.st_size))
    return status.st_size


def _program(found: list[Path], folder: Path, lab: Lab) -> tuple[Path | None, str]:
    """Lay out the program of a lab and what lies beside it; return where it is (None: nowhere), and why not."""
    files = {path.relative_to(folder).as_posix(): path for path in found}
    it = next((one for one in find_labs(files, load_course()) if one.lab == lab.number), None)
    if it is None:
        return None, ""
    if not it.program:
        return None, "; ".join(it.notes)
    laid = folder / LAID_OUT
    laid.mkdir()
    return lay_out(it, laid), ""


def _command(program: Path, tier: str) -> Command:
    """Return the command that runs a program; where root would run it without walls, a user without rights does."""
    command = python_program(program)
    if tier != PLAIN or not hasattr(os, "getuid") or os.getuid() != 0:
        return command
    from harness.launch.tiers.ruleset import python_for_others

    setpriv, python = shutil.which("setpriv"), python_for_others()
    if setpriv is None or python is None or not _has_nobody(program.parent):
        raise UsageError(NO_OTHER_USER)
    words = (setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--inh-caps=-all")
    return replace(command, words=(*words, python, *command.words[1:]))


def _has_nobody(folder: Path) -> bool:
    """Find out whether there is that user: in some containers root is the only one."""
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        try:
            os.chown(probe.name, NOBODY, NOBODY)
        except OSError:
            return False
    return True


def _checked(
    lab: Lab, info: LabInfo, command: Command, tier: str, seconds: float, on_part: Callable[[LabInfo, LabMark], None]
) -> tuple[LabInfo, LabMark]:
    """Make the checks of a lab, and tell after each of them what there is; return what they come to."""
    started = time.monotonic()

    made: dict[str, Verdict] = {}

    def come_to(why: str = "") -> tuple[LabInfo, LabMark]:
        verdicts = [verdict.as_dict() for verdict in made.values()]
        return lab_mark(info, verdicts, tier, time.monotonic() - started, why)

    seed = random.randrange(10**6)
    print(f"lab {lab.number} in the tier {tier}, seed {seed}")
    try:
        with Starter(command, lab.kind, tier=tier, limits=limits_of(lab)) as starter:
            run = Run(lab, starter, seed=seed, around=within(seconds))

            def note(_: Verdict) -> None:
                made.update(run.verdicts)
                on_part(*come_to(TIME_IS_OVER))

            run.on_verdict = note
            made.update({verdict.id: verdict for verdict in make_checks(run)})
    except KeyboardInterrupt:
        return come_to(TIME_IS_OVER)
    except (KitError, LaunchError) as error:
        print(error, file=sys.stderr)
        return come_to(KIT_FAILED.format(str(error).partition("\n")[0]))
    return come_to()
