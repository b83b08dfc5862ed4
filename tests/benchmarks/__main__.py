"""All tables, one after another, in a few minutes: `.venv/bin/python tests/benchmarks [--peers PYTHON]`.

Each is a program of its own, which takes more rounds and longer ones. What runs here is short: two rounds, or one
where a round is long.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLES = {  # what each is told, so that all take some four minutes together on a quiet machine
    "clients.py": ("--rounds", "2", "--seconds", "0.3"),
    "servers.py": ("--rounds", "2", "--seconds", "0.3"),
    "scale.py": ("--rounds", "1", "--seconds", "1"),
    "waiting.py": ("--runs", "1"),
    "tiers.py": ("--lives", "10", "--checks", "1"),
}


def main() -> None:
    """Run them all; a table that fails says so, and the next one follows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable, help="a Python in which the peers are installed")
    peers = parser.parse_args().peers
    began = time.monotonic()
    for name, words in TABLES.items():
        print(f"\n{name} {' '.join(words)}\n", flush=True)
        if name not in ("waiting.py", "tiers.py"):
            words += ("--peers", peers)
        if subprocess.run([sys.executable, str(HERE / name), *words]).returncode:
            print(f"{name} has failed", flush=True)
    print(f"\nAll that took {time.monotonic() - began:.0f} seconds.")


if __name__ == "__main__":
    main()
