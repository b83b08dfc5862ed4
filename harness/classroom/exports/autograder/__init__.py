"""Archives with which a platform grades hand-ins by itself: the kit without its answers, and how to run it there.

Sources: Gradescope's "Autograder Specifications" (setup.sh and run_autograder at the root of the zip, which is
unpacked to /autograder/source) and its "Python 3 issues" (its harness needs the image's own python3); the wiki of
foundation50/classroom50, "Advanced Autograding" (autograder.py and what lies beside it in
CLASSROOM/autograders/ASSIGNMENT, a runtime block for `gh teacher assignment add --runtime`).

Solutions, tests, and what an instructor has written in labs/ do not go along: a program under test can read there
what it is run beside, where the platform's machines offer no better tier of containment.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from harness.archive import zipped
from harness.course import Lab
from harness.course.layout import LABS, ROOT

HERE = Path(__file__).parent
SECONDS = 480  # for the checks; Gradescope ends a grading after 10 minutes if nobody has set more
PATIENCE = 90  # further seconds, in which a check that has begun comes to its end
RUNTIME = {"runs-on": "ubuntu-latest", "python": "3.13", "apt": ["bubblewrap"]}


def for_gradescope(lab: Lab) -> bytes:
    """Return the zip that is uploaded as the autograder of an assignment."""
    own = {"setup.sh": _filled("setup.sh", lab), "run_autograder": _filled("run_autograder", lab)}
    return _zip(own, programs={"lab", *own})


def for_classroom50(lab: Lab) -> bytes:
    """Return a zip that is unpacked to CLASSROOM/autograders/ASSIGNMENT of the configuration's repository."""
    runtime = json.dumps(RUNTIME, indent=1) + "\n"
    return _zip({"autograder.py": _filled("classroom50.py.in", lab), "runtime.json": runtime}, programs={"lab"})


def _filled(name: str, lab: Lab) -> str:
    text = (HERE / name).read_text(encoding="utf-8")
    values = {"@LAB@": lab.number, "@SECONDS@": SECONDS, "@PATIENCE@": SECONDS + PATIENCE}
    for place, value in values.items():
        text = text.replace(place, str(value))
    return text


def _zip(own: dict[str, str], programs: set[str]) -> bytes:
    return zipped({name: text.encode() for name, text in own.items()} | dict(_kit()), programs)


def _kit() -> Iterator[tuple[str, bytes]]:
    """Yield the files of the kit that grade, by their names in the archive."""
    harness = (path for path in (ROOT / "harness").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    files = [ROOT / name for name in ("lab", "requirements.lock", "LICENSE")]
    for path in [*files, *sorted(harness), *sorted(LABS.glob("*.md"))]:
        yield path.relative_to(ROOT).as_posix(), path.read_bytes()
