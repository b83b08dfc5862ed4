"""Echo with asyncio streams: a coroutine per client, one thread, no callback in sight.

Peculiar: drain() is the back-pressure (the coroutine stops reading while the client does not), the kernel's
accept queue is emptied in gulps of up to 128, TCP_NODELAY is on, and at the limit of descriptors asyncio lets
new clients wait for a second.
"""

import asyncio
import socket

from asyncio_program import run, stop_at_signal

Clients = set[asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clients: Clients) -> None:
    """Serve one client; end without an exception whatever becomes of it."""
    clients.add(writer)
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()  # sends first what is still in its buffer
        await writer.wait_closed()
    except OSError as error:
        print(f"a stream broke: {error!r}", flush=True)
    finally:
        writer.transport.abort()
        clients.discard(writer)


def log_briefly(stopped: asyncio.Event) -> None:
    """Log in one line what asyncio would log with a traceback: that no descriptor was left, for one."""

    def report(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if not stopped.is_set():  # a closed listener that asyncio meant to look at again is no news
            print(f"asyncio says: {context['message']}", flush=True)

    asyncio.get_running_loop().set_exception_handler(report)


async def main(host: str, port: int) -> None:
    """Serve until told to stop."""
    stopped = asyncio.Event()
    stop_at_signal(stopped)
    log_briefly(stopped)
    clients: Clients = set()
    server = await asyncio.start_server(
        lambda reader, writer: echo(reader, writer, clients), host, port, family=socket.AF_INET, backlog=128
    )
    host, port = server.sockets[0].getsockname()
    print(f"listening on {host}:{port}", flush=True)
    await stopped.wait()
    asyncio.get_running_loop().remove_reader(server.sockets[0].fileno())  # see accept_no_more()
    while len(asyncio.all_tasks()) > 1:  # let every coroutine end by itself: Python 3.11 logs cancelled ones
        for writer in clients.copy():
            writer.transport.abort()  # close() would wait for a client that does not read
        await asyncio.sleep(0)
    server.close()


if __name__ == "__main__":
    run(main)
