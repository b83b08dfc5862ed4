"""A peer for the benchmarks: an echo server on twisted.

twisted_echo.py --port PORT
"""

import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol


class Echo(Protocol):
    """Sends back what comes."""

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


def main() -> None:
    """Serve until ended."""
    found: Any = reactor
    port = found.listenTCP(int(sys.argv[-1]), Factory.forProtocol(Echo), backlog=1024, interface="127.0.0.1")
    print(f"listening on 127.0.0.1:{port.getHost().port}", flush=True)
    found.run()


if __name__ == "__main__":
    main()
