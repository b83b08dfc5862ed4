"""Parts C5 and A4: clients leave, in order or not, at every moment; the others are told once, and nobody is harmed."""

import time

from harness.checks.bench import Bench
from harness.checks.chat import Guest, company, join, visit
from harness.checks.mark import check
from harness.checks.subject import Subject

GONE = (
    "After `/exit`, the end of the stream or a reset, the name is free at once and every other registered client gets "
    "exactly one `SERVER` line with the name and the word `left`."
)
GOODBYE = "a `SERVER` line with the word `Goodbye`, then the connection closes within 2 seconds"
FIRST = "Lines received before the end of the stream are carried out first"
ANSWERS = "A client that shuts down its sending side still gets the answers to what it sent, then the close."
ISOLATION = (
    "Nothing one client does (silence, half a line, flooding, not reading, vanishing, garbage) stops, delays, "
    "disconnects or misattributes another."
)
VANISHES = (
    "A client that resets, or vanishes at any moment (before accept, in the middle of a reply), MUST NOT end the "
    "server, leak a descriptor or a thread, or leave it spinning."
)
CYCLES = 200
NOT_TOO_MUCH = 800_000  # bytes: more than kernels take for a small receive buffer, less than ends a slow reader
SILENCE = 1.1  # seconds; a time-out that ends silent clients is often shorter, and the clock goes on


@check("C4", GOODBYE, "Answer, then close the connection; the client does not do it for you.", needs=("lists-members",))
def check_says_goodbye(server: Subject) -> None:
    """`/exit` is answered with a Goodbye, and the connection is closed; trailing spaces do not matter."""
    (ann,) = company(server, "ann")
    for command in ("/exit", "/exit  "):
        bob = join(server, "bob", ann)
        bob.say(command)
        bob.expect_goodbye("bob waits for the end of the connection.")
        ann.expect_left("bob")
    ann.expect_silence()


@check("C5", GONE, "There are three ways to go, and one place where a member leaves the room.", needs=("says-goodbye",))
def check_tells_who_left(server: Subject) -> None:
    """When somebody leaves, by `/exit`, by the end of the stream or by a reset, all others are told so once."""
    ann, bob = company(server, "ann", "bob")
    eve = visit(server, "eve")
    eve.expect_prompt()
    eve.say("0")
    eve.expect_refusal("name-invalid")
    for way in ("exit", "end", "reset", "close"):
        cat = join(server, "cat", ann, bob)
        if way == "exit":
            cat.say("/exit")
        elif way == "end":
            cat.half_close()
        else:
            cat.reset() if way == "reset" else cat.close()
        for guest in (ann, bob):
            guest.expect_left("cat", f"cat has left (by {way}), and the others are to know it.")
    ann.expect_list("ann", "bob")
    for guest in (ann, bob):
        guest.expect_silence("One notice for one departure.")
    eve.say("0")
    eve.expect_refusal("name-invalid", why="eve has no name: she is not told who comes and goes.")


@check("C5", GONE, "Take the member out of the room before the others are told.", needs=("tells-who-left",))
def check_frees_the_name(server: Subject) -> None:
    """As soon as somebody has left, the name is free; whoever has it then is not mistaken for the other."""
    ann = join(server, "ann")
    for way in ("exit", "end", "reset"):
        bob = join(server, "bob", ann)
        if way == "exit":
            bob.say("/exit")
        else:
            bob.half_close() if way == "end" else bob.reset()
        ann.expect_left("bob")
    new = visit(server, "bob")
    new.register("Bob")
    ann.expect_joined("Bob", "The name was free again.")
    new.say("here I am")
    ann.expect_message("Bob", "here I am")
    ann.expect_list("ann", "Bob")
    for guest in (ann, new):
        guest.expect_silence()


@check(
    "C4",
    "later lines are ignored",
    "After /exit, carry out nothing more, even if it is there already.",
    needs=(
        "tells-who-left",
        "messages-reach-all-others",
    ),
)
def check_ignores_what_follows_exit(server: Subject) -> None:
    """What a client sends behind `/exit` is ignored."""
    ann, bob = company(server, "ann", "bob")
    bob.send(b"one\n/exit\ntwo\n/list\n/exit\n")
    ann.expect_message("bob", "one")
    ann.expect_left("bob")
    ann.expect_silence("bob had left when he said `two`.")
    bob.expect_gone()


@check(
    "C5",
    ANSWERS,
    'recv() returning b"" ends what the client sends, not what it is owed.',
    needs=(
        "tells-who-left",
        "several-lines-at-once",
        "refuses-bad-names",
    ),
)
def check_answers_before_the_close(server: Subject) -> None:
    """A client that ends its stream still gets the answers to what it sent, then the close."""
    (bob,) = company(server, "bob")
    with server.frozen():
        ann = visit(server, "ann")
        ann.send(b"0\nann\n/list\nhello\n/list\n")
        ann.half_close()
    bob.expect_joined("ann", "ann's lines were there before the end of her stream.")
    bob.expect_message("ann", "hello")
    bob.expect_left("ann")
    ann.expect_refusal("name-invalid")
    ann.expect_welcome("ann")
    for _ in range(2):
        ann.expect_answer_of_list("ann", "bob", why="ann can still read: what she asked for is due to her.")
    ann.expect_closed("Both sides have said all: the server closes.")


@check(
    "C5",
    FIRST,
    "First carry out what has come, then take note of the end.",
    needs=(
        "tells-who-left",
        "messages-reach-all-others",
    ),
)
def check_last_words(server: Subject) -> None:
    """A message and the end of the stream that arrive together: first the message, then the notice."""
    ann, bob = company(server, "ann", "bob")
    with server.frozen():
        bob.send(b"my last words\n")
        bob.half_close()
    ann.expect_message("bob", "my last words", "It was sent before the end of the stream.")
    ann.expect_left("bob")
    ann.expect_silence()


@check(
    "A4",
    VANISHES,
    "The very first send() to a client may fail: it belongs into a try, like every other.",
    needs=("tells-who-joined", "refuses-bad-names"),
)
def check_vanishes_before_accept(server: Subject) -> None:
    """Clients that reset or leave before the server has accepted them harm nobody."""
    (ann,) = company(server, "ann")
    with server.frozen():
        eve = visit(server, "eve")
        eve.reset()
        bob = visit(server, "bob")
        bob.send(b"0\n/list\n")
        bob.reset()
        visit(server, "cat").close()
    for name in ("dan", "kim", "lea"):
        join(server, name, ann)
    ann.expect_silence("eve, bob and cat were never here.")


@check("A4", VANISHES, "Asking for a name is done for one client, in the way of nobody.", needs=("tells-who-joined",))
def check_vanishes_at_the_name(server: Subject) -> None:
    """Clients that vanish while they are asked for a name, or in the middle of it, harm nobody."""
    (ann,) = company(server, "ann")
    for name in ("eve", "fay", "gus"):
        guest = visit(server, name)
        guest.expect_prompt()
        guest.send(f"half-{name}".encode())
        guest.wait_eaten()
        guest.close() if name == "gus" else guest.reset()
    join(server, "bob", ann)
    server.settle()
    ann.expect_silence("Nobody of them had a name: half a line is none.")
    ann.expect_list("ann", "bob")


@check(
    "C6", ISOLATION, "What recv() raises is this client's end.", needs=("tells-who-left", "messages-reach-all-others")
)
def check_vanishes_in_a_line(server: Subject) -> None:
    """A member that resets in the middle of a line has left, and what it had begun to say is forgotten."""
    ann, bob, cat = company(server, "ann", "bob", "cat")
    bob.send(b"I was just about to s")
    bob.wait_eaten()
    bob.reset()
    for guest in (ann, cat):
        guest.expect_left("bob")
    ann.say("what did he say?")
    cat.expect_message("ann", "what did he say?", "Nothing of bob's line is left, in nobody's buffer.")
    for guest in (ann, cat):
        guest.expect_silence()


COMPANIES = (
    ("ann", "bob", "cat", "dan", "eve", "fay", "kim"),
    ("gus", "hal", "ida", "jim", "leo", "max", "ned"),
    ("oli", "pam", "ron", "sue", "tom", "uma", "vic"),
)


@check(
    "C6",
    ISOLATION,
    "A send() that fails tells of the one who should have received, not of the one who spoke.",
    needs=("tells-who-left", "messages-reach-all-others"),
)
def check_blames_the_right_one(server: Subject) -> None:
    """When a message meets members that have just reset, its sender and all others stay."""
    here: list[Guest] = []
    for names in COMPANIES:
        guests: list[Guest] = []
        for name in names:
            guests.append(join(server, name, *here, *guests))
        # Whoever talks and whoever is reset stand by turns: in whichever order the server goes through them, a message
        # meets one of whose end the server does not know yet, and somebody else comes behind.
        talkers, gone = guests[0:6:2], guests[1:6:2]
        with server.frozen():
            for guest in talkers:
                guest.send(b"one\ntwo\n")
            for guest in gone:
                guest.reset()
        here += [*talkers, guests[6]]
        for guest in here:
            heard = [f"[{other.name}] {word}" for other in talkers if other is not guest for word in ("one", "two")]
            guest.expect_in_any_order(*heard, why=f"Only {', '.join(other.name for other in gone)} have gone.")
        for guest in here:
            for other in gone:
                guest.wait_until_gone(other.name)
    here[0].say("still here")
    for guest in here[1:]:
        guest.expect_message(here[0].name, "still here", "The end of one is nobody else's.")


@check(
    "C6",
    ISOLATION,
    "While you go through the members, the set of them may change: go through a copy.",
    needs=(
        "tells-who-left",
        "messages-reach-all-others",
    ),
)
def check_several_vanish_at_once(server: Subject) -> None:
    """Several members that leave in the same batch are all told of, once each, and the others stay."""
    names = ("ann", "bob", "cat", "dan", "eve", "fay")
    ann, bob, cat, dan, eve, fay = company(server, *names)
    with server.frozen():
        bob.reset()
        cat.half_close()
        dan.send(b"/exit\n")
        eve.send(b"bye\n")
        eve.close()
    for guest in (ann, fay):
        guest.expect_departures("bob", "cat", "dan", "eve", why="Four have gone at the same moment, in four ways.")
    for guest in (cat, dan):
        guest.expect_gone("Each connection of somebody who has left is closed.")
    ann.say("who is left?")
    fay.expect_message("ann", "who is left?")
    ann.expect_list("ann", "fay")


@check(
    "A4",
    VANISHES,
    "Whatever is kept for a client is let go of when it leaves, however it leaves.",
    needs=("says-goodbye",),
)
def check_keeps_nothing_of_clients(server: Subject, seed: int) -> None:
    """After 200 clients that came and went in every way, no descriptor, no thread and no name is left of them."""
    server.come_and_go(10, seed % 1000)
    held = server.held()
    server.come_and_go(CYCLES, seed % 1000)
    server.expect_released(held, clients=CYCLES)
    ann = join(server, "ann")
    server.settle()
    ann.heard()
    ann.expect_list("ann", why="All others have left.")


@check(
    "C6",
    ISOLATION,
    "Silence is no end; and an end is seen once, not again and again.",
    waits=True,
    needs=("tells-who-left",),
)
def check_rests_while_all_are_silent(bench: Bench) -> None:
    """With clients that are silent, nameless, in the middle of a line, or gone, the server rests; nobody is put out."""
    server = bench.start()
    ann, bob, cat = company(server, "ann", "bob", "cat")
    eve = visit(server, "eve")
    eve.expect_prompt()
    bob.send(b"half")
    bob.wait_eaten()
    cat.half_close()
    dan = visit(server, "dan")
    dan.reset()
    server.expect_idle("Somebody who is silent, or has gone, keeps a loop going round.", SILENCE)
    bob.send(b" a line\n")
    ann.wait_until_gone("cat")
    bob.expect_through(b"cat", b"left")
    before = time.time()
    eve.say("eve")
    eve.expect_welcome_now("eve", before)
    bob.expect_joined("eve", "Silence is no end: eve was only thinking.")


@check(
    "C7",
    "SIGINT and SIGTERM: every connection is closed and the process is gone within 2 seconds, without a traceback, "
    "whoever is connected.",
    "Whatever waits for a client (recv(), sendall(), a lock that is held meanwhile) must not keep the process.",
    needs=("stops-when-idle",),
    waits=True,
)
def check_stops_in_the_middle(bench: Bench) -> None:
    """SIGTERM ends a server with clients that are nameless, talk, or do not read what they are sent."""
    server = bench.start()
    ann = join(server, "ann", receive_buffer=4096)
    bob = join(server, "bob", ann)
    eve = visit(server, "eve")
    eve.expect_prompt()
    bob.send_until_stuck((b"y" * 999 + b"\n") * 64, limit=NOT_TOO_MUCH)
    bob.wait_stuck()
    server.expect_stop("SIGTERM")
    for guest in (ann, bob, eve):
        guest.expect_gone("When the process ends, no connection may stay open.")
