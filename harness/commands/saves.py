"""When a file is saved: what `lab watch` waits for, and what cuts its checks short."""

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from harness.commands.choose import shown
from harness.errors import UsageError
from harness.shell import LAB

SAVED: Any = getattr(signal, "SIGUSR1", None) or getattr(signal, "SIGBREAK", None)  # the latter on Windows
GROUPED, QUIET, LOOK = 200, 50, 100  # milliseconds: a save is over after QUIET ones, or after GROUPED in all
DELICATE = {"__init__", "__enter__", "__exit__", "close", "hand_on", "_fill"}  # functions


class Saves:
    """Tells when a Python file of a folder was saved; what is at work just then can be cut short by it.

    A thread listens, and sends a signal to the main thread, which wakes it from whatever it waits for. That signal
    raises KeyboardInterrupt, as Ctrl-C does, but only inside of `cut_short`, and not where it would do harm;
    `stopped` tells that it was Ctrl-C.
    """

    def __init__(self, folder: Path, poll: bool = False) -> None:
        self.stopped = False
        self._folder, self._poll = folder, poll
        self._listens, self._fresh, self._end = threading.Event(), threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._may_cut = False
        self._thread = threading.Thread(target=self._listen, name="saves", daemon=True)

    def wait(self) -> None:
        """Wait until a file is saved, or was since `begin`; raise UsageError where that cannot be seen."""
        self._wait_for(self._fresh)

    def begin(self) -> None:
        """What was saved up to now is about to be looked at."""
        self._fresh.clear()

    def is_fresh(self) -> bool:
        """Whether a file was saved since `begin`."""
        return self._fresh.is_set()

    @contextmanager
    def cut_short(self) -> Iterator[None]:
        """Raise KeyboardInterrupt in the block as soon as a file is saved, or at once if one was since `begin`."""
        self._may_cut = True
        try:
            if self.is_fresh():
                raise KeyboardInterrupt
            yield
        finally:
            self._may_cut = False

    def _wait_for(self, event: threading.Event) -> None:
        while not event.wait(0.5):  # without an end, Ctrl-C would not be seen on Windows
            if self.stopped:
                raise KeyboardInterrupt
        if self._error:
            raise UsageError(
                f"saves in {shown(self._folder)} cannot be seen ({self._error}): "
                f"`{LAB} watch --poll` looks there again and again instead"
            )

    def _listen(self) -> None:
        from watchfiles import watch

        try:
            for changes in watch(
                self._folder,
                watch_filter=_is_save,
                debounce=GROUPED,
                step=QUIET,
                stop_event=self._end,
                rust_timeout=LOOK,
                yield_on_timeout=True,  # so that it is known from when on it looks
                force_polling=self._poll or None,
                recursive=False,
            ):
                self._listens.set()
                if changes:
                    self._fresh.set()
                if self.is_fresh() and self._may_cut:
                    self._signal()  # and again a moment later, where nothing could be cut short just then
        except (OSError, RuntimeError) as error:
            self._error = error
            self._listens.set()
            self._fresh.set()

    def _signal(self) -> None:
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, SAVED)
        else:
            _thread.interrupt_main(SAVED)

    def _on_save(self, _: int, frame: FrameType | None) -> None:
        if self._may_cut and not _is_delicate(frame):
            self._may_cut = False
            raise KeyboardInterrupt

    def _on_interrupt(self, *_: int | FrameType | None) -> None:
        self.stopped = True
        raise KeyboardInterrupt

    def __enter__(self) -> "Saves":
        signal.signal(SAVED, self._on_save)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as it is in the background of a script
            signal.signal(signal.SIGINT, self._on_interrupt)
        self._thread.start()
        try:
            self._wait_for(self._listens)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def _is_delicate(frame: FrameType | None) -> bool:
    """Whether something is just being started or ended there: cut short, it would be left half made."""
    while frame and frame.f_code.co_name not in DELICATE:
        frame = frame.f_back
    return frame is not None


def _is_save(change: int, path: str) -> bool:
    """Whether an event in the folder is a save: editors also make locks and copies with names of their own."""
    from watchfiles import Change

    name = Path(path).name
    return change != Change.deleted and name.endswith(".py") and not name.startswith((".", "#"))
