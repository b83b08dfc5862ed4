"""Checks that mostly wait are made beside the others, in threads, once the program is known to work at all."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from harness.checks.bench import Bench

AT_A_TIME = 4


@dataclass
class Beside:
    """The checks that were begun, by their ids; each has a bench of its own."""

    benches: dict[str, Bench] = field(default_factory=dict)
    _futures: dict[str, "Future[None]"] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_A_TIME, "check"))

    def begin(self, name: str, check: Callable[[Bench], None], bench: Bench) -> None:
        """Make a check when a thread is free for it."""
        self.benches[name] = bench
        self._futures[name] = self._threads.submit(check, bench)

    def finish(self, name: str) -> None:
        """Wait for the end of a check that was begun; raise what it raised."""
        self._futures[name].result()

    def close(self) -> None:
        """Give up what nobody waits for any more (a run that was stopped early)."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._close_benches()  # whoever waits for a program is disappointed now
        self._threads.shutdown()
        self._close_benches()

    def _close_benches(self) -> None:
        for bench in self.benches.values():
            bench.close()
