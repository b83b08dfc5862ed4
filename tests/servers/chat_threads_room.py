"""What the two chats with threads share: the room behind one lock, the lines, and how such a program starts and ends.

They differ in how output reaches a client (`Client.send`), in what they do when no descriptor is left, and in their
`Manner`: everything that the protocol leaves to the server.
"""

import argparse
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MAX_LINE = 4096  # bytes, the LF and the CR before it not counted
KEPT = MAX_LINE + 2  # that much of a line tells whether it is too long
CONTROLS = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x09}
RESERVED = {"server", "error"}


@dataclass(frozen=True)
class Manner:
    """The wording of a server, and its choices."""

    banner: tuple[str, ...]
    again: tuple[str, ...]  # after the refusal of a first name
    welcome: tuple[str, ...]
    joined: str
    left: str
    renamed: str
    help: tuple[str, ...]
    goodbye: str
    eager: bool  # refuse a line as soon as it is too long, not when its LF arrives
    too_long_a_name: str  # the code for a line too long before registration
    two_nicks: str  # the code for `/nick a b`
    extra_is_usage: bool  # whether `/list x` is refused
    may_talk_to_oneself: bool
    tells_same_nick: bool


class Client:
    """One connection as the room sees it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.name: str | None = None

    def send(self, data: bytes) -> None:
        """Send, or see to it that it is sent; never raise. Called with the room locked."""
        raise NotImplementedError

    def hang_up(self) -> None:
        """Let every thread that waits for this client know that it is lost."""
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def line(source: str, text: str) -> bytes:
    """Return one line of the protocol, made now."""
    return f"[{time.strftime('%H:%M:%S')}] [{source}] {text}\n".encode()


class Room:
    """Who is here, and what becomes of a line. Every public method takes the lock."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.lock = threading.Lock()
        self.members: dict[str, Client] = {}  # by lower-cased name

    def greet(self, client: Client) -> None:
        """Ask for a name."""
        with self.lock:
            self._tell(client, self.manner.banner)

    def receive(self, client: Client, text: str | None) -> bool:
        """Carry out a line (None: one that was too long); return False when it was `/exit`."""
        with self.lock:
            if client.name is None:
                return self._admit(client, text)
            if text is None:
                self._refuse(client, "line-too-long", f"at most {MAX_LINE} bytes")
            elif text.startswith("/"):
                return self._command(client, client.name, text)
            elif text.strip(" \t"):
                self._broadcast(line(client.name, text), but=client)
            return True

    def leave(self, client: Client) -> None:
        """Free the client's name and tell the others; do nothing for one without a name."""
        with self.lock:
            self._leave(client)

    def _leave(self, client: Client) -> None:
        name, client.name = client.name, None
        if name is not None:
            del self.members[name.lower()]
            self._broadcast(line("SERVER", self.manner.left.format(name=name)))

    def _admit(self, client: Client, text: str | None) -> bool:
        if text is None:
            self._refuse(client, self.manner.too_long_a_name, f"that was more than {MAX_LINE} bytes")
        elif text.rstrip(" ") == "/exit":
            self._tell(client, [self.manner.goodbye])
            return False
        elif not text.strip(" \t"):
            return True
        elif self._may_be_called(client, text):
            self._broadcast(line("SERVER", self.manner.joined.format(name=text)))
            client.name = text
            self.members[text.lower()] = client
            self._tell(client, (one.format(name=text) for one in self.manner.welcome))
            return True
        self._tell(client, self.manner.again)
        return True

    def _command(self, client: Client, own: str, text: str) -> bool:
        word, _, rest = text.partition(" ")
        arguments = [argument for argument in rest.split(" ") if argument]
        if word in ("/help", "/list", "/exit") and arguments and self.manner.extra_is_usage:
            self._refuse(client, "usage", f"{word}, and nothing after it")
        elif word == "/help":
            self._tell(client, self.manner.help)
        elif word == "/list":
            names = [str(self.members[key].name) for key in sorted(self.members)]
            self._tell(client, [f"Connected users ({len(names)}): {', '.join(names)}"])
        elif word == "/exit":
            self._leave(client)
            self._tell(client, [self.manner.goodbye])
            return False
        elif word == "/nick":
            self._nick(client, own, arguments)
        elif word == "/whisper":
            self._whisper(client, own, rest.lstrip(" "))
        else:
            self._refuse(client, "unknown-command", f"there is no {word} here")
        return True

    def _nick(self, client: Client, own: str, arguments: list[str]) -> None:
        if not arguments:
            self._refuse(client, "usage", "/nick NAME")
        elif len(arguments) > 1:
            self._refuse(client, self.manner.two_nicks, "/nick takes a single name")
        elif arguments[0] == own and not self.manner.tells_same_nick:
            pass
        elif self._may_be_called(client, arguments[0]):
            client.name = arguments[0]
            del self.members[own.lower()]
            self.members[client.name.lower()] = client
            self._broadcast(line("SERVER", self.manner.renamed.format(old=own, new=client.name)))

    def _whisper(self, client: Client, own: str, rest: str) -> None:
        name, _, text = rest.partition(" ")
        text = text.lstrip(" ")
        other = self.members.get(name.lower())
        if not text:
            self._refuse(client, "usage", "/whisper NAME TEXT")
        elif other is None:
            self._refuse(client, "no-such-user", f"nobody is called {name}")
        elif other is client and not self.manner.may_talk_to_oneself:
            self._refuse(client, "no-such-user", f"nobody else is called {name}")
        else:
            other.send(line(f"PRIVATE FROM {own}", text))
            client.send(line(f"PRIVATE TO {other.name}", text))

    def _may_be_called(self, client: Client, name: str) -> bool:
        """Say whether the client may have that name, and tell it if not."""
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_-]{0,15}", name) or name.lower() in RESERVED:
            self._refuse(client, "name-invalid", f"{name} will not do: a letter, then up to 15 of A-Z a-z 0-9 _ -")
        elif self.members.get(name.lower(), client) is not client:
            self._refuse(client, "name-taken", f"{name} is in use")
        else:
            return True
        return False

    def _tell(self, client: Client, texts: Iterable[str]) -> None:
        client.send(b"".join(line("SERVER", text) for text in texts))

    def _refuse(self, client: Client, code: str, why: str) -> None:
        client.send(line("ERROR", f"{code}: {why}"))

    def _broadcast(self, data: bytes, but: Client | None = None) -> None:
        for client in self.members.values():
            if client is not but:
                client.send(data)


def lines(pieces: Iterable[bytes], eager: bool) -> Iterator[str | None]:
    """Yield the text of each line, None for one that is too long; control characters are made harmless."""
    held, refused = bytearray(), False
    for data in pieces:
        *ends, rest = data.split(b"\n")
        for piece, complete in (*((end, True) for end in ends), (rest, False)):
            held += piece[: KEPT - len(held)]
            too_long = len(held) - held.endswith(b"\r") > MAX_LINE
            if too_long and not refused and (complete or eager):
                refused = True
                yield None
            if complete:
                if not too_long:
                    yield held.removesuffix(b"\r").decode("utf-8", "replace").translate(CONTROLS)
                held.clear()
                refused = False


def serve(listener: socket.socket, accepted: Iterator[socket.socket], work: Callable[[socket.socket], None]) -> None:
    """Start a thread for every connection, until a signal ends the process with all its threads."""
    stop_signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)  # the threads inherit it

    def accept() -> None:
        for connection in accepted:
            try:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=work, args=(connection,), daemon=True).start()
            except (OSError, RuntimeError) as error:  # it is gone already; no thread can be had
                print(f"not served: {error}", flush=True)
                connection.close()

    print("listening on {}:{}".format(*listener.getsockname()), flush=True)
    threading.Thread(target=accept, daemon=True).start()
    signal.sigwait(stop_signals)
    os._exit(0)  # whatever the threads wait for; the kernel closes every connection


def listen() -> socket.socket:
    """Return a listening socket on the address that the program was given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((args.host, args.port))
    listener.listen(256)
    return listener
