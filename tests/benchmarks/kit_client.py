"""The kit's own load engine as a command that is told what load.c is told, and prints what it prints.

kit_client.py echo|open HOST PORT CLIENTS SECONDS [RATE]
"""

import sys

from client_peers import print_result, read_load

from harness.load.echo import EchoLoad


def main() -> None:
    """Run it once."""
    load = read_load(sys.argv[1:])
    outcome = EchoLoad(
        clients=load.clients,
        requests=None,
        pause=0.0,
        rate=load.rate,
        duration=load.seconds,
        warm_up=load.seconds / 5,
    ).run((load.host, load.port))
    print_result(outcome.answers, outcome.seconds, outcome.busy, outcome.latencies.percentile)


if __name__ == "__main__":
    main()
