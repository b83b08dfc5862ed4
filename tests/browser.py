"""Chromium without a window, led through its pipe (the DevTools protocol): what a person does on a page."""

import base64
import fcntl
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import CHROMIUM, PATIENCE

QUIET = ("gpu", "quic", "background-networking", "component-update", "sync", "default-apps", "extensions")
KEYS = {
    "Enter": 13,
    "Escape": 27,
    "Tab": 9,
    "ArrowDown": 40,
    "ArrowUp": 38,
    "ArrowLeft": 37,
    "ArrowRight": 39,
    "End": 35,
}


class Browser:
    """A page in Chromium; `said` is what its console and its log have said."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._buffer, self._number, self._session = b"", 0, ""
        self.said: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")

    def open(self, page: Path | str) -> None:
        """Load a page, a file or an address, to its end."""
        self._ask("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def do(self, script: str) -> Any:
        """Run a script as its user's tools do, beside the page's own policy; return its value."""
        done = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key."""
        fields = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self._ask("Input.dispatchKeyEvent", type="keyDown", **fields, **text)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **fields)

    def resize(self, width: int, height: int) -> None:
        """Give the page a size, in pixels."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def without_scripts(self) -> None:
        """Run no scripts of the pages that are opened from now on."""
        self._ask("Emulation.setScriptExecutionDisabled", value=True)

    def picture(self, file: Path) -> None:
        """Write what is seen as a PNG file."""
        file.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))

    def _ask(self, method: str, **words: Any) -> Any:
        self._number += 1
        asked = {"id": self._number, "method": method, "params": words}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._commands, json.dumps(asked).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        """Return the next message; note what the page says."""
        deadline = time.monotonic() + 3 * PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "Chromium does not answer"
            data = os.read(self._answers, 1 << 20)
            assert data, "Chromium has ended"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if message.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.said.append(json.dumps(message["params"]))
        return message


@contextmanager
def a_browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium and end it; `profile` is a folder of its own."""
    assert CHROMIUM is not None
    words = [CHROMIUM, "--headless", "--no-sandbox", "--no-first-run", "--remote-debugging-pipe"]
    words += [f"--user-data-dir={profile}", *(f"--disable-{what}" for what in QUIET)]
    heard, commands = os.pipe()
    answers, told = os.pipe()
    theirs = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (heard, told)]

    def take_pipes() -> None:
        for place, one in zip((3, 4), theirs, strict=True):  # where Chromium looks for them
            os.dup2(one, place)

    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=take_pipes, pass_fds=(3, 4)
    )
    for one in (heard, told, *theirs):
        os.close(one)
    try:
        yield Browser(commands, answers)
    finally:
        os.close(commands)  # Chromium ends when nobody leads it any more
        os.close(answers)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
