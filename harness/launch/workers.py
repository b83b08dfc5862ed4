"""Functions of our own in other processes: a few that are started once, and given one task each again and again."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from harness.launch.processes import end_with

RENEWED_AFTER = 50  # tasks: what one of them leaves behind in a worker does not add up

Task = Callable[[], Any]  # something that can be pickled: a partial of a function of a module


class WorkerDied(Exception):
    """A worker ended in the middle of its task; the text says which one, and how."""


class Workers:
    """Processes that do tasks side by side. As a context manager it ends them, whatever they do."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._workers: list[tuple[Any, Connection]] = []

    def run(self, tasks: Sequence[Task], watch: Callable[[], None], every: float) -> list[Any]:
        """Do as many tasks as there are workers at most, at the same time; return what they return, in their order.

        `watch` is called each `every` seconds meanwhile. What one of them raises is raised here, at once; the others
        are ended, because they may wait for that one. Raises WorkerDied.
        """
        self._start()
        results: dict[int, Any] = {}
        try:
            for task, (_, pipe) in zip(tasks, self._workers, strict=False):
                pipe.send(task)
            while len(results) < len(tasks):
                waiting = {self._workers[number][1]: number for number in range(len(tasks)) if number not in results}
                for ready in wait(list(waiting), every):
                    number = waiting[cast("Connection", ready)]
                    results[number] = self._result(number)
                watch()
        except BaseException:
            self.close()
            raise
        return [results[number] for number in range(len(tasks))]

    def each(self, tasks: Iterable[Task]) -> Iterator[tuple[int, Any]]:
        """Do any number of tasks; yield the number of each, from 0, and what it returned, as soon as it is done.

        What a task raised is yielded in place of a result, and so is a WorkerDied, for the one whose worker died.
        """
        self._start()
        waiting = enumerate(tasks)
        busy: dict[int, int] = {}  # the number of the task that each worker has
        done = [0] * self.number
        while True:
            for place in set(range(self.number)) - set(busy):
                if done[place] >= RENEWED_AFTER:
                    self._renew(place)
                    done[place] = 0
                if (next_one := next(waiting, None)) is not None:
                    number, task = next_one
                    self._workers[place][1].send(task)
                    busy[place] = number
            if not busy:
                return
            pipes = {self._workers[place][1]: place for place in busy}
            for ready in wait(list(pipes)):
                place = pipes[cast("Connection", ready)]
                number = busy.pop(place)
                done[place] += 1
                try:
                    result = self._result(place)
                except WorkerDied as died:
                    self._renew(place)
                    result = died
                except Exception as error:
                    result = error
                yield number, result

    def _start(self) -> None:
        while len(self._workers) < self.number:
            self._workers.append(_begin())

    def _renew(self, place: int) -> None:
        process, pipe = self._workers[place]
        process.kill()
        pipe.close()
        process.join()
        self._workers[place] = _begin()

    def _result(self, number: int) -> Any:
        process, pipe = self._workers[number]
        try:
            good, result = pipe.recv()
        except (EOFError, ConnectionError):
            process.join()
            raise WorkerDied(f"worker {number + 1} of {self.number} {_how(process.exitcode)}") from None
        if not good:
            raise result
        return result

    def close(self) -> None:
        """End all workers; a later run() starts new ones."""
        for process, pipe in self._workers:
            process.kill()
            pipe.close()
        for process, _ in self._workers:
            process.join()
        self._workers.clear()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _begin() -> tuple[Any, Connection]:
    context = multiprocessing.get_context("spawn")  # a fork would copy our threads' locks, and our descriptors
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, os.getpid()), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _work(pipe: Connection, parent: int) -> None:
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started us, and who ends us then
    with suppress(EOFError):
        while True:
            task = pipe.recv()
            try:
                answer = (True, task())
            except Exception as error:
                answer = (False, error)
            pipe.send(answer)
