"""Numbered lines as an asyncio Protocol with its own framing.

Peculiar: a line is refused the moment it is too long, long before its LF; answers to all lines of a segment leave in
one piece; while a client does not read its answers, it is not read from.
"""

import asyncio
import functools

from asyncio_program import Client, run, serve

MAX_LINE = 4096  # bytes, the LF and the CR before it not counted


class Lines(Client):
    """One connection: the line that is coming in, and the number of the last one answered."""

    def __init__(self, clients: "set[asyncio.Transport]") -> None:
        super().__init__(clients)
        self.line = bytearray()
        self.number = 0
        self.skipping = False  # the line was refused; its LF is still to come

    def data_received(self, data: bytes) -> None:
        answers: list[str] = []
        *ends, rest = data.split(b"\n")
        for end in ends:
            self.extend(end, answers)
            self.finish(answers)
        self.extend(rest, answers)
        if answers:
            self.transport.write("".join(answers).encode())

    def extend(self, piece: bytes, answers: list[str]) -> None:
        """Add a piece without LF to the line; refuse the line if that makes it too long."""
        if self.skipping:
            return
        self.line += piece
        excess = len(self.line) - MAX_LINE
        if excess > 1 or (excess == 1 and not self.line.endswith(b"\r")):  # that CR may yet be dropped
            self.answer("ERROR line-too-long", answers)
            self.skipping = True
            self.line.clear()

    def finish(self, answers: list[str]) -> None:
        """The LF is here."""
        if not self.skipping:
            self.answer(self.line.removesuffix(b"\r").decode("utf-8", "replace"), answers)
        self.skipping = False
        self.line.clear()

    def answer(self, text: str, answers: list[str]) -> None:
        self.number += 1
        answers.append(f"{self.number} {text}\n")


if __name__ == "__main__":
    run(functools.partial(serve, Lines))
