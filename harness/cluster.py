"""A Dask cluster: other processes, on other machines perhaps, that have this kit (`pip install` of its folder)."""

import re
import socket
from typing import Any

FOUND_WITHIN = 10  # seconds until a scheduler answers
SCHEDULER = re.compile(r"(\w+://)?\[?(?P<host>[^/]+?)\]?:(?P<port>\d+)")


class NoCluster(Exception):
    """There is none; the text says what to do about it."""


def connected(scheduler: str) -> Any:
    """Return a client of a scheduler that has workers; raises NoCluster."""
    try:
        from distributed import Client
    except ImportError:
        raise NoCluster("--scheduler needs the package distributed: pip install distributed") from None
    address = SCHEDULER.fullmatch(scheduler)
    if not address:
        raise NoCluster(f"--scheduler takes an address such as tcp://127.0.0.1:8786; not {scheduler!r}")
    connect: Any = Client  # it has no types
    try:
        # A client that finds nobody cannot be closed without noise: so first look whether somebody is there.
        socket.create_connection((address["host"], int(address["port"])), FOUND_WITHIN).close()
        client = connect(scheduler, timeout=FOUND_WITHIN, set_as_default=False)
    except (OSError, ValueError) as error:
        raise NoCluster(f"no scheduler answers at {scheduler}: {error}; start one with: dask scheduler") from None
    if not workers_of(client):
        client.close()
        raise NoCluster(f"the scheduler at {scheduler} has no workers; start one with: dask worker {scheduler}")
    return client


def workers_of(client: Any) -> list[str]:
    """Return the addresses of all workers."""
    return list(client.scheduler_info(n_workers=-1)["workers"])
