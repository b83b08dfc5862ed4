"""A chat client on asyncio: two tasks, and a prompt behind every line that is shown."""

import argparse
import asyncio
import os
import re
import signal
import sys

NOT_SHOWN = re.compile(r"[^\t -~\u00a0-\U0010ffff]")
LIMIT = 1 << 26
PROMPT = "chat> "


def show(text: str) -> None:
    """Show a line, and ask for the next one."""
    sys.stdout.buffer.write(f"{text}\n{PROMPT}".encode(errors="replace"))
    sys.stdout.buffer.flush()


class Client:
    """A connection, and whether its user wants to leave."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.leaving = False

    async def receive(self) -> str:
        """Show what comes; return why it ended."""
        try:
            while (line := await self.reader.readline()).endswith(b"\n"):
                text = line.rstrip(b"\n").removesuffix(b"\r").decode(errors="replace")
                show(NOT_SHOWN.sub("·", text))
        except OSError as error:
            return f"lost: {error}"
        return "closed"

    async def send(self, keyboard: asyncio.StreamReader) -> None:
        """Send what is typed, until the end of it."""
        while line := await keyboard.readline():
            if line.rstrip(b" \r\n") == b"/exit":
                return
            self.writer.write(line if line.endswith(b"\n") else line + b"\n")
            try:
                await self.writer.drain()
            except OSError:
                await asyncio.Future()  # receive() knows more


async def keyboard() -> asyncio.StreamReader:
    """Return standard input as a stream."""
    reader = asyncio.StreamReader(limit=LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def talk(host: str, port: int, timeout: float) -> int:
    """Connect, and talk until one of the two sides ends it."""
    interrupted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    pressed = asyncio.create_task(interrupted.wait())
    opening = asyncio.create_task(asyncio.open_connection(host, port, limit=LIMIT))
    await asyncio.wait({opening, pressed}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        print("gave up" if interrupted.is_set() else f"{host}:{port} does not answer", file=sys.stderr)
        return 1
    try:
        client = Client(*opening.result())
    except OSError as error:
        print(f"cannot reach {host}:{port}: {error}", file=sys.stderr)
        return 1
    receiving = asyncio.create_task(client.receive())
    sending = asyncio.create_task(client.send(await keyboard()))
    await asyncio.wait({receiving, sending, pressed}, return_when=asyncio.FIRST_COMPLETED)
    if receiving.done():
        show(f"-- the connection was {receiving.result()}")
        return 0
    sending.cancel()
    client.writer.write(b"/exit\n")
    await asyncio.wait({receiving}, timeout=2)
    show("-- bye")
    return 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    parser.add_argument("--timeout", type=float, default=5.0)
    args = parser.parse_args()

    async def run() -> None:
        status = await talk(args.host, args.port, args.timeout)
        sys.stdout.flush()
        os._exit(status)  # tasks that still wait need not be told

    asyncio.run(run())


if __name__ == "__main__":
    main()
