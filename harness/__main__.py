"""`python -m harness` is `lab`."""

import sys

from harness.cli import main

if __name__ == "__main__":  # a worker process imports this module, too
    sys.exit(main())
