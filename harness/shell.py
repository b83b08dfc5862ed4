"""What people type on this system."""

import os

WINDOWS = os.name == "nt"
LAB = "py lab" if WINDOWS else "./lab"
PYTHON = "py" if WINDOWS else "python3"
NC = "ncat" if WINDOWS else "nc"  # Nmap's: Windows brings none of its own
