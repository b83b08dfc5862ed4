"""The manifest: labs, steps, checks and points, read from `course.toml`."""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

MANIFEST = Path(__file__).with_name("course.toml")


@dataclass(frozen=True)
class Step:
    """A few lines of code and the checks that hold once they are written."""

    lab: int
    number: int
    title: str
    hints: tuple[str, ...]
    checks: dict[str, int]  # the points of each check, by its id
    other_hints: dict[str, str] = field(default_factory=dict)  # for checks that mean something else in this step
    notebook: str = ""  # the file in notebooks/ that shows what the step is about

    @property
    def id(self) -> str:
        """The step as people write it: `1.2`."""
        return f"{self.lab}.{self.number}"

    @property
    def heading(self) -> str:
        """The heading of its section in the lab's handout."""
        return f"Step {self.id}: {self.title}"

    @property
    def points(self) -> int:
        """What the step is worth."""
        return sum(self.checks.values())


@dataclass(frozen=True)
class Lab:
    """One program of the course."""

    number: int
    title: str
    idea: str
    kind: str  # which service it is: "echo" or "lines"
    program: str
    modules: tuple[str, ...]  # further files that belong to this lab and that later labs import
    handout: str
    minutes: int
    gate: str  # the check without which no other makes sense
    steps: tuple[Step, ...]
    continues: tuple[str, ...] = ()  # modules of earlier labs that have places for steps of this one, too
    speed: dict[str, int] = field(
        default_factory=dict
    )  # points, by the part of the reference's throughput from which on
    limits: dict[str, int] = field(default_factory=dict)  # of its program, see harness/launch/limits.py

    @property
    def files(self) -> tuple[str, ...]:
        """The Python files of this lab, its program first."""
        return (self.program, *self.modules)

    @property
    def places(self) -> tuple[str, ...]:
        """The Python files in which this lab has something to write."""
        return (*self.files, *self.continues)

    @property
    def points(self) -> int:
        """What the lab is worth."""
        return sum(step.points for step in self.steps)

    def points_for_speed(self, ratio: float) -> int:
        """Return what a throughput is worth that is `ratio` of the reference's, measured in the same minute."""
        return max((points for least, points in self.speed.items() if ratio >= float(least)), default=0)

    def step_of(self, check: str) -> Step | None:
        """Return the step to which a check belongs in this lab, None if it is not made here."""
        return next((step for step in self.steps if check in step.checks), None)


@dataclass(frozen=True)
class Course:
    """All labs, in their order."""

    title: str
    labs: tuple[Lab, ...]

    def lab(self, number: str | int) -> Lab:
        """Return a lab by its number; raise KeyError with a sentence if there is none."""
        for lab in self.labs:
            if str(lab.number) == str(number):
                return lab
        numbers = ", ".join(str(lab.number) for lab in self.labs)
        raise KeyError(f"there is no lab {number}; the labs are {numbers}")

    def step(self, name: str) -> Step:
        """Return a step by its name (`1.2`); raise KeyError with a sentence if there is none."""
        number, _, _ = name.partition(".")
        lab = self.lab(number)
        for step in lab.steps:
            if step.id == name:
                return step
        names = ", ".join(step.id for step in lab.steps)
        raise KeyError(f"there is no step {name}; the steps of lab {lab.number} are {names}")

    @property
    def files(self) -> tuple[str, ...]:
        """Every Python file that a student works on."""
        return tuple(file for lab in self.labs for file in lab.files)


@cache
def load_course(path: Path = MANIFEST) -> Course:
    """Read a manifest."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return Course(data["title"], tuple(_lab(entry, data.get("limits", {})) for entry in data["lab"]))


def _lab(entry: dict[str, object], limits: dict[str, int]) -> Lab:
    fields = dict(entry)
    number = fields["number"]
    steps = tuple(Step(lab=number, **_tuples(step)) for step in fields.pop("step"))  # type: ignore
    own = limits | fields.pop("limits", {})  # type: ignore[operator]
    return Lab(steps=steps, limits=own, **_tuples(fields))  # type: ignore[arg-type]


def _tuples(fields: dict[str, object]) -> dict[str, object]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
