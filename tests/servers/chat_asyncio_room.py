"""What the two chats on asyncio share: the room and its rules, which know nothing of asyncio.

The room is told lines and tells bytes; a `Member` says how these reach a client. Wording is a table that each program
brings along, as are its choices.
"""

import re
import time
from dataclasses import dataclass, field

MAX_LINE = 4096  # bytes, the LF and the CR before it not counted

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{,15}")
HARMFUL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
NOT_UTF_8_RUN = re.compile("[\udc80-\udcff]+")
NOT_UTF_8 = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of such bytes
COMMANDS = ("help", "list", "whisper", "nick", "exit")


@dataclass(frozen=True)
class Wording:
    """The texts of a server; several lines are separated by LF, and an empty text is not sent."""

    banner: str
    welcome: str
    joined: str
    left: str
    renamed: str
    help: str
    goodbye: str
    after_refused_name: str = ""
    refusals: dict[str, str] = field(default_factory=dict)  # by code; {0} is the word that it is about


@dataclass(frozen=True)
class Choices:
    """What a server does where it may do one thing or another."""

    early_refusal: bool  # of a line too long: at once, or when its LF arrives
    one_mark_a_run: bool  # bytes that are not UTF-8 become one U+FFFD a run, or one a byte
    announce_same_nick: bool


class Member:
    """A client as the room knows it, and the line that is coming in from it."""

    def __init__(self, room: "Room") -> None:
        self.room = room
        self.name = ""  # while it is not registered
        self.leaving = False  # nothing that it sends is looked at any more
        self.line = bytearray()
        self.refused = False  # the line is too long, and this was said

    def tell(self, data: bytes) -> None:
        """Send without waiting."""
        raise NotImplementedError

    def feed(self, data: bytes) -> None:
        """Carry out what the client sent."""
        start = 0
        while not self.leaving:
            end = data.find(b"\n", start)
            self._extend(data[start:] if end < 0 else data[start:end])
            if end < 0:
                return
            self._complete()
            start = end + 1

    def _extend(self, piece: bytes) -> None:
        room_left = MAX_LINE + 2 - len(self.line)
        self.line += piece[:room_left]
        if self._too_long() and self.room.choices.early_refusal and not self.refused:
            self.refused = True
            self.room.refuse_long_line(self)

    def _complete(self) -> None:
        line, refused, too_long = bytes(self.line), self.refused, self._too_long()
        self.line.clear()
        self.refused = False
        if not too_long:
            self.room.carry_out(self, self.room.readable(line.removesuffix(b"\r")))
        elif not refused:
            self.room.refuse_long_line(self)

    def _too_long(self) -> bool:
        return len(self.line) > MAX_LINE + self.line.endswith(b"\r")


class Room:
    """The registered members, and what a line of each means to all."""

    def __init__(self, wording: Wording, choices: Choices) -> None:
        self.wording = wording
        self.choices = choices
        self.members: dict[str, Member] = {}  # by lower-cased name

    def enter(self, member: Member) -> None:
        self._say(member, self.wording.banner)

    def leave(self, member: Member) -> None:
        """Free the name; call it as often as you like."""
        member.leaving = True
        if member.name and self.members.get(member.name.lower()) is member:
            del self.members[member.name.lower()]
            self._say_to_all(self.wording.left.format(member.name))

    def readable(self, line: bytes) -> str:
        """Return the text of a line, with a U+FFFD for everything that is none."""
        try:
            text = line.decode()
        except UnicodeDecodeError:
            wrong = NOT_UTF_8_RUN if self.choices.one_mark_a_run else NOT_UTF_8
            text = wrong.sub("\ufffd", line.decode("utf-8", "surrogateescape"))
        return HARMFUL.sub("\ufffd", text)

    def refuse_long_line(self, member: Member) -> None:
        self._refuse(member, "line-too-long", str(MAX_LINE))

    def carry_out(self, member: Member, text: str) -> None:
        """Do what a line asks for."""
        if not member.name:
            self._ask_name(member, text)
        elif text.startswith("/"):
            word, _, rest = text[1:].partition(" ")
            if word in COMMANDS:
                getattr(self, f"_do_{word}")(member, rest)
            else:
                self._refuse(member, "unknown-command", f"/{word}")
        elif text.strip(" \t"):
            self._deliver(stamped(member.name, text), except_for=member)

    def _ask_name(self, member: Member, text: str) -> None:
        if text.rstrip(" ") == "/exit":
            self._do_exit(member, "")
        elif text.strip(" \t") and self._is_free(member, text):
            self._say_to_all(self.wording.joined.format(text))
            member.name = text
            self.members[text.lower()] = member
            self._say(member, self.wording.welcome.format(text))

    def _do_help(self, member: Member, rest: str) -> None:
        self._say(member, self.wording.help)

    def _do_list(self, member: Member, rest: str) -> None:
        everybody = sorted(self.members.items())
        names = ", ".join(other.name for _, other in everybody)
        self._say(member, f"Connected users ({len(everybody)}): {names}")

    def _do_exit(self, member: Member, rest: str) -> None:
        self.leave(member)
        self._say(member, self.wording.goodbye)

    def _do_nick(self, member: Member, rest: str) -> None:
        wanted, old = rest.strip(" "), member.name
        if not wanted:
            self._refuse(member, "usage", "/nick NAME")
        elif (wanted != old or self.choices.announce_same_nick) and self._is_free(member, wanted):
            del self.members[old.lower()]
            self.members[wanted.lower()] = member
            member.name = wanted
            self._say_to_all(self.wording.renamed.format(old, wanted))

    def _do_whisper(self, member: Member, rest: str) -> None:
        name, _, text = rest.lstrip(" ").partition(" ")
        text = text.lstrip(" ")
        if not text:
            self._refuse(member, "usage", "/whisper NAME TEXT")
        elif (other := self.members.get(name.lower())) is None:
            self._refuse(member, "no-such-user", name)
        else:
            member.tell(stamped(f"PRIVATE TO {other.name}", text))
            other.tell(stamped(f"PRIVATE FROM {member.name}", text))

    def _is_free(self, member: Member, name: str) -> bool:
        """Say whether the member may take the name, to the member too if not."""
        if not NAME.fullmatch(name) or name.lower() in ("server", "error"):
            self._refuse(member, "name-invalid", name)
            return False
        if self.members.get(name.lower(), member) is not member:
            self._refuse(member, "name-taken", name)
            return False
        return True

    def _refuse(self, member: Member, code: str, word: str) -> None:
        member.tell(stamped("ERROR", f"{code}: {self.wording.refusals.get(code, '{0}').format(word)}"))
        if not member.name:
            self._say(member, self.wording.after_refused_name)

    def _say(self, member: Member, text: str) -> None:
        if text:
            member.tell(b"".join(stamped("SERVER", one) for one in text.split("\n")))

    def _say_to_all(self, text: str) -> None:
        self._deliver(stamped("SERVER", text))

    def _deliver(self, data: bytes, except_for: Member | None = None) -> None:
        for member in self.members.values():
            if member is not except_for:
                member.tell(data)


def stamped(source: str, text: str) -> bytes:
    """Return a line with the local time."""
    return time.strftime(f"[%H:%M:%S] [{source}] ").encode() + text.encode() + b"\n"
