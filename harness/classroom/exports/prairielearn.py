"""PrairieLearn: `results.json` of one hand-in.

Source: PrairieLearn's documentation, "External grading": `score` is a part of 1; a hand-in with `gradable: false`
costs no attempt; tests have points, all of them or none; the file has 1 MB at most. Its results are shown to the
student: hidden checks are one line without names.
"""

import json
from typing import Any

from harness.classroom.exports.gradescope import told
from harness.classroom.exports.open_checks import lines
from harness.marks import LabInfo, LabMark
from harness.report.safe import safe

MOST_BYTES = 1_000_000
LONGEST = 20_000  # characters of what is told of one check; less where the file would be too large


def results(lab: LabInfo, mark: LabMark, longest: int = LONGEST) -> dict[str, Any]:
    """Return the results of a hand-in; one without a mark is not gradable, and never a zero."""
    said = safe(told(lab, mark))[:LONGEST]
    if mark.points is None:
        return {"gradable": False, "format_errors": [said], "message": said}
    return {
        "gradable": True,
        "score": max(0.0, min(1.0, mark.points / lab.max_points)) if lab.max_points else 0.0,
        "message": said,
        "tests": [
            {
                "name": f"{line.step} {line.title}".strip(),
                "points": line.points,
                "max_points": line.max_points,
                "output": safe(line.text)[:longest],
            }
            for line in lines(lab, mark)
        ],
    }


def render(lab: LabInfo, mark: LabMark) -> str:
    """Return the file, what is told of each check as long as fits."""
    longest = LONGEST
    while True:
        text = json.dumps(results(lab, mark, longest), indent=1, ensure_ascii=False) + "\n"
        if len(text.encode("utf-8", errors="backslashreplace")) <= MOST_BYTES or not longest:
            return text
        longest //= 2
