"""Repeat the checks on every correct server with all cores busy, and tell of every verdict that was not a pass.

    .venv/bin/python tests/soak.py --rounds 100

A check that ever fails a correct server is broken: find the race.
"""

import argparse
import multiprocessing
import os
import sys
import time

from support import ROOT, check
from test_correct_servers import cases, command

from harness.course import load_course

SLOW = ("echo_one_byte", "lines_one_byte")  # a system call a byte: a tenth of the rounds


def burn() -> None:
    """Keep one core busy until killed."""
    while True:
        pass


def main() -> int:
    """Run the rounds; return 1 if any verdict was not a pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--only", nargs="*", default=[""], help="only servers whose name contains one of these")
    parser.add_argument("--lab", type=int, help="only as this lab")
    parser.add_argument("--idle", action="store_true", help="do not keep the cores busy")
    args = parser.parse_args()
    hogs = [multiprocessing.Process(target=burn, daemon=True) for _ in range(0 if args.idle else os.cpu_count() or 1)]
    for hog in hogs:
        hog.start()
    chosen = [(lab, server.name, command(server), any_model) for lab, server, any_model in cases()]
    for lab in load_course().labs:
        chosen.append((lab.number, lab.program, f"{sys.executable} {ROOT / 'solutions' / lab.program}", False))
    bad = 0
    for number, name, target, any_model in chosen:
        if args.lab not in (None, number) or not any(word in name for word in args.only):
            continue
        rounds = max(1, args.rounds // 10) if name in SLOW else args.rounds
        began = time.monotonic()
        _, results = check(number, target, "--repeat", str(rounds), *["--any-model"] * any_model, timeout=3600)
        wrong = [one for one in results["checks"] if one["failures"] or one["status"] != "pass"]
        bad += len(wrong)
        seconds = time.monotonic() - began
        print(
            f"lab {number}  {name:<28} {rounds:>4} rounds  {seconds:6.0f} s  {'ok' if not wrong else 'FAILED'}",
            flush=True,
        )
        for one in wrong:
            print(f"    {one['id']}: {one['failures']} of {one['attempts']}: {one['message']}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
