"""A class, graded: hand-ins taken in, tasks made, done by whoever does them, and kept one by one."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from harness.classroom.hidden import Hidden
from harness.classroom.intake import FoundLab, HandIn, Intake, find_labs
from harness.classroom.journal import Journal, identity_of
from harness.classroom.task import Task, grade
from harness.course import Lab, load_course
from harness.course.layout import SOLUTIONS
from harness.launch.workers import WorkerDied

AGAIN_AFTER_A_DEATH = 1  # times that a task is given to another worker whose own one died
IMPORTS = re.compile(rb"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)


class Executor(Protocol):
    """Does tasks somewhere."""

    def each(self, tasks: Iterable[Callable[[], Any]]) -> Iterator[tuple[int, Any]]:
        """Yield the number of each task and what it returned, or raised, as soon as it is done."""


@dataclass(frozen=True)
class Order:
    """How a class is graded."""

    labs: Sequence[Lab]
    seed: int
    tier: str
    rounds: int = 1
    majority: bool = False
    own_deps: bool = False
    seconds: float = 900.0  # for all checks of one lab of one hand-in
    hidden: Hidden = field(default_factory=Hidden)


@dataclass(frozen=True)
class Graded:
    """One lab of one hand-in, and what came of it."""

    hand_in: HandIn
    lab: Lab
    outcome: Mapping[str, Any] | None  # None: the lab is not in the hand-in
    file: str = ""  # where its results lie, as seen from the folder of the run
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # files of the lab that were not handed in
    fault: str = ""  # of the harness: nothing is known of the hand-in then


@dataclass
class Batch:
    """All that is to be graded of one class."""

    intake: Intake
    order: Order
    journal: Journal
    kept: int = 0  # tasks that were done in an earlier run
    changed: Counter[str] = field(default_factory=Counter)  # what made tasks be done anew, and how many

    def run(self, executor: Executor, step: Callable[[str], None]) -> list[Graded]:
        """Grade what is not graded yet; `step` is called with words about each task when it is done."""
        graded: list[Graded] = []
        waiting: list[tuple[HandIn, FoundLab | None, Lab]] = []
        for hand_in in self.intake.counting:
            found = {one.lab: one for one in find_labs(hand_in.files, load_course())}
            strange = "" if found or not hand_in.files else _strange(hand_in)
            for lab in self.order.labs:
                if lab.number in found and found[lab.number].program:
                    waiting.append((hand_in, found[lab.number], lab))
                elif lab.number in found:
                    graded.append(Graded(hand_in, lab, None, notes=found[lab.number].notes, fault=_unclear(lab)))
                else:
                    graded.append(Graded(hand_in, lab, None, fault=strange))
        for _ in range(AGAIN_AFTER_A_DEATH + 1):
            done, waiting = self._do(waiting, executor, step)
            graded += done
        return graded

    def _do(self, wanted: list[Any], executor: Executor, step: Callable[[str], None]) -> tuple[list[Graded], list[Any]]:
        """Do tasks; return what came of them, and those whose worker died and that may be given to another."""
        graded: list[Graded] = []
        due: list[tuple[HandIn, FoundLab, Lab, Mapping[str, Any]]] = []

        def tasks() -> Iterator[Callable[[], Any]]:  # made one by one: a class's programs do not all fit into memory
            for hand_in, found, lab in wanted:
                task = self.task_of(hand_in, found, lab)
                identity = identity_of(task)
                if (known := self.journal.known(identity)) is not None and not needs_again(known):
                    self.kept += 1
                    graded.append(self._graded(hand_in, found, lab, known, self.journal.file_of(identity)))
                    step(f"{hand_in.key}, lab {lab.number}")
                    continue
                self.changed.update(self.journal.changed(identity))
                due.append((hand_in, found, lab, identity))
                yield partial(grade, task)

        died = []
        for number, outcome in executor.each(tasks()):
            hand_in, found, lab, identity = due[number]
            if isinstance(outcome, WorkerDied):
                died.append((hand_in, found, lab))
            elif isinstance(outcome, BaseException):
                fault = f"the harness failed: {type(outcome).__name__}: {outcome}"
                graded.append(Graded(hand_in, lab, None, notes=found.notes, fault=fault))
            else:
                file = self.journal.add(identity, outcome)
                graded.append(self._graded(hand_in, found, lab, outcome, file))
            step(f"{hand_in.key}, lab {lab.number}")
        return graded, died

    def _graded(self, hand_in: HandIn, found: FoundLab, lab: Lab, outcome: Mapping[str, Any], file: str) -> Graded:
        return Graded(hand_in, lab, outcome, file, found.notes, found.missing)

    def task_of(self, hand_in: HandIn, found: FoundLab, lab: Lab) -> Task:
        """Return the task of grading a lab of a hand-in, with the course's modules in place of those not graded."""
        files = {name: path.read_bytes() for name, path in found.files.items()}
        files |= reference_modules(lab, files, self.order.own_deps)
        order = self.order
        return Task(
            hand_in.key, lab, files, order.seed, order.tier, order.rounds, order.majority, order.hidden, order.seconds
        )


def _unclear(lab: Lab) -> str:
    return f"which file is the program of lab {lab.number} is not clear"


def _strange(hand_in: HandIn) -> str:
    files = len(hand_in.files)
    return f"it has {files} file{'s' * (files != 1)}, and none has the name of a lab's program"


def needs_again(outcome: Mapping[str, Any]) -> bool:
    """Whether the harness failed in what was graded, so that it is to be tried again when there is an occasion."""
    return bool(outcome["error"]) or any(check["status"] == "error" for check in outcome["checks"])


def reference_modules(lab: Lab, files: Mapping[str, bytes], own: bool) -> dict[str, bytes]:
    """Return the modules of other labs that a program of this lab needs, as the solutions have them.

    With `own` the student's stay where there are any. Only what the solution or the student's files import is there,
    and what these import: nobody's program sees a solution that it does not use.
    """
    course = set(load_course().files) - set(lab.places)
    found: dict[str, bytes] = {}
    solution = SOLUTIONS / lab.program
    texts = [content for name, content in files.items() if name.endswith(".py")]
    waiting = [name for text in [solution.read_bytes(), *texts] for name in _imported(text)]
    while waiting:
        name = waiting.pop()
        if name in course and name not in found:
            found[name] = files[name] if own and name in files else (SOLUTIONS / name).read_bytes()
            waiting += _imported(found[name])
    return found


def _imported(text: bytes) -> list[str]:
    """Return the files of the modules that a text seems to import; it is not parsed: nobody trusts it."""
    return [f"{match.decode()}.py" for match in IMPORTS.findall(text[: 1 << 20])]
