"""One run, one folder: `runs/<time>-<what>/`, with `results.json`; `runs/latest` points to the newest."""

import json
import os
import platform
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from harness import __version__
from harness.course.layout import RUNS

RESULTS = "results.json"


def new_run(what: str, runs: Path = RUNS) -> Path:
    """Make the folder of a new run."""
    runs.mkdir(exist_ok=True)
    stem = f"{datetime.now():%Y-%m-%d-%H%M%S}-{what}"
    for number in range(1, 1000):
        folder = runs / (stem if number == 1 else f"{stem}-{number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise FileExistsError(f"{runs / stem} and 998 others exist already")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there whole or not at all; a text as UTF-8, its lines ended by LF on every system."""
    data = content.encode("utf-8", errors="backslashreplace") if isinstance(content, str) else content
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def save(folder: Path, results: dict[str, Any]) -> None:
    """Write the results of a run and let `latest` point to it."""
    write_whole(folder / RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    latest = folder.parent / "latest"
    fresh = folder.parent / f".latest.{os.getpid()}.new"
    with suppress(OSError):  # Windows lets only some users make links; the path is printed in any case
        fresh.symlink_to(folder.name, target_is_directory=True)
        fresh.replace(latest)


def load(folder: Path) -> dict[str, Any]:
    """Read the results of a run."""
    results: dict[str, Any] = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    return results


def surroundings() -> dict[str, str]:
    """Return the versions and the machine that a result depends on."""
    return {
        "kit": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": str(os.cpu_count()),
    }
