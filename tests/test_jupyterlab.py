"""The notebooks in JupyterLab, in a real browser: opened with `lab notebook`, all cells run, looked at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from browser import Browser, a_browser
from support import CHROMIUM, PATIENCE, ROOT, lab_of
from test_notebooks import can_run

STARTS = 3 * PATIENCE  # seconds, for JupyterLab
CLEAR = "jupyterapp.commands.execute('notebook:clear-all-cell-outputs').then(() => 'done')"
RUN_ALL = "jupyterapp.commands.execute('notebook:run-all-cells').then(() => 'done')"
READY = """(name => {
  const shown = window.jupyterapp && jupyterapp.shell.currentWidget;
  const session = shown && shown.context && shown.context.sessionContext.session;
  return Boolean(session && shown.context.path === name && session.kernel && session.kernel.status === 'idle');
})('%s')"""
CELLS = """JSON.stringify(Array.from(jupyterapp.shell.currentWidget.content.model.cells).filter(
  cell => cell.type === 'code').map(cell => cell.toJSON()))"""
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@contextmanager
def jupyterlab(kit: Path, number: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Open a notebook of a copy of the kit as people do; yield what the server tells of itself."""
    for name in ("runtime", "config", "data"):
        (folder / name).mkdir(parents=True)
    places = {f"JUPYTER_{name.upper()}_DIR": str(folder / name) for name in ("runtime", "config", "data")}
    environment = os.environ | places | {"PYTHONPATH": str(kit), "LAB_UNATTENDED": ""}
    options = ["--no-browser", "--allow-root", "--port=0", "--LabApp.expose_app_in_browser=True"]
    process = subprocess.Popen(
        [*lab_of(kit, "notebook", number), *options],
        cwd=kit,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("w"),
        start_new_session=True,
    )
    server = None
    try:
        while server is None:
            assert process.poll() is None, (folder / "log").read_text()
            server = told(folder)
            time.sleep(0.05)  # until the server has written where it listens
        yield server
    finally:
        if server:  # which ends its kernels, too
            urlopen(Request(f"{server['url']}api/shutdown?token={server['token']}", method="POST"), timeout=PATIENCE)
        else:
            process.terminate()
        process.wait(STARTS)


def told(folder: Path) -> dict[str, Any] | None:
    """Return what a server has written about itself, None if it has not yet."""
    for file in (folder / "runtime").glob("jpserver-*.json"):
        try:
            server: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return server
        except json.JSONDecodeError:
            pass
    return None


def wait_ready(browser: Browser, name: str) -> None:
    """Wait until a notebook is in front and its kernel idle."""
    deadline = time.monotonic() + STARTS
    while not browser.do(READY % name):
        assert time.monotonic() < deadline, browser.said
        time.sleep(0.1)  # between two looks at the page


@pytest.mark.slow
def test_all_cells_run_in_jupyterlab(kit: Path, tmp_path: Path) -> None:
    if not can_run():
        pytest.skip("`lab test` installs JupyterLab; pytest alone does not")
    shutil.copytree(ROOT / "notebooks", kit / "notebooks")
    with jupyterlab(kit, "1", tmp_path / "jupyter") as server, a_browser(tmp_path / "profile") as browser:
        browser.resize(1280, 900)
        for name, phenomenon in (("01_life_of_a_connection", "half-close"), ("04_buffers", "a partial send")):
            browser.open(f"{server['url']}lab/tree/{name}.ipynb?token={server['token']}")
            wait_ready(browser, f"{name}.ipynb")
            assert browser.do(CLEAR) == "done"
            assert browser.do(RUN_ALL) == "done"
            said = json.dumps(checked_cells(browser), ensure_ascii=False)
            assert f"✓ {phenomenon}:" in said
            assert "image/svg+xml" in said
            picture = tmp_path / f"{name}.png"
            browser.picture(picture)
            assert picture.stat().st_size > 20_000
        assert "application/vnd.jupyter.widget-view+json" in said, "the sliders"


def checked_cells(browser: Browser) -> list[dict[str, Any]]:
    """Return the cells of code of the open notebook, all of which have run without an error."""
    cells: list[dict[str, Any]] = json.loads(browser.do(CELLS))
    assert len(cells) > 8
    for cell in cells:
        assert cell["execution_count"], cell["source"]
        assert not [one for one in cell["outputs"] if one["output_type"] == "error"], cell["outputs"]
    return cells
