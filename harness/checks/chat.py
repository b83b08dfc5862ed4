"""Clients that speak the chat protocol (PROTOCOL.md, part C), and say what they expected when they are disappointed."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from harness.checks.subject import Subject
from harness.wire import Fault, Peer

NAME = rb"[A-Za-z][A-Za-z0-9_-]{0,15}"
FORM = re.compile(rb"\[(\d\d:\d\d:\d\d)\] \[(SERVER|ERROR|(?:PRIVATE (?:FROM|TO) )?%s)\] (.*)" % NAME, re.DOTALL)
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
EVENTS = re.compile(r"\b(Welcome|joined|left|is now|Goodbye)\b|Connected users \(")  # what a SERVER line may announce
CLOCK_LAG = 0.05  # seconds by which the kernel's quick clock may lag behind


@dataclass(frozen=True)
class Line:
    """One line that the server sent."""

    raw: bytes
    stamp: str
    source: str
    text: str


def parse(raw: bytes, who: str) -> Line:
    """Read a line of C1's form; raise Fault if it has another one."""
    form = FORM.fullmatch(raw)
    if form is None:
        raise Fault(
            f"{who} got a line that has not the form which every line of a server has",
            expected="[HH:MM:SS] [SOURCE] TEXT; SOURCE is SERVER, ERROR, a name, PRIVATE FROM or PRIVATE TO a name",
            received=raw,
            why="Programs read these lines, too: whoever finds the time, the source and the text at their places "
            "need not guess.",
        )
    stamp, source, text = (part.decode("utf-8", "backslashreplace") for part in form.groups())
    hours, minutes, seconds = map(int, stamp.split(":"))
    if hours > 23 or minutes > 59 or seconds > 60:
        raise Fault(f"{who} got a line whose time is none", expected="[HH:MM:SS]", received=raw)
    if found := CONTROL.search(text):
        raise Fault(
            f"{who} got a line with the control character U+{ord(found[0]):04X}",
            expected=CONTROL.sub("\ufffd", text),
            received=raw,
            why="Whatever reaches a terminal can command it: move its cursor, clear it, change its title.",
        )
    return Line(raw, stamp, source, text)


class Guest(Peer):
    """A client of a chat; it has no name until it registers.

    A welcome and a refusal may be followed by further SERVER lines, which are overlooked until the client
    has asked for something else and got its answer.
    """

    _chatty = True
    _asked = False
    _nameless = True
    _said = ""

    # What it says

    def say(self, line: str | bytes) -> None:
        """Send a line."""
        data = line if isinstance(line, bytes) else line.encode()
        self._said = data.decode(errors="replace").strip()
        with self.transcript.muted(f"{self.name}.say({line!r})"):
            self.send(data + b"\n")

    def register(self, name: str | None = None) -> None:
        """Ask for a name, by default for the one by which the transcript knows the client, and expect to get it."""
        name = name or self.name
        self.transcript.act(f"{self.name}.register({name!r})")
        with self.transcript.muted():
            if not self._asked:
                self.expect_prompt()
            self.say(name)
            self.expect_welcome(name)

    # What it expects

    def expect_prompt(self, why: str = "") -> Line:
        """Expect to be asked for a name."""
        self.transcript.act(f"{self.name}.expect_prompt()")
        due = "[HH:MM:SS] [SERVER] ... username ..."
        while True:
            line = parse(self.take_line(due, why), self.name)
            if line.source != "SERVER":
                raise self._other(due, line, why)
            if re.search(_word("username"), line.text):
                self._asked = True
                return line

    def expect_prompt_now(self, since: float) -> None:
        """Expect to be asked for a name, in a line that bears the time of its making, after `since` (time.time())."""
        with self.transcript.muted(f"{self.name}.expect_prompt_now(time.time())"):
            self._expect_made_since(since, self.expect_prompt())

    def expect_welcome_now(self, name: str, since: float) -> None:
        """Expect to be welcomed by that name, in a line that bears the time of its making, as above."""
        with self.transcript.muted(f"{self.name}.expect_welcome_now({name!r}, time.time())"):
            self._expect_made_since(since, self.expect_welcome(name))

    def _expect_made_since(self, since: float, line: Line) -> None:
        if line.stamp not in (due := times_between(since, time.time())):
            raise Fault(
                f"{self.name} got a line with another time than that of its making",
                expected=" or ".join(f"[{stamp}]" for stamp in sorted(due)),
                received=line.raw,
                why="Each line tells when it was made, in the time of the place: neither UTC nor the server's start.",
            )

    def expect_welcome(self, name: str, why: str = "") -> Line:
        """Expect to be welcomed by that name."""
        self.transcript.act(f"{self.name}.expect_welcome({name!r})")
        due = f"[HH:MM:SS] [SERVER] ... Welcome ... {name} ..."
        while True:  # what was said before it had a name may contain these words, too
            line = parse(self.take_line(due, why), self.name)
            if line.source != "SERVER":
                raise self._other(due, line, why)
            if all(re.search(_word(word), line.text) for word in ("Welcome", name)):
                self._asked = self._chatty = True
                self._nameless = False
                return line

    def expect_message(self, sender: str, text: str, why: str = "") -> None:
        """Expect a message from that client."""
        self.transcript.act(f"{self.name}.expect_message({sender!r}, {text!r})")
        self._expect(sender, text, why)

    def expect_private_from(self, sender: str, text: str, why: str = "") -> None:
        """Expect a whisper from that client."""
        self.transcript.act(f"{self.name}.expect_private_from({sender!r}, {text!r})")
        self._expect(f"PRIVATE FROM {sender}", text, why)

    def expect_private_to(self, recipient: str, text: str, why: str = "") -> None:
        """Expect to be told that a whisper has reached that client."""
        self.transcript.act(f"{self.name}.expect_private_to({recipient!r}, {text!r})")
        self._expect(f"PRIVATE TO {recipient}", text, why)
        self._chatty = False

    def expect_in_any_order(self, *lines: str, why: str = "") -> None:
        """Expect these lines, such as "[ann] hello", once each, whatever the server says meanwhile."""
        with self.transcript.muted(f"{self.name}.expect_in_any_order({', '.join(map(repr, lines))})"):
            missing = list(lines)
            while missing:
                due = f"[HH:MM:SS] {' or '.join(missing)}"
                line = parse(self.take_line(due, why), self.name)
                if (told := f"[{line.source}] {line.text}") in missing:
                    missing.remove(told)
                elif line.source != "SERVER":
                    raise self._other(due, line, why)

    def expect_joined(self, name: str, why: str = "") -> None:
        """Expect the notice that somebody has come."""
        self.transcript.act(f"{self.name}.expect_joined({name!r})")
        self._expect_event(f"... {name} ... joined ...", (name, "joined"), why)

    def expect_left(self, name: str, why: str = "") -> None:
        """Expect the notice that somebody has gone."""
        self.transcript.act(f"{self.name}.expect_left({name!r})")
        self._expect_event(f"... {name} ... left ...", (name, "left"), why)

    def expect_departures(self, *names: str, why: str = "") -> None:
        """Expect the notices that all these have gone, in any order, once each; what they said last may come, too."""
        with self.transcript.muted(f"{self.name}.expect_departures({', '.join(map(repr, names))})"):
            missing = list(names)
            while missing:
                due = f"[HH:MM:SS] [SERVER] ... {' or '.join(missing)} ... left ..."
                line = self._next(due, why)
                gone = [name for name in missing if re.search(_word(name), line.text)]
                if line.source == "SERVER" and len(gone) == 1 and re.search(_word("left"), line.text):
                    missing.remove(gone[0])
                elif line.source not in missing:
                    raise self._other(due, line, why)

    def expect_renamed(self, old: str, new: str, why: str = "") -> None:
        """Expect the notice that somebody has another name now."""
        self.transcript.act(f"{self.name}.expect_renamed({old!r}, {new!r})")
        due = f"[HH:MM:SS] [SERVER] ... {old} ... is now ... {new} ..."
        line = self._next(due, why)
        if line.source != "SERVER" or not re.search(rf"{_word(old)}.*\bis now\b.*{_word(new)}", line.text):
            raise self._other(due, line, why)

    def expect_refusal(self, codes: str | Sequence[str], about: str = "", why: str = "") -> None:
        """Expect an ERROR line with that code (or one of those), whose text contains `about`."""
        self.transcript.act(f"{self.name}.expect_refusal({codes!r}, {about!r})")
        codes = (codes,) if isinstance(codes, str) else codes
        due = f"[HH:MM:SS] [ERROR] {' or '.join(codes)}: ..." + (f" {about} ..." if about else "")
        line = self._next(due, why)
        code, colon, text = line.text.partition(":")
        if line.source != "ERROR" or code not in codes or not colon or about not in text:
            raise self._other(due, line, why)
        self._asked = self._chatty = True

    def expect_list(self, *names: str, why: str = "") -> None:
        """Ask who is here, and expect exactly these names, in this order."""
        self.transcript.act(f"{self.name}.expect_list({', '.join(map(repr, names))})")
        with self.transcript.muted():
            self.say("/list")
            self.expect_answer_of_list(*names, why=why)

    def expect_answer_of_list(self, *names: str, why: str = "") -> None:
        """Expect the answer to a `/list` that was sent before."""
        self.transcript.act(f"{self.name}.expect_answer_of_list({', '.join(map(repr, names))})")
        self._expect("SERVER", f"Connected users ({len(names)}): {', '.join(names)}", why)
        self._chatty = False

    def expect_silence(self, why: str = "") -> None:
        """Prove that nothing was sent before: ask who is here; the answer must be the next line that comes."""
        self.transcript.act(f"{self.name}.expect_silence()")
        with self.transcript.muted():
            self.say("/list")
            line = self._next("[HH:MM:SS] [SERVER] Connected users (N): ..., and nothing before it", why)
        if line.source != "SERVER" or not line.text.startswith("Connected users ("):
            raise self._other("nothing but the answer to its /list", line, why, "a line where nothing was due")
        self._chatty = False

    def heard(self, why: str = "") -> list[Line]:
        """Ask who is here; return all lines up to the answer, which is the last of them."""
        self.transcript.act(f"{self.name}.heard()")
        found: list[Line] = []
        with self.transcript.muted():
            self.say("/list")
            while not found or not (found[-1].source == "SERVER" and found[-1].text.startswith("Connected users (")):
                found.append(parse(self.take_line("[HH:MM:SS] [SERVER] Connected users (N): ...", why), self.name))
        self._chatty = False
        return found

    def expect_unheard(self, *words: str, why: str = "") -> None:
        """Expect that nothing with any of these words has been sent; notices of other matters are none of it."""
        with self.transcript.muted(f"{self.name}.expect_unheard({', '.join(map(repr, words))})"):
            for line in self.heard():
                if any(word in line.text for word in words):
                    self.expected_instead(f"no line with {' or '.join(words)}", line.raw, why)

    def expect_help(self, words: Sequence[str], why: str = "") -> None:
        """Expect that what the SERVER says, up to the answer to a further /list, contains all these words."""
        with self.transcript.muted(f"{self.name}.expect_help({tuple(words)!r})"):
            lines = self.heard()[:-1]
            for line in lines:
                if line.source != "SERVER":
                    self.expected_instead("[HH:MM:SS] [SERVER] ...", line.raw, why)
            told = "\n".join(line.text for line in lines)
            for word in words:
                if not re.search(rf"{re.escape(word)}(?![\w-])", told):
                    self.expected_instead(f"a line with {word}", told.encode(), why)

    def expect_at_most_usage(self, why: str = "") -> None:
        """Expect that nothing, up to the answer to a further /list, is refused, unless for its usage."""
        with self.transcript.muted(f"{self.name}.expect_at_most_usage()"):
            for line in self.heard():
                if line.source == "ERROR" and not line.text.startswith("usage:"):
                    self.expected_instead("an answer to the command, or [ERROR] usage: ...", line.raw, why)

    def wait_until_gone(self, name: str) -> None:
        """Wait until somebody is not listed any more, whatever is said meanwhile."""
        with self.transcript.muted(f"{self.name}.wait_until_gone({name!r})"):
            deadline = self._patience.deadline()
            while re.search(_word(name), self.heard()[-1].text):
                if not deadline.remaining():
                    raise Fault(f"{name} has gone, and is still listed {deadline.seconds:.0f} s later")

    def expect_goodbye(self, why: str = "") -> None:
        """Expect the answer to /exit, then the end of the connection within 2 seconds."""
        self.transcript.act(f"{self.name}.expect_goodbye()")
        with self.transcript.muted():
            self._expect_event("... Goodbye ...", ("Goodbye",), why)
            self.expect_closed(why)

    def expect_goodbye_after_usage(self, why: str = "") -> None:
        """Expect the answer to /exit, then the end of the connection; before it may be told how a command is used."""
        with self.transcript.muted(f"{self.name}.expect_goodbye_after_usage()"):
            due = "[HH:MM:SS] [SERVER] ... Goodbye ..."
            line = self._next(due, why)
            if line.source == "ERROR" and line.text.startswith("usage:"):
                line = self._next(due, why)
            if line.source != "SERVER" or not re.search(_word("Goodbye"), line.text):
                raise self._other(due, line, why)
            self.expect_closed(why)

    def expect_closed(self, why: str = "") -> None:
        """Expect that no further line comes (but such as may be overlooked), and that the connection ends somehow."""
        with self.transcript.muted(f"{self.name}.expect_closed()"):
            *lines, rest = self.take_all().split(b"\n")
        for raw in [*lines, rest] if rest else lines:
            line = parse(raw, self.name)
            if line.source != "SERVER" or not self._may_overlook(line.text) or raw is rest:
                raise self._other("the end of the connection", line, why)

    def expected_instead(self, due: str, received: bytes, why: str = "") -> NoReturn:
        """Tell that a line came where something else was due."""
        raise Fault(f"{self.name} got another line than was due", expected=due, received=received, why=why)

    # How it looks for it

    def _next(self, due: str, why: str) -> Line:
        while True:
            line = parse(self.take_line(due, why), self.name)
            if line.source != "SERVER" or not self._may_overlook(line.text):
                return line

    def _may_overlook(self, text: str) -> bool:
        if self._nameless:
            asked, self._asked = self._asked, self._asked or bool(re.search(_word("username"), text))
            if not asked or "username" in text:  # what the server says before it asks for a name is free
                return True
            if "Welcome" in text:  # to the room, perhaps
                return self._said not in text
        return self._chatty and not EVENTS.search(text)

    def _expect(self, source: str, text: str, why: str) -> None:
        line = self._next(f"[HH:MM:SS] [{source}] {text}", why)
        if (line.source, line.text) != (source, text):
            raise self._other(f"[{line.stamp}] [{source}] {text}".encode(), line, why)

    def _expect_event(self, due: str, words: Sequence[str], why: str) -> Line:
        due = f"[HH:MM:SS] [SERVER] {due}"
        line = self._next(due, why)
        if line.source != "SERVER" or not all(re.search(_word(word), line.text) for word in words):
            raise self._other(due, line, why)
        return line

    def _other(self, due: str | bytes, line: Line, why: str, what: str = "another line than was due") -> Fault:
        return Fault(f"{self.name} got {what}", expected=due, received=line.raw, why=why)


def _word(word: str) -> str:
    """Return a pattern for a word that does not stand within a longer one."""
    return rf"(?<![\w-]){re.escape(word)}(?![\w-])"


def visit(server: Subject, name: str, receive_buffer: int | None = None) -> Guest:
    """Connect a client that has not said its name yet."""
    options = f", receive_buffer={receive_buffer}" if receive_buffer else ""
    server.transcript.act(f"{name} = visit({name!r}{options})")
    with server.transcript.muted():
        return server.connect_as(Guest, name, receive_buffer)


def join(server: Subject, name: str, *others: Guest, receive_buffer: int | None = None) -> Guest:
    """Connect a client and let it register; the others, who are registered, are told so."""
    told = "".join(f", {other.name}" for other in others)
    told += f", receive_buffer={receive_buffer}" if receive_buffer else ""
    server.transcript.act(f"{name} = join({name!r}{told})")
    with server.transcript.muted():
        guest = visit(server, name, receive_buffer)
        guest.register()
        for other in others:
            other.expect_joined(name)
    return guest


def company(server: Subject, *names: str) -> list[Guest]:
    """Let several clients register, one after another; all that comes of it is expected."""
    server.transcript.act(f"[{', '.join(names)}] = company({', '.join(map(repr, names))})")
    guests: list[Guest] = []
    with server.transcript.muted():
        for name in names:
            guests.append(join(server, name, *guests))
        for guest in guests:
            guest.expect_silence()
    return guests


def times_between(before: float, after: float) -> set[str]:
    """Return the times, as a line states them, at which something between two moments may have happened."""
    moments = range(int(before - CLOCK_LAG), int(after + CLOCK_LAG) + 1)
    return {time.strftime("%H:%M:%S", time.localtime(moment)) for moment in moments}
