"""Showing something below a cell; figures that only Linux can make are kept, and shown elsewhere."""

import os
import re
import sys
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.course.layout import NOTEBOOKS

WIDTH = 860  # pixels, of a picture below a cell
TOO_WIDE = re.compile(r'(<svg[^>]*?) width="[89]\d\d(?:\.\d+)?pt" height="[\d.]+pt" ')  # it keeps its proportions

KEPT = NOTEBOOKS / "figures"  # of Linux, for other systems and for documents
KEEP = "LAB_KEEP_FIGURES"  # set, while notebooks are built: the folder that figures with a name are written to
ELSEWHERE = "This experiment asks the Linux kernel, and this is another system: the figure was recorded on Linux."


def show(picture: str, text: str, name: str = "") -> None:
    """Show a picture (SVG); `text` says the same in words, and a `name` keeps it for those who cannot make it."""
    if name and (folder := os.environ.get(KEEP)):
        (Path(folder) / f"{name}.svg").write_text(picture, encoding="utf-8")
    _display({"image/svg+xml": TOO_WIDE.sub(rf'\1 width="{WIDTH}" ', picture, count=1), "text/plain": text})


def say(html: str, text: str) -> None:
    """Show HTML; `text` is the same without marks."""
    _display({"text/html": html, "text/plain": text})


def on_linux(*names: str) -> bool:
    """Whether this is Linux; elsewhere, show the figures of these names as they were recorded there."""
    if sys.platform == "linux":
        return True
    say(f"<p>{escape(ELSEWHERE)}</p>", ELSEWHERE)
    for name in names:
        show((KEPT / f"{name}.svg").read_text(encoding="utf-8"), f"the figure {name}, recorded on Linux")
    return False


def _display(data: dict[str, Any]) -> None:
    import_module("IPython.display").display(data, raw=True)
