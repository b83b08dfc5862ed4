"""Which layout a source has: one of a learning platform, or none in particular."""

from collections.abc import Callable
from dataclasses import replace

from harness.classroom.intake.handin import Student
from harness.classroom.intake.labs import around
from harness.classroom.intake.level import COPY, Bundle, Level, is_file, stray
from harness.classroom.intake.names import archive_suffix, foreign_archive, stem
from harness.classroom.intake.platforms import canvas, github, gradescope, moodle
from harness.errors import UsageError


def plain(level: Level) -> list[Bundle]:
    """Sort what comes from nowhere in particular: a folder, an archive or Python files for each student."""
    tops = level.tops()
    files = [name for name, below in tops.items() if is_file(below)]
    if tops and len(files) == len(tops) and any(name in level.program_files for name in files):
        entries = [(name, tops[name][0][1]) for name in files]
        name = level.name
        return [Bundle(f"plain {name}", name, (Student(name=name),), entries=entries, words=(name,))]
    bundles: dict[str, Bundle] = {}
    for name, below in tops.items():
        owner = _owner(name, level.program_files) if name in files else ""
        if not owner:
            bundles[f"/{name}"] = stray(name, below)
            continue
        one = bundles.setdefault(owner, Bundle(f"plain {owner}", name, (Student(name=owner),), words=(owner,)))
        one.entries.append((name, below[0][1]))
    return list(bundles.values())


def _owner(name: str, program_files: frozenset[str]) -> str:
    """Return what stands around a name of the course in a file's name: whose it is, "" if nothing does."""
    plain = COPY.sub(r"\g<stem>", stem(name)) + name[len(stem(name)) :]
    for file in sorted(program_files):
        sides = around(plain, file)
        if sides is not None and any(sides):
            return " ".join(filter(None, sides))
    return ""


LAYOUTS: dict[str, Callable[[Level], list[Bundle] | None]] = {
    "gradescope": gradescope,
    "moodle": moodle,
    "github": github,
    "canvas": canvas,
    "plain": plain,
}


def recognise(top: Level, layout: str | None, from_archive: bool) -> tuple[str, list[Bundle], str]:
    """Return the layout's name, the bundles, and the folder that was taken for the class's where that is a guess.

    Raise UsageError if the layout that was named does not fit.
    """
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f"there is no layout {layout}; the layouts are {', '.join(LAYOUTS)}")
    levels = [replace(top, named=layout is not None)]
    while len(levels) < 3 and (inner := levels[-1].below()) is not None:
        levels.append(inner)
    for name, sort in LAYOUTS.items():
        if name == "plain" or (layout is not None and name != layout):
            continue
        for level in levels:
            bundles = sort(level) or []
            fit = sum(not one.identity.startswith("plain ") for one in bundles)
            if fit > (0 if layout else len(bundles) // 2):
                return name, bundles, ""
    if layout not in (None, "plain"):
        raise UsageError(f"there is nothing in {top.name} that looks as if {layout} had made it; leave the layout out")
    level = _unwrapped(levels) if from_archive else levels[0]
    return "plain", plain(level), "" if level is levels[0] else level.name


def _unwrapped(levels: list[Level]) -> Level:
    """Return the level of an archive in which the students are: below the folder that was packed."""
    for level in levels[:-1]:
        inner = level.below()
        tops = inner.tops() if inner else {}
        several = sum(
            not is_file(below) or bool(archive_suffix(name) or foreign_archive(name)) for name, below in tops.items()
        )
        if inner is None or (several < 2 and inner.name.lower() != level.name.lower()):
            return level
    return levels[-1]
