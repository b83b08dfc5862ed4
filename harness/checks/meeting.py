"""Two programs that were never made for each other: somebody's chat client comes to somebody else's chat server.

They meet through a relay of ours, for each may be contained in a network of its own. A user (ours, too) types at the
client and reads what it shows; bob, who speaks to the server himself, sees what comes of it.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from harness.checks.bench import Bench, Starter
from harness.checks.chat import Guest, join
from harness.checks.subject import Subject
from harness.checks.visitor import ENDED_WELL, Visitor
from harness.wire import Fault, Transcript
from harness.wire.link import CONNECT_PATIENCE
from harness.wire.relay import Relay

HIS = "bob"
SAYS, ANSWERS = "hello from Zürich 🙂", "hello, nice to see you"
WHISPERS, WHISPERS_BACK = "psst", "what is it?"
LONGEST = 120  # characters of what was due, and of what came
TRIES = 2  # to start a server; what does not start twice is met by nobody


@dataclass
class Cast:
    """Who plays in the scenes."""

    bob: Guest
    user: Visitor
    name: str  # under which the user registers

    @property
    def new_name(self) -> str:
        """Under which the user leaves."""
        return f"{self.name}x"

    def type(self, line: str) -> None:
        """Type a line."""
        self.user.type(f"{line}\n".encode())


def _is_asked(cast: Cast) -> None:
    cast.user.expect_line_with(b"username")


def _registers(cast: Cast) -> None:
    cast.type(cast.name)
    cast.user.expect_line_with(b"Welcome", cast.name.encode())
    cast.bob.expect_joined(cast.name)


def _is_heard(cast: Cast) -> None:
    cast.type(SAYS)
    cast.bob.expect_message(cast.name, SAYS)


def _hears(cast: Cast) -> None:
    cast.bob.say(ANSWERS)
    cast.user.expect_line_with(f"[{HIS}] {ANSWERS}".encode())


def _whispers(cast: Cast) -> None:
    cast.type(f"/whisper {HIS} {WHISPERS}")
    cast.bob.expect_private_from(cast.name, WHISPERS)
    cast.bob.say(f"/whisper {cast.name} {WHISPERS_BACK}")
    cast.user.expect_line_with(f"[PRIVATE FROM {HIS}] {WHISPERS_BACK}".encode())
    cast.bob.expect_private_to(cast.name, WHISPERS_BACK)


def _lists(cast: Cast) -> None:
    cast.type("/list")
    cast.user.expect_line_with(f"Connected users (2): {HIS}, {cast.name}".encode())


def _is_renamed(cast: Cast) -> None:
    cast.type(f"/nick {cast.new_name}")
    cast.bob.expect_renamed(cast.name, cast.new_name)
    cast.user.expect_line_with(b"is now", cast.new_name.encode())


def _leaves(cast: Cast) -> None:
    cast.type("/exit")
    cast.user.expect_line_with(b"Goodbye")
    cast.user.expect_exit(ENDED_WELL)
    cast.bob.expect_left(cast.new_name)
    cast.bob.expect_silence()


SCENES: dict[str, Callable[[Cast], None]] = {
    "the client shows the server's question for a name": _is_asked,
    "a name is given, and the user is welcomed": _registers,
    "what is typed reaches the others": _is_heard,
    "what others say is shown": _hears,
    "whispers go both ways": _whispers,
    "/list shows who is here": _lists,
    "/nick changes the name": _is_renamed,
    "/exit ends it, on both sides": _leaves,
}


@dataclass(frozen=True)
class Encounter:
    """What came of a meeting."""

    held: int  # scenes, from the first on
    message: str = ""  # what went wrong in the next one; "" if all held


@dataclass
class Host:
    """A server that receives client after client; where one was received badly, another server is started."""

    starter: Starter
    _bench: Bench | None = None
    _bob: Guest | None = None
    _met: int = 0
    _failed: int = 0  # times in a row that it did not even start
    _why: str = ""

    def receive(self, clients: Starter) -> Encounter:
        """Let a client come, play the scenes, and say what came of it. Raises LaunchError."""
        try:
            server, bob = self._ready()
        except Fault as fault:
            return Encounter(0, f"of the server: {_told(fault)}")
        self._met += 1
        held = 0
        try:
            for _ in _play(server, bob, clients, f"zoe{self._met}"):
                held += 1
        except Fault as fault:
            self.close()
            return Encounter(held, _told(fault))
        return Encounter(held)

    def _ready(self) -> tuple[Subject, Guest]:
        if self._failed >= TRIES:
            raise Fault(self._why)
        if self._bench is None or self._bob is None:
            self._bench = Bench(self.starter, Transcript())
            try:
                self._bob = join(self._bench.start(), HIS)
            except Fault as fault:
                self.close()
                self._failed, self._why = self._failed + 1, _told(fault)
                raise
            self._failed = 0
        (server,) = self._bench.subjects
        assert isinstance(server, Subject)
        return server, self._bob

    def close(self) -> None:
        """End the server."""
        if self._bench:
            self._bench.close()
        self._bench = self._bob = None


def _play(server: Subject, bob: Guest, clients: Starter, name: str) -> Iterator[None]:
    """Play the scenes; yield after each that held. Raises Fault at the first that does not."""
    with ExitStack() as stack:
        visit = clients.invite()
        user = Visitor(visit.program, server.transcript, clients.patience, visit.listener)
        stack.callback(visit.close)
        relay = Relay(user.accept_socket(), _connected(server))
        stack.callback(relay.close)
        relay.start()
        cast = Cast(bob, user, name)
        for scene in SCENES.values():
            scene(cast)
            yield


def _told(fault: Fault) -> str:
    """Return in one line what was wrong, what was due, and the end of what came."""
    due, came = (_words(text) for text in (fault.expected, fault.received))
    return fault.what + (f"; due: {due}" if due else "") + (f"; came: {came}" if came else "")


def _words(text: str | bytes) -> str:
    told = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    return " / ".join(told.splitlines())[-LONGEST:]


def _connected(server: Subject) -> socket.socket:
    """Connect to a server as anybody would."""
    sock = server.new_socket()
    try:
        sock.settimeout(CONNECT_PATIENCE)
        sock.connect(server.address)
    except OSError as error:
        sock.close()
        raise Fault(f"nobody can connect to the server: {error.strerror or error}") from None
    return sock
