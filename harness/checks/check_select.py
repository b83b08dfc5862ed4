"""A5 and C6 as far as they concern one thread that waits with select(): slow readers, memory, descriptors."""

from harness.checks.bench import Bench
from harness.checks.check_echo import Token
from harness.checks.crowd import crowd, greet_unless_refused, limit_descriptors
from harness.checks.mark import check
from harness.checks.subject import Subject
from harness.launch import Figures
from harness.wire import Fault, Peer
from harness.wire.payload import pattern

ONE_THREAD = "Lab 5: one thread and `select()`"
DELAYS_NOBODY = "a client that does not read delays nobody"
BOUNDED = (
    "at most 1 MiB of unsent output is kept for a client in the server's own buffer (the kernel's are extra): above "
    "that the server stops reading from it until the output drains."
)
VANISHES = (
    "A client that resets, or vanishes at any moment (before accept, in the middle of a reply), MUST NOT end the "
    "server, leak a descriptor or a thread, or leave it spinning."
)
AT_THE_LIMIT = (
    "At the limit of descriptors the server refuses new clients (`[ERROR] server-full: ...`, then close, where it "
    "still can) or leaves them waiting in the accept queue, keeps serving the others, and does not spin."
)
FD_SETSIZE = "Labs 5 and 6 never hand `select()` a descriptor of 1024 or above"
MIB = 1 << 20
MOST_KEPT = 1 << 20  # bytes
ONE_READ = 1 << 20  # bytes that one recv() may bring on top of that, generously
SMALL = 4096  # bytes of the receive buffer of a client that reads slowly or not at all
PIECE = pattern(64 * 1024)
SIP = pattern(2048)
BOBS = b"".join(b"bob %03d " % number for number in range(32)) * 256  # as much, and nobody else's
CLIENTS = 1060  # more than select() can watch


@check(
    "A5",
    ONE_THREAD,
    "select() says that the listener can be read when a client has come: accept() it, and let select() watch it, too.",
)
def check_accepts_everybody(server: Subject) -> None:
    """Clients that connect are accepted, though nobody has said a word yet."""
    with server.frozen():  # so that it finds the first two at once
        crowd = [server.connect(name) for name in ("ann", "bob")]
    crowd.append(server.connect("cat"))
    for peer in crowd:
        peer.wait_accepted()
        peer.expect_connected("A server that waits for all its clients at once has a place for one more.")


@check(
    "A5",
    ONE_THREAD,
    "select() returns a list of sockets: for each of them one accept() or one recv(), and none for the others.",
    needs=("echoes",),
)
def check_serves_in_any_order(server: Subject, token: Token) -> None:
    """Clients that speak in any order, or in the same moment, each get their own bytes, and at once."""
    with server.frozen():
        crowd = [server.connect(name) for name in ("ann", "bob", "cat", "dan")]
    for peer in reversed(crowd):
        _converse(peer, token() + b"\n", "Whoever speaks is served, whoever else is silent, and whoever came first.")
    with server.frozen():
        said = [(peer, token() + b"\n") for peer in crowd]
        for peer, word in said:
            peer.send(word)
        said[1][0].half_close()
    for peer, word in reversed(said):
        peer.expect(word, "They all spoke before the server looked: select() returned all of them at once.")
    for peer in (crowd[0], crowd[2], server.connect("eve"), crowd[3]):
        _converse(peer, token() + b"\n", "bob has left, and eve has come: the others stay where they are.")


def _converse(peer: Peer, word: bytes, why: str) -> None:
    peer.send(word)
    peer.expect(word, why)


@check(
    "A5",
    ONE_THREAD,
    "No threads and no processes in this lab: one select() waits for everybody.",
    needs=("echoes", "serves-in-any-order"),
    model=True,
)
def check_one_thread_for_all(bench: Bench) -> None:
    """With 40 clients more the program has no thread and no process more, and all of them are served."""
    server = bench.start()
    server.greet(server.connect("ann"))
    held = server.held()
    for _ in server.transcript.times(40):
        server.greet(server.connect("client"), "The clients before it are silent; select() can watch 1,000 of them.")
    _expect_no_thread_more(server, held, clients=40)


def _expect_no_thread_more(server: Subject, before: Figures, clients: int) -> None:
    server.transcript.act(f"server.expect_no_thread_more(held, {clients})")
    now = server.program.figures()
    threads, processes = now.threads - before.threads, now.processes - before.processes
    if threads > 0 or processes > 0:
        raise Fault(
            "it does not serve all its clients with one thread",
            expected=f"no thread and no process more with {clients} clients more",
            received=f"{threads} threads and {processes} processes more",
            why="The idea of this lab is one thread and select() (--any-model leaves this check out).",
        )


@check(
    "A5",
    DELAYS_NOBODY,
    "send() must neither wait (setblocking(False)) nor raise to the end of the server: what it does not take now is "
    "kept, and offered again when select() says that the client can be written to.",
    needs=("echoes",),
)
def check_slow_reader_delays_nobody(server: Subject) -> None:
    """While one client sends much and reads nothing, the others are served, with much data too."""
    ann = server.connect("ann", receive_buffer=SMALL)
    bob = server.connect("bob")
    server.greet(bob)
    ann.send_until_stuck(pattern(MIB))
    server.greet(bob, "ann does not read, and that must not hold up bob, who was here before.")
    dan = server.connect("dan", receive_buffer=SMALL)
    dan.trickle_until_stuck(SIP, MIB // 4)
    server.greet(bob, "dan does not read either, and that must not hold up bob.")
    server.greet(server.connect("cat"), "ann does not read, and that must not hold up cat, who has just come.")
    bob.exchange(pattern(MIB), "bob reads all the time: what is kept for ann must not be in his way.")


@check(
    "A5",
    DELAYS_NOBODY,
    "What send() does not take belongs at the end of what is kept for this client, and leaves from the beginning.",
    needs=("slow-reader-delays-nobody",),
)
def check_slow_reader_gets_everything(server: Subject) -> None:
    """Clients that begin to read late get all of their bytes, in order, and then the end of the stream."""
    ann = server.connect("ann", receive_buffer=SMALL)
    bob = server.connect("bob", receive_buffer=SMALL)
    hers, his = PIECE, BOBS
    ann.send_until_stuck(hers, MIB // 4)  # more than the kernel takes, and less than a server may keep
    bob.send_until_stuck(his, 4 * MIB)
    for peer in (ann, bob):
        peer.half_close()
    server.settle()  # what it can see of the ends, it has seen
    for peer, unit in ((bob, his), (ann, hers)):
        peer.expect_all_back(unit, "It was sent before the end of the stream, so all of it must come back.")
        peer.expect_end("Everything has come back, and the client has ended its stream.")


@check(
    "A4",
    VANISHES,
    "A client can be lost in recv() and in send(): forget what is kept for it, and do not touch its socket again.",
    needs=("slow-reader-delays-nobody",),
)
def check_survives_reset_of_slow_reader(server: Subject) -> None:
    """Clients that reset while output is kept for them do no harm to the others, however much it is."""
    bob = server.connect("bob")
    server.greet(bob)
    for size in (MIB // 4, MIB // 2, 4 * MIB):
        ann = server.connect("ann", receive_buffer=SMALL)
        ann.send_until_stuck(PIECE, size)
        server.settle()
        ann.reset()
        server.greet(bob, "ann can be read and written to at the same moment, and both end with an error.")
    server.serve_in_turn(3, "All that was kept for ann went with ann.")


@check(
    "C7",
    "Idle, it uses no CPU.",
    "select() may watch a client for writing only while something is unsent for it, and for reading only while you "
    "are going to read: a socket that is ready and left alone makes select() return at once, for ever.",
    needs=("slow-reader-delays-nobody",),
    waits=True,
)
def check_idles_with_a_slow_reader(bench: Bench) -> None:
    """While clients do not read, and others are silent, the server uses no processor time."""
    server = bench.start()
    bob = server.connect("bob")
    server.greet(bob)
    ann = server.connect("ann", receive_buffer=SMALL)
    ann.send_until_stuck(pattern(MIB), 4 * MIB)
    server.settle()
    server.expect_idle("Nothing can be sent to ann, and nothing is to be done for bob: select() has to wait.")
    ann.expect_all_back(pattern(MIB), "ann reads at last.")
    server.settle()
    server.expect_idle("ann has got everything: nothing is to be written to anybody any more.")
    server.greet(bob)


@check(
    "A5",
    BOUNDED,
    "Do not read from a client as long as something is kept for it; when it has got everything, read again.",
    needs=("slow-reader-gets-everything",),
)
def check_stops_reading_from_a_slow_reader(server: Subject) -> None:
    """For a client that goes on sending and does not read, the server keeps little, and goes on when it reads."""
    ann = server.connect("ann", receive_buffer=SMALL)
    server.greet(ann)
    held = server.held()
    for _ in range(2):
        ann.send_until_stuck(pattern(MIB))
        _expect_little_kept(server, ann, held)
        ann.expect_all_back(pattern(MIB), "The server stopped reading from ann; now that she reads, it must go on.")
    server.greet(ann, "ann has got everything, and is a client like any other again.")


def _expect_little_kept(server: Subject, peer: Peer, before: Figures) -> None:
    """What a client has sent, and what is in none of the four queues of the kernels, the program keeps."""
    server.transcript.act(f"server.expect_little_kept({peer.name}, held)")
    with server.transcript.muted():
        server.settle()
    in_kernels = peer.in_kernels()
    if in_kernels is None:  # where the queues cannot be seen, or the connection is over
        kept = server.program.figures().pss - before.pss - ONE_READ
    else:
        kept = peer.stuck_at - in_kernels
    if kept > MOST_KEPT + ONE_READ:
        raise Fault(
            f"it keeps {kept / MIB:.0f} MiB for {peer.name}, who does not read, and goes on reading from her",
            expected="at most 1 MiB",
            received=f"{kept / MIB:.0f} MiB",
            why="One client that only sends could fill the memory of the machine, and end the server for everybody.",
        )


@check(
    "C6",
    AT_THE_LIMIT,
    "accept() raises OSError when there is no descriptor for one more, and the listener stays ready: look away from "
    "it until a client has left.",
    waits=True,
)
def check_at_the_descriptor_limit(bench: Bench) -> None:
    """When no descriptor is left, the server serves those whom it has, does not spin, and later takes in others."""
    server = bench.start()
    ann, bob, cat = (server.connect(name) for name in ("ann", "bob", "cat"))
    server.greet(ann)
    for peer in (bob, cat):
        peer.wait_accepted()
    server.settle()
    limit_descriptors(server, spare=6)
    with crowd(server, 9):  # three stay in the queue; even if they are accepted when they are gone, dan and eve fit in
        server.settle()
        server.expect_idle("Clients wait in the accept queue, and no descriptor is left for them.")
        server.greet(bob, "bob was connected before the descriptors ran out.")
        dan = server.connect("dan")
    server.settle()  # it has seen that they have left
    greet_unless_refused(server, dan, "Clients have left, so there are descriptors again for those who wait.")
    server.greet(server.connect("eve"), "Clients have left, so there are descriptors again.")
    server.greet(cat, "cat was connected before the descriptors ran out.")
    ann.expect_connected("ann was being served before the descriptors ran out.")


@check(
    "C6",
    FD_SETSIZE,
    "select() raises ValueError for a descriptor of 1024 or above: close a connection whose fileno() is that high.",
    waits=True,
)
def check_more_clients_than_select_can_watch(bench: Bench) -> None:
    """With more than 1,024 clients the server goes on serving those who came first."""
    server = bench.start()
    ann, bob = server.connect("ann"), server.connect("bob")
    server.greet(ann)
    bob.wait_accepted()
    with crowd(server, CLIENTS, raising_limits=True):
        server.greet(bob, "bob was the second of all these clients.")
        server.expect_idle("The clients are all silent; whoever cannot be served waits, or is refused.")
        ann.expect_connected("ann was the first of all these clients.")
    server.settle()  # it has seen that they have left
    server.greet(server.connect("cat"), "The others have left: there is room again.")
