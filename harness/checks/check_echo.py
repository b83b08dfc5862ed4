"""Part A: echo (RFC 862 over TCP), one client after another, or a thread for each."""

import random
from collections.abc import Callable

from harness.checks.bench import Bench
from harness.checks.mark import check
from harness.checks.subject import Subject
from harness.wire import Fault, Peer
from harness.wire.payload import pattern
from harness.wire.segments import segmentations

RETURNS = "The server MUST return every byte it receives, unchanged and in order"
VANISHES = (
    "A client that resets, or vanishes at any moment (before accept, in the middle of a reply), MUST NOT end the "
    "server, leak a descriptor or a thread, or leave it spinning."
)
MIB = 1 << 20
SILENCE = 0.6  # seconds; a time-out that ends silent clients is seldom shorter, and every student waits this long
Token = Callable[[], bytes]


@check("A1", RETURNS, "What recv() returned, sendall() sends back.")
def check_echoes(ann: Peer, token: Token) -> None:
    """What a client sends comes back, again and again."""
    for _ in range(3):
        word = token() + b"\n"
        ann.send(word)
        ann.expect(word, "An echo server returns what it got.")


@check(
    "A1",
    "without waiting for a newline or for the end of the stream",
    "recv() returns as soon as anything has arrived: send that back at once, do not collect a line.",
    needs=("echoes",),
)
def check_answers_without_newline(ann: Peer) -> None:
    """A single byte comes back at once, without a newline and without the end of the stream."""
    for byte in (b"a", b"b"):
        ann.send(byte)
        ann.expect(byte, "TCP has no lines: the client may never send a newline.")


@check(
    "A1",
    "All 256 byte values are data.",
    "Let bytes be bytes: no decode(), no encode(), also not for a log line.",
    needs=("echoes",),
)
def check_every_byte_value(ann: Peer) -> None:
    """All 256 byte values come back unchanged."""
    for data in (bytes(range(256)), bytes(reversed(range(256))), b"\xff", b"\xc3", b"\xe2\x82"):
        ann.send(data)
        ann.expect(data, "Pictures, archives and half a character are bytes too; most of them are not valid UTF-8.")


@check(
    "A1",
    "All 256 byte values are data.",
    'Only recv() returning b"" means the end: no word and no blank does. No strip().',
    needs=("echoes",),
)
def check_nothing_is_special(ann: Peer) -> None:
    """Blanks, line ends, NUL and words like `exit` are data like any other."""
    for data in (
        b"\n",
        b"\r\n",
        b" ",
        b"\t",
        b"\0",
        b"\x04",
        b"\xef\xbb\xbf",
        b"exit",
        b"exit\n",
        b"quit\r\n",
        b" a \n",
    ):
        ann.send(data)
        ann.expect(data, f"{data!r} is data: only the client's own end of stream ends the conversation.")


@check(
    "A1",
    RETURNS,
    "One recv() need not be one send() of the client: send back what there is, each time.",
    needs=("echoes",),
)
def check_any_segments(ann: Peer, seed: int) -> None:
    """However the bytes are cut into segments, they come back in order and once."""
    data = pattern(60)
    for chunks in segmentations(len(data), seed, 8):
        ann.send(data, chunks)
        ann.expect(data, "The bytes of a stream arrive in pieces of any size.")


@check(
    "A1",
    RETURNS,
    "send() may take a part of the bytes only and returns how many; sendall() takes all of them.",
    needs=("echoes",),
)
def check_much_data_both_ways(server: Subject) -> None:
    """A mebibyte comes back unchanged to a client that reads slowly, while it is still being sent."""
    ann = server.connect("ann", receive_buffer=4096)
    ann.exchange(pattern(MIB), "Each group of nine bytes names its own place, so a loss or a repetition shows.")


@check(
    "A2",
    "It MUST send nothing else: no banner, no prompt, no farewell.",
    "Remove every send() but the one that returns what recv() brought.",
    needs=("echoes",),
)
def check_adds_nothing(ann: Peer, token: Token) -> None:
    """The server sends nothing of its own: no greeting before, no farewell after."""
    word = token()
    ann.fence(word, word, "The first bytes that come have to be the first that were sent: no banner, no prompt.")
    ann.half_close()
    ann.expect_no_more("After the echo there is nothing more to come: no farewell.")


@check(
    "A3",
    "When a client shuts down its sending side, the server MUST return what is outstanding and then close the "
    "connection.",
    'recv() returning b"" says that the client sends no more; it can still read. Send the rest, then close.',
    needs=("echoes",),
)
def check_half_close(ann: Peer) -> None:
    """When a client ends its sending side, it still gets all that is outstanding, then the end."""
    data = pattern(200_000)
    ann.send(data)
    ann.half_close()
    ann.expect_slowly(
        data, "The end of the client's stream does not end the server's: what was sent before must come back."
    )
    ann.expect_end("Both sides have said all: the server closes, or the client would wait for ever.")


@check(
    "A3",
    "When a client shuts down its sending side, the server MUST return what is outstanding and then close the "
    "connection.",
    'recv() returns b"" at once for a client that ends its stream without a byte: close its connection.',
    needs=("echoes",),
)
def check_end_without_data(ann: Peer) -> None:
    """A client that ends its stream without having sent anything gets the end, and nothing else."""
    ann.half_close()
    ann.expect_end("An empty stream has an empty echo, and an end.")


@check(
    "A3",
    "When a client shuts down its sending side, the server MUST return what is outstanding and then close the "
    "connection.",
    'Data and the end may be there at the same moment: go on calling recv() until it returns b"".',
    needs=("echoes",),
)
def check_data_and_end_together(server: Subject, token: Token) -> None:
    """Data and the end of the stream that arrive in one batch are answered with the data, then the end."""
    word = token()
    with server.frozen():
        ann = server.connect("ann")
        ann.send(word)
        ann.half_close()
    ann.expect(word, "The connection, the data and the end were all there before the server looked for the first time.")
    ann.expect_end()


@check(
    "A5",
    "clients are served one after another",
    "After one client's end, accept() the next: a loop around it.",
    needs=("echoes",),
)
def check_next_client(server: Subject) -> None:
    """When a client has left, the next one is served, and so is the one after it."""
    for name in ("ann", "bob", "cat"):
        peer = server.connect(name)
        server.greet(peer, "The server goes on after a client has left.")
        peer.close()


@check(
    "A5",
    "Lab 1: clients are served one after another; one that connects meanwhile waits, and nothing that it already "
    "sent is lost.",
    "Accept a client, serve it to its end, then accept the next one.",
    needs=("next-client",),
    model=True,
)
def check_one_at_a_time(server: Subject, token: Token) -> None:
    """While one client is served another one waits; then it is served, and what it had sent is not lost."""
    ann = server.connect("ann")
    server.greet(ann)
    bob = server.connect("bob")
    word = token()
    bob.send(word)
    for _ in server.transcript.times(20):
        server.greet(ann)
    server.settle()  # a server that would serve bob too has done so by now, however busy the machine is
    bob.expect_nothing_so_far("ann is still being served: in this lab one client is served after another.")
    ann.close()
    bob.expect(word, "bob sent this while he waited; the kernel kept it for the server.")


@check(
    "A4",
    VANISHES,
    'recv() returns b"" for a client that has left without a word: that is an end like any other.',
    needs=("next-client",),
)
def check_says_nothing_and_leaves(server: Subject) -> None:
    """Clients that connect and leave without a word do no harm to the next one."""
    for _ in server.transcript.times(20):
        server.connect("ann").close()
    server.serve_in_turn(5, "ann came and went again and again, without a word: whoever comes then is served.")


@check(
    "A4",
    VANISHES,
    "recv() raises ConnectionResetError: catch OSError around the work for one client.",
    needs=("echoes",),
)
def check_survives_reset(server: Subject) -> None:
    """After a client that resets its connection, the next one is served."""
    ann = server.connect("ann")
    server.greet(ann)
    ann.reset()
    server.serve_in_turn(5, "ann's reset is ann's end, not the server's.")


@check(
    "A4",
    VANISHES,
    "sendall() raises too, ConnectionResetError or BrokenPipeError: both are kinds of OSError.",
    needs=("echoes",),
)
def check_survives_reset_in_reply(server: Subject) -> None:
    """After a client that resets in the middle of a reply, without having read it, the next one is served."""
    ann = server.connect("ann", receive_buffer=4096)
    ann.send_until_stuck(pattern(64 * 1024))
    ann.reset()
    server.serve_in_turn(5, "The server was in the middle of sending to ann.")


@check(
    "A4",
    VANISHES,
    "accept() returns such a client like any other; the first recv() raises. On some systems accept() itself does.",
    needs=("echoes",),
)
def check_survives_reset_before_accept(server: Subject) -> None:
    """After clients that reset before the server has accepted them, the next one is served."""
    with server.frozen():
        ann = server.connect("ann")
        ann.send(b"you will never answer this")
        ann.reset()
        cat = server.connect("cat")
        cat.send(b"nor this, though it had an end")
        cat.half_close()
        cat.reset()
    server.serve_in_turn(5, "ann and cat came and went while the server was not looking.")


@check(
    "A4",
    VANISHES,
    "Close every connection, however its client ended: `with connection:` does it.",
    needs=("next-client", "survives-reset"),
)
def check_leaks_nothing(server: Subject, seed: int) -> None:
    """Clients that come, talk and vanish in every way leave no descriptor, no thread and no process behind."""
    chance = random.Random(seed)
    server.come_and_go(8, chance.randrange(1000))
    held = server.held()
    server.come_and_go(60, chance.randrange(1000))
    server.expect_released(held, clients=60)


@check(
    "A4",
    VANISHES,
    'After recv() has returned b"" it returns b"" again and again: leave the loop.',
    needs=("survives-reset",),
    waits=True,
)
def check_does_not_spin(bench: Bench) -> None:
    """Clients that have ended, reset or fallen silent leave the server idle; the silent one is still served."""
    server = bench.start()
    ann = server.connect("ann")
    server.greet(ann)
    ann.half_close()
    bob = server.connect("bob")
    server.greet(bob)
    bob.reset()
    cat = server.connect("cat")
    server.greet(cat)
    server.expect_idle("One of the clients that ended, reset or fell silent keeps a loop going round.", SILENCE)
    server.greet(cat, "Silence is no end: a client may think for as long as it likes.")


@check(
    "A5",
    "Lab 3: a thread per client; a silent client delays nobody.",
    "The loop around accept() may only accept and start threads: whatever waits for a client is a thread's work.",
    needs=("echoes",),
)
def check_silent_client_delays_nobody(server: Subject) -> None:
    """While one client is silent, and another has stopped in the middle, a third one is served at once."""
    with server.frozen():  # so that it finds both of them at once
        ann = server.connect("ann")
        bob = server.connect("bob")
    bob.send(b"hello\n")
    bob.expect(b"hello\n", _waiting(bob, "ann"))
    bob.send(b"half a li")
    bob.wait_eaten()
    cat = server.connect("cat")
    cat.send(b"hello\n")
    try:
        cat.expect(b"hello\n")
    except Fault as fault:
        fault.why = _waiting(cat, "ann or bob")
        raise
    bob.send(b"ne\n")
    bob.expect(b"half a line\n", "bob goes on: each thread has a connection of its own, whoever came after him.")
    ann.send(b"my turn\n")
    ann.expect(b"my turn\n", "ann speaks at last: each thread has a connection of its own, whoever came after her.")


def _waiting(peer: Peer, other: str) -> str:
    return (
        f"{peer.name} waits because {other} is connected and silent: this server serves one client after another, "
        "which is lab 1's model."
    )


@check(
    "A5",
    "Lab 3: a thread per client",
    "threading.Thread(target=..., args=...).start() for each client that accept() returns.",
    needs=("echoes", "silent-client-delays-nobody"),
    model=True,
)
def check_thread_per_client(bench: Bench) -> None:
    """With 40 clients more the program has 40 threads more, and all of them are served."""
    server = bench.start()
    server.greet(server.connect("ann"))
    held = server.held()
    for _ in server.transcript.times(40):
        server.greet(server.connect("client"), "The clients before it are silent, and a pool of threads has an end.")
    server.expect_thread_for_each(held, clients=40)
