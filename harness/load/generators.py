"""Where a load is made: in processes of this machine, or on the workers of a Dask cluster; their figures are added."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Protocol

from harness.cluster import NoCluster, connected, workers_of
from harness.launch.descriptors import TooFew, own_descriptors
from harness.launch.network import Network
from harness.launch.workers import WorkerDied, Workers
from harness.load.engine import Address
from harness.load.outcome import CannotLoad, Outcome, Share

LOOK = 0.05  # seconds between two looks at what the server uses
OWN_DESCRIPTORS = 64  # that a generator, or a server, has beside those of its clients
FAR_LOOK = 0.5  # seconds between two looks at whether all workers of a cluster are there


class Load(Protocol):
    """What some clients do, as data."""

    @property
    def clients(self) -> int:
        """How many there are."""

    @property
    def most_generators(self) -> int:
        """How many generators may share it."""

    def run(self, address: Address, share: Share) -> Outcome:
        """Do one generator's share of it against a server."""

    def check(self, outcome: Outcome) -> None:
        """Raise LoadFault where what all generators together have heard shows a fault that none saw alone."""


class Reached(Protocol):
    """A server, and how to get to it."""

    @property
    def address(self) -> Address:
        """Where it listens."""

    def network(self) -> Network:
        """Return a way into its network, for one generator."""


class GeneratorDied(Exception):
    """A generator ended in the middle of a load, so that its figures are missing; the text says which one, and how."""


def make(load: Load, address: Address, share: Share) -> Outcome:
    """Make one generator's share of a load, with as many descriptors as that takes. Raises as the load does."""
    clients = len(range(share.number, load.clients, share.of))
    try:
        with own_descriptors(clients + OWN_DESCRIPTORS):
            return load.run(address, share)
    except TooFew as error:
        raise CannotLoad(
            f"{clients:,} clients in one process need {clients + OWN_DESCRIPTORS:,} descriptors, and {error}: take "
            "fewer clients, or more generators (--generators)"
        ) from None


def checked(load: Load, outcomes: list[Outcome]) -> Outcome:
    """Add up what the generators of one load have measured, and check the whole. Raises LoadFault."""
    whole = together(outcomes)
    load.check(whole)
    return whole


def together(outcomes: list[Outcome]) -> Outcome:
    """Add up what the generators of one load have measured."""
    whole = outcomes[0]
    for outcome in outcomes[1:]:
        whole.add(outcome)
    return whole


class Local:
    """Generators in processes of this machine, one a core that the server leaves free."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._workers = Workers(number)

    def run(self, load: Load, server: Reached, watch: Callable[[], None]) -> Outcome:
        """Make a load; call `watch` meanwhile. Raises as the load does, or GeneratorDied."""
        number = min(self.number, load.most_generators)
        try:
            with ExitStack() as stack:
                shares = [Share(one, number, stack.enter_context(server.network())) for one in range(number)]
                tasks = [partial(make, load, server.address, share) for share in shares]
                return checked(load, self._workers.run(tasks, watch, LOOK))
        except WorkerDied as error:
            raise GeneratorDied(f"a generator died ({error}): nothing of this measurement counts") from None

    def __enter__(self) -> "Local":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._workers.close()


class Cluster:
    """Generators on the workers of a Dask cluster, one on each.

    The workers need this kit (`pip install` of its folder), and must reach the server's address.
    """

    def __init__(self, scheduler: str) -> None:
        """Raises CannotLoad when no scheduler answers there, or when it has no workers."""
        try:
            self._client = connected(scheduler)
        except NoCluster as error:
            raise CannotLoad(str(error)) from None
        self._places = workers_of(self._client)
        self.number = len(self._places)

    def run(self, load: Load, server: Reached, watch: Callable[[], None]) -> Outcome:
        """Make a load; call `watch` meanwhile. Raises as the load does, or GeneratorDied."""
        address = server.address
        places = self._places[: load.most_generators]
        futures = [
            self._client.submit(make, load, address, Share(number, len(places)), workers=[place], pure=False, retries=0)
            for number, place in enumerate(places)
        ]
        looked = time.monotonic()
        try:
            while any(future.status == "pending" for future in futures):
                if any(future.status == "error" for future in futures):
                    break  # the others may wait for that one
                watch()
                if time.monotonic() - looked > FAR_LOOK:
                    self._look_for(places)
                    looked = time.monotonic()
                time.sleep(LOOK)  # between two looks: the clients are far away, and keep their own time
            watch()
            for future in futures:
                if future.status == "error":
                    self._look_for(places)
                    future.result()
            return checked(load, self._client.gather(futures))
        finally:
            self._client.cancel(futures)

    def _look_for(self, places: list[str]) -> None:
        there = workers_of(self._client)
        for number, place in enumerate(places, start=1):
            if place not in there:
                self._places = [one for one in self._places if one in there]
                raise GeneratorDied(
                    f"a generator died (number {number} of {len(places)}, at {place}): nothing of this measurement "
                    "counts"
                )

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()


Generators = Local | Cluster
