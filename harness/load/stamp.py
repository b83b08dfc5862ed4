"""What every line of a chat server begins with: its time, `[HH:MM:SS] ` (PROTOCOL.md, C1)."""

import re

STAMP = re.compile(rb"\[(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\] ")
