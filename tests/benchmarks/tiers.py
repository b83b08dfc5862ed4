"""What containment costs: a server's whole life, and a whole `lab check`, in each tier beside the tier plain.

    .venv/bin/python tests/benchmarks/tiers.py [--lives N] [--checks N] [--lab LAB]

The tiers are measured in turn, so that a drifting machine is fair to all. A life is a start, one client that gets its
answer, and an end after which nothing is left. Wanted: in the box at most 60 ms more than plain, and at most 1.5
times the checks.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from harness.launch import Program
from harness.launch.command import python_program
from harness.launch.tiers import PLAIN, TIERS, hindrance

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0  # seconds


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lives", type=int, default=20)
    parser.add_argument("--checks", type=int, default=3)
    parser.add_argument("--lab", default="6")
    args = parser.parse_args()
    tiers = [tier for tier in TIERS if not hindrance(tier)]
    for tier in set(TIERS) - set(tiers):
        print(f"{tier}: {hindrance(tier)}")
    lives = interleaved(tiers, args.lives, life)
    checks = interleaved(tiers, args.checks, lambda tier: check(tier, args.lab))
    print(f"{'':<8} {'a life':>10} {'more':>9} {'lab check ' + args.lab:>14} {'ratio':>6}   medians")
    for tier in tiers:
        more = statistics.median(one - plain for one, plain in zip(lives[tier], lives[PLAIN], strict=True))
        ratio = statistics.median(one / plain for one, plain in zip(checks[tier], checks[PLAIN], strict=True))
        middle, whole = statistics.median(lives[tier]), statistics.median(checks[tier])
        print(f"{tier:<8} {1000 * middle:7.1f} ms {1000 * more:6.1f} ms {whole:12.2f} s {ratio:6.2f}")


def interleaved(tiers: list[str], rounds: int, measure: object) -> dict[str, list[float]]:
    """Measure every tier once in each round; the seconds of each."""
    assert callable(measure)
    found: dict[str, list[float]] = {tier: [] for tier in tiers}
    for number in range(rounds):
        for tier in tiers[number % len(tiers) :] + tiers[: number % len(tiers)]:
            found[tier].append(measure(tier))
    return found


def life(tier: str) -> float:
    """Return the seconds from the start of a server to the certainty that nothing of it is left."""
    began = time.perf_counter()
    with Program(python_program(ROOT / "solutions" / "lab01_blocking_echo.py"), tier=tier) as program:
        limit = time.monotonic() + PATIENCE
        assert program.wait_listening(lambda: limit - time.monotonic())
        with program.new_socket() as client:
            client.settimeout(PATIENCE)
            client.connect(program.address)
            client.sendall(b"hello\n")
            assert client.recv(6)
    return time.perf_counter() - began


def check(tier: str, lab: str) -> float:
    """Return the seconds of all checks of a lab on its solution."""
    began = time.perf_counter()
    words = [sys.executable, "-m", "harness", "check", lab, "--solution", "--tier", tier]
    subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
