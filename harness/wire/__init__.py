"""Talking to a program under test: named peers, what was said, deadlines, segments and payloads."""

from harness.wire.deadline import Deadline, Patience
from harness.wire.link import Server
from harness.wire.listener import Listener
from harness.wire.peer import Peer
from harness.wire.transcript import Fault, Transcript

__all__ = ["Deadline", "Fault", "Listener", "Patience", "Peer", "Server", "Transcript"]
