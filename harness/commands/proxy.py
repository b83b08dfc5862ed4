"""`lab proxy`: between a client and a server, the weather of a network."""

import argparse
import re
import threading
import time
from collections import Counter
from collections.abc import Callable

from rich.text import Text

from harness.errors import UsageError
from harness.report.safe import safe
from harness.report.sequence.text import fitted
from harness.report.terminal import console, say
from harness.shell import LAB
from harness.wire.link import Address
from harness.wire.proxy import Proxy, Visit
from harness.wire.relay import Direction, Passage
from harness.wire.weather import Weather

ADDRESS = re.compile(r"(?:(?P<host>[^:\s]+):)?(?P<port>\d{1,5})")
HOST = "127.0.0.1"
PAUSE = 2.0  # ms between segments that are cut: without, they would be one again at the other end
ROOM = 60  # columns of data
ARROWS = {Direction.THERE: "──▶", Direction.BACK: "◀──"}
PASSED = {Passage.END: "FIN (the end of the stream)", Passage.RESET: "RST (the connection is over)"}


def proxy(args: argparse.Namespace) -> int:
    """Pass connections on until Ctrl-C."""
    listen, server = address_of(args.listen), address_of(args.to)
    weather, out, began = _weather(args), console(), time.monotonic()
    printing = threading.Lock()

    def tell(number: int, text: str) -> None:
        with printing:
            say(out, Text(f"{1000 * (time.monotonic() - began):10.1f}  {number:>3}  {text}"))

    def visit(number: int, client: Address) -> Visit:
        return _Told(number, client, tell, args.show)

    try:
        passing = Proxy(listen, server, weather, visit)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {_shown(listen)}: {error.strerror or error}; choose another port, 0 takes a free one"
        ) from None
    with passing:
        say(out, f"listening on {_shown(passing.address)}; passes on to {_shown(server)}: {weather}")
        say(out, "stop it with Ctrl-C")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            say(out, "stopped")
    return 0


def address_of(text: str) -> Address:
    """Read `5555` or `127.0.0.1:5555`."""
    match = ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise UsageError(f"{text!r} is no address; write a port, 5555, or host and port, 127.0.0.1:5555")
    return match["host"] or HOST, int(match["port"])


def _weather(args: argparse.Namespace) -> Weather:
    pause = args.pause if args.pause is not None else PAUSE * bool(args.chunk)
    try:
        return Weather(
            delay=args.delay / 1000,
            jitter=args.jitter / 1000,
            chunk=args.chunk,
            pause=pause / 1000,
            rate=args.rate,
            reset_after=args.reset_after,
            reset_chance=args.reset_chance,
            seed=args.seed,
            only=args.only,
        )
    except ValueError as error:
        raise UsageError(f"--{error}") from None


def _shown(address: Address) -> str:
    return f"{address[0]}:{address[1]}"


class _Told(Visit):
    """A connection whose beginning and end are printed; with `show`, all that passes."""

    def __init__(self, number: int, client: Address, tell: Callable[[int, str], None], show: bool) -> None:
        super().__init__(number, client)
        self._tell, self._show = tell, show
        self._passed: Counter[Direction] = Counter()

    def opened(self) -> None:
        """Say so."""
        self._tell(self.number, f"{_shown(self.client)} connects")

    def refused(self, why: str) -> None:
        """Say what is to be done."""
        self._tell(self.number, f"the server cannot be reached ({why}): is it started, as with `{LAB} run`?")

    def seen(self, direction: Direction, passage: Passage, data: bytes) -> None:
        """Count it, and print it if that was asked for."""
        self._passed[direction] += len(data)
        if self._show or passage is Passage.RESET:
            what = f"{fitted(safe(repr(data)[1:]), ROOM)} ({len(data)})" if data else PASSED[passage]
            self._tell(self.number, f"{ARROWS[direction]} {what}")

    def closed(self) -> None:
        """Say how much has passed."""
        there, back = self._passed[Direction.THERE], self._passed[Direction.BACK]
        self._tell(self.number, f"is over: {there} bytes there, {back} bytes back")
