"""Part C6: nothing that one client does stops, delays, disconnects or misattributes another."""

import random

from harness.checks.bench import Bench
from harness.checks.chat import Guest, company, join, visit
from harness.checks.mark import check
from harness.checks.subject import Subject
from harness.checks.talk import everyone_talks
from harness.wire import Fault

ISOLATION = (
    "Nothing one client does (silence, half a line, flooding, not reading, vanishing, garbage) stops, delays, "
    "disconnects or misattributes another."
)
ORDER = (
    "What one client sends is carried out in the order sent. Replies come in that order; every recipient sees one "
    "sender's messages in that order, each exactly once."
)
MUST_NOT = "A client with less than 1,000,000 bytes of it MUST NOT be disconnected for that"
MUST = "one with more than 1 MiB MUST be, and the others are told that it left."
WITHIN = "a `SERVER` line with the word `Goodbye`, then the connection closes within 2 seconds"
LINE = 1000  # bytes of text in a line for a slow reader
BATCH = 64  # such lines that are sent at once
NEARLY = 960_000  # bytes; a server may let go when it keeps 1,000,000, and has to above 1 MiB
FEW = 7  # lines that a server reads at once
TAKEN_BY_KERNELS = 5 << 20  # bytes; a kernel takes up to 4.3 MB for a peer that never reads
LITTLE, SOME, MUCH = 20_000, 300_000, 800_000  # bytes that a server has to keep, and two batches more
TOO_MUCH = 3 << 19  # bytes that the server alone keeps, where the system shows it
ANSWERS = 2500  # more than a kernel takes for a small receive buffer, and less than ends a slow reader
FAR_TOO_MUCH = 12 << 20


@check(
    "C6",
    ISOLATION,
    "What waits for one client must not stand in the way of accept() or of another client.",
    needs=(
        "messages-reach-all-others",
        "refuses-bad-names",
    ),
)
def check_silence_delays_nobody(server: Subject) -> None:
    """Clients that are silent, nameless, or in the middle of a line delay nobody."""
    with server.frozen():
        eve = visit(server, "eve")
        fay = visit(server, "fay")
        gus = visit(server, "gus")
    fay.send(b"half a na")
    fay.wait_eaten()
    ann = join(server, "ann")
    bob = join(server, "bob", ann)
    ann.send(b"half a li")
    ann.wait_eaten()
    bob.say("is anybody here?")
    ann.expect_message("bob", "is anybody here?", "eve is asked for her name, and ann is typing: bob is not.")
    ann.send(b"ne\n")
    bob.expect_message("ann", "half a line")
    fay.send(b"me\n")
    fay.expect_refusal("name-invalid")
    for guest in (eve, gus):
        guest.register()


@check(
    "C6",
    ISOLATION,
    "After a part of what one client sends, it is the turn of the others.",
    needs=(
        "lists-members",
        "ignores-blank-lines",
    ),
)
def check_floods_delay_nobody(server: Subject) -> None:
    """While one client sends without a pause, others are served."""
    ann, bob = company(server, "ann", "bob")
    eve = visit(server, "eve")
    eve.expect_prompt()
    with server.frozen():
        eve.send(b"\n" * 100_000)
        ann.send(b"\t\n" * 50_000)
        bob.send(b"/list\n")
    bob.expect_through(b"Connected users", why="Two others send thousands of blank lines; bob asked once.")
    eve.register()
    for guest in (ann, bob):
        guest.expect_joined("eve")


@check(
    "C6",
    ISOLATION,
    "Whatever the bytes are: decode line by line, and catch what one client causes.",
    needs=(
        "bytes-that-are-no-text",
        "replaces-control-characters",
    ),
)
def check_garbage_harms_nobody(server: Subject, seed: int) -> None:
    """Random bytes, before and after registration, harm nobody but their sender."""
    ann, bob = company(server, "ann", "bob")
    chance = random.Random(seed)
    for name in ("eve", "fay"):
        guest = visit(server, name)
        guest.expect_prompt()
        guest.send(chance.randbytes(20_000) + b"\n")
        guest.wait_eaten()
        guest.reset()
    cat = join(server, "cat")
    for guest in (ann, bob):
        guest.expect_through(b"cat", b"joined", why="Among eve's and fay's bytes there may have been a name.")
    beginnings = b"".join(b"%c x\n" % byte for byte in range(256) if byte not in b"/\n")
    cat.send(chance.randbytes(20_000).replace(b"/", b"?") + b"\n" + beginnings + b"now in words\n")
    for guest in (ann, bob):
        guest.expect_through(b"[cat] now in words", why="The garbage was cat's, and harmed nobody.")
    cat.heard()
    ann.say("what was that?")
    for guest in (bob, cat):
        guest.expect_message("ann", "what was that?")


@check(
    "C6",
    ORDER,
    "Two threads must not change the room, or write to the same socket, at the same time: one lock, held from the "
    "first change to the last send.",
    needs=("keeps-the-order",),
)
def check_all_talk_at_once(server: Subject) -> None:
    """Fifty clients talk at once: every message reaches all others whole, once, in order, under the right name."""
    everyone_talks(server, talkers=50, rounds=2, lines=20)


# Those who do not read


def flood(sender: Guest, first: int, lines: int, text: str = "x" * LINE) -> int:
    """Let a member say many long lines, numbered from `first`; return the number of the next one."""
    with sender.transcript.muted(f"flood({sender.name}, {first}, {lines})"):
        sender.send(b"".join(b"%06d %s\n" % (number, text.encode()) for number in range(first, first + lines)))
    return first + lines


@check(
    "C6",
    ISOLATION,
    "No send() may wait: sockets that do not block, and a buffer for each client for what the kernel does not take.",
    needs=("messages-reach-all-others",),
)
def check_late_reader_delays_nobody(server: Subject) -> None:
    """While one client does not read megabytes that are for it, the others are served."""
    ann = join(server, "ann")
    join(server, "bob", ann, receive_buffer=4096)
    number = 0
    while number * LINE < TAKEN_BY_KERNELS:
        number = flood(ann, number, BATCH)
    cat = join(server, "cat")
    ann.expect_through(b"cat", b"joined", why="bob does not read, so the server waits for bob, and everybody with it.")
    cat.say("hello")
    ann.expect_through(b"[cat] hello", why="bob does not read: that is nobody's business but bob's.")


@check(
    "C6",
    MUST_NOT,
    "Keep what send() did not take, from exactly that byte on, and send it when the socket can be written.",
    needs=("late-reader-delays-nobody",),
)
def check_late_reader_gets_everything(server: Subject) -> None:
    """A client that reads late, with less than a megabyte kept for it, stays, and gets every byte in order."""
    ann = join(server, "ann")
    bob = join(server, "bob", ann, receive_buffer=4096)
    for most, lines in ((LITTLE, 1), (MUCH, BATCH)):  # line by line, a full kernel takes nothing; of a batch, a part
        number = flood_until_kept(server, ann, bob, most, lines)
        expect_flood(bob, "ann", 0, lines)
        flood(ann, number, lines)  # now there is a little room for it, and others are before it
        ann.expect_silence()
        expect_flood(bob, "ann", lines, number + lines)
    ann.expect_list("ann", "bob")
    ann.say("are you still there?")
    bob.expect_message("ann", "are you still there?")
    eve = join(server, "eve", ann, bob, receive_buffer=4096)
    eve.send(b"/list\n" * ANSWERS)
    eve.half_close()
    ann.expect_left("eve")
    with server.transcript.muted(f"for _ in range({ANSWERS}): eve.expect_answer_of_list('ann', 'bob', 'eve')"):
        for _ in range(ANSWERS):
            eve.expect_answer_of_list("ann", "bob", "eve", why="eve can still read: what she asked for is due to her.")
    eve.expect_closed()


def flood_until_kept(server: Subject, sender: Guest, guest: Guest, most: int, lines: int = BATCH) -> int:
    """Flood somebody who does not read until the server itself keeps so many bytes; return how many lines that took."""
    number = 0
    while number * LINE < TAKEN_BY_KERNELS and kept_for(server, guest, number) < most:
        number = flood(sender, number, lines)
        sender.expect_silence(f"{guest.name} is slow, but not too slow: he is still there.")
    return number


def kept_for(server: Subject, guest: Guest, lines: int) -> int:
    """Return how many bytes of so many lines the server keeps itself, as far as the system shows it."""
    said = lines * (LINE + len("[HH:MM:SS] [ann] 000000 \n"))
    side = server.connection(guest.local)
    if side is None:
        return said
    return said - side.unsent - guest.arrived()


def expect_flood(guest: Guest, sender: str, first: int, end: int) -> None:
    """Expect such lines, numbered from `first` to the one before `end`, whole and in order."""
    with guest.transcript.muted(f"expect_flood({guest.name}, {sender!r}, {first}, {end})"):
        for number in range(first, end):
            guest.expect_message(sender, f"{number:06d} {'x' * LINE}", "Nothing lost, nothing torn, nothing twice.")


@check(
    "C6",
    MUST,
    "When more than 1 MiB is kept for a client, let go of it, and let it leave the room.",
    needs=("late-reader-gets-everything", "tells-who-left"),
)
def check_late_reader_is_let_go(server: Subject) -> None:
    """A client that never reads is disconnected in the end, the others are told, and what it got was in order."""
    ann = join(server, "ann")
    bob = join(server, "bob", ann, receive_buffer=4096)
    flood_until_left(server, ann, bob)
    server.transcript.act("expect_beginning_of_flood(bob, 'ann')")
    lines = bob.take_all().split(b"\n")[:-1]
    while lines and b"] [SERVER] " in lines[0][:20]:  # what follows a welcome is free
        del lines[0]
    for place, line in enumerate(lines):
        if not line.endswith(b"[ann] %06d %s" % (place, b"x" * LINE)):
            bob.expected_instead(
                f"line {place} of what ann said", line, "Up to the cut, all lines are whole and in order."
            )
    ann.expect_list("ann")
    cat = join(server, "bob", ann)
    cat.expect_list("ann", "bob", why="The name is free again.")


def flood_until_left(server: Subject, sender: Guest, guest: Guest) -> None:
    """Flood somebody who does not read, in ever smaller steps, until the server lets go of them; expect the notice."""
    number = 0
    with server.transcript.muted(f"flood_until_left({sender.name}, {guest.name})"):
        while number * LINE < FAR_TOO_MUCH:
            kept = kept_for(server, guest, number)
            if kept > TOO_MUCH and server.connection(guest.local) is not None:
                break
            nearly = kept > NEARLY
            number = flood(sender, number, FEW if nearly else BATCH)
            if nearly:
                sender.wait_eaten()
                server.settle()
                side = server.connection(guest.local)
                if side is not None and side.ended:
                    sender.expect_left(guest.name, "Its end is not to be told only when somebody does something else.")
                    return
            if any("left" in line.text for line in sender.heard()):
                return
    raise Fault(
        f"{guest.name} has not read anything of {number * LINE >> 10} KiB, and is still a member",
        expected=f"[HH:MM:SS] [SERVER] ... {guest.name} ... left ...",
        received="no such notice",
        why="The server keeps all that is not read: a single client could fill its memory.",
    )


@check(
    "C4",
    WITHIN,
    "Somebody who says /exit and does not read is not waited for longer than that.",
    needs=("late-reader-gets-everything", "says-goodbye"),
    waits=True,
)
def check_late_reader_can_exit(bench: Bench) -> None:
    """After `/exit` the connection is closed within 2 seconds, though the client does not read; the name is free."""
    server = bench.start()
    ann = join(server, "ann")
    bob = join(server, "bob", ann, receive_buffer=4096)
    flood_until_kept(server, ann, bob, SOME)
    server.expect_idle("bob does not read: there is nothing to do until he does.")
    bob.say("/exit")
    ann.expect_left("bob", "He has said so himself.")
    new = visit(server, "new")
    new.register("bob")
    ann.expect_joined("bob", "The name is free at once.")
    server.expect_let_go(bob, "It closes within 2 seconds, whether he reads or not.")
    for guest in (ann, new):
        guest.expect_silence("The end of the old connection is not the end of the new bob.")
    ann.expect_list("ann", "bob")
