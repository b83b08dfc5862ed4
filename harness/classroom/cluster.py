"""Tasks on the workers of a Dask cluster: each result is fetched as soon as it is there."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any

from harness.cluster import NoCluster, connected, workers_of
from harness.errors import UsageError
from harness.launch.workers import WorkerDied

AHEAD = 2  # tasks that are handed out for each worker: one that it does, and one that waits


class Cluster:
    """A cluster's workers. A task whose worker dies is done by another; one that no worker outlives is told as such."""

    def __init__(self, scheduler: str) -> None:
        """Raises UsageError where there is no cluster."""
        try:
            self._client = connected(scheduler)
        except NoCluster as error:
            raise UsageError(str(error)) from None

    def each(self, tasks: Iterable[Callable[[], Any]]) -> Iterator[tuple[int, Any]]:
        """Yield the number of each task, from 0, and what it returned, or raised, as soon as it is done."""
        import distributed

        as_completed: Any = distributed.as_completed  # it has no types
        waiting = iter(enumerate(tasks))
        numbers: dict[str, int] = {}

        def submitted(most: int) -> list[Any]:
            futures = []
            for number, task in islice(waiting, most):
                future = self._client.submit(task, pure=False)
                numbers[future.key] = number
                futures.append(future)
            return futures

        done = as_completed(submitted(AHEAD * len(workers_of(self._client))), loop=self._client.loop)
        for future in done:
            number = numbers.pop(future.key)
            try:
                result = future.result()
            except distributed.KilledWorker:
                result = WorkerDied("every worker that was given it died")
            except Exception as error:
                result = error
            future.release()  # the cluster need not keep it
            for more in submitted(1):
                done.add(more)
            yield number, result

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()
