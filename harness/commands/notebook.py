"""`lab notebook`: JupyterLab on notebooks/; and running a notebook from its source."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.commands.choose import shown
from harness.commands.extras import JUPYTER
from harness.course.layout import NOTEBOOKS, ROOT
from harness.course.notebooks import Cell, as_notebook, cleaned, notebook_of, read_cells, written
from harness.errors import UsageError
from harness.launch.program import become
from harness.results import write_whole
from harness.seen.display import KEEP, KEPT
from harness.seen.dragging import UNATTENDED

ALONE = (  # it asks nobody on the network for news
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.news_url=",
)
SECONDS = 60  # for a cell


def notebook(args: argparse.Namespace) -> int:
    """Open a notebook in JupyterLab, which is installed when it is first needed."""
    chosen = _chosen(args.number)
    JUPYTER.install("notebook")
    print(f"JupyterLab opens {shown(chosen)}; Ctrl-C twice ends it", file=sys.stderr, flush=True)
    words = [sys.executable, "-m", "jupyterlab", str(chosen), f"--ServerApp.root_dir={NOTEBOOKS}", *ALONE]
    words += ["--no-browser"] if args.no_browser else []
    return become([*words, *args.arguments], NOTEBOOKS)


def _chosen(number: str | None) -> Path:
    found = {path.name.partition("_")[0].lstrip("0"): path for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))}
    if number is None:
        return NOTEBOOKS / "README.md"
    if number.lstrip("0") not in found:
        raise UsageError(f"there is no notebook {number}; there are {', '.join(found)}")
    return found[number.lstrip("0")]


# Making them


def build(source: Path) -> None:
    """Run the cells of a source, and write its notebook with what came of them."""
    KEPT.mkdir(exist_ok=True)
    made = cleaned(execute(read_cells(source), {KEEP: str(KEPT)}))
    text = written(made)
    if str(ROOT) in text:
        raise UsageError(f"{shown(source)} shows where this kit lies: its outputs must not depend on that")
    write_whole(notebook_of(source), text)


def execute(cells: list[Cell], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run cells in a kernel of their own, in an empty folder; return the notebook. Raises CellExecutionError."""
    made = import_module("nbformat").reads(written(as_notebook(cells)), as_version=4)
    with tempfile.TemporaryDirectory() as folder, _with(environment or {}):
        import_module("nbclient").NotebookClient(
            made,
            timeout=SECONDS,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        ).execute()
    result: dict[str, Any] = made
    return result


@contextmanager
def _with(environment: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment | {"PYTHONPATH": str(ROOT), "PYDEVD_DISABLE_FILE_VALIDATION": "1", UNATTENDED: "1"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
