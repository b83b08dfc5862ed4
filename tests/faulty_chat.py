"""A small chat in threads that makes one mistake, or none: what becomes of a line on its way can be said."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from support import serving

COMMANDS = (b"/help, /list, /nick NAME,", b"/whisper NAME TEXT and /exit")
Change = Callable[[bytes, bytes], Iterable[bytes]]  # to whom, and a line: what is sent instead


def as_it_is(_: bytes, line: bytes) -> Iterable[bytes]:
    return [line]


class Chat:
    """A small chat; what becomes of a line on its way to a member is `change`'s to say."""

    answers_the_sender = False
    tells_the_nameless = False

    def __init__(
        self,
        change: Change = as_it_is,
        before: Callable[[int], None] = lambda said: None,
        welcome: bytes = b"[SERVER] Welcome %b",
    ) -> None:
        self.change, self.before, self.welcome = change, before, welcome
        self.members: dict[bytes, Member] = {}
        self.nameless: list[socket.socket] = []
        self.lock = threading.Lock()
        self.said = 0

    def converse(self, connection: socket.socket, _: int) -> None:
        stream = connection.makefile("rb")
        connection.sendall(b"[12:00:00] [SERVER] your username?\n")
        self.nameless.append(connection)
        name = stream.readline().strip()
        member = Member(self, name, connection)
        with self.lock:
            self.nameless.remove(connection)
            self.tell_all(b"[SERVER] %b joined" % name)
            if self.tells_the_nameless:
                for one in self.nameless:
                    one.sendall(b"[12:00:00] [SERVER] %b joined\n" % name)
            self.members[name] = member
            member.tell(self.welcome % name)
        for line in stream:
            with self.lock:
                self.obey(member, line.rstrip(b"\n"))
            if line == b"/exit\n":
                return

    def obey(self, member: Member, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        if word == b"/list":
            names = sorted(one.name for one in self.members.values())
            member.tell(b"[SERVER] Connected users (%d): %b" % (len(names), b", ".join(names)))
        elif word == b"/help":
            for text in COMMANDS:
                member.tell(b"[SERVER] " + text)
        elif word == b"/nick":
            self.tell_all(b"[SERVER] %b is now %b" % (member.name, rest))
            member.name = rest
        elif word == b"/whisper":
            name, _, text = rest.partition(b" ")
            to = next(one for one in self.members.values() if one.name == name)
            to.tell(b"[PRIVATE FROM %b] %b" % (member.name, text))
            member.tell(b"[PRIVATE TO %b] %b" % (name, text))
        elif word == b"/exit":
            member.tell(b"[SERVER] Goodbye")
            self.leave(member)
        elif word.startswith(b"/"):
            member.tell(b"[ERROR] unknown-command: %b" % word)
        else:
            self.said += 1
            self.before(self.said)
            self.tell_all(b"[%b] %b" % (member.name, line), but=None if self.answers_the_sender else member)

    def leave(self, member: Member) -> None:
        del self.members[member.first_name]
        self.tell_all(b"[SERVER] %b left" % member.name)

    def tell_all(self, line: bytes, but: Member | None = None) -> None:
        for one in self.members.values():
            if one is not but:
                one.tell(line)


class Member:
    def __init__(self, room: Chat, name: bytes, connection: socket.socket) -> None:
        self.room, self.name, self.first_name, self.connection = room, name, name, connection

    def tell(self, line: bytes) -> None:
        for one in self.room.change(self.first_name, line):
            self.connection.sendall(b"[12:00:00] " + one + b"\n")


@contextmanager
def chatting(*told: Any, **named: Any) -> Iterator[tuple[str, int]]:
    """Serve a chat; see there for what it can be told."""
    with serving(Chat(*told, **named).converse) as address:
        yield address


class Once:
    """Changes one line: the first to `to` (or to anybody) in which a pattern is found."""

    def __init__(self, pattern: bytes, change: Callable[[bytes], Iterable[bytes]], to: bytes = b"") -> None:
        self.pattern, self.change, self.to = re.compile(pattern), change, to
        self.done = False

    def __call__(self, to: bytes, line: bytes) -> Iterable[bytes]:
        if self.done or (self.to and to != self.to) or not self.pattern.search(line):
            return [line]
        self.done = True
        return self.change(line)


class Late:
    """Delays the first line to `to` in which a pattern is found until one comes in which another is found."""

    def __init__(self, pattern: bytes, until: bytes, to: bytes) -> None:
        self.pattern, self.until, self.to = re.compile(pattern), re.compile(until), to
        self.kept: bytes | None = b""

    def __call__(self, to: bytes, line: bytes) -> Iterable[bytes]:
        if self.kept is None or to != self.to:
            return [line]
        if not self.kept and self.pattern.search(line):
            self.kept = line
            return []
        if self.kept and self.until.search(line):
            line, self.kept = line + b"\n[12:00:00] " + self.kept, None
        return [line]


def lost(_: bytes) -> Iterable[bytes]:
    return []


def twice(line: bytes) -> Iterable[bytes]:
    return [line, line]
