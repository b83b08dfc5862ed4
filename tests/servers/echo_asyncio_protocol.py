"""Echo as an asyncio Protocol: callbacks, one thread, the transport's own output buffer.

Peculiar: it reads up to 256 KiB at once; pause_writing() and resume_writing() turn the reading off and on, and
with it the kernel's window: a client that does not read is soon not read from either.
"""

import functools

from asyncio_program import Client, run, serve


class Echo(Client):
    """One connection."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


if __name__ == "__main__":
    run(functools.partial(serve, Echo))
