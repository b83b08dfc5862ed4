"""JUnit XML as pytest writes it: a suite for each student and lab, a case for each check.

Source: src/_pytest/junitxml.py of pytest-dev/pytest (elements, attributes, and `bin_xml_escape`, which is about the
same characters); which characters XML may hold is said in XML 1.0, section 2.2 (Char). Others cannot be written in
any way: they are removed. A check that was not made because of another one is skipped; whoever has no mark yet has an
error, so that no reader counts it as a pass or as a failure.

It is a file for the instructor: hidden checks are in it by their names.
"""

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from harness.classroom.exports.cells import number
from harness.classroom.exports.request import Export, Request, called
from harness.marks import CheckMark, LabInfo, LabMark, State, StudentMark

NO_CHARACTER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
OUTCOMES = {"fail": "failure", "error": "error", "blocked": "skipped"}


def export(request: Request) -> Export:
    """Return the file."""
    top = Element("testsuites", name=clean(request.marks.title or "lab grade"))
    for student in request.students:
        for lab in request.labs:
            if mark := student.labs.get(lab.number):
                _suite(top, lab, student, mark, request.marks.when)
    indent(top)
    return Export(tostring(top, encoding="utf-8", xml_declaration=True) + b"\n")


def clean(text: str) -> str:
    """Return a text without the characters that XML has no place for."""
    return NO_CHARACTER.sub("", text)


def _suite(top: Element, lab: LabInfo, student: StudentMark, mark: LabMark, when: str) -> None:
    suite = SubElement(top, "testsuite", name=clean(f"{called(student)}: lab {lab.number}"), timestamp=clean(when))
    properties = SubElement(suite, "properties")
    told = {"student": student.key, "id": student.id, "state": str(mark.state), "points": number(mark.points)}
    for name, value in (told | {"max_points": number(lab.max_points), "tier": mark.tier}).items():
        SubElement(properties, "property", name=name, value=clean(value))
    name = f"lab{lab.number}.{student.key}"
    for check in lab.checks:
        if check.id in mark.checks:
            _case(suite, name, check.id, mark.checks[check.id])
    if mark.points is None:
        _case(suite, name, "mark", CheckMark("error", 0, 0, mark.reason or "nobody has decided yet"))
    elif mark.state is State.NOTHING:
        _case(suite, name, "hand-in", CheckMark("fail", 0, 0, "nothing was handed in"))
    counts = {"tests": len(suite.findall("testcase"))}
    counts |= {f"{what}s" if what != "skipped" else what: len(suite.findall(f"*/{what}")) for what in OUTCOMES.values()}
    for what, count in counts.items():
        suite.set(what, str(count))
    suite.set("time", f"{mark.seconds:.3f}")


def _case(suite: Element, classname: str, name: str, mark: CheckMark) -> None:
    case = SubElement(suite, "testcase", classname=clean(classname), name=clean(name))
    case.set("time", "0.000")
    if what := OUTCOMES.get(mark.status):
        message = clean(mark.message)
        SubElement(case, what, message=message.partition("\n")[0]).text = message
