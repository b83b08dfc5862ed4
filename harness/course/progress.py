"""A student's progress: a plain text file that one can read, `labs/progress.txt`.

A line is `1.2 done 2026-09-01 14:05`, or `1.2 hints 2`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from harness.course.layout import PROGRESS

HEADER = "# Which steps hold (lab check), and how many hints of a step were read (lab hint).\n"


@dataclass
class Progress:
    """Which steps hold, since when, and how many hints of each were read."""

    done: dict[str, str] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)
    path: Path = PROGRESS

    def mark(self, step: str, holds: bool) -> None:
        """Note that a step holds now, or that it does not any more."""
        if not holds:
            self.done.pop(step, None)
        elif step not in self.done:
            self.done[step] = f"{datetime.now():%Y-%m-%d %H:%M}"

    def save(self) -> None:
        """Write the file whole, or leave the old one."""
        lines = [f"{step} done {when}\n" for step, when in sorted(self.done.items())]
        lines += [f"{step} hints {number}\n" for step, number in sorted(self.hints.items())]
        fresh = self.path.with_name(f".{self.path.name}.new")
        fresh.write_text(HEADER + "".join(lines), encoding="utf-8")
        fresh.replace(self.path)


def load_progress(path: Path = PROGRESS) -> Progress:
    """Read the file; a line that makes no sense is passed over."""
    progress = Progress(path=path)
    if not path.is_file():
        return progress
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match line.split(maxsplit=2):
            case [step, "done", when]:
                progress.done[step] = when
            case [step, "hints", number] if number.isdecimal():
                progress.hints[step] = int(number)
    return progress
