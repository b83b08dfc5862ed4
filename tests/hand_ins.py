"""A class that has written lab 6, everybody on their own: each place of the stubs in one of several correct ways.

A small task has few ways, so that independent hand-ins share some of them by chance, as those of a real class do. What
copies are made to look like stands below.

    python3 hand_ins.py FOLDER      writes six of them, which together have every way, each with all it imports
"""

import ast
import io
import keyword
import random
import shutil
import sys
import textwrap
import tokenize
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.course.stubs import Place, parse  # noqa: E402

SOLUTIONS = ROOT / "solutions"

# For each place of a file, in their order, the ways beside that of the solution. `...` stands for the solution's.
WAYS = {
    "framing.py": [
        (
            """
            data = self._rest + data
            lines = []
            while True:
                end = data.find(b"\\n")
                if end < 0:
                    break
                lines.append(data[:end])
                data = data[end + 1 :]
            self._rest = data
            """,
            """
            parts = (self._rest + data).split(b"\\n")
            self._rest = parts.pop()
            lines = parts
            """,
            """
            self._rest += data
            lines = self._rest.split(b"\\n")
            self._rest = lines[-1]
            del lines[-1]
            """,
            """
            before, newline, after = data.rpartition(b"\\n")
            lines = (self._rest + before).split(b"\\n") if newline else []
            self._rest = after if newline else self._rest + data
            """,
        ),
        (
            """
            if len(self._rest) > self._limit + 2:
                self._rest = self._rest[: self._limit + 2]
            """,
            """
            most = self._limit + 2
            self._rest = self._rest[:most]
            """,
        ),
        (
            """
            if line.endswith(b"\\r"):
                line = line[:-1]
            """,
            """
            if line[-1:] == b"\\r":
                line = line[:-1]
            """,
        ),
        (
            """
            size = len(line)
            if size > limit:
                return None
            """,
            """
            if not len(line) <= limit:
                return None
            """,
        ),
        (
            """
            text = line.decode("utf-8", "replace")
            return text
            """,
            """
            return str(line, encoding="utf-8", errors="replace")
            """,
        ),
    ],
    "room.py": [
        (
            """
            if not client.name:
                return
            name, client.name = client.name, ""
            self.catch_up(client)
            self.members.pop(name.lower())
            self.tell_all("SERVER", name + " left")
            """,
            """
            key = client.name.lower()
            if key in self.members:
                self.tell_all("SERVER", "%s left" % client.name, but=client)
                del self.members[key]
                client.name = ""
            """,
            """
            if client.name == "":
                return
            self.catch_up(client)
            self.members = {key: one for key, one in self.members.items() if one is not client}
            text = f"{client.name} left"
            client.name = ""
            self.tell_all("SERVER", text)
            """,
            """
            for key, member in list(self.members.items()):
                if member is client:
                    self.catch_up(member)
                    del self.members[key]
                    self.tell_all("SERVER", "{} left".format(member.name))
                    member.name = ""
            """,
        ),
        (
            """
            self.tell(client, "ERROR", "line-too-long: " + str(MAX_LINE) + " bytes are the most")
            return
            """,
            """
            reason = "line-too-long: that was too much at once"
            raise Refusal(reason)
            """,
        ),
        (
            """
            if all(char in " \\t" for char in line):
                return
            """,
            """
            stripped = line.strip(" \\t")
            if stripped == "":
                return
            """,
            """
            if not line.replace(" ", "").replace("\\t", ""):
                return
            """,
        ),
        (
            """
            self.tell_all(source=client.name, text=line, but=client)
            """,
            """
            speaker = client.name
            self.tell_all(speaker, line, client)
            """,
        ),
        (
            """
            case "/help":
                self.show_help(client)
            """,
            """
            case "/help":
                for number in range(len(HELP)):
                    self.tell(client, "SERVER", HELP[number])
            """,
        ),
        (
            """
            case "/whisper":
                self.whisper(client, rest.lstrip(" "))
            """,
        ),
        (
            """
            case "/nick":
                wanted = rest.strip(" ")
                self.rename(client, wanted)
            """,
        ),
        (
            """
            case other:
                raise Refusal("unknown-command: " + other)
            """,
            """
            case _:
                self.tell(client, "ERROR", "unknown-command: I do not know %s" % word)
            """,
            """
            case unknown:
                message = f"unknown-command: {unknown}"
                raise Refusal(message)
            """,
        ),
        (
            """
            self.check_name(client, name)
            self.tell_all("SERVER", name + " joined")
            self.catch_up(client)
            client.name, client.heard = name, len(self.log)
            self.members[client.name.lower()] = client
            self.tell(client, "SERVER", "Welcome " + name)
            """,
            """
            self.check_name(client, name)
            client.name = name
            client.heard = len(self.log)
            greeting = f"Welcome {name}, nice to have you here"
            self.tell(client, "SERVER", greeting)
            key = name.lower()
            self.members[key] = client
            self.tell_all("SERVER", f"{name} joined", client)
            """,
            """
            self.check_name(client, name)
            self.members.update({name.lower(): client})
            client.heard = len(self.log)
            client.name = name
            for source, text in [("SERVER", "Welcome %s!" % name)]:
                self.tell(client, source, text)
            self.tell_all(source="SERVER", text="%s joined" % name, but=client)
            """,
        ),
        (
            """
            if NAME.fullmatch(name) is None:
                raise Refusal("name-invalid: " + name)
            key = name.lower()
            if key in RESERVED:
                raise Refusal("name-invalid: that one is mine")
            if key in self.members and self.members[key] is not client:
                raise Refusal("name-taken: " + name)
            """,
            """
            match = NAME.fullmatch(name)
            if match is None or match[0].lower() in RESERVED:
                raise Refusal(f"name-invalid: {name!r} cannot be a name")
            owner = self.members.get(name.lower())
            if owner is not None and owner is not client:
                raise Refusal(f"name-taken: somebody is called {owner.name}")
            """,
            """
            good = NAME.fullmatch(name) and name.lower() not in RESERVED
            if not good:
                raise Refusal("name-invalid: %s" % name)
            for member in self.members.values():
                if member.name.lower() == name.lower() and member != client:
                    raise Refusal("name-taken: %s" % name)
            """,
            """
            lowered = name.lower()
            if lowered in RESERVED or not NAME.fullmatch(name):
                raise Refusal("name-invalid: choose another one than {}".format(name))
            try:
                if self.members[lowered] is client:
                    return
            except KeyError:
                return
            raise Refusal("name-taken: choose another one than {}".format(name))
            """,
        ),
        (
            """
            members = [member for _, member in sorted(self.members.items())]
            text = ", ".join(member.name for member in members)
            self.tell(client, "SERVER", f"Connected users ({len(members)}): {text}")
            """,
            """
            names = []
            for key in sorted(self.members):
                names.append(self.members[key].name)
            self.tell(client, "SERVER", "Connected users (%d): %s" % (len(names), ", ".join(names)))
            """,
            """
            everybody = sorted((member.name for member in self.members.values()), key=str.lower)
            answer = "Connected users ({}): {}".format(len(everybody), ", ".join(everybody))
            self.tell(client, "SERVER", answer)
            """,
            """
            listing = ""
            for key, member in sorted(self.members.items()):
                if listing:
                    listing += ", "
                listing += member.name
            self.tell(client, "SERVER", "Connected users (" + str(len(self.members)) + "): " + listing)
            """,
        ),
        (
            """
            words = rest.lstrip(" ").split(" ", 1)
            if len(words) < 2 or not words[1].strip(" "):
                raise Refusal("usage: /whisper NAME TEXT")
            key, text = words[0].lower(), words[1].lstrip(" ")
            if key not in self.members:
                raise Refusal("no-such-user: " + words[0])
            self.tell(self.members[key], "PRIVATE FROM " + client.name, text)
            self.tell(client, "PRIVATE TO " + self.members[key].name, text)
            """,
            """
            found = re.match(" *([^ ]+) +([^ ].*)", rest, re.DOTALL)
            if found is None:
                raise Refusal("usage: say /whisper NAME and a text")
            to, text = found.groups()
            for member in self.members.values():
                if member.name.lower() == to.lower():
                    self.tell(member, f"PRIVATE FROM {client.name}", text)
                    self.tell(client, f"PRIVATE TO {member.name}", text)
                    return
            raise Refusal(f"no-such-user: there is no {to}")
            """,
            """
            rest = rest.lstrip(" ")
            space = rest.find(" ")
            if space == -1:
                raise Refusal("usage: /whisper NAME TEXT")
            message = rest[space:].lstrip(" ")
            if message == "":
                raise Refusal("usage: /whisper NAME and a text")
            try:
                receiver = self.members[rest[:space].lower()]
            except KeyError:
                raise Refusal("no-such-user: %s" % rest[:space]) from None
            self.tell(receiver, "PRIVATE FROM %s" % client.name, message)
            self.tell(client, "PRIVATE TO %s" % receiver.name, message)
            """,
            """
            name, *more = rest.lstrip(" ").split(" ")
            text = " ".join(more).lstrip(" ")
            if not (name and text):
                raise Refusal("usage: /whisper NAME TEXT")
            if (target := self.members.get(name.lower())) is None:
                raise Refusal("no-such-user: {}".format(name))
            for who, mark, peer in ((target, "FROM", client), (client, "TO", target)):
                self.tell(who, f"PRIVATE {mark} {peer.name}", text)
            """,
        ),
        (
            """
            if name == "":
                raise Refusal("usage: /nick NAME")
            self.check_name(client, name)
            old = client.name
            self.members.pop(old.lower())
            client.name = name
            self.members[name.lower()] = client
            self.tell_all("SERVER", old + " is now " + name)
            """,
            """
            if len(name) == 0:
                raise Refusal("usage: /nick and which name?")
            self.check_name(client, name)
            self.members[name.lower()] = self.members.pop(client.name.lower())
            self.tell_all("SERVER", "%s is now %s" % (client.name, name))
            client.name = name
            """,
            """
            if name:
                self.check_name(client, name)
            else:
                raise Refusal("usage: /nick and a name")
            before, client.name = client.name, name
            self.tell_all("SERVER", "{} is now {}".format(before, client.name))
            del self.members[before.lower()]
            self.members |= {client.name.lower(): client}
            """,
        ),
        (
            """
            client.leaving = True
            self.tell(client, "SERVER", "Goodbye " + client.name)
            self.leave(client)
            """,
            """
            farewell = "Goodbye, see you"
            self.tell(client, "SERVER", farewell)
            client.leaving = not client.leaving
            self.leave(client)
            """,
        ),
        (
            """
            text = "".join("\\ufffd" if CONTROL.match(char) else char for char in text)
            """,
            """
            for char in set(CONTROL.findall(text)):
                text = text.replace(char, "\\ufffd")
            """,
        ),
    ],
    "lab05_select_echo.py": [
        (
            """
            can_read, can_write, _ = select.select(list(self.readers), list(self.unsent), [], self.timeout)
            for sock in can_read:
                if sock == self.listener:
                    self.accept()
                    continue
                if sock in self.readers:
                    self.read(sock)
            for sock in can_write:
                if sock in self.unsent:
                    self.flush(sock)
            """,
            """
            ready = select.select(self.readers, self.unsent.keys(), (), self.timeout)
            for one in ready[1]:
                self.flush(one)
            if self.listener in ready[0]:
                self.accept()
            for one in ready[0]:
                if one is not self.listener and one in self.readers:
                    self.read(one)
            """,
            """
            r, w, _ = select.select(self.readers, self.unsent, [], self.timeout)
            while w:
                self.flush(w.pop())
            while r:
                ready = r.pop()
                if ready not in self.readers:
                    continue
                self.accept() if ready is self.listener else self.read(ready)
            """,
        ),
        (
            """
            try:
                connection = self.listener.accept()[0]
            except OSError as error:
                if not isinstance(error, (BlockingIOError, ConnectionError)):
                    self.readers.discard(self.listener)
                return
            """,
            """
            try:
                connection, address = self.listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                return
            except OSError:
                self.readers -= {self.listener}
                return
            """,
            """
            try:
                pair = self.listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as problem:
                print("no more room:", problem, flush=True)
                self.readers.remove(self.listener)
                return
            connection = pair[0]
            """,
        ),
        (
            """
            if not connection.fileno() < self.watchable:
                self.refuse(connection)
                return connection.close()
            """,
            """
            number = connection.fileno()
            if number >= self.watchable:
                with connection:
                    self.refuse(connection)
                return
            """,
        ),
        (
            """
            connection.settimeout(0)
            self.readers |= {connection}
            """,
            """
            self.readers.add(connection)
            connection.setblocking(False)
            """,
        ),
        (
            """
            try:
                data = connection.recv(self.at_a_time)
            except OSError as error:
                if not isinstance(error, BlockingIOError):
                    self.lose(connection)
                return
            """,
            """
            data = None
            try:
                data = connection.recv(self.at_a_time)
            except BlockingIOError:
                pass
            except OSError:
                self.lose(connection)
            if data is None:
                return
            """,
        ),
        (
            """
            if not data:
                self.end(connection)
                return
            self.received(connection, data)
            """,
            """
            if data == b"":
                return self.end(connection)
            self.received(connection, data)
            """,
        ),
        (
            """
            if connection in self.unsent:
                self.unsent[connection] += data
                return len(self.unsent[connection])
            sent = self.offer(connection, data)
            left = data[sent:]
            if left:
                self.unsent[connection] = bytearray(left)
            return len(left)
            """,
            """
            sent = 0 if connection in self.unsent else self.offer(connection, data)
            if sent < len(data):
                self.unsent.setdefault(connection, bytearray()).extend(data[sent:])
            return len(self.unsent.get(connection, b""))
            """,
            """
            if connection not in self.unsent:
                data = data[self.offer(connection, data) :]
                if not data:
                    return 0
                self.unsent[connection] = bytearray()
            self.unsent[connection].extend(data)
            return len(self.unsent[connection])
            """,
        ),
        (
            """
            kept = self.unsent[connection]
            sent = self.offer(connection, kept)
            if connection not in self.unsent:
                return
            self.unsent[connection] = kept[sent:]
            if not self.unsent[connection]:
                del self.unsent[connection]
                self.drained(connection)
            """,
            """
            taken = self.offer(connection, self.unsent[connection])
            buffer = self.unsent.get(connection)
            if buffer is not None:
                del buffer[:taken]
                if len(buffer) == 0:
                    self.unsent.pop(connection)
                    self.drained(connection)
            """,
        ),
        (
            """
            sent = 0
            try:
                sent = connection.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self.lose(connection)
                sent = len(data)
            return sent
            """,
            """
            try:
                return connection.send(data)
            except OSError as error:
                if isinstance(error, BlockingIOError):
                    return 0
                self.lose(connection)
                return len(data)
            """,
        ),
        (
            """
            kept = self.send(connection, data)
            if kept > 0:
                self.readers -= {connection}
            """,
            """
            if self.send(connection, data) == 0:
                return
            self.readers.discard(connection)
            """,
        ),
        (
            """
            if connection not in self.ended:
                self.readers.add(connection)
            """,
            """
            self.readers |= {connection}
            """,
        ),
    ],
    "lab06_select_chat.py": [
        (
            """
            self.clients[connection] = Client(connection)
            self.room.enter(self.clients[connection])
            """,
            """
            guest = Client(connection)
            self.room.enter(guest)
            self.clients[connection] = guest
            """,
            """
            newcomer = Client(connection)
            self.clients.update({connection: newcomer})
            self.room.enter(newcomer)
            """,
        ),
        (
            """
            self.room.receive(self.clients[connection], data)
            if self.clients[connection].leaving:
                self.end(connection)
            """,
            """
            guest = self.clients.get(connection)
            if guest is None:
                return
            self.room.receive(guest, data)
            if guest.leaving:
                self.end(guest.connection)
            """,
            """
            who = self.clients[connection]
            self.room.receive(who, data)
            if not who.leaving:
                return
            self.end(connection)
            """,
        ),
        (
            """
            if client.leaving:
                deadline = time.monotonic() + GOODBYE
                self.goodbyes.append((deadline, connection))
            """,
            """
            if client.leaving is True:
                self.goodbyes += [(GOODBYE + time.monotonic(), connection)]
            """,
            """
            now = time.monotonic()
            if self.clients[connection].leaving:
                entry = now + GOODBYE, connection
                self.goodbyes.append(entry)
            """,
        ),
        (
            """
            kept = self.send(connection, piece)
            if kept > MOST_UNSENT:
                self.lose(connection)
            """,
            """
            if self.send(connection, piece) <= MOST_UNSENT:
                continue
            self.lose(connection)
            """,
            """
            self.send(connection, piece)
            if len(self.unsent.get(connection, b"")) > MOST_UNSENT:
                self.lose(connection)
            """,
        ),
    ],
}
HELPER = """
    def show_help(self, client: Client) -> None:
        for text in HELP:
            self.tell(client, "SERVER", text)
"""

Files = dict[str, bytes]  # a hand-in, by the names of its files
Chooser = Callable[[int], int]  # of so many ways, which one


def written(file: str, choose: Chooser) -> str:
    """Return a file of the solutions with each of its places written in the way that is chosen."""
    lines: list[str] = []
    ways = iter(WAYS[file])
    for part in parse((SOLUTIONS / file).read_text(encoding="utf-8")):
        if isinstance(part, Place):
            chosen = choose(1 + len(others := next(ways)))
            own = textwrap.indent(textwrap.dedent(others[chosen - 1]).strip("\n"), part.indent).splitlines()
            lines += part.solution if chosen == 0 else own
        else:
            lines.append(part)
    text = "\n".join(lines) + "\n"
    if "self.show_help(" in text:
        text = text.replace("    def register(", HELPER[1:] + "\n    def register(")
    return text


def hand_in(choose: Chooser) -> Files:
    """Return a hand-in whose author chooses the ways."""
    return {file: written(file, choose).encode() for file in WAYS}


def a_class(number: int, seed: int = 1) -> dict[str, Files]:
    """Return the hand-ins of so many students who have worked alone."""
    chance = random.Random(seed)
    return {f"student-{one:03}": hand_in(chance.randrange) for one in range(number)}


# What is done to a copy so that it looks different


def each(change: Callable[[str], str], files: Files) -> Files:
    """Change every file in the same way."""
    return {name: change(data.decode()).encode() for name, data in files.items()}


def renamed(text: str) -> str:
    """Call everything that has a name otherwise, also what cannot be called otherwise."""
    names: dict[str, str] = {}
    lines = text.splitlines(keepends=True)
    found = [one for one in tokenize.generate_tokens(io.StringIO(text).readline) if one.type == tokenize.NAME]
    for one in reversed(
        [one for one in found if not keyword.iskeyword(one.string) and one.string not in keyword.softkwlist]
    ):
        (row, column), (_, end) = one.start, one.end
        other = names.setdefault(one.string, f"other_{len(names)}")
        lines[row - 1] = lines[row - 1][:column] + other + lines[row - 1][end:]
    return "".join(lines)


def reordered(text: str) -> str:
    """Turn the order of the methods of each class round, and then that of the classes and functions."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            node.body.sort(key=lambda one: isinstance(one, ast.FunctionDef | ast.ClassDef) and -one.lineno)
    return ast.unparse(tree)


def commented(text: str) -> str:
    """Write comments before all lines that begin a statement, and another docstring."""
    lines = []
    for line in text.splitlines():
        if line.lstrip().startswith(("self.", "if ", "for ", "def ", "return")) and not line.endswith(","):
            lines.append(" " * (len(line) - len(line.lstrip())) + "# now this is done: " + str(len(lines)))
        lines.append(line + "  # done" if line.endswith(":") else line)
    return '"""All my own work."""\n' + "\n".join(lines) + "\n"


def reformatted(text: str) -> str:
    """Write it as one who likes space, tabs, parentheses on lines of their own, and CR LF."""
    out: list[str] = []
    for line in text.splitlines():
        body = line.lstrip(" ")
        out += ["\t" * ((len(line) - len(body)) // 4) + body.replace(", ", " ,  ").replace("(", "( "), ""]
    return "\r\n".join(out)


def split_in_two(files: Files) -> Files:
    """Move the second half of the methods of each class to a file of their own."""
    halves: Files = {}
    for name, data in files.items():
        tree, second = ast.parse(data), ast.Module([], [])
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and len(node.body) > 3:
                middle = len(node.body) // 2
                second.body.append(ast.ClassDef(f"{node.name}Base", [], [], node.body[middle:], []))
                node.body = node.body[:middle]
        halves |= {name: ast.unparse(tree).encode(), f"more_{name}": ast.unparse(second).encode()}
    return halves


def main() -> None:
    """Write hand-ins that have the first way at each place, the second, and so on."""
    for number in range(6):
        folder = Path(sys.argv[1]) / f"ways-{number}"
        folder.mkdir(parents=True)
        shutil.copy(SOLUTIONS / "lab01_blocking_echo.py", folder)
        for name, data in hand_in(lambda ways, way=number: way % ways).items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
