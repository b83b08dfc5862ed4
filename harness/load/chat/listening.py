"""What members of a chat receive, line by line: what the server says, what others say, and what is for one alone."""

from harness.load.chat.hearing import GUEST, Hearing, question
from harness.load.chat.replies import COMMANDS, commands_told, members_listed, names_listed
from harness.load.chat.voices import GONE, JOINED, LEFT, NAME, TAKEN, WHISPERED, Act, Guest, Visitor, Voice, shown
from harness.load.engine import Line
from harness.load.outcome import ServerFull

FULL = b"server-full"


class Listening(Hearing):
    """Takes every line that a member receives for what it is."""

    def arrived(self, line: Line, data: bytes, now: int) -> None:
        if type(line) is not Guest or self.gathering:
            self._arrived_otherwise(line, data, now)
            return
        line.received += len(data)
        *lines, line.rest = (line.rest + data).split(b"\n")
        on_their_way, stamps, place, record = self.on_their_way, self.stamps, line.place, self.record
        for one in lines:
            act = on_their_way.get(one[11:])
            if act is None or act.heard[place] != act.before or one[:11] not in stamps:
                self._other(line, one, now)
                continue
            act.heard[place] = act.number
            if act.measured:
                record(now - act.due)
                if act.also is not None:
                    act.also(now - act.due)
            act.missing -= 1
            if not act.missing:
                self.delivered(act, now)
        self.signs += len(lines)

    def _arrived_otherwise(self, line: Line, data: bytes, now: int) -> None:
        self.signs += 1
        if isinstance(line, Visitor):
            self.visitor_hears(line, data, now)
            return
        assert isinstance(line, Guest)
        line.received += len(data)
        whole = data.rfind(b"\n") + 1
        piece, line.rest = line.rest + data[:whole] if whole else b"", data[whole:] if whole else line.rest + data
        while piece:
            taken = self.arrivals.hear_all(line, piece) if line.named else 0
            if not taken:
                taken = piece.index(b"\n") + 1
                self._other(line, piece[: taken - 1], now)
            piece = piece[taken:]
        self.has_heard(line, now)

    def _other(self, guest: Guest, line: bytes, now: int) -> None:
        """Take a line that may be anything."""
        if line[:11] not in self.stamps:
            self.look_at_stamp(guest, line)
        source, _, text = line[12:].partition(b"] ")
        if source == b"SERVER":
            self._server_says(guest, line, text, now)
        elif source == b"ERROR":
            self._refused(guest, line, text, now)
        elif not guest.named:
            raise self.fault(guest, f"has no name yet, and received {shown(line)}")
        elif source.startswith(b"PRIVATE "):
            self._whispered(guest, line, now)
        else:
            self.said(guest, line, now)

    # What the server says

    def _server_says(self, guest: Guest, line: bytes, text: bytes, now: int) -> None:
        names = NAME.findall(text)
        if not guest.welcome and b"Welcome" in text and guest.name in names:
            self.welcomed(guest, now)
        elif not guest.named:
            if self.arrivals.is_notice(line):
                raise self.fault(guest, f"has no name yet, and received {shown(line)}")
            if not guest.asked and b"username" in text:
                guest.asked = now
                self.asked(guest, now)
        elif text.startswith(b"Connected users"):
            self._listed(guest, text, now)
        elif names and b"is now" in text:
            self._renamed(guest, line, text, now)
        elif names and b"joined" in text:
            if member := GUEST.fullmatch(names[0]):
                self.arrivals.hear(guest, int(member[1]), line)
            else:
                self._noticed(guest, self.voice_of(names[0]), JOINED, line, now)
        elif names and LEFT.search(text):
            if member := GUEST.fullmatch(names[0]):
                self._noticed(guest, self.departed(int(member[1])), 1, line, now)
            else:
                self._noticed(guest, self.voice_of(names[0]), GONE, line, now)
        elif guest.owed and guest.owed[0].asked == b"/help":
            act = guest.owed[0]
            act.answered |= commands_told(text)
            if len(act.answered) == len(COMMANDS):
                self.answered(guest, act, now)

    def _noticed(self, guest: Guest, voice: Voice | None, number: int, line: bytes, now: int) -> None:
        if voice is None or (self.is_own(voice.name) and number > voice.told):
            raise self.fault(guest, f"received {shown(line)}, which is not so")
        self.hear(guest, voice, number, line, now, "visit")

    def _renamed(self, guest: Guest, line: bytes, text: bytes, now: int) -> None:
        before, _, after = text.partition(b"is now")
        new = next((name for name in NAME.findall(after) if TAKEN.fullmatch(name)), b"")
        taken = TAKEN.fullmatch(new)
        voice = self.voice_of(taken[1]) if taken else None
        number = int(taken[2]) if taken else 0
        if voice is not None and not self.is_own(voice.name) and number == voice.told + 1:
            voice.names.append((number, new))
        if voice is None or (self.is_own(voice.name) and voice.name_at(number + 1) != new):
            raise self.fault(guest, f"received {shown(line)}, which nobody asked for")
        if voice.name_at(number) not in NAME.findall(before):
            who = voice.name_at(number).decode()
            raise self.fault(guest, f"received {shown(line)}, but it is {who} who takes that name")
        if voice is not guest.voice:
            self.hear(guest, voice, number, line, now, "nick")
        elif guest.owed and guest.owed[0].kind == "nick" and guest.owed[0].number == number:
            self.answered(guest, guest.owed[0], now)
        else:
            raise self.fault(guest, f"received {shown(line)}, which is no answer that is due{_due(guest)}")

    # What is for one alone

    def _refused(self, guest: Guest, line: bytes, text: bytes, now: int) -> None:
        if not guest.named and text.startswith(FULL):
            raise ServerFull(self.served())
        act = guest.owed[0] if guest.owed else None
        if act is None or act.kind != "unknown":
            raise self.fault(guest, f"received {shown(line)}, which is no answer that is due{_due(guest)}")
        if not text.startswith(b"unknown-command:") or act.asked not in text:
            wanted = f"[ERROR] unknown-command with {act.asked.decode()} in it"
            raise self.fault(guest, f"expected {wanted}, received {shown(line)}")
        self.answered(guest, act, now)

    def served(self) -> int:
        """How many clients the server has asked for a name."""
        return sum(bool(guest.asked) for guest in self.guests)

    def _listed(self, guest: Guest, text: bytes, now: int) -> None:
        act = guest.owed[0] if guest.owed else None
        if act is None or act.asked != b"/list":
            raise self.fault(guest, f"received {shown(text)}, which is no answer that is due{_due(guest)}")
        try:
            names = names_listed(text)
            members = members_listed(names, self.clients, 0 if act.kind == "roll call" else self.clients - self.slow)
            if wrong := self.list_fault(act, members, names):
                raise ValueError(wrong)
        except ValueError as error:
            raise self.fault(guest, f"asked /list and received {shown(text)}: {error}") from None
        self.answered(guest, act, now)

    def _whispered(self, guest: Guest, line: bytes, now: int) -> None:
        act = self.whispers.get(line[11:])
        if act is not None and act.to is guest:
            waiting, heard = self.pairs[act.voice, guest], act.heard[guest.place]
            if act is not waiting[0] or act.before < heard:
                due = f"whisper {min(act.number, waiting[0].number)} of {act.voice.name.decode()}"
                raise self.fault(guest, f"received {shown(line)} in the wrong order: {due} was due before")
            if act.before > heard:
                due = act.voice.what(heard + 1)
                raise self.fault(guest, f"received {shown(line)} in the wrong order: {due} was due before")
            waiting.popleft()
            if not waiting:
                del self.pairs[act.voice, guest]
            del self.whispers[line[11:]]
            guest.reached -= 1
            self.reached(act, now)
            return
        owed = guest.owed[0] if guest.owed else None
        if owed is not None and owed.kind == "whisper" and line[11:] == owed.asked:
            self.answered(guest, owed, now)
            return
        raise self.fault(guest, f"received {shown(line)}, {self._what_of_whisper(guest, act, line)}")

    def _what_of_whisper(self, guest: Guest, act: Act | None, line: bytes) -> str:
        told = WHISPERED.fullmatch(line[11:])
        voice = self.voices.get(told[4]) if told else None
        if act is not None and act.to is not None:
            return f"which is for {act.to.name.decode()} alone"
        if told is None or voice is None or int(told[3]) > voice.whispered:
            return "which nobody whispered"
        if told[1] == b"FROM" and told[2] == voice.name:
            return "which was whispered already, or is not for it"
        return f"which is no answer that is due{_due(guest)}"


def _due(guest: Guest) -> str:
    return f" (that is the one to {question(guest.owed[0])})" if guest.owed else ""
