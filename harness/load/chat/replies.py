"""What a chat answers to /list and /help: what must hold of it, whatever the wording."""

import re
from itertools import pairwise

LIST = re.compile(rb"Connected users \((\d+)\): (.*)")
COMMANDS = (b"/help", b"/list", b"/whisper", b"/nick", b"/exit")
MEMBER = re.compile(rb"guest(\d+)(?:n\d+)?")
VISITOR = re.compile(rb"v\d+x\d+")


def names_listed(text: bytes) -> list[bytes]:
    """Return the names of an answer to /list. Raises ValueError, with a sentence, if its form is not sound."""
    answer = LIST.fullmatch(text)
    if answer is None:
        raise ValueError("that is not of the form `Connected users (N): a, b, c`")
    names = answer[2].split(b", ")
    if int(answer[1]) != len(names):
        raise ValueError(f"it counts {int(answer[1])} and lists {len(names)}")
    lowered = [name.lower() for name in names]
    for name, following in pairwise(lowered):
        if name == following:
            raise ValueError(f"{name.decode(errors='replace')} stands there twice")
        if name > following:
            raise ValueError(f"{name.decode(errors='replace')} stands before {following.decode(errors='replace')}")
    return names


def members_listed(names: list[bytes], clients: int, lasting: int) -> dict[int, bytes]:
    """Return the lasting members among the names of a list, by number.

    Raises ValueError, with a sentence, if somebody is there twice or is nobody, or if one of the first `lasting` of
    the `clients` is not there.
    """
    members: dict[int, bytes] = {}
    for name in names:
        member = MEMBER.fullmatch(name)
        if member is not None and int(member[1]) < clients:
            if (other := members.setdefault(int(member[1]), name)) != name:
                raise ValueError(f"{other.decode()} and {name.decode()} are one")
        elif not VISITOR.fullmatch(name):
            raise ValueError(f"nobody is called {name.decode(errors='replace')}")
    if len(members) < clients:
        for number in range(lasting):
            if number not in members:
                raise ValueError(f"guest{number} is missing")
    return members


def commands_told(text: bytes) -> set[bytes]:
    """Return the command words that stand in a line of /help's answer."""
    return {word for word in COMMANDS if word in text}
