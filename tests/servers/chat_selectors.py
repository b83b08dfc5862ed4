"""A chat with `selectors`: one thread, non-blocking sockets.

Peculiar: commands are methods found by their words; what a turn of the loop makes for a client leaves in one send(),
or earlier when it has become much; a client is dropped at the end of the turn in which it was lost, never in the
middle of a round; invalid UTF-8 is replaced by the codec's own U+FFFD; whoever whispers to himself reads both lines; at
the limit of descriptors it looks away from its listener until a client leaves.
"""

import argparse
import selectors
import signal
import socket
import string
import time

LIMIT = 1_020_000  # bytes unsent above which a client is dropped
MUCH = 64 * 1024  # bytes unsent with which a client need not wait for the end of the turn
MAX_LINE = 4096  # bytes, the LF and the CR before it not counted
LAST_WORDS = 1.2  # seconds from /exit to the close, if the client does not read
PAUSE = 0.5  # seconds without accept() at most when no descriptor is left

LETTERS = frozenset(string.ascii_letters)
NAME_CHARACTERS = LETTERS | frozenset(string.digits + "_-")
NO_CONTROLS = dict.fromkeys((*range(9), *range(10, 32), *range(127, 160)), "\ufffd")


class Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.name: str | None = None
        self.unsent = bytearray()
        self.partial = b""  # the beginning of a line
        self.skipping = False  # until the next LF: the line was refused
        self.reading = True
        self.lost = False
        self.watched = selectors.EVENT_READ

    def flush(self) -> None:
        """Send what the kernel takes; what is left may be too much."""
        try:
            while self.unsent and not self.lost:
                del self.unsent[: self.socket.send(self.unsent)]
        except BlockingIOError:
            self.lost = len(self.unsent) > LIMIT
        except OSError:
            self.lost = True

    def lines(self, data: bytes) -> list[bytes | None]:
        """Return the lines that end in `data`, and None for one that became too long."""
        found: list[bytes | None] = []
        *ends, rest = (self.partial + data).split(b"\n")
        for end in ends:
            if not self.skipping:
                text = end.removesuffix(b"\r")
                found.append(text if len(text) <= MAX_LINE else None)
            self.skipping = False
        if not self.skipping and len(rest.removesuffix(b"\r")) > MAX_LINE:
            self.skipping = True
            found.append(None)
        self.partial = b"" if self.skipping else rest
        return found


class Chat:
    """The loop, its listener, and everybody."""

    def __init__(self, listener: socket.socket, wakeup: socket.socket) -> None:
        self.listener = listener
        self.wakeup = wakeup
        self.selector = selectors.DefaultSelector()
        self.selector.register(wakeup, selectors.EVENT_READ)
        self.selector.register(listener, selectors.EVENT_READ)
        self.accept_again: float | None = None  # when to look at the listener; None while it is watched
        self.members: dict[str, Client] = {}  # by lower-cased name
        self.touched: set[Client] = set()  # whoever this turn did something to
        self.closing: dict[Client, float] = {}  # who said /exit and has not read it all, with the end of patience

    # The loop

    def run(self) -> None:
        """Serve until a signal comes."""
        while self.turn():
            pass

    def turn(self) -> bool:
        """Handle what is ready; return False when it is time to stop."""
        times = [*self.closing.values(), *([] if self.accept_again is None else [self.accept_again])]
        for key, events in self.selector.select(max(0.0, min(times) - time.monotonic()) if times else None):
            if key.fileobj is self.wakeup:
                return False
            if key.fileobj is self.listener:
                self.accept()
                continue
            self.touched.add(key.data)
            if events & selectors.EVENT_READ:
                self.read(key.data)
        now = time.monotonic()
        for client in [client for client, end in self.closing.items() if end <= now]:
            client.lost = True
            self.touched.add(client)
        self.settle()
        if self.accept_again is not None and now >= self.accept_again:
            self.selector.register(self.listener, selectors.EVENT_READ)
            self.accept_again = None
        return True

    def accept(self) -> None:
        """Take one client."""
        try:
            connection, _ = self.listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            print(f"full: {error}", flush=True)
            self.selector.unregister(self.listener)
            self.accept_again = time.monotonic() + PAUSE
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(connection)
        self.selector.register(connection, client.watched, client)
        self.say(client, "(selectors chat)")
        self.say(client, "username?")

    def read(self, client: Client) -> None:
        """Carry out what the client sent."""
        if client.lost or not client.reading:
            return
        try:
            data = client.socket.recv(16384)
        except BlockingIOError:
            return
        except OSError:
            client.lost = True
            return
        for line in client.lines(data):
            self.handle(client, line)
            if client.lost or not client.reading:
                return
        if not data:
            client.reading = False
            self.unregister(client)

    def settle(self) -> None:
        """Send what the turn made, and drop whom it lost, until nothing is left to do."""
        while self.touched:
            client = self.touched.pop()
            client.flush()
            wishes = client.reading * selectors.EVENT_READ | bool(client.unsent) * selectors.EVENT_WRITE
            if client.lost or not wishes:
                self.drop(client)
            elif wishes != client.watched:
                self.selector.modify(client.socket, wishes, client)
                client.watched = wishes

    def drop(self, client: Client) -> None:
        """Close the connection, whose descriptor may be the one that a waiting client needs."""
        if client.socket.fileno() < 0:
            return
        client.lost = True
        self.selector.unregister(client.socket)
        client.socket.close()
        self.closing.pop(client, None)
        if self.accept_again is not None:
            self.accept_again = 0.0
        self.unregister(client)

    # The room

    def send(self, client: Client, source: str, text: str) -> None:
        self.put(client, self.line(source, text))

    def say(self, client: Client, text: str) -> None:
        self.send(client, "SERVER", text)

    def refuse(self, client: Client, text: str) -> None:
        self.send(client, "ERROR", text)
        if client.name is None:
            self.say(client, "that is no username that I can give you: try again")

    def line(self, source: str, text: str) -> bytes:
        now = time.localtime()
        return b"[%02d:%02d:%02d] [%b] %b\n" % (*now[3:6], source.encode(), text.encode())

    def put(self, client: Client, data: bytes) -> None:
        """Leave bytes for the end of the turn, unless they have become many."""
        if not client.lost:
            client.unsent += data
            self.touched.add(client)
            if len(client.unsent) > MUCH:
                client.flush()

    def announce(self, source: str, text: str, but: Client | None = None) -> None:
        data = self.line(source, text)
        for member in self.members.values():
            if member is not but:
                self.put(member, data)

    def unregister(self, client: Client) -> None:
        """Free the name and tell the others, once."""
        if client.name is not None:
            del self.members[client.name.lower()]
            self.announce("SERVER", f"{client.name} left us")
            client.name = None

    def handle(self, client: Client, line: bytes | None) -> None:
        """Carry out one line; None was too long."""
        if line is None:
            self.refuse(client, "line-too-long: not carried out")
            return
        text = line.decode("utf-8", "replace").translate(NO_CONTROLS)
        if client.name is None:
            self.register(client, text)
        elif text.startswith("/"):
            self.command(client, text)
        elif text.strip(" \t"):
            self.announce(client.name, text, but=client)

    def register(self, client: Client, text: str) -> None:
        if text.rstrip(" ") == "/exit":
            self.do_exit(client, "")
        elif text.strip(" \t") and self.may_have(client, text):
            self.say(client, f"Hello and Welcome, {text}")
            self.say(client, f"there are {len(self.members)} others")
            self.announce("SERVER", f"Everybody: {text} has joined")
            client.name = text
            self.members[text.lower()] = client

    def may_have(self, client: Client, name: str) -> bool:
        key = name.lower()
        good = name[:1] in LETTERS and len(name) <= 16 and NAME_CHARACTERS.issuperset(name)
        if not good or key in {"server", "error"}:
            self.refuse(client, "name-invalid: see the rules")
        elif self.members.get(key) not in (None, client):
            self.refuse(client, f"name-taken: {self.members[key].name} was here first")
        else:
            return True
        return False

    def command(self, client: Client, text: str) -> None:
        word, _, rest = text.partition(" ")
        commands = {
            "/help": self.do_help,
            "/list": self.do_list,
            "/exit": self.do_exit,
            "/nick": self.do_nick,
            "/whisper": self.do_whisper,
        }
        if word not in commands:
            self.refuse(client, f"unknown-command: {word} (try /help)")
        elif word in ("/help", "/list", "/exit") and rest.strip(" "):
            self.refuse(client, f"usage: {word}")
        else:
            commands[word](client, rest)

    def do_help(self, client: Client, rest: str) -> None:
        for words in ("/help", "/list", "/whisper NAME TEXT", "/nick NAME", "/exit"):
            self.say(client, words)

    def do_list(self, client: Client, rest: str) -> None:
        members = sorted(self.members.items())
        self.say(client, f"Connected users ({len(members)}): " + ", ".join(str(one.name) for _, one in members))

    def do_exit(self, client: Client, rest: str) -> None:
        self.unregister(client)
        self.say(client, "** Goodbye **")
        client.reading = False
        self.closing[client] = time.monotonic() + LAST_WORDS

    def do_nick(self, client: Client, rest: str) -> None:
        wanted = rest.strip(" ")
        if not wanted:
            self.refuse(client, "usage: /nick NAME")
        elif self.may_have(client, wanted):
            old, client.name = str(client.name), wanted
            del self.members[old.lower()]
            self.members[client.name.lower()] = client
            self.announce("SERVER", f"The one called {old} is now called {client.name}")

    def do_whisper(self, client: Client, rest: str) -> None:
        name, _, text = rest.lstrip(" ").partition(" ")
        text = text.lstrip(" ")
        if not text:
            self.refuse(client, "usage: /whisper NAME TEXT, and both are needed")
        elif other := self.members.get(name.lower()):
            self.send(client, f"PRIVATE TO {other.name}", text)
            self.send(other, f"PRIVATE FROM {client.name}", text)
        else:
            self.refuse(client, f"no-such-user: {name}")


def main(host: str, port: int) -> None:
    """Listen, and serve until SIGINT or SIGTERM."""
    wakeup, written_by_python = socket.socketpair()
    for end in (wakeup, written_by_python):
        end.setblocking(False)
    signal.set_wakeup_fd(written_by_python.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(200)
        listener.setblocking(False)
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        Chat(listener, wakeup).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    main(args.host, args.port)
