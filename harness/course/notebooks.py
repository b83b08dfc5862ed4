"""Notebooks from sources: Python files in the percent format, which editors know, too.

    # %% [markdown]
    # Text, behind a comment sign.

    # %%
    print("a cell of code")

A source lints, is typed and can be compared; its notebook in `notebooks/` has the same cells, and what came of running
them. Both have the same name.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.course.layout import NOTEBOOKS

SOURCES = NOTEBOOKS / "sources"
HEAD = re.compile(r"^# %%(?P<markdown> \[markdown\])?$")
PYTHON = {"display_name": "Python 3", "language": "python", "name": "python3"}
SPOKEN = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}


class SourceError(ValueError):
    """A source that is not in the percent format; the text says where."""


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook: Markdown, or code."""

    kind: str
    text: str


def cells_of(source: str) -> list[Cell]:
    """Read a source. Raise SourceError where something stands outside of a cell, or a text is no comment."""
    cells: list[Cell] = []
    kind, lines = "", list[str]()
    for number, line in enumerate([*source.splitlines(), "# %%"], start=1):
        if head := HEAD.match(line):
            if text := "\n".join(lines).strip("\n"):
                cells.append(Cell(kind, text))
            kind, lines = "markdown" if head["markdown"] else "code", []
        elif kind == "markdown" and line and not line.startswith("#"):
            raise SourceError(f"line {number}: {line!r} in a cell of Markdown; its lines begin with '# '")
        elif not kind and line:
            raise SourceError(f"line {number}: {line!r} before the first cell")
        else:
            lines.append(line[1:].removeprefix(" ") if kind == "markdown" else line)
    return cells


def as_notebook(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return a notebook (nbformat 4.5) with these cells, none of which was run."""
    made = []
    for number, cell in enumerate(cells, start=1):
        lines = cell.text.splitlines(keepends=True)
        one: dict[str, Any] = {"cell_type": cell.kind, "id": f"cell-{number}", "metadata": {}, "source": lines}
        if cell.kind == "code":
            one |= {"execution_count": None, "outputs": []}
        made.append(one)
    return {
        "cells": made,
        "metadata": {"kernelspec": PYTHON, "language_info": SPOKEN},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def cells_in(notebook: Mapping[str, Any]) -> list[Cell]:
    """Return the cells of a notebook, without what came of them."""
    return [Cell(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]


def cleaned(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook that was run without what differs from machine to machine: times, versions, widgets."""
    for number, cell in enumerate(notebook["cells"], start=1):
        cell["id"], cell["metadata"] = f"cell-{number}", {}
        cell["source"] = "".join(cell["source"]).splitlines(keepends=True)
        if cell["cell_type"] == "code":
            cell["outputs"] = [_output(one) for one in cell["outputs"] if _stays(one)]
    notebook["metadata"] = {"kernelspec": PYTHON, "language_info": SPOKEN}
    return notebook


def _stays(output: Mapping[str, Any]) -> bool:
    return "application/vnd.jupyter.widget-view+json" not in output.get("data", {})


def _output(output: dict[str, Any]) -> dict[str, Any]:
    if "metadata" in output:
        output["metadata"] = {}
    if "data" in output:
        output["data"] = {kind: _lines(text) for kind, text in output["data"].items()}
    if "text" in output:
        output["text"] = _lines(output["text"])
    return output


def _lines(text: str | list[str]) -> list[str]:
    return "".join(text).splitlines(keepends=True)


def written(notebook: Mapping[str, Any]) -> str:
    """Return a notebook as it stands in its file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def sources() -> list[Path]:
    """Return the sources of all notebooks, in order."""
    return sorted(SOURCES.glob("*.py"))


def notebook_of(source: Path) -> Path:
    """Return where the notebook of a source lies."""
    return NOTEBOOKS / f"{source.stem}.ipynb"


def read_cells(source: Path) -> list[Cell]:
    """Read the cells of a source. Raise SourceError with its name."""
    try:
        return cells_of(source.read_text(encoding="utf-8"))
    except SourceError as error:
        raise SourceError(f"{source.name}, {error}") from None


def differing() -> list[Path]:
    """Return the sources whose notebook has other cells, or is not there."""
    return [source for source in sources() if not _agrees(source)]


def _agrees(source: Path) -> bool:
    try:
        notebook = json.loads(notebook_of(source).read_text(encoding="utf-8"))
        return cells_in(notebook) == read_cells(source)
    except (FileNotFoundError, KeyError, json.JSONDecodeError):
        return False
