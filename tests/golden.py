"""What a student is told of each of the most frequent faults, written down to be read: tests/golden/*.txt.

    .venv/bin/python tests/golden.py                    # makes all of them anew
    .venv/bin/python tests/golden.py no-lock bad-name   # only these

Times, ports and whatever else differs from run to run is masked.
"""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mutants.catalogue import load_mutants
from mutation import command_of, first_to_fail

if TYPE_CHECKING:
    from harness.checks.verdict import Verdict

GOLDEN = Path(__file__).with_name("golden")
WIDTH = 100
IN_PROGRAM = "    In the program:"
IMPATIENT = 0.5  # times as long as a check waits for what does not come
MASKS = (
    (re.compile(r"^( +)\d+\.\d(?=  )", re.MULTILINE), r"\1#.#"),  # milliseconds, in lanes
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "HH:MM:SS"),
    (re.compile(r"(?<=127\.0\.0\.1:)\d+"), "PORT"),
    (re.compile(r'(?<=File ")/[^"]*/'), ""),
    (re.compile(r"(?<=within )\d+(?= s)|\b\d+(?= seconds after)|\b\d+(?= % of)|(?<=only )\d+(?= of)"), "#"),
    (re.compile(r"^ +#\.#(?=  )", re.MULTILINE), "      #.#"),
)
LANE = re.compile(r" +#\.#  (?!.*✗)| +ms  | +\.\.\.| +│")  # of the dialogue and of the output: as they came


@dataclass(frozen=True)
class Fault:
    """One frequent fault, and the mutant that has it; `varies` says that what comes differs from run to run."""

    name: str
    fault: str
    mutant: str
    varies: bool = False

    @property
    def path(self) -> Path:
        """Where it is written down what a student is told."""
        return GOLDEN / f"{self.name}.txt"


def load_faults() -> tuple[Fault, ...]:
    """Read the list of the faults."""
    entries = tomllib.loads((GOLDEN / "faults.toml").read_text(encoding="utf-8"))["fault"]
    return tuple(Fault(**entry) for entry in entries)


def told(verdict: Verdict, program: Path, fault: Fault) -> str:
    """Return what a student is told of a failure of a program, masked, and last the fault that is to be found."""
    from harness.checks.diagnosis.diagnose import point_out
    from harness.report.evidence import evidence

    point_out([verdict], command_of(program), "plain")
    text = "\n".join(line.rstrip() for _, line in evidence(verdict.as_dict(), "runs/latest", WIDTH))
    for mask, instead in MASKS:
        text = mask.sub(instead, text)
    return f"{text}\n\n---\n{fault.fault} ({fault.mutant})\n"


def steady(text: str, varies: bool) -> list[str]:
    """Return the lines that are the same each time: which check, the place in the program, and the hint at least."""
    lines = [line for line in text.splitlines() if not LANE.match(line)]
    if not varies:
        return lines
    return [lines[0], *lines[lines.index(IN_PROGRAM) :][:2], *(line for line in lines if line.startswith("    Hint: "))]


def main() -> int:
    """Write the files anew."""
    mutants = {str(mutant): mutant for mutant in load_mutants()}
    wanted = sys.argv[1:]
    for fault in load_faults():
        if wanted and fault.name not in wanted:
            continue
        mutant = mutants[fault.mutant]
        with tempfile.TemporaryDirectory(prefix="golden-") as folder:
            program = mutant.write(Path(folder))
            verdict = first_to_fail(mutant.lab, program, [" or ".join(mutant.caught_by)], patience=IMPATIENT)
            if verdict is None:
                print(f"{fault.name}: {mutant} was not caught")
                return 1
            fault.path.write_text(told(verdict, program, fault), encoding="utf-8")
            print(fault.path.name)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(GOLDEN.parents[1]))
    sys.exit(main())
