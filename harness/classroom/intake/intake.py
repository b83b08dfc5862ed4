"""Hand-ins in, one entry each: `open_intake`."""

import shutil
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path

from harness.classroom.intake.entries import DAMAGE, Entry, Source, Unreadable
from harness.classroom.intake.gradescope import LONGEST, bounded_lines
from harness.classroom.intake.handin import HandIn, Intake, Student
from harness.classroom.intake.layouts import recognise
from harness.classroom.intake.level import COPY, Bundle, top_level
from harness.classroom.intake.limits import DEFAULTS, Limits, OverLimit, Total
from harness.classroom.intake.names import folded, shown, stem
from harness.classroom.intake.roster import Roster
from harness.classroom.intake.sources import open_source
from harness.classroom.intake.taking import Taking, guarded
from harness.classroom.intake.unpack import Consumed
from harness.course import Course, load_course
from harness.errors import UsageError

STAGING = ".taking-in"


def open_intake(
    source: Path,
    into: Path,
    layout: str | None = None,
    roster: Roster | None = None,
    *,
    limits: Limits = DEFAULTS,
    course: Course | None = None,
    skip: Sequence[Path] = (),
) -> Intake:
    """Take in all hand-ins of a source (a folder, a zip, a tar), each into a folder of its own below `into`.

    `layout` is one of LAYOUTS, None to recognise it; `skip` are files that may lie in the source and are no hand-ins
    (the roster). `into` must be new or empty. Raise UsageError with what is wrong with the source as a whole;
    what is wrong with one hand-in is told in its entry.
    """
    _make(into)
    staging = into / STAGING
    staging.mkdir()
    try:
        with closing(_open(source, limits)) as opened:
            found, bundles, notes = _recognised(source, opened, layout, course or load_course(), skip)
            total = Total(limits)
            takings = [Taking(bundle, into, staging, limits, total) for bundle in bundles]
            _take_all(opened, takings)
            hand_ins = [taking.finish() for taking in takings]
    except BaseException as error:
        for made in into.iterdir():
            shutil.rmtree(made, ignore_errors=True)
        raise _told(error, source, into) from None
    shutil.rmtree(staging)
    return _settled(found, hand_ins, bundles, roster, notes)


def _told(error: BaseException, source: Path, into: Path) -> BaseException:
    """Return the sentence that people read for an error, or the error itself."""
    if isinstance(error, OverLimit | Unreadable):
        return UsageError(f"{source} {error}")
    if isinstance(error, OSError):
        return UsageError(f"the hand-ins cannot be written to {into}: {error.strerror or error}")
    return error


def _make(into: Path) -> None:
    try:
        into.mkdir(parents=True, exist_ok=True)
        taken = any(into.iterdir())
    except OSError as error:
        raise UsageError(f"{into} cannot be a folder for the hand-ins: {error.strerror}") from None
    if taken:
        raise UsageError(f"{into} is not empty; name a new folder for the hand-ins")


def _open(source: Path, limits: Limits) -> Source:
    if not source.exists():
        raise UsageError(f"there is no {source}; name the folder, zip or tar with the hand-ins")
    if not source.is_dir() and not source.is_file():
        raise UsageError(f"{source} is neither a folder nor a file")
    try:
        return open_source(source, replace(limits, ratio=0), limits.class_entries, limits.class_bytes)
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}") from None


def _recognised(
    source: Path, opened: Source, layout: str | None, course: Course, skip: Sequence[Path]
) -> tuple[str, list[Bundle], list[str]]:
    skipped = {path.resolve() for path in skip}
    entries = [
        one
        for one in opened.entries()
        if "/" in one.name or not skipped or (source / one.name).resolve() not in skipped
    ]
    name = stem(source.name) if source.is_file() else source.resolve().name
    level, outside = top_level(name, entries, partial(_lines, opened), course.files)
    found, bundles, folder = recognise(level, layout, source.is_file())
    if not bundles:
        raise UsageError(f"there are no hand-ins in {source}")
    bundles.sort(key=lambda one: one.origin)
    _tell_apart(bundles)
    notes = [f"{shown(one.name)} is left out: its name leads out of {shown(source.name)}" for one in outside]
    if folder:
        notes.insert(0, f"each thing in {shown(folder)}/ is taken for a hand-in")
    return found, bundles, notes


def _tell_apart(bundles: list[Bundle]) -> None:
    """Give each bundle an identity of its own, should two have the same."""
    seen: set[str] = set()
    for one in bundles:
        while one.identity in seen:
            one.identity += f" {one.origin}"
        seen.add(one.identity)


def _lines(opened: Source, entry: Entry) -> Iterable[str]:
    """Yield the lines of a file that the platform put there; it ends early where it cannot be read."""
    for _, opener in opened.streams([entry]):
        try:
            with opener() as stream:
                yield from bounded_lines(iter(partial(stream.readline, LONGEST), b""))
        except DAMAGE:
            return


def _take_all(opened: Source, takings: list[Taking]) -> None:
    owners = {entry: taking for taking in takings for entry in taking.wanted}
    consumed = Consumed(opened)
    for entry, opener in guarded(opened.streams(sorted(owners, key=attrgetter("place")))):
        owners[entry].take(entry, opener, consumed)


def _settled(
    layout: str, hand_ins: list[HandIn], bundles: list[Bundle], roster: Roster | None, notes: list[str]
) -> Intake:
    """Find out who handed in what, which of several hand-ins of one student counts, and who handed in nothing."""
    unknown: list[str] = []
    handed: set[Student] = set()
    if roster is not None:
        for at, (one, bundle) in enumerate(zip(hand_ins, bundles, strict=True)):
            people = one.students or (Student(),)
            found = [roster.find(student, bundle.words) for student in people]
            handed.update(student for student in found if student)
            named = tuple(known.filled(given) if known else given for known, given in zip(found, people, strict=True))
            hand_ins[at] = replace(one, students=named)
            if not any(found):
                unknown.append(one.key)
    missing = [] if roster is None else [student for student in roster.students if student not in handed]
    return Intake(layout, tuple(only_the_latest(hand_ins, bundles)), tuple(missing), tuple(unknown), tuple(notes))


def only_the_latest(hand_ins: list[HandIn], bundles: list[Bundle]) -> list[HandIn]:
    """Return the hand-ins; of several of one student only the latest counts, and each of them tells of the others."""
    of: dict[str, list[int]] = {}
    for at, one in enumerate(hand_ins):
        for who in {_who(student) for student in one.students if student != Student()} or {one.key}:
            of.setdefault(who, []).append(at)
    latest: set[int] = set()
    told: dict[int, list[str]] = {}
    for several in of.values():
        how, order = _order([hand_ins[at] for at in several], [bundles[at] for at in several])
        newest = several[order.index(max(order))]
        latest.add(newest)
        for at in several if len(several) > 1 else ():
            others = ", ".join(shown(hand_ins[other].origin) for other in several if other != at)
            which = "the latest, which counts" if at == newest else "not the latest"
            told.setdefault(at, []).append(
                f"one of {len(several)} hand-ins of this student: {which} ({how}); also there: {others}"
            )
    return [replace(one, counts=at in latest, notes=(*told.get(at, ()), *one.notes)) for at, one in enumerate(hand_ins)]


def _order(hand_ins: list[HandIn], bundles: list[Bundle]) -> tuple[str, list[tuple[float, int, str]]]:
    """Return by what hand-ins can be put in their order, and the places."""
    copies = [
        (int(match["number"]) if (match := COPY.fullmatch(stem(one.origin))) else 0, one.origin) for one in hand_ins
    ]
    ways: list[tuple[str, Sequence[float | None]]] = [
        ("by the platform's times", [one.handed_in.timestamp() if one.handed_in else None for one in hand_ins]),
        ("by their attempts", [one.attempt for one in hand_ins]),
        ("by the times of their files", [one.modified for one in bundles]),
    ]
    for how, times in ways:
        known = [time for time in times if time is not None]
        if len(known) == len(hand_ins) and len(set(known)) == len(known):
            return how, [(time, *copy) for time, copy in zip(known, copies, strict=True)]
    return "by their names only: nothing tells which is newer", [(0.0, *copy) for copy in copies]


def _who(student: Student) -> str:
    """Return what makes two students the same one."""
    known = ((kind, getattr(student, kind)) for kind in ("id", "sid", "login", "email", "name"))
    return next((f"{kind} {folded(value)}" for kind, value in known if value), "")
