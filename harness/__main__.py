"""`python -m harness` is `lab`."""

import sys

from harness.cli import main

sys.exit(main())
