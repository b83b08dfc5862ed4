"""The chat room (PROTOCOL.md, part C). No socket here: what clients send goes in, what they are to get comes out."""

import re
import time
from typing import Any

from framing import MAX_LINE, LineBuffer

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,15}")
RESERVED = {"server", "error"}
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # all that a terminal might obey, but for the tab
HELP = (
    "/help                 this text",
    "/list                 who is here",
    "/whisper NAME TEXT    a word to NAME alone",
    "/nick NAME            be called NAME from now on",
    "/exit                 leave",
)


class Refusal(Exception):
    """What a client wants cannot be had; the text, which begins with a code, is for that client alone."""


class Client:
    """Somebody who is connected: nobody yet, until it has a name."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection  # of whatever kind: the room only hands it back
        self.name = ""
        self.leaving = False  # it has said /exit: when it has got its mail, close the connection
        self.buffer = LineBuffer()
        self.mail: list[bytes] = []  # lines for it that differ from what all others get, see ChatRoom.log
        self.heard = 0  # how many lines of the log are in its mail, or are none of its business


class ChatRoom:
    """Everybody who is connected, and what they say to each other."""

    def __init__(self) -> None:
        self.members: dict[str, Client] = {}  # those who have a name, by that name in lower case
        self.log: list[bytes] = []  # lines for all members, since they were last collected
        self.addressed: set[Client] = set()  # whose mail, or place in the log, is not as everyone's

    # What happens to the room

    def enter(self, client: Client) -> None:
        """Somebody has connected."""
        self.tell(client, "SERVER", "This is a chat room. Please choose a username.")

    def receive(self, client: Client, data: bytes) -> None:
        """Carry out every line that `data`, just received from a client, completes."""
        for line in client.buffer.feed(data):
            if client.leaving:
                break
            try:
                self.hear(client, line)
            except Refusal as refusal:
                self.tell(client, "ERROR", str(refusal))

    def leave(self, client: Client) -> None:
        """Somebody has gone, or is about to (again and again is no harm)."""
        # TODO 4.6: take a member out of `members`, so that its name is free, and tell all
        #   others that it left. A client without a name leaves without a word.

    def collect(self) -> list[tuple[Any, bytes]]:
        """Return what has come up since the last time: each connection, with all that goes there in one piece.

        A line for everyone was encoded once, and all who are to get the same lines get the same bytes.
        """
        pieces = []
        if self.log:
            everything = b"".join(self.log)
            pieces = [(one.connection, everything) for one in self.members.values() if one not in self.addressed]
        for client in self.addressed:
            self.catch_up(client)
            if client.mail:
                pieces.append((client.connection, b"".join(client.mail)))
            client.mail.clear()
            client.heard = 0
        self.addressed.clear()
        self.log.clear()
        return pieces

    # What a line means

    def hear(self, client: Client, line: str | None) -> None:
        """Carry out one line of a client; raise Refusal if that cannot be."""
        if line is None:
            # TODO 6.5: refuse a line that was too long: line-too-long.
            return
        # TODO 4.5: ignore a line of nothing but spaces and tabs.
        word, _, rest = line.partition(" ")
        if word == "/exit" and (client.name or not rest.strip(" ")):
            self.exit(client)
        elif not client.name:
            self.register(client, line)
        elif word.startswith("/"):
            self.command(client, word, rest)
        else:
            # TODO 4.4: tell all others the line, with the client's name as its source.
            pass

    def command(self, client: Client, word: str, rest: str) -> None:
        """Carry out a command: its word, and what stands behind the space after it."""
        match word:
            case "/list":
                self.list_members(client)
            # TODO 6.2: /help tells the client all lines of HELP.
            # TODO 6.3: /whisper goes to self.whisper(client, rest).
            # TODO 6.4: /nick goes to self.rename(client, rest), without the spaces around
            #   `rest`.
            # TODO 6.2: anything else is refused: unknown-command, and the word.

    def register(self, client: Client, name: str) -> None:
        """Somebody asks for a name."""
        # TODO 4.2: check_name(); then the client has it, is in `members`, is told `Welcome`
        #   with its name, and all others are told that it joined.
        raise NotImplementedError("step 4.2")

    def check_name(self, client: Client, name: str) -> None:
        """Raise Refusal unless the client may be called that."""
        # TODO 4.3: name-invalid for what is not a NAME as a whole, or RESERVED; name-taken for
        #   what another member is called, if only in capitals.

    def list_members(self, client: Client) -> None:
        """Tell a client who is here."""
        # TODO 4.2: answer `Connected users (N): a, b, c`, ordered by the keys of `members`.
        raise NotImplementedError("step 4.2")

    def whisper(self, client: Client, rest: str) -> None:
        """Tell one member alone what a client says, and the client that this was done."""
        # TODO 6.3: split `rest` at its spaces into a name and a text, which keeps its own;
        #   refuse with usage or no-such-user, or tell both of them.
        raise NotImplementedError("step 6.3")

    def rename(self, client: Client, name: str) -> None:
        """Give a client another name, and tell everyone."""
        # TODO 6.4: usage without a name; check_name(); then everyone is told `OLD is now NEW`,
        #   and `members` knows the client by its new name alone.
        raise NotImplementedError("step 6.4")

    def exit(self, client: Client) -> None:
        """A client says good-bye."""
        # TODO 4.6: answer with a Goodbye, let the client leave() the room, and remember that it
        #   is `leaving`.

    # Who gets what

    def tell(self, client: Client, source: str, text: str) -> None:
        """Put a line into the mail of one client, behind everything that it is to get before."""
        self.catch_up(client)
        client.mail.append(as_line(source, text))

    def tell_all(self, source: str, text: str, but: Client | None = None) -> None:
        """Write a line into the log, for all members (but one)."""
        if but is not None:
            self.catch_up(but)
            but.heard += 1
        self.log.append(as_line(source, text))

    def catch_up(self, client: Client) -> None:
        """Copy into the mail of a client what it has not heard yet of the log."""
        if client.name:
            client.mail += self.log[client.heard :]
            client.heard = len(self.log)
        self.addressed.add(client)


def as_line(source: str, text: str) -> bytes:
    """Return a line as it is sent."""
    # TODO 4.5: put U+FFFD in the place of every CONTROL character of the text.
    return f"[{time.strftime('%H:%M:%S')}] [{source}] {text}\n".encode()
