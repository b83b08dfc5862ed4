"""The notebooks: run from top to bottom in real kernels, agree with their sources, and show what they promise."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support import ROOT, in_kit

from harness.course import load_course
from harness.course.layout import NOTEBOOKS
from harness.course.notebooks import Cell, SourceError, cells_in, cells_of, notebook_of, read_cells, sources, written
from harness.seen import asking
from harness.seen.asking import ask, claim, guesses
from harness.seen.ladder import Rung, ladder
from harness.seen.lanes import Recorder, Span, lanes
from harness.seen.queues import Look, bars
from harness.seen.ruler import ruler
from harness.seen.sockets import connected, outcome, state, unread, unsent, until

SOURCES = sources()
LONGEST = 24  # lines of a cell of code
CLAIM = re.compile(r'\bclaim\(\s*"([^"]+)"')
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")


def outputs_of(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for cell in notebook["cells"] for one in cell.get("outputs", [])]


def words_in(notebook: dict[str, Any]) -> str:
    """Return all that a notebook says below its cells, without pictures."""
    parts = [one.get("text", one.get("data", {}).get("text/plain", "")) for one in outputs_of(notebook)]
    return "\n".join("".join(part) for part in parts)


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_runs_from_top_to_bottom(source: Path, again: bool) -> None:
    if not can_run():
        pytest.skip("`lab test` installs JupyterLab; pytest alone does not")
    from harness.commands.notebook import execute

    done = execute(read_cells(source))
    claimed = set(CLAIM.findall(source.read_text(encoding="utf-8")))
    said = words_in(done)
    assert claimed
    if sys.platform == "linux":
        assert not [name for name in claimed if f"✓ {name}:" not in said], "not reached"


def can_run() -> bool:
    from harness.commands.extras import JUPYTER

    return not JUPYTER.missing()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_is_what_its_source_gives_and_clean(source: Path) -> None:
    text = notebook_of(source).read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert cells_in(notebook) == read_cells(source)
    assert written(notebook) == text
    assert len(text) < 600_000
    assert str(ROOT) not in text
    assert "/tmp" not in text
    assert not [one for one in outputs_of(notebook) if one["output_type"] in ("error", "stream")], "something printed"
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        lines = [line for line in cell["source"] if line.strip()]
        assert cell["cell_type"] == "markdown" or len(lines) <= LONGEST, "".join(lines)
    pictures = [one["data"]["image/svg+xml"] for one in outputs_of(notebook) if "image/svg+xml" in one.get("data", {})]
    assert pictures
    for picture in pictures:
        ElementTree.fromstring("".join(picture))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_asks_before_it_shows(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    asked = re.findall(r'^(\w+) = ask\(\s*"([^"]+)"', text, re.MULTILINE)
    assert len(asked) >= 3
    number = str(int(source.stem[:2]))
    for variable, name in asked:
        assert name.startswith(f"{number}."), f"{name}: questions are numbered by their notebook"
        assert text.index(f"{variable} = ask(") < text.index(f"{variable}.happened(")
    assert len({name for _, name in asked}) == len(asked)


def test_no_phenomenon_is_claimed_twice_and_there_are_many() -> None:
    claimed = [name for source in SOURCES for name in CLAIM.findall(source.read_text(encoding="utf-8"))]
    assert len(claimed) == len(set(claimed))
    assert len(claimed) >= 60


def test_the_figures_that_are_kept_are_those_that_are_shown() -> None:
    text = "".join(source.read_text(encoding="utf-8") for source in SOURCES)
    named = set(re.findall(r'"(\d\d-[a-z-]+)"', text))
    assert {path.stem for path in (NOTEBOOKS / "figures").glob("*.svg")} == named


def test_the_notebooks_that_steps_name_are_there() -> None:
    named = {step.notebook for lab in load_course().labs for step in lab.steps if step.notebook}
    assert len(named) >= 5
    assert named <= {notebook_of(source).name for source in SOURCES}


# Sources


def test_a_source_is_read_cell_by_cell() -> None:
    text = "# %% [markdown]\n# # A title\n#\n# Text.\n\n# %%\nx = 1\n\n\n# %%\n\n# %%\ny = 2\n"
    assert cells_of(text) == [Cell("markdown", "# A title\n\nText."), Cell("code", "x = 1"), Cell("code", "y = 2")]


@pytest.mark.parametrize(("text", "line"), [("x = 1\n", 1), ("# %% [markdown]\n# a\nb\n", 3)])
def test_a_source_that_is_none_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(SourceError, match=f"line {line}: "):
        cells_of(text)


def test_a_notebook_that_differs_is_told(kit: Path) -> None:
    for name in ("sources", "."):
        (kit / "notebooks" / name).mkdir(parents=True, exist_ok=True)
    source = kit / "notebooks" / "sources" / "01_some.py"
    source.write_text("# %%\nx = 1\n", encoding="utf-8")
    assert "01_some.ipynb is not what" in in_kit(kit, "build", "--check").stdout
    cell = {"cell_type": "code", "source": ["x = 1"], "outputs": [], "metadata": {}, "execution_count": 1, "id": "a"}
    (kit / "notebooks" / "01_some.ipynb").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    assert in_kit(kit, "build", "--check").returncode == 0
    source.write_text("# %%\nx = 2\n", encoding="utf-8")
    assert in_kit(kit, "build", "--check").returncode == 1


def test_a_notebook_that_there_is_not_is_told(kit: Path) -> None:
    (kit / "notebooks").mkdir()
    (kit / "notebooks" / "02_a.ipynb").write_text("{}", encoding="utf-8")
    done = in_kit(kit, "notebook", "7")
    assert (done.returncode, done.stderr) == (2, "lab: there is no notebook 7; there are 2\n")


# Questions and claims


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What is shown below a cell, in words; in an empty folder."""
    texts: list[str] = []
    monkeypatch.setattr(asking, "say", lambda html, text: texts.append(text))
    monkeypatch.chdir(tmp_path)
    return texts


def test_a_guess_is_kept_and_shown_beside_what_happened(said: list[str]) -> None:
    choices = {"a": "one", "b": "two"}
    ask("1.1 x", "How many?", choices, guess="a")
    ask("1.2 y", "How much?", guess=3000)
    assert guesses() == {"1.1 x": "a", "1.2 y": "3000"}
    ask("1.1 x", "How many?", choices).happened("two came", "because", choice="b")
    assert "You predicted: a) one ✗" in said[-1]
    ask("1.1 x", "How many?", choices, guess="b").happened("two came", "because", choice="b")
    assert "You predicted: b) two ✓" in said[-1]
    assert guesses() == {"1.1 x": "b", "1.2 y": "3000"}
    ask("1.3 z", "Why?").happened("this", "because")
    assert "You predicted: nothing yet" in said[-1]


def test_a_guess_that_is_no_choice_is_told(said: list[str]) -> None:
    from harness.errors import UsageError

    with pytest.raises(UsageError, match="one of the letters a, b; not 'c'"):
        ask("1.1 x", "How many?", {"a": "one", "b": "two"}, guess="c")
    assert not guesses()


def test_a_claim_that_does_not_hold_fails_with_what_was_measured(said: list[str]) -> None:
    claim("water is wet", True, "very")
    assert said == ["✓ water is wet: very"]
    with pytest.raises(AssertionError, match=r"not so on this machine: water is dry\. Measured: 3 drops"):
        claim("water is dry", False, "3 drops")


# Sockets, and pictures of them


@linux_only
def test_the_kernel_tells_states_and_queues() -> None:
    with connected() as (ann, bob):
        ends = ann.getsockname(), bob.getsockname()
        bob.setsockopt(6, 3, 1)
        ann.sendall(b"seven b")
        assert until(lambda: (unread(bob), unsent(ann)) == (7, 0))
        assert state(*ends) == "ESTABLISHED"
        ann.shutdown(1)
        assert until(lambda: state(*ends[::-1]) == "CLOSE_WAIT")
        bob.recv(100)
        bob.setblocking(False)
        assert outcome(bob.recv, 1) == b""
        ann.setblocking(False)
        assert outcome(ann.recv, 1) == "EAGAIN"
    assert state(("127.0.0.1", 1), ("127.0.0.1", 1)) == "CLOSED"


def texts_of(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_ruler_has_every_byte_and_every_cut() -> None:
    drawn = texts_of(ruler("A <stream>", [2, 3], [5], b"ab\n\x00 "))
    assert drawn[0] == "A <stream>"
    assert [text for text in drawn if text in ("a", "b", "\\n", "00", "␣")] == ["a", "b", "\\n", "00", "␣"]
    assert {"send() × 2", "recv()", "2", "3", "5"} <= set(drawn)


def test_lanes_show_who_waited_for_how_long() -> None:
    recorder = Recorder()
    with connected() as (ann, bob):
        watched = recorder.watched("bob", bob)
        ann.sendall(b"x")
        assert watched.recv(10) == b"x"
        assert watched.fileno() == bob.fileno()
        watched.setblocking(False)
        assert isinstance(watched.recv(10), BlockingIOError)
    assert [span.words for span in recorder.spans] == [
        "recv() → b'x'",
        f"fileno() → {recorder.spans[1].words.split()[-1]}",
        "setblocking()",
        "recv() → EAGAIN",
    ]
    drawn = texts_of(lanes("Waiting", [Span("ann", 0, 0.5, "recv()"), Span("bob", 0.5, 0.501, "send()")]))
    assert {"ann", "bob", "recv() (500 ms)", "send()"} <= set(drawn)


def test_a_ladder_and_bars_say_what_they_are_given() -> None:
    drawn = texts_of(ladder("Two", ("ann", "bob"), [Rung("close()", "FIN", "→", "FIN_WAIT2", "CLOSE_WAIT")]))
    assert {"ann", "bob", "close()", "FIN", "FIN_WAIT2", "CLOSE_WAIT"} <= set(drawn)
    looks = [Look(0.0, 0, 0), Look(0.1, 4000, 9000, "bob reads"), Look(0.2, 0, 0)]
    assert {"4,000 bytes", "9,000 bytes", "bob reads"} <= set(texts_of(bars("Queues", looks)))


def test_figures_are_the_same_twice() -> None:
    from harness.seen.curves import curves

    first = curves("A title", "x", "y", {"a": [(1, 2), (2, 4)]}, guess="3")
    assert first == curves("A title", "x", "y", {"a": [(1, 2), (2, 4)]}, guess="3")
