"""The pytest plugin: which checks a lab has, what they work with, and what becomes of their outcomes.

It is named (`-p harness.checks.plugin`), never loaded by itself. `lab check` hands it a Run; under plain
pytest the options below make one.
"""

import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from harness.checks.bench import Bench, Starter
from harness.checks.beside import Beside
from harness.checks.diagnosis.diagnose import from_traceback
from harness.checks.mark import check_id, declaration
from harness.checks.subject import Subject
from harness.checks.tested import Tested
from harness.checks.verdict import Blocked, Hindered, Status, Verdict, abridged, as_rows, compared
from harness.checks.visitor import Visitor
from harness.course import Lab, Step, load_course
from harness.course.layout import LABS
from harness.launch import LaunchError, parse_command
from harness.launch.command import python_program
from harness.launch.limits import Limits
from harness.wire import Fault, Peer, Transcript


@dataclass
class Run:
    """One run of a lab's checks against one program."""

    lab: Lab
    starter: Starter
    step: Step | None = None
    any_model: bool = False
    seed: int = 0
    draws: bool = False  # whether what was said is wanted of checks that hold as well
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    untold: list[str] = field(default_factory=list)  # the checks whose verdicts are still to be told, in order
    beside: Beside = field(default_factory=Beside)
    on_verdict: Callable[[Verdict], None] = lambda verdict: None
    around: Callable[[], AbstractContextManager[None]] = nullcontext  # each check; it may raise KeyboardInterrupt
    further: Sequence[Path] = ()  # files with checks that are not the kit's own

    def places(self) -> dict[str, int]:
        """Return the place of each check of the lab in the order of the steps; the gate comes before all."""
        places = {name: place for place, name in enumerate(name for step in self.lab.steps for name in step.checks)}
        return places | {self.lab.gate: -1}

    def tell(self) -> None:
        """Tell the verdicts that there are, in the order of the steps: one that is still to come holds up the rest."""
        while self.untold and self.untold[0] in self.verdicts:
            self.on_verdict(self.verdicts[self.untold.pop(0)])


BEYOND = "A program that takes without end would take it from everybody else on the machine, so it was ended (SIGKILL)."

NOTHING_CAME = " got nothing within "
MOST_ELSEWHERE = 3  # clients

RUN = pytest.StashKey[Run]()
TRANSCRIPT = pytest.StashKey[Transcript]()
BENCH = pytest.StashKey[Bench]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for using the checks with plain pytest."""
    group = parser.getgroup("socket lab kit")
    group.addoption("--lab", help="the number of the lab whose checks are made (default 1)")
    group.addoption("--target", help="the command line of the program to check (default: the one in labs/)")
    group.addoption("--any-model", action="store_true", help="leave out checks of threads, select and the like")
    group.addoption("--seed", type=int, help="of everything that is random (default: a new one, printed)")


def pytest_configure(config: pytest.Config) -> None:
    """Make the Run, unless `lab check` has handed one over."""
    config.addinivalue_line("markers", "check(declaration): one check of a lab")
    if RUN in config.stash:
        return
    lab = load_course().lab(config.getoption("--lab") or "1")
    target = config.getoption("--target")
    seed = config.getoption("--seed")
    starter = Starter(
        parse_command(target) if target else python_program(LABS / lab.program),
        lab.kind,
        limits=Limits().with_values(lab.limits),
    )
    config.add_cleanup(lambda: starter.__exit__())
    config.stash[RUN] = Run(
        lab=lab,
        starter=starter,
        any_model=config.getoption("--any-model"),
        seed=random.randrange(10**9) if seed is None else seed,
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Say which seed and which program."""
    run = config.stash[RUN]
    return f"lab {run.lab.number}: {run.starter.command} (seed {run.seed})"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the checks of the lab (and of the step, with what they need), in the order of the steps."""
    run = config.stash[RUN]
    order = run.places()
    found = {check_id(item.name): item for item in items if declaration(item)}
    wanted = {name for name, item in found.items() if name in order and not _left_out(run, item)}
    if run.step:
        wanted &= _with_needs(set(run.step.checks) | {run.lab.gate}, found)
    kept = sorted(wanted, key=order.__getitem__)
    for name in kept:
        found[name].extra_keyword_matches.add(name)
    config.hook.pytest_deselected(items=[item for item in items if check_id(item.name) not in wanted])
    last = _those_that_may_come_last({name: found[name] for name in kept})
    items[:] = sorted((found[name] for name in kept), key=last.__contains__)


def _those_that_may_come_last(found: dict[str, pytest.Item]) -> set[pytest.Item]:
    """Return the checks that wait, beside others, and that none of these others needs."""
    declared = {name: one for name, item in found.items() if (one := declaration(item))}
    needed = {name for one in declared.values() if not one.waits for name in one.needs}
    return {found[name] for name, one in declared.items() if one.waits and name not in needed}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note which checks are to be made, now that a keyword may have chosen among them."""
    run = session.config.stash[RUN]
    run.untold = sorted((check_id(item.name) for item in session.items), key=run.places().__getitem__)
    run.starter.expect(len(run.untold))


def _left_out(run: Run, item: pytest.Item) -> bool:
    declared = declaration(item)
    return run.any_model and declared is not None and declared.model


def _with_needs(names: set[str], found: dict[str, pytest.Item]) -> set[str]:
    for name in list(names):
        declared = declaration(found[name]) if name in found else None
        if declared and not set(declared.needs) <= names:
            return _with_needs(names | set(declared.needs), found)
    return names


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Block a check when one that it needs does not hold."""
    run = item.config.stash[RUN]
    begun = run.beside.benches.get(check_id(item.name))
    item.stash[TRANSCRIPT] = begun.transcript if begun else Transcript()
    declared = declaration(item)
    assert declared is not None
    gate = () if check_id(item.name) == run.lab.gate else (run.lab.gate,)
    for needed in (*gate, *declared.needs):
        verdict = run.verdicts.get(needed)
        if verdict and verdict.status is not Status.PASS:
            cause = verdict.message if verdict.status is Status.BLOCKED else f"{needed!r} does not hold"
            raise Blocked(cause)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Make a check; once more, with a server of its own, if it fails with one that had served others before."""
    run, name = item.config.stash[RUN], check_id(item.name)
    reports = _reports(run, item, nextitem)
    if run.verdicts[name].status in (Status.FAIL, Status.ERROR):
        run.starter.keeps = False  # from now on each check gets a server of its own
        if BENCH in item.stash and item.stash[BENCH].kept:
            del run.verdicts[name]
            reports = _reports(run, item, nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    run.tell()
    if name == run.lab.gate and run.verdicts[name].status is Status.PASS:
        _begin_those_that_wait(item.session, run)
    return True


def _reports(run: Run, item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    with run.around():
        return runtestprotocol(item, log=False, nextitem=nextitem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Turn the outcome of each check into one of the four verdicts."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    run = item.config.stash[RUN]
    name = check_id(item.name)
    error = call.excinfo.value if call.excinfo else None
    if call.when != "call" and error is None:
        return report  # type: ignore[return-value]
    verdict = _verdict(item, run, error)
    verdict.seconds = call.duration + (run.verdicts[name].seconds if name in run.verdicts else 0.0)
    run.verdicts[name] = verdict
    if verdict.status is Status.BLOCKED:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, verdict.message)
    elif isinstance(error, Fault):
        report.longrepr = _told(verdict)
    return report  # type: ignore[return-value]


def _begin_those_that_wait(session: pytest.Session, run: Run) -> None:
    for item in session.items:
        declared, name = declaration(item), check_id(item.name)
        if declared and declared.waits and name not in run.verdicts:
            run.beside.begin(name, item.obj, Bench(run.starter, Transcript()))  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a check that was begun beside the others, instead of making it now."""
    run, name = pyfuncitem.config.stash[RUN], check_id(pyfuncitem.name)
    if name not in run.beside.benches:
        return None
    run.beside.finish(name)
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give up what was begun and is not needed; tell what was not told yet (of a run that was stopped early)."""
    run = session.config.stash[RUN]
    run.beside.close()
    run.untold = [name for name in run.untold if name in run.verdicts]
    run.tell()


def _verdict(item: pytest.Item, run: Run, error: BaseException | None) -> Verdict:
    declared, name = declaration(item), check_id(item.name)
    step = run.lab.step_of(name)
    assert declared is not None
    assert step is not None
    points = step.checks[name]
    verdict = Verdict(
        id=name,
        step=step.id,
        title=" ".join((item.obj.__doc__ or "").split()),  # type: ignore[attr-defined]
        clause=declared.clause,
        quote=declared.quote,
        status=Status.PASS,
        points=points,
        max_points=points,
        hint=step.other_hints.get(name, declared.hint),
    )
    if error is None:
        if run.draws:
            verdict.transcript, verdict.role = as_rows(item.stash[TRANSCRIPT]), _role(item)
        return verdict
    verdict.points = 0
    if isinstance(error, Blocked):
        verdict.status, verdict.message = Status.BLOCKED, str(error)
        return verdict
    transcript = item.stash[TRANSCRIPT]
    verdict.transcript, verdict.script = as_rows(transcript), transcript.script
    if isinstance(error, Fault):
        verdict.status, verdict.message, verdict.why = Status.FAIL, error.what, error.why
        verdict.expected, verdict.received, verdict.difference = compared(error.expected, error.received)
        verdict.failed_after = round(transcript.since_began(error.moment), 6)
        if BENCH in item.stash:
            _describe_server(verdict, item.stash[BENCH])
            verdict.elsewhere = _elsewhere(verdict, item.stash[BENCH])
    elif isinstance(error, Hindered | LaunchError):
        verdict.status, verdict.message = Status.ERROR, str(error)
    else:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        verdict.status, verdict.message = Status.ERROR, f"{type(error).__name__} at {place}: {error}"
    return verdict


def _role(item: pytest.Item) -> str:
    subjects = item.stash[BENCH].subjects if BENCH in item.stash else []
    return subjects[-1].role if subjects else Subject.role


def _describe_server(verdict: Verdict, bench: Bench) -> None:
    if bench.subjects:
        subject: Tested = bench.subjects[-1]
        program = subject.program
        verdict.role, verdict.server = subject.role, program.describe_end()
        if program.status is not None:
            program.output.finish(1.0)
        verdict.in_code = from_traceback(program.output.stderr.text(), program.command)
        verdict.output = "\n".join(
            text.strip("\n") for text in (program.output.stdout.text(), program.output.stderr.text()) if text.strip()
        )[-4000:]
    for subject in bench.subjects:
        if subject.program.limit:
            verdict.limit = subject.program.limit
            verdict.message = f"ended: {subject.program.ended_because}, in the check {verdict.id}"
            verdict.why = BEYOND
            verdict.expected = verdict.received = ""
            verdict.difference = None


def _elsewhere(verdict: Verdict, bench: Bench) -> dict[str, str]:
    """Return what came for others while somebody waited for something: it may have been meant for that one."""
    if NOTHING_CAME not in verdict.message:
        return {}
    others = [peer for subject in bench.subjects if isinstance(subject, Subject) for peer in subject.peers]
    came = {peer.name: peer.not_looked_at() for peer in others if not verdict.message.startswith(f"{peer.name} ")}
    return {name: abridged(data) for name, data in list(came.items())[-MOST_ELSEWHERE:] if data}


def _told(verdict: Verdict) -> str:
    lines = [verdict.title, f"  {verdict.message}"]
    for word, text in (("expected", verdict.expected), ("received", verdict.received), ("why", verdict.why)):
        if text:
            lines.append(f"  {word}: {text}")
    return "\n".join(lines)


# What a check works with


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Starts servers for this check, and ends them after it."""
    run: Run = request.config.stash[RUN]
    begun = run.beside.benches.get(check_id(request.node.name))
    bench = begun or Bench(run.starter, request.node.stash[TRANSCRIPT])
    request.node.stash[BENCH] = bench
    yield bench
    verdict = run.verdicts.get(check_id(request.node.name))
    bench.hand_on() if verdict and verdict.status is Status.PASS else bench.close()


@pytest.fixture
def server(request: pytest.FixtureRequest, bench: Bench) -> Subject:
    """A server that listens."""
    declared = declaration(request.node)
    return bench.serve(fresh=declared is None or declared.fresh)


@pytest.fixture
def ann(server: Subject) -> Peer:
    """A client."""
    return server.connect("ann")


@pytest.fixture
def bob(server: Subject) -> Peer:
    """Another client."""
    return server.connect("bob")


@pytest.fixture
def cat(server: Subject) -> Peer:
    """A third client."""
    return server.connect("cat")


@pytest.fixture
def client(bench: Bench) -> Visitor:
    """A client that was told to connect to a server of the harness."""
    return bench.invite()


@pytest.fixture
def host(client: Visitor) -> Peer:
    """The server that the client has connected to, as a peer of the client."""
    return client.accept()


@pytest.fixture
def transcript(request: pytest.FixtureRequest) -> Transcript:
    """What happens in this check."""
    return request.node.stash[TRANSCRIPT]  # type: ignore[no-any-return]


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of everything that is random in this run."""
    return request.config.stash[RUN].seed


@pytest.fixture
def token(request: pytest.FixtureRequest) -> Callable[[], bytes]:
    """Makes words that no program can know beforehand."""
    chance: Any = random.Random(f"{request.config.stash[RUN].seed} {request.node.name}")
    return lambda: "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=12)).encode()
