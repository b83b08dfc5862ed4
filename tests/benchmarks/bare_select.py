"""A peer for the benchmarks: the least that an echo server on select() can be in Python.

    bare_select.py --port PORT

It keeps no rest, survives no reset and knows no limit: what it reaches against C is what select() in Python can
reach on a machine, and what lab 5 does more than this is what being right costs.
"""

import select
import socket
import sys


def main() -> None:
    """Serve until killed."""
    listener = socket.create_server(("127.0.0.1", int(sys.argv[-1])), backlog=1024)
    listener.setblocking(False)
    print("listening", flush=True)
    connections = {listener.fileno(): listener}
    while True:
        for number in select.select(connections, [], [])[0]:
            connection = connections[number]
            try:
                if connection is listener:
                    accepted, _ = listener.accept()
                    accepted.setblocking(False)
                    connections[accepted.fileno()] = accepted
                elif data := connection.recv(65536):
                    connection.send(data)
                else:
                    del connections[number]
            except BlockingIOError:
                pass  # what made it ready is gone again
            except ConnectionError:
                return  # the load has ended


if __name__ == "__main__":
    main()
