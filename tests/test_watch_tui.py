"""`lab watch --tui`: the panes, without a terminal and in a real one."""

import asyncio
import os
import queue
import re
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support import PATIENCE, SOLUTIONS, children_of, in_kit, lab_of
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from harness.checks.verdict import Status, Verdict
from harness.course.stubs import fill
from harness.report.watching import WatchApp

FILE = "lab01_blocking_echo.py"
ECHO = (SOLUTIONS / FILE).read_text(encoding="utf-8")
STEPS = [{"id": f"1.{number}", "title": f"Title {number}", "holds": number == 1} for number in range(1, 6)]
BEGUN = {"event": "begun", "what": "12:00:00  step 1.2", "title": "Lab 1: An echo", "step": "1.2", "steps": STEPS}


def verdict(name: str, status: Status, **fields: Any) -> dict[str, Any]:
    return Verdict(name, "1.2", f"The sentence of {name}.", "A1", "quote", status, 0, 1, **fields).as_dict()


def failing(name: str = "echoes") -> dict[str, Any]:
    rows = [{"seconds": 0.1, "who": "ann", "kind": "send", "data": "'hi'", "bytes": 2, "note": ""}] * 2
    place = {"file": "mine.py", "line": 31, "code": "data = connection.recv(1024)", "says": "Nothing looks for the LF."}
    return verdict(
        name,
        Status.FAIL,
        message="ann got nothing within 5 s",
        expected="'hello'",
        hint="Send it back.",
        server="it is still running",
        output="listening\n\x1b[2J" + "y" * 300,
        in_code=[place],
        transcript=rows,
        by_hand="echoes.py",
    )


class Feed:
    """Events that are handed over one by one, until `end`."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        for event in events:
            self._queue.put(event)

    def end(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (event := self._queue.get()) is not None:
            yield event


def shown(app: WatchApp, name: str) -> str:
    return str(app.query_one(f"#{name}" if name == "state" else f"#{name}-text", Static).content)


def listed(app: WatchApp) -> list[str]:
    return [str(option.prompt) for option in app.query_one(OptionList).options]


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < deadline:
        await pilot.pause(0.01)
    assert holds()
    await pilot.pause()


def in_panes(feed: Feed, test: Callable[[WatchApp, Pilot[None]], Any], size: tuple[int, int] = (80, 24)) -> WatchApp:
    async def run() -> WatchApp:
        app = WatchApp(feed, feed.end, lambda step: f"1 of 2: a hint for {step}")
        async with app.run_test(size=size) as pilot:
            await test(app, pilot)
        return app

    return asyncio.run(run())


@pytest.mark.parametrize("size", [(80, 24), (140, 45)], ids=str)
def test_steps_checks_evidence_and_output_stand_side_by_side(size: tuple[int, int]) -> None:
    made = [
        verdict("listens", Status.PASS),
        failing(),
        verdict("later", Status.BLOCKED, message="'echoes' does not hold"),
    ]
    ended = {"event": "ended", "holds": ["1.1"], "next": "1.2", "text": "Next: step 1.2"}
    feed = Feed(BEGUN, {"event": "made", "checks": made, "folder": "runs/latest"}, ended)

    async def test(app: WatchApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "Next" in shown(app, "state"))
        assert shown(app, "state") == "1 of 3 checks hold. Next: step 1.2"
        assert shown(app, "steps").splitlines()[:3] == ["✓ 1.1 Title 1", "▸ 1.2 Title 2", "  1.3 Title 3"]
        assert listed(app) == ["✓ The sentence of listens.", "✗ The sentence of echoes.", "· The sentence of later."]
        wrong = shown(app, "wrong")
        for told in ("ann got nothing within 5 s", "expected  'hello'", "mine.py, line 31:", "Hint: Send it back."):
            assert told in wrong
        assert "runs/latest/echoes.py" in " ".join(wrong.split())
        assert "──▶ 'hi' (2 bytes)" in shown(app, "dialogue")
        assert "✗ 'hello' was due here" in shown(app, "dialogue")
        assert "\\x1b[2J" in shown(app, "output").replace("\n", "")
        assert "\x1b" not in shown(app, "output")
        for name in ("steps", "wrong", "dialogue", "output"):
            room = app.query_one(f"#{name}").size.width
            assert all(len(line) <= room for line in shown(app, name).splitlines()), name
        await pilot.press("up")
        await until(pilot, lambda: "It holds." in shown(app, "wrong"))
        assert shown(app, "output") == shown(app, "dialogue") == ""
        await pilot.press("down", "down")
        await until(pilot, lambda: "'echoes' does not hold" in shown(app, "wrong"))

    in_panes(feed, test, size)


def test_verdicts_come_one_by_one_and_a_new_round_begins_empty() -> None:
    feed = Feed(BEGUN, {"event": "verdict", "verdict": verdict("listens", Status.PASS)})

    async def test(app: WatchApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(listed(app)) == 1)
        app.take({"event": "verdict", "verdict": failing()})
        await until(pilot, lambda: "ann got nothing" in shown(app, "wrong"))
        app.take(BEGUN)
        await until(pilot, lambda: not listed(app))
        assert shown(app, "wrong") == ""
        app.take({"event": "complained", "text": "labs/x.py, line 3, does not compile"})
        assert shown(app, "state") == "✗ labs/x.py, line 3, does not compile"

    in_panes(feed, test)


def test_a_key_shows_a_hint_and_another_gives_a_pane_all_room() -> None:
    async def test(app: WatchApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "1.2" in shown(app, "steps"))
        await pilot.press("h")
        await until(pilot, lambda: len(app._notifications) == 1)
        (note,) = app._notifications
        assert (note.title, note.message) == ("Hint for step 1.2", "1 of 2: a hint for 1.2")
        before = app.query_one("#checks").size.height
        await pilot.press("z")
        await until(pilot, lambda: app.query_one("#checks").size.height > before)
        await pilot.press("z")
        await until(pilot, lambda: app.query_one("#checks").size.height == before)

    in_panes(Feed(BEGUN), test)


def test_it_ends_when_nobody_tells_anything_any_more() -> None:
    feed = Feed(BEGUN)

    async def test(app: WatchApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "1.2" in shown(app, "steps"))
        feed.end()
        await until(pilot, lambda: app.has_lost_its_source)

    assert in_panes(feed, test).has_lost_its_source


# In a real terminal


def text_of(screen: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.decode("utf-8", errors="replace"))


class Terminal:
    """`lab watch --tui` in a terminal of 80 columns and 24 lines."""

    def __init__(self, kit: Path) -> None:
        import fcntl
        import termios

        self.ours, its = os.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color"}
        words = lab_of(kit, "watch", "--tui")
        self.process = subprocess.Popen(words, cwd=kit, stdin=its, stdout=its, stderr=its, env=environment)
        os.close(its)
        self.seen = b""

    def until(self, text: str) -> None:
        """Read what is drawn until a text is."""
        deadline = time.monotonic() + 3 * PATIENCE
        while text not in text_of(self.seen):
            assert select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))[0], text_of(self.seen)
            try:
                self.seen += os.read(self.ours, 65536)
            except OSError:  # it has ended
                raise AssertionError(text_of(self.seen)) from None

    def read_to_the_end(self) -> None:
        """Take what it draws last."""
        with suppress(OSError):  # which is how the end shows on Linux
            while select.select([self.ours], [], [], PATIENCE)[0] and os.read(self.ours, 65536):
                pass

    def end(self) -> None:
        """End it whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


@pytest.mark.skipif(sys.platform != "linux", reason="it needs a terminal that a test can have, and /proc")
def test_in_a_terminal_a_save_turns_a_step_green_and_a_key_ends_all(kit: Path) -> None:
    terminal = Terminal(kit)
    try:
        terminal.until("Next: step 1.1")
        (watching,) = children_of(terminal.process.pid)
        terminal.seen = b""
        (kit / "labs" / FILE).write_text(fill(ECHO, ("1.1",)), encoding="utf-8")
        terminal.until("Next: step 1.2")
        os.write(terminal.ours, b"q")
        terminal.read_to_the_end()
        assert terminal.process.wait(PATIENCE) == 0
        assert not Path(f"/proc/{watching}").exists()
    finally:
        terminal.end()


def test_without_a_terminal_it_says_so(kit: Path) -> None:
    done = in_kit(kit, "watch", "--tui")
    assert (done.returncode, "--tui needs a terminal" in done.stderr) == (2, True)


def test_what_watches_says_why_it_cannot(kit: Path) -> None:
    done = subprocess.run(lab_of(kit, "watch", "99", "--events"), cwd=kit, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no lab 99" in done.stderr
