"""Locust as a peer for the kit's load engine: one User on TCP, which does what client_peers.py does.

    locust_user.py echo|open HOST PORT CLIENTS SECONDS [RATE]

Locust keeps its own statistics beside, as it does for everyone. When a request is due is ours to say: Locust has no
open loop.
"""

import os
import sys
import time

# isort: split  (Locust patches sockets and ssl: nobody may import them before)
from client_peers import SECOND, SIZE, Tally, ask, connected, read_load
from gevent.event import Event
from locust import User, events, task
from locust.env import Environment
from locust.exception import StopUser


def main() -> None:
    """Run as many users as there are clients, and print what load.c prints."""
    load = read_load(sys.argv[1:])
    tally = Tally(load)
    connections = list(enumerate(connected(load)))
    begun, over = Event(), Event()

    class Asking(User):
        def on_start(self) -> None:
            self.client, self.connection = connections.pop()
            self.asked = 0
            if not connections:
                tally.start()
                begun.set()
            begun.wait()
            self.dues = tally.dues(self.client)
            self.wait_time()

        def wait_time(self) -> float:
            try:
                self.due = next(self.dues)
            except StopIteration:
                over.set()
                raise StopUser from None
            return max(0, self.due - time.perf_counter_ns()) / SECOND

        @task
        def ask(self) -> None:
            ask(self.connection, self.client, self.asked)
            self.asked += 1
            latency = tally.reply(self.due) - self.due
            self.environment.events.request.fire(
                request_type="TCP", name="echo", response_time=latency / 1e6, response_length=SIZE, exception=None
            )

    environment = Environment(user_classes=[Asking], events=events)
    environment.create_local_runner().start(load.clients, spawn_rate=load.clients)
    over.wait()
    while tally.answered < tally.all:  # others are still waiting for their replies
        time.sleep(0.01)  # between two looks at a state that the runner announces to nobody
    tally.tell()
    os._exit(0)  # Locust's own way out tells of every user that it has to stop


if __name__ == "__main__":
    main()
