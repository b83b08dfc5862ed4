"""A class of some 120 hand-ins with known marks, graded: all as expected, twice the same, and again after being killed.

    .venv/bin/python tests/class_of_120.py [--labs 1-6] [--each 10] [-j N] [--tier TIER]

Solutions, correct programs in other styles, seeded bugs, half-done stubs at every step, hostile programs, and what is
no program at all. Prints each mark that is not as expected, or that changes though its program does not; exit status 1
if there is one.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostile.catalogue import CASES
from mutants.catalogue import load_mutants
from support import ROOT, SOLUTIONS
from test_course import student_folder

from harness.commands.choose import chosen_labs
from harness.course import Lab

STYLES = {  # by lab: the program, and what it imports
    3: ["echo_socketserver.py"],
    4: ["chat_locked.py", "chat_threads_room.py"],
    6: ["chat_selectors.py"],
}
Mark = dict[str, Any]  # of one student and lab, as in grades.json


@dataclass(frozen=True)
class HandIn:
    """What one student has handed in, and what it has to come to."""

    lab: Lab
    files: dict[str, bytes]
    wanted: str
    holds: Callable[[Mark], bool]
    same: bool = True  # whether its marks have to be the same each time; what races or spins fails more, or less


def made(labs: list[Lab], each: int) -> Iterator[tuple[str, HandIn]]:
    """Yield names and hand-ins."""
    chance = random.Random(1)
    for lab in labs:
        whole = {file: (SOLUTIONS / file).read_bytes() for file in lab.places}
        yield f"solution{lab.number}", HandIn(lab, whole, "all points", has(lab.points))
        windows = {name: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n") for name, text in whole.items()}
        yield f"windows{lab.number}", HandIn(lab, windows, "all points", has(lab.points))
        if lab.number in STYLES:
            program, *beside = STYLES[lab.number]
            names = {lab.program: program} | {name: name for name in beside}
            style = {name: (ROOT / "tests" / "servers" / file).read_bytes() for name, file in names.items()}
            yield f"style{lab.number}", HandIn(lab, style, "all points", has(lab.points))
        mutants = [one for one in load_mutants() if one.lab == lab.number and touched(one) <= set(lab.places)]
        for mutant in chance.sample(mutants, min(each, len(mutants))):
            with tempfile.TemporaryDirectory() as folder:
                mutant.write(Path(folder))
                files = {file: (Path(folder) / file).read_bytes() for file in lab.places}
            told = f"{' or '.join(mutant.caught_by)} fails"
            yield f"{mutant.name}{lab.number}", HandIn(lab, files, told, fails(set(mutant.caught_by)), same=False)
        for done in range(len(lab.steps)):
            with tempfile.TemporaryDirectory() as folder:
                student_folder(Path(folder), lab, done)
                files = {file: (Path(folder) / file).read_bytes() for file in lab.places}
            due = sum(step.points for step in lab.steps[:done])
            yield f"steps{lab.number}-{done}", HandIn(lab, files, f"{due} points", has(due))
        latin = whole | {lab.program: whole[lab.program].replace(b'"""', b'"""na\xefve ', 1)}
        yield f"latin{lab.number}", HandIn(lab, latin, "0 points", has(0))
        yield f"word{lab.number}", HandIn(lab, {"report.docx": b"PK\x03\x04..."}, "nobody knows", has(None))
        rubbish = {lab.program: bytes(range(256)) * 40}
        alone = len(lab.places) == 1  # else it may be what was not handed in that is missing: a person looks
        binary = ("0 points", has(0)) if alone else ("nobody knows", has(None))
        yield f"binary{lab.number}", HandIn(lab, rubbish, *binary)
    first = labs[0]
    for case in chance.sample(CASES, min(2 * each, len(CASES))):
        yield (
            f"hostile-{case.name}",
            HandIn(first, {first.program: case.text({})}, "next to nothing", has_less(12), same=False),
        )
    yield "empty", HandIn(first, {}, "nobody knows", lambda mark: mark["points"] in (0, None))


def touched(mutant: Any) -> set[str]:
    """Return the files that a mutant changes."""
    return {change.file for change in mutant.changes}


def fails(names: set[str]) -> Callable[[Mark], bool]:
    """Return whether one of some checks does not hold, or was not made for another did not; points are missing then."""

    def holds(mark: Mark) -> bool:
        found = {name for name, check in mark["checks"].items() if check["status"] in ("fail", "blocked")}
        return bool(found & names) and mark["points"] is not None and mark["points"] < mark["max_points"]

    return holds


def has(points: float | None) -> Callable[[Mark], bool]:
    """Return whether a mark is so many points."""
    return lambda mark: mark["points"] == points


def has_less(points: float) -> Callable[[Mark], bool]:
    """Return whether a mark is less than so many points, or a person's to give."""
    return lambda mark: mark["points"] is None or mark["points"] < points


def main() -> int:
    """Make the class, grade it three times, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labs", default="1-6")
    parser.add_argument("--each", type=int, default=9, help="seeded bugs of each lab")
    parser.add_argument("-j", default="2")
    parser.add_argument("--tier", default="best")
    parser.add_argument("--once", action="store_true", help="grade once")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        hand_ins = dict(made(chosen_labs(args.labs), args.each))
        with zipfile.ZipFile(place / "class.zip", "w") as packed:
            for name, one in hand_ins.items():
                packed.mkdir(name)
                for file, content in one.files.items():
                    packed.writestr(f"{name}/{file}", content)
        print(f"{len(hand_ins)} hand-ins", flush=True)
        words = [sys.executable, "-m", "harness", "grade", str(place / "class.zip"), "--labs", args.labs, "--seed", "7"]
        words += ["-j", args.j, "--tier", args.tier]
        first = graded(words, place / "first")
        wrong, by_chance = surprises(hand_ins, first), set()
        if not args.once:
            second = graded(words, place / "second")
            killed_after(words, place / "killed", 20.0)
            resumed = graded([*words, "--resume"], place / "killed")
            for what, again in (("the second time", second), ("killed and resumed", resumed)):
                wrong += surprises(hand_ins, again)
                changed = [name for name in first if marks(first[name]) != marks(again[name])]
                told = (f"{name}: {marks(first[name])}; {what} {marks(again[name])}" for name in changed)
                wrong += [one for name, one in zip(changed, told, strict=True) if hand_ins[name].same]
                by_chance |= {name for name in changed if not hand_ins[name].same}
        if by_chance:
            print(f"as expected, and not the same each time: {', '.join(sorted(by_chance))}")
        print("\n".join(wrong) or "all as expected")
        shutil.rmtree(place / "first")
    return int(bool(wrong))


def graded(words: list[str], out: Path) -> dict[str, Any]:
    """Grade, and return each student's row."""
    began = time.monotonic()
    done = subprocess.run([*words, "-o", str(out)], cwd=ROOT, check=False)
    print(f"graded in {time.monotonic() - began:.0f} s (status {done.returncode})", flush=True)
    return {one["name"]: one for one in json.loads((out / "grades.json").read_text(encoding="utf-8"))["students"]}


def killed_after(words: list[str], out: Path, seconds: float) -> None:
    """Begin to grade, and end that in the middle."""
    with subprocess.Popen([*words, "-o", str(out)], cwd=ROOT) as grading:
        time.sleep(seconds)  # somewhere in the middle: anywhere will do
        grading.send_signal(signal.SIGKILL)


def surprises(hand_ins: dict[str, HandIn], found: dict[str, Any]) -> list[str]:
    """Return in words what is not as it should be."""
    wrong = [f"{name} has no row" for name in hand_ins if name not in found]
    for name, one in hand_ins.items():
        mark = found.get(name, {}).get("labs", {}).get(str(one.lab.number))
        if mark and not one.holds(mark):
            failed = [
                f"{key}: {check['message']}" for key, check in mark["checks"].items() if check["status"] != "pass"
            ]
            wrong.append(
                f"{name}: {one.wanted}, not {mark['points']} ({mark['state']}, {mark['reason']}); {failed[:3]}"
            )
    return wrong


def marks(row: dict[str, Any]) -> dict[str, float | None]:
    """Return the marks of a student, by lab."""
    return {number: mark["points"] for number, mark in row["labs"].items()}


if __name__ == "__main__":
    sys.exit(main())
