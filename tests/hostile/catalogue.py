"""All hostile and unlucky programs.

python3 catalogue.py               # lists them
python3 catalogue.py NAME          # prints the text of one
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hostile import connecting, escaping, multiplying, reaching, starting, taking

MODULES = (starting, multiplying, taking, reaching, connecting, escaping)
CASES = tuple(case for module in MODULES for case in module.CASES)

if __name__ == "__main__":
    for case in CASES:
        if not sys.argv[1:]:
            print(f"{case.name:40} {case.outcome}")
        elif case.name in sys.argv[1:]:
            sys.stdout.write(case.text({}).decode("utf-8", errors="replace"))
