"""What a user types and a server sends while a client is traced: neither waits for the other."""

import time

from harness.launch import Program
from harness.trace.scenes import GIVES_UP, IS_SILENT
from harness.wire import Fault, Peer
from harness.wire.transcript import Kind

SERVER, USER = "server", "user"
PAUSE = 0.12  # seconds between two things that happen


def converse(program: Program, server: Peer) -> None:
    """Play it, with the server's end of the client's connection; what disappoints the server ends it."""
    try:
        _talk(program, server)
    except Fault as fault:
        server.transcript.record(SERVER, Kind.ACT, note=f"{GIVES_UP}: {fault}")
    finally:
        server.close()
    program.wait(PAUSE)


def _talk(program: Program, server: Peer) -> None:
    server.send(b"[12:00:00] [SERVER] Tell me your username\n")
    _type(program, server, b"ann\n")
    server.expect(b"ann\n")
    server.send(b"[12:00:01] [SERVER] Welcome, ann\n")
    server.transcript.record(USER, Kind.ACT, note=IS_SILENT)
    for text in (b"hello", b"is anybody here?"):
        time.sleep(PAUSE)  # what is shown: a user who does nothing, and a server that sends all the same
        server.send(b"[12:00:02] [bob] " + text + b"\n")
    _type(program, server, b"/exit\n")
    server.expect(b"/exit\n")
    server.send(b"[12:00:03] [SERVER] Goodbye\n")


def _type(program: Program, server: Peer, data: bytes) -> None:
    assert program.keyboard is not None
    time.sleep(PAUSE)  # as above
    server.transcript.record(USER, Kind.SEND, data, note="types")
    program.keyboard.type(data)
