"""What the notebooks are made with: questions and claims, sockets looked at from outside, and pictures of them."""

from harness.seen.asking import ask, claim
from harness.seen.display import on_linux, say, show
from harness.seen.sockets import connected, listening, outcome, state, unread, unsent, until

__all__ = [
    "ask",
    "claim",
    "connected",
    "listening",
    "on_linux",
    "outcome",
    "say",
    "show",
    "state",
    "unread",
    "unsent",
    "until",
]
