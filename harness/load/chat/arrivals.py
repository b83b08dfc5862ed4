"""Of whom each member has heard that they joined: N clients make N * (N - 1) / 2 notices, fifty millions of 10,000.

So they are not looked at one by one. The first to hear of somebody writes it down, in a log that all share; the others'
streams are compared with it, as many bytes at a time as came. What somebody has heard then is a stretch of the log.
Who hears in another order, or in other words, has a number of its own beside that, with a bit for each other member.
"""

import re
from collections.abc import Iterable
from itertools import pairwise

from harness.load.chat.voices import Guest
from harness.load.outcome import LoadFault
from harness.load.stamp import STAMP


class Arrivals:
    """Counts joined notices, whatever their wording."""

    def __init__(self, clients: int) -> None:
        self.clients = clients  # that are expected
        self.total = 0  # notices that were heard, by those who read at once
        self._notices: re.Pattern[bytes] | None = None  # nothing but notices: learned from the first one
        self._number = re.compile(rb"")  # of the member, in each of them
        self._log = bytearray()
        self._places: dict[int, int] = {}  # where each member's notice ends in the log
        self._turns = {0: 0}  # how many notices end at such a place or before
        self._bits = [0]  # whom the first notices, so many, are about

    def hear(self, guest: Guest, number: int, line: bytes) -> None:
        """Take one notice. Raises LoadFault when it is not the first of its kind."""
        if self._notices is None:
            before, _, after = line[11:].partition(b"guest%d" % number)
            one = rb"%b%b(\d{1,7})%b\n" % (STAMP.pattern, re.escape(before + b"guest"), re.escape(after))
            self._notices = re.compile(rb"(?:%b)++" % one.replace(rb"(\d{1,7})", rb"\d{1,7}"))
            self._number = re.compile(one)
        self._take(guest, [number])

    def hear_all(self, guest: Guest, piece: bytes) -> int:
        """Take all notices that whole lines begin with; return how many bytes that is. Raises LoadFault."""
        at = guest.log_end
        if at < 0:
            at = self._places.get(guest.number, -1 if self._log else 0)
            guest.log_start = guest.log_end = at
        if at >= 0 and self._log.startswith(piece, at) and at + len(piece) in self._turns:
            guest.log_end = at + len(piece)
            self._count(guest, self._turns[guest.log_end] - self._turns[at])
            return len(piece)
        notices = self._notices.match(piece) if self._notices is not None else None
        if notices is None:
            return 0
        if 0 <= at <= len(self._log) and piece.startswith(bytes(self._log[at:])):
            self._write_down(notices[0][len(self._log) - at :])
            if len(self._log) == at + len(notices[0]):
                return self.hear_all(guest, notices[0])
        numbers = [int(number) for number in self._number.findall(notices[0])]
        self._take(guest, numbers)
        guest.log_start = guest.log_end = self._places.get(numbers[-1], -1)
        return len(notices[0])

    def heard(self, guest: Guest) -> int:
        """Return a number with a bit for each member of whom somebody has heard, and for itself. Raises LoadFault."""
        if guest.log_end == guest.log_start:
            return guest.joined
        stretch = self._bits[self._turns[guest.log_end]] ^ self._bits[self._turns[guest.log_start]]
        if again := guest.joined & stretch:
            raise LoadFault(_second_time(guest, _lowest(again)))
        return guest.joined | stretch

    def is_notice(self, line: bytes) -> bool:
        """Whether a line is worded as the notices are."""
        return self._notices is not None and self._notices.fullmatch(line + b"\n") is not None

    def _write_down(self, notices: bytes) -> None:
        """Add notices to the log, up to one that is there already."""
        for notice in self._number.finditer(notices):
            number = int(notice[1])
            if number in self._places or number >= self.clients:
                break
            self._log += notice[0]
            self._places[number] = len(self._log)
            self._turns[len(self._log)] = len(self._bits)
            self._bits.append(self._bits[-1] | 1 << number)

    def _take(self, guest: Guest, numbers: list[int]) -> None:
        """Note of whom somebody has heard in its own way."""
        guest.joined = self.heard(guest)
        guest.log_start = guest.log_end
        for number in numbers:
            if number >= self.clients:
                raise LoadFault(f"{_name(guest)} heard that guest{number} joined, whom nobody knows")
            if guest.joined >> number & 1:
                raise LoadFault(_second_time(guest, number))
            guest.joined |= 1 << number
        self._count(guest, len(numbers))

    def _count(self, guest: Guest, notices: int) -> None:
        if type(guest) is Guest:
            self.total += notices

    def fault(self, guests: Iterable[Guest]) -> str | None:
        """Say which notice some members lack, or have though it was not for them; None if all is as it must be.

        Of two members, the one who came first hears of the other and of everyone of whom the other hears. So the
        numbers of notices of N members, if there are no others, are just N - 1, N - 2, ..., 0.
        """
        order = sorted(guests, key=lambda guest: self.heard(guest).bit_count(), reverse=True)
        return next((wrong for one, other in pairwise(order) if (wrong := self._fault_of(one, other))), None)

    def _fault_of(self, earlier: Guest, later: Guest) -> str | None:
        """Say what is wrong with what two members have heard who came one after the other, as it seems."""
        by_earlier, by_later = self.heard(earlier), self.heard(later)
        if by_earlier == by_later:
            return f"{_name(earlier)} and {_name(later)} both heard that the other joined: one was there before"
        if by_earlier.bit_count() == by_later.bit_count() and by_later >> earlier.number & 1:
            earlier, later, by_earlier, by_later = later, earlier, by_later, by_earlier
        lacks = by_later & ~by_earlier
        if not lacks:
            return None
        if lacks >> later.number & 1 and not by_later >> earlier.number & 1:
            return f"neither {_name(earlier)} nor {_name(later)} heard that the other joined: that notice is lost"
        return (
            f"{_name(earlier)} did not hear that guest{_lowest(lacks)} joined, but {_name(later)}, who came later, "
            "did: one of them was told wrongly"
        )


def _name(guest: Guest) -> str:
    return guest.name.decode()


def _second_time(guest: Guest, number: int) -> str:
    if guest.number == number:
        return f"{_name(guest)} heard that it joined itself: that is for the others"
    return f"{_name(guest)} heard that guest{number} joined for the second time"


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1
