"""C6 and C7 where the kernel remembers who is watched (lab 8 and later): nobody in vain, and thousands of them."""

from collections.abc import Sequence

from harness.checks.bench import Bench
from harness.checks.chat import Guest, company, join, visit
from harness.checks.check_chat_isolation import expect_flood, flood_until_kept
from harness.checks.mark import check
from harness.checks.multitude import LEAST, multitude

NO_LIMIT = "lab 8 and later have no such limit."
ISOLATION = (
    "Nothing one client does (silence, half a line, flooding, not reading, vanishing, garbage) stops, delays, "
    "disconnects or misattributes another."
)
KEPT = 300_000  # bytes that the server has to keep for a slow reader
MANY = 10_000  # clients
FEWER = 2_000
TO_VANISH = [f"gone{number}" for number in range(8)]
NEW = [f"new{number}" for number in range(5)]


def _all_hear_each_other(guests: Sequence[Guest], why: str) -> None:
    """Let each say a line to all and whisper one to the next, and expect exactly these."""
    for place, guest in enumerate(guests):
        others = [other for other in guests if other is not guest]
        guest.say(f"I am {guest.name}")
        for other in others:
            other.expect_message(guest.name, f"I am {guest.name}", why)
        following = guests[(place + 1) % len(guests)]
        guest.say(f"/whisper {following.name} you come after me")
        following.expect_private_from(guest.name, "you come after me", why)
        guest.expect_private_to(following.name, "you come after me")
    for guest in guests:
        guest.expect_silence("Every line once, and no other.")


@check(
    "C7",
    "Idle, it uses no CPU.",
    "A client that has got everything can be written to all the time: it is watched for that only while something is "
    "unsent for it, and whoever remembers the interest must be told when that is over.",
    needs=("late-reader-gets-everything",),
    waits=True,
)
def check_rests_when_all_is_read(bench: Bench) -> None:
    """When a client that was slow has read everything, the server uses no processor time."""
    server = bench.start()
    ann = join(server, "ann")
    bob = join(server, "bob", ann, receive_buffer=4096)
    expect_flood(bob, "ann", 0, flood_until_kept(server, ann, bob, KEPT))
    server.settle()
    server.expect_idle("bob has read everything: nothing is to be written to anybody any more.")
    ann.say("have you got it?")
    bob.expect_message("ann", "have you got it?")


@check(
    "C6",
    NO_LIMIT,
    "The limit of 1,024 is one of select() alone: what refuses a descriptor that select() could not watch?",
    needs=("messages-reach-all-others", "whispers"),
)
def check_talks_past_1024_descriptors(bench: Bench) -> None:
    """With more than 1,024 clients, those who come later are served like those who came first."""
    server = bench.start()
    early = company(server, "ann", "bob")
    with multitude(server, LEAST) as crowd:
        cat = join(server, "cat", *early)
        dan = join(server, "dan", *early, cat)
        _all_hear_each_other([*early, cat, dan], "1,100 clients came between bob and cat, and are silent.")
        crowd.expect_undisturbed()


@check(
    "C6",
    NO_LIMIT,
    "What is done in a turn may only depend on those who have said something, not on how many are connected.",
    needs=("talks-past-1024-descriptors", "idles", "rests-while-all-are-silent"),
)
def check_ten_thousand_clients(bench: Bench) -> None:
    """While 10,000 clients are silent, others talk, nothing spins, and when they leave nothing is kept of them."""
    server = bench.start()
    early = company(server, "ann", "bob")
    held = server.held()
    with multitude(server, MANY) as crowd:
        number = len(crowd.sockets)
        server.settle()
        server.expect_idle("Thousands are connected, and not one of them says a word.")
        late = [join(server, "cat", *early)]
        late.append(join(server, "dan", *early, *late))
        _all_hear_each_other([*early, *late], "Thousands came between bob and cat, and are silent.")
        crowd.expect_undisturbed()
        crowd.vanish()
        _all_hear_each_other([*early, *late], "Thousands have gone who had no name: that is nobody's business.")
    server.expect_released(held, number)
    server.settle()
    server.expect_idle("The thousands have gone, and nobody says a word.")
    eve = join(server, "eve", *early, *late)
    eve.expect_list("ann", "bob", "cat", "dan", "eve")


@check(
    "C6",
    ISOLATION,
    "Whoever is closed in this turn may still have an event in it, and its descriptor may be somebody else's by then.",
    needs=("talks-past-1024-descriptors", "several-vanish-at-once"),
)
def check_thousands_vanish_at_once(bench: Bench) -> None:
    """When thousands vanish in the moment in which others come, the others are told of members alone, each once."""
    server = bench.start()
    ann, bob = company(server, "ann", "bob")
    held = server.held()
    with multitude(server, FEWER) as crowd:
        number = len(crowd.sockets)
        leaving = [join(server, name, ann, bob) for name in TO_VANISH]
        with server.frozen():  # it meets all of this at once, and in this order
            ann.say("who is still there?")
            coming = [visit(server, name) for name in NEW]
            for guest in leaving:
                guest.reset()
            crowd.vanish()
        ann.expect_departures(*TO_VANISH, why="They had names, and went with thousands who had none.")
        ann.expect_silence("Each of them once, and nobody else.")
        bob.expect_in_any_order("[ann] who is still there?")
        bob.heard()
    for guest in coming:
        guest.register()
        for other in (ann, bob):
            other.expect_joined(guest.name, "It came while thousands went, and is none of them.")
    ann.say("welcome")
    for guest in (bob, *coming):
        guest.expect_through(b"[ann] welcome", why="It came while thousands went, and is none of them.")
    server.expect_released(held, number)
