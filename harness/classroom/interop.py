"""The map of who gets on with whom: everybody's chat client against everybody's chat server.

First everybody meets the reference; who gets through all scenes with it is sound. Then each server receives clients of
others. A program is marked by its meetings with sound partners alone: nobody loses a point by somebody else's fault.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from statistics import mean
from typing import Any

from harness.classroom.batch import Batch, Executor, reference_modules
from harness.classroom.intake import find_labs
from harness.classroom.journal import digest_of, kit_digest
from harness.classroom.task import laid_out
from harness.course import Lab, load_course
from harness.course.layout import SOLUTIONS
from harness.launch.command import LaunchError, python_program
from harness.launch.limits import Limits
from harness.launch.workers import WorkerDied
from harness.marks import REFERENCE, TOGETHER, CheckInfo, CheckMark, InteropMap, LabInfo, LabMark, Meeting, State

CHAT, CLIENT = "chat", "client"  # kinds of labs
USUAL_SERVER = 6  # the lab whose server is taken if it is graded
SMALL_CLASS, PARTNERS = 30, 15  # in a class that is no larger everybody meets everybody; else so many are drawn
AT_ONCE = 10  # clients that the reference receives in one task
SERVER, IT = "gets-on-as-server", "gets-on-as-client"
TITLES = {
    SERVER: "The clients of the others get on with the chat server.",
    IT: "The chat client gets on with the servers of the others.",
}


@dataclass(frozen=True)
class Work:
    """One program of somebody."""

    key: str  # of the hand-in
    lab: Lab
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Reception:
    """A task: a server, and the clients that come to it one after another."""

    server: Work
    clients: tuple[Work, ...]
    tier: str
    seconds: float
    part: str

    @property
    def identity(self) -> dict[str, Any]:
        """What the outcome depends on."""
        clients = {client.key: digest_of(client.files).encode() for client in self.clients}
        return {
            "hand-in": self.server.key if self.server.key != REFERENCE else "reference",
            "part": self.part,
            "files": digest_of(self.server.files),
            "clients": digest_of(clients),
            "tier": self.tier,
            "kit": kit_digest(),
        }


def receive(task: Reception) -> dict[str, Any]:
    """Let all clients come; return `meetings`, `missed` (clients that could not be tried) and why."""
    from harness.checks.bench import Starter
    from harness.checks.meeting import Host

    until = time.monotonic() + task.seconds
    meetings: list[tuple[str, int, str]] = []
    missed: dict[str, str] = {}
    with ExitStack() as stack:

        def starter(work: Work, stack: ExitStack) -> Starter:
            folder = stack.enter_context(laid_out(work.files))
            command = python_program(folder / work.lab.program)
            limits = Limits().with_values(work.lab.limits)
            return stack.enter_context(Starter(command, work.lab.kind, 0, task.tier, limits))

        host = Host(starter(task.server, stack))
        stack.callback(host.close)
        for client in task.clients:
            if time.monotonic() > until:
                missed[client.key] = "the time was over"
                continue
            with ExitStack() as its:
                try:
                    found = host.receive(starter(client, its))
                except LaunchError as error:
                    missed[client.key] = str(error)
                else:
                    meetings.append((client.key, found.held, found.message))
    return {"server": task.server.key, "meetings": meetings, "missed": missed}


def drawn(servers: Sequence[str], clients: Sequence[str], partners: int, seed: int) -> dict[str, list[str]]:
    """Return which clients come to each server: all, or so many that everybody has about as many partners."""
    if not partners or partners >= len(clients):
        return {server: list(clients) for server in servers}
    chance = random.Random(seed)
    order, ring = chance.sample(servers, len(servers)), chance.sample(clients, len(clients))
    found = {}
    for place, server in enumerate(order):
        first = place * len(ring) // len(order)
        found[server] = [ring[(first + step) % len(ring)] for step in range(partners)]
    return found


@dataclass
class Interop:
    """The meetings of a class."""

    batch: Batch
    partners: int | None = None  # None: as many as is sensible
    _notes: list[str] = field(default_factory=list)

    @cached_property
    def servers(self) -> list[Work]:
        """The servers that were handed in."""
        return self._works(self.server_lab)

    @cached_property
    def clients(self) -> list[Work]:
        """The clients that were handed in."""
        return self._works(self.client_lab)

    @property
    def receptions(self) -> int:
        """How many tasks there are."""
        return len(self._portions()) + len(self.servers) if self.servers and self.clients else 0

    def _portions(self) -> list[list[Work]]:
        """The reference client and all others, in the portions in which they meet the reference server."""
        everybody = [_reference(self.client_lab), *self.clients]
        return [everybody[place : place + AT_ONCE] for place in range(0, len(everybody), AT_ONCE)]

    def run(self, executor: Executor, step: Callable[[str], None]) -> InteropMap | None:
        """Let them meet; None where there is no server, or no client, among the labs that are graded."""
        servers, clients = self.servers, self.clients
        if not servers or not clients:
            return None
        reference = _reference(self.server_lab)
        portions = enumerate(self._portions())
        tasks = [self._task(reference, portion, f"clients{number:03}") for number, portion in portions]
        first = self._meet(tasks, executor, step)
        came = {meeting.client: meeting for meeting in first if meeting.held}
        lost = {meeting.client: meeting for meeting in first if not meeting.held}
        came.pop(REFERENCE, None)
        by_key = {client.key: client for client in clients if client.key in came}
        partners = self._partners(len(by_key))
        plan = drawn([server.key for server in servers], list(by_key), partners, self.batch.order.seed)
        tasks = []
        for server in servers:
            visitors = [_reference(self.client_lab), *(by_key[key] for key in plan[server.key])]
            tasks.append(self._task(server, visitors, "clients"))
        met = [*first, *self._meet(tasks, executor, step)]
        if not partners:  # whoever does not even come to the reference is not tried again and again
            met += [Meeting(server.key, key, 0, meeting.message) for server in servers for key, meeting in lost.items()]
        return InteropMap(
            self.server_lab.number,
            self.client_lab.number,
            _scenes(),
            tuple(server.key for server in servers),
            tuple(client.key for client in clients),
            tuple(sorted(met, key=lambda one: (one.server, one.client))),
            {hand_in.key: _name(hand_in) for hand_in in self.batch.intake.counting},
            partners,
            tuple(self._notes),
        )

    @property
    def server_lab(self) -> Lab:
        """The chat whose servers take part."""
        chats = [lab for lab in self.batch.order.labs if lab.kind == CHAT]
        return next((lab for lab in chats if lab.number == USUAL_SERVER), chats[-1])

    @property
    def client_lab(self) -> Lab:
        """The lab whose clients take part."""
        return next(lab for lab in self.batch.order.labs if lab.kind == CLIENT)

    def _partners(self, clients: int) -> int:
        asked = self.partners
        if asked is None:
            asked = PARTNERS if clients > SMALL_CLASS else 0
        return 0 if asked >= clients else asked

    def _works(self, lab: Lab) -> list[Work]:
        found = []
        for hand_in in self.batch.intake.counting:
            labs = {one.lab: one for one in find_labs(hand_in.files, load_course())}
            if lab.number in labs and labs[lab.number].program:
                task = self.batch.task_of(hand_in, labs[lab.number], lab)
                found.append(Work(hand_in.key, lab, task.files))
        return found

    def _task(self, server: Work, clients: Sequence[Work], part: str) -> Reception:
        return Reception(server, tuple(clients), self.batch.order.tier, self.batch.order.seconds, part)

    def _meet(self, tasks: Sequence[Reception], executor: Executor, step: Callable[[str], None]) -> list[Meeting]:
        """Do the tasks that are not done yet; what a worker's death has lost is tried once more."""
        met: list[Meeting] = []
        waiting = list(tasks)
        for last in (False, True):
            waiting = self._do(waiting, executor, step, met, last)
        return met

    def _do(
        self,
        tasks: Iterable[Reception],
        executor: Executor,
        step: Callable[[str], None],
        met: list[Meeting],
        last: bool,
    ) -> list[Reception]:
        journal, due, died = self.batch.journal, [], []

        def told(outcome: Mapping[str, Any]) -> None:
            met.extend(Meeting(outcome["server"], *meeting) for meeting in outcome["meetings"])
            self._notes.extend(
                f"{key} did not meet {outcome['server']}: {why}" for key, why in outcome["missed"].items()
            )

        def undone() -> Iterator[Callable[[], Any]]:
            for task in tasks:
                if (known := journal.known(task.identity)) is not None:
                    told(known)
                    step(f"{task.server.key}, its clients")
                    continue
                due.append(task)
                yield partial(receive, task)

        for number, outcome in executor.each(undone()):
            task = due[number]
            if isinstance(outcome, WorkerDied) and not last:
                died.append(task)
                continue
            if isinstance(outcome, BaseException):
                why = f"{type(outcome).__name__}: {outcome}"
                told({"server": task.server.key, "meetings": [], "missed": {one.key: why for one in task.clients}})
            else:
                journal.add(task.identity, outcome)
                told(outcome)
            step(f"{task.server.key}, its clients")
        return died


def _reference(lab: Lab) -> Work:
    files = {name: (SOLUTIONS / name).read_bytes() for name in lab.places}
    return Work(REFERENCE, lab, reference_modules(lab, files, own=False) | files)


def _scenes() -> tuple[str, ...]:
    from harness.checks.meeting import SCENES

    return tuple(SCENES)


def _name(hand_in: Any) -> str:
    return ", ".join(map(str, hand_in.students)) or hand_in.origin


# Marks


def lab_of(points: float) -> LabInfo:
    """Return the lab that stands for all programs together in the marks."""
    checks = tuple(CheckInfo(name, title, "all", points / 2) for name, title in TITLES.items())
    return LabInfo(TOGETHER, "All programs together", "", points, points, checks, collective=True)


def mark_of(found: InteropMap, key: str, points: float) -> LabMark:
    """Return what the meetings of a hand-in are worth: half for its server, half for its client."""
    checks, notes, reason = {}, [], ""
    sides = {
        SERVER: ("server", key in found.servers, _counting(found.of_server(key), found.sound_clients, "client")),
        IT: ("client", key in found.clients, _counting(found.of_client(key), found.sound_servers, "server")),
    }
    if not any(handed_in for _, handed_in, _ in sides.values()):
        return LabMark(State.NOTHING, max_points=points)
    for name, (which, handed_in, meetings) in sides.items():
        if not handed_in:
            notes.append(f"No {which} that could be met was handed in: that half has no points.")
        elif not meetings:
            reason = f"its {which} has met nobody who gets on with the reference"
        else:
            checks[name] = _check(points / 2, meetings, found.scenes, which)
    raw = round(sum(check.points for check in checks.values()), 2)
    state = State.REVIEW if reason else State.GRADED
    return LabMark(state, raw, points, reason=reason, notes=tuple(notes), checks=checks)


def _counting(meetings: Sequence[Meeting], sound: Set[str], other: str) -> list[Meeting]:
    return [one for one in meetings if getattr(one, other) in sound]


def _check(most: float, meetings: Sequence[Meeting], scenes: Sequence[str], which: str) -> CheckMark:
    failed = [one for one in meetings if one.held < len(scenes)]
    if not failed:
        return CheckMark("pass", most, most)
    worst = min(failed, key=lambda one: one.held)
    other = "clients" if which == "server" else "servers"
    message = (
        f"with {len(failed)} of {len(meetings)} {other} it does not get through; it stops at: {scenes[worst.held]} "
        f"({worst.message})"
    )
    share = mean(one.held / len(scenes) for one in meetings)
    return CheckMark("fail", round(share * most, 2), most, message)
