"""Hand-ins in, however a learning platform gives them: one entry each, nothing lost, nothing of it believed or run."""

from harness.classroom.intake.handin import HandIn, Intake, Student
from harness.classroom.intake.intake import open_intake
from harness.classroom.intake.labs import FoundLab, find_labs, lay_out
from harness.classroom.intake.layouts import LAYOUTS
from harness.classroom.intake.limits import Limits
from harness.classroom.intake.roster import Roster, load_roster

__all__ = [
    "LAYOUTS",
    "FoundLab",
    "HandIn",
    "Intake",
    "Limits",
    "Roster",
    "Student",
    "find_labs",
    "lay_out",
    "load_roster",
    "open_intake",
]
