"""Classroom 50: `result.json` of one hand-in, which its runner publishes with a release of the student's repository.

Source: the wiki of foundation50/classroom50 ("Advanced Autograding", the result.json contract) and `validate_result`
in its runner.py: `score` and `max-score` are whole numbers from 0 on, the one never above the other, no text is
empty, and the submission is a `submit/` tag. Who and what it is about comes from the environment that the runner
sets.

Names of checks are public there as soon as the release is: the hidden ones are told as one line.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from harness.classroom.exports.open_checks import lines
from harness.errors import UsageError
from harness.marks import LabInfo, LabMark

SCHEMA = "classroom50/result/v1"
NEEDED = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
}


def result(lab: LabInfo, mark: LabMark, environment: Mapping[str, str], owner: str = "") -> dict[str, Any]:
    """Return the result of a hand-in that has a mark; raise UsageError where the environment does not say whose it is.

    Half a point and more is one there; what is above the most that can be had is cut off.
    """
    if missing := [name for name in NEEDED.values() if not environment.get(name)]:
        raise UsageError(
            f"a result for Classroom 50 names its submission, and {missing[0]} is not set; its runner sets "
            f"{', '.join(NEEDED.values())}: export there, or set them"
        )
    most = _whole(lab.max_points)
    told: dict[str, Any] = {"schema": SCHEMA} | {name: environment[at] for name, at in NEEDED.items()}
    told["review"] = environment.get("REVIEW_URL") or told["commit"]
    told["assignment_type"] = environment.get("ASSIGNMENT_TYPE") or "individual"
    told["owner"] = environment.get("OWNER") or environment.get("USERNAME") or owner
    told["datetime"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    told["score"], told["max-score"] = max(0, min(_whole(mark.points or 0.0), most)), most
    told["tests"] = [
        {
            "test-name": f"{line.step} {line.title}".strip() or line.id,
            "passed": line.passed,
            "score": min(_whole(line.points), _whole(line.max_points)),
            "max-score": _whole(line.max_points),
        }
        for line in lines(lab, mark)
    ]
    return {name: value for name, value in told.items() if value != ""}


def _whole(points: float) -> int:
    return math.floor(points + 0.5)


def render(lab: LabInfo, mark: LabMark, environment: Mapping[str, str], owner: str = "") -> str:
    """Return the file."""
    return json.dumps(result(lab, mark, environment, owner), indent=1, ensure_ascii=False) + "\n"
