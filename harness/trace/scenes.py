"""What clients do while a server is traced: a small scene for each kind of service, always the same.

One client is silent, one does not read, and one asks in the meantime: who has to wait for whom is what differs between
servers. The pauses are what is shown, and wait for nothing.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from harness.wire import Fault, Patience, Peer, Transcript
from harness.wire.link import Server
from harness.wire.transcript import Kind

SMALL = 4096  # bytes of the receive buffer of a client that does not read
MUCH, MOST = b"much " * 2000, 2 << 20  # what it sends all the same, again and again, and how many bytes at most
LINE, LINES = 1000, 600  # bytes of a line of the chat, and how many: more than kernels take, less than ends a reader
IS_SILENT, DOES_NOT_READ = "is silent", "does not read"
ANSWERED, GIVES_UP = "has its answer", "gives up"
ASKS, RESTS, GOES = "asks", "rests", "goes"
TOO_LONG = 5.0  # seconds after which a scene goes on though its cue has not come

Cue = tuple[str, str, float]  # so many seconds after somebody has done something (for the first time)
Role = Callable[[Peer, "Stage"], None]


@dataclass
class Stage:
    """Where a scene is played: the server, what is written down, and who has which port.

    Who comes or goes on after somebody else does so on a cue: a slow machine makes a scene longer, and no other one.
    """

    server: Server
    transcript: Transcript
    patience: Patience
    names: dict[int, str] = field(default_factory=dict)
    _done: set[tuple[str, str]] = field(default_factory=set)
    _more_done: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, cue: Cue) -> None:
        """Do nothing until a cue; who has gone has done all that it will."""
        who, what, later = cue
        with self._more_done:
            self._more_done.wait_for(lambda: {(who, what), (who, GOES)} & self._done, TOO_LONG)
        time.sleep(later)

    def _does(self, who: str, what: str) -> None:
        with self._more_done:
            self._done.add((who, what))
            self._more_done.notify_all()

    def rest(self, peer: Peer, cue: Cue, what: str = IS_SILENT) -> None:
        """Let a client do nothing, and say so, until a cue."""
        self.transcript.record(peer.name, Kind.ACT, note=what)
        self._does(peer.name, RESTS)
        self.wait_for(cue)

    def ask(self, peer: Peer, question: bytes, hear: Callable[[], None], as_act: str = ASKS) -> None:
        """Let a client ask, and note when it has heard the answer."""
        self._does(peer.name, as_act)
        peer.send(question)
        hear()
        self.transcript.record(peer.name, Kind.ACT, note=ANSWERED)

    def play(self, name: str, cue: Cue | None, role: Role) -> None:
        """Let a client come, play its role, and leave; what disappoints it ends it."""
        if cue:
            self.wait_for(cue)
        buffer = SMALL if role in SLOW else None
        try:
            peer = Peer(name, self.server, self.transcript, self.patience, receive_buffer=buffer)
            with closing(peer):
                self.names[peer.local[1]] = name
                role(peer, self)
        except Fault as fault:
            self.transcript.record(name, Kind.ACT, note=f"{GIVES_UP}: {fault}")
        finally:
            self._does(name, GOES)


@dataclass(frozen=True)
class Scene:
    """Who comes on which cue, to do what."""

    roles: tuple[tuple[str, Cue | None, Role], ...]

    def play(self, stage: Stage) -> None:
        """Play it, to its end."""
        threads = [threading.Thread(target=stage.play, args=part, daemon=True) for part in self.roles]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


# Echo


def _talks(peer: Peer, stage: Stage) -> None:
    stage.ask(peer, b"hello\n", lambda: peer.expect(b"hello\n"))


def _talks_and_is_silent(peer: Peer, stage: Stage) -> None:
    _talks(peer, stage)
    stage.rest(peer, ("bob", ASKS, 0.25))
    _talks(peer, stage)


def _does_not_read(peer: Peer, stage: Stage) -> None:
    peer.send_until_stuck(MUCH, MOST)
    stage.rest(peer, ("eve", ASKS, 0.15), DOES_NOT_READ)
    peer.expect_all_back(MUCH)


# Lines


def _types_in_pieces(peer: Peer, stage: Stage) -> None:
    for piece in (b"hel", b"lo\nhow are", b" you?\n"):
        peer.send(piece)
        stage.rest(peer, (peer.name, RESTS, 0.1), "types on")
    peer.expect(b"1 hello\n2 how are you?\n")


def _sends_a_line(peer: Peer, stage: Stage) -> None:
    stage.ask(peer, b"hello\n", lambda: peer.expect(b"1 hello\n"))


# Chat


def _joins(peer: Peer, stage: Stage) -> None:
    peer.expect_through(b"username")
    stage.ask(peer, f"{peer.name}\n".encode(), lambda: peer.expect_through(b"Welcome"), "joins")


def _asks_who_is_there(peer: Peer, stage: Stage) -> None:
    stage.ask(peer, b"/list\n", lambda: peer.expect_through(b"Connected users"))


def _chats(peer: Peer, stage: Stage) -> None:
    _joins(peer, stage)
    stage.rest(peer, ("bob", "says much", 0.1))
    _asks_who_is_there(peer, stage)


def _says_much(peer: Peer, stage: Stage) -> None:
    _joins(peer, stage)
    stage.rest(peer, ("eve", RESTS, 0.1))
    lines = b"".join(b"much".ljust(LINE - 1) + b"\n" for _ in range(LINES))
    stage.ask(peer, lines, lambda: _asks_who_is_there(peer, stage), "says much")


def _tells_no_name(peer: Peer, stage: Stage) -> None:
    peer.expect_through(b"username")
    stage.rest(peer, ("ann", ASKS, 0.15), "tells no name")


def _listens_to_nobody(peer: Peer, stage: Stage) -> None:
    _joins(peer, stage)
    stage.rest(peer, ("ann", ASKS, 0.25), DOES_NOT_READ)
    for _ in range(LINES):
        peer.expect_through(b"much")


SLOW = {_does_not_read, _listens_to_nobody}
SCENES = {
    "echo": Scene(
        (
            ("ann", None, _talks_and_is_silent),
            ("bob", ("ann", RESTS, 0.1), _talks),
            ("cat", ("bob", ASKS, 0.1), _does_not_read),
            ("eve", ("cat", RESTS, 0.05), _talks),
        )
    ),
    "lines": Scene((("ann", None, _types_in_pieces), ("bob", ("ann", RESTS, 0.05), _sends_a_line))),
    "chat": Scene(
        (
            ("ann", None, _chats),
            ("bob", ("ann", RESTS, 0.03), _says_much),
            ("cat", ("bob", RESTS, 0.03), _tells_no_name),
            ("eve", ("cat", RESTS, 0.03), _listens_to_nobody),
        )
    ),
}
