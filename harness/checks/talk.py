"""Many clients that talk at once, and every delivery checked: whole, once, in order, under the right name."""

import re
import selectors
from collections import Counter

from harness.checks.chat import Guest, parse, visit
from harness.checks.subject import Subject
from harness.wire import Fault

SAID = re.compile(rb"\[\d\d:\d\d:\d\d\] \[(\w+)\] (\w+) says number (\d+) x{120}\.")
BEGINNING = re.compile(rb"\[[\d:]{8}\] \[\w+\] \w+ says number \d+ x*")
SHOWN = 50  # bytes on each side
NOTICE = re.compile(r"(?=.*\bpasser\d+\b).*\b(joined|left)\b")
LISTENERS = 5  # clients that say nothing, and for whom the kernel takes little: a long send() to them is cut in two
PASSERS = 8  # clients that come and go while the others talk
FORM = "[HH:MM:SS] [NAME] NAME says number N xxx, the same NAME twice and not the reader's, or a notice"
WHY = (
    "Clients spoke, came and went at the same moment: whoever changes what all share, goes through it, or writes to a "
    "socket to which others write, must be alone."
)


class Ear:
    """One client of the crowd: what it has heard so far."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.heard: Counter[bytes] = Counter()  # messages of each of the others
        self.count = 0

    def hear(self, raw: bytes) -> None:
        """Take one line; raise Fault if it is not the next one of somebody else."""
        said = SAID.fullmatch(raw)
        if said is None:
            line = parse(raw, self.guest.name)
            if line.source != "SERVER" or not NOTICE.search(line.text):
                self.guest.expected_instead(FORM, _around_the_tear(raw), WHY)
            return
        source, name, number = said.groups()
        if source != name or source == self.guest.name.encode():
            self.guest.expected_instead(FORM, raw, WHY)
        due = self.heard[name]
        if int(number) != due:
            how = "for the second time" if int(number) < due else "and what was to come before it did not"
            self.guest.expected_instead(f"... {name.decode()} says number {due} ...", raw, f"This came {how}. {WHY}")
        self.heard[name] = due + 1
        self.count += 1


def _around_the_tear(raw: bytes) -> bytes:
    """Return the part of a line that shows where another one begins in its middle."""
    begun = BEGINNING.match(raw)
    place = begun.end() if begun else 0
    return raw[max(0, place - SHOWN) : place + SHOWN]


def everyone_talks(server: Subject, talkers: int, rounds: int, lines: int) -> None:
    """Let `talkers` clients say `lines` lines each, all at once, `rounds` times, while others come and go.

    Expect that each of them, and some who only listen, hear all others exactly.
    """
    server.transcript.act(f"everyone_talks({talkers}, {rounds}, {lines})")
    with server.transcript.muted():
        guests = _crowd(server, talkers)
        ears = [Ear(guest) for guest in guests]
        for turn in range(rounds):
            with server.frozen():
                for guest in guests[:talkers:2]:
                    _talk(guest, turn * lines, lines)
                passing = [visit(server, f"passer{turn * PASSERS + number}") for number in range(PASSERS)]
                for guest in passing:
                    guest.say(guest.name)
                for guest in guests[1:talkers:2]:
                    _talk(guest, turn * lines, lines)
            _listen(server, ears, talkers, (turn + 1) * lines)
            for guest in passing:
                guest.expect_through(b"Welcome", guest.name.encode(), why=WHY)
                guest.close()
        for ear in ears:
            for line in ear.guest.heard(WHY)[:-1]:
                ear.hear(line.raw)


def _crowd(server: Subject, talkers: int) -> list[Guest]:
    guests = [visit(server, f"talker{number:02d}") for number in range(talkers)]
    guests += [visit(server, f"listener{number}", receive_buffer=4096) for number in range(LISTENERS)]
    for guest in guests:
        guest.register()
    for guest in guests:
        listed = guest.heard()[-1]
        if not listed.text.startswith(f"Connected users ({len(guests)}):"):
            guest.expected_instead(f"... Connected users ({len(guests)}): ...", listed.raw, WHY)
    return guests


def _talk(guest: Guest, first: int, lines: int) -> None:
    words = (f"{guest.name} says number {number} {'x' * 120}.\n" for number in range(first, first + lines))
    guest.send("".join(words).encode())


def _listen(server: Subject, ears: list[Ear], talkers: int, lines: int) -> None:
    """Let all read at the same time, until each has heard so many lines of everybody else."""
    deadline = server.patience.deadline()
    with selectors.DefaultSelector() as selector:
        for place, ear in enumerate(ears):
            selector.register(ear.guest.socket, selectors.EVENT_READ, (ear, lines * (talkers - (place < talkers))))
        while waiting := selector.get_map():
            ready = selector.select(deadline.remaining())
            for key, _ in ready:
                ear, due = key.data
                over = ear.guest.is_over()
                for raw in ear.guest.lines_there():
                    ear.hear(raw)
                if ear.count >= due:
                    selector.unregister(key.fileobj)
                elif over:
                    raise Fault(f"{ear.guest.name}'s connection ended after {ear.count} of {due} messages", why=WHY)
            if ready:
                deadline = server.patience.deadline()
            elif not deadline.remaining():
                ear, due = next(iter(waiting.values())).data
                raise Fault(
                    f"{len(waiting)} clients wait in vain, {ear.guest.name} among them",
                    expected=f"{due} messages of the others",
                    received=f"{ear.count} of them",
                    why=WHY,
                )
