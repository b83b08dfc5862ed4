"""Parts C1 and C2: how the server speaks, who a client is, and what is said when somebody comes."""

import time

from harness.checks.bench import Bench
from harness.checks.chat import company, join, visit
from harness.checks.mark import check
from harness.checks.subject import Subject

FORM = "Every line a server sends has one form"
NAMES = "A name is `[A-Za-z][A-Za-z0-9_-]{0,15}`."
ASKED = (
    "On connect the server sends one or more `SERVER` lines, the last of which asks for a name and contains the word "
    "`username`."
)
ACCEPTED = (
    "Accepted: the client gets a `SERVER` line with the word `Welcome` and its name; all other registered clients get "
    "one `SERVER` line with the name and the word `joined`."
)
UNREGISTERED = "An unregistered client receives no chat and no notices, is not listed, and leaves without a notice."
TRIES = 200
WHILE = 1.7  # seconds since the start, after which the clock shows another time


@check(
    "C2",
    ASKED,
    "enter() tells it, as_line() makes the line: `[HH:MM:SS] [SERVER] ` before the text, and an LF behind it.",
)
def check_asks_for_a_name(server: Subject) -> None:
    """Whoever connects is asked for a username, in a line of the form `[HH:MM:SS] [SERVER] ...`."""
    visit(server, "ann").expect_prompt("A client has to know that it is its turn to speak.")


@check(
    "C1",
    "The time is the server's local time when the line was made.",
    "time.strftime('%H:%M:%S'), at the moment in which the line is made.",
    waits=True,
)
def check_tells_the_time(bench: Bench) -> None:
    """Each line bears the local time at which it was made."""
    server = bench.start()
    server.transcript.act(f"time.sleep({WHILE})")
    time.sleep(WHILE)  # the clock goes on
    before = time.time()
    visit(server, "ann").expect_prompt_now(before)


@check("C2", ACCEPTED, "Three things: the client has a name now, it is welcomed by it, and the room knows it.")
def check_registers(server: Subject) -> None:
    """A client that says its name is welcomed by it."""
    ann = visit(server, "ann")
    ann.expect_prompt()
    ann.say("ann")
    ann.expect_welcome("ann")
    bob = visit(server, "bob")
    bob.say("Bob_2-b")
    bob.expect_welcome("Bob_2-b", "bob did not wait to be asked: what he sent first is the name all the same.")


@check("C2", ACCEPTED, "Tell all members but the one that has come, once each.", needs=("registers",))
def check_tells_who_joined(server: Subject) -> None:
    """When somebody has registered, all others are told so once, and the newcomer is not."""
    ann = join(server, "ann")
    bob = join(server, "bob")
    ann.expect_joined("bob", "ann was there before.")
    cat = join(server, "cat")
    for guest in (ann, bob):
        guest.expect_joined("cat", "Everyone who is registered is told.")
    for guest in (cat, ann, bob):
        guest.expect_silence("One notice for each of the others, and none for the newcomer.")


@check(
    "C4",
    "exactly one `SERVER` line: `Connected users (N): a, b, c`, registered names only, ordered by the code points of "
    "the lower-cased names",
    "Sort by the names in lower case; show them as they are spelled.",
    needs=("tells-who-joined",),
)
def check_lists_members(server: Subject) -> None:
    """`/list` names all who are registered, the asker included, in order and as they are spelled."""
    guests = [visit(server, f"client{number}") for number in range(1, 8)]
    for guest, name in zip(guests, ("Zoe", "ann", "Bob", "a_b", "a-b", "a1"), strict=False):
        guest.register(name)
    asker, nameless = guests[0], guests[-1]
    nameless.expect_prompt()  # it is connected, and no member
    for name in ("ann", "Bob", "a_b", "a-b", "a1"):
        asker.expect_joined(name)
    names = ("a-b", "a1", "a_b", "ann", "Bob", "Zoe")
    asker.expect_list(*names, why="In lower case and by code points, `-` comes before digits, digits before `_`.")
    asker.say("/list   ")
    asker.expect_answer_of_list(*names, why="Trailing spaces do not matter.")
    asker.expect_silence("The answer is exactly one line.")


@check(
    "C2",
    NAMES,
    "re.fullmatch() asks whether the whole text is a name; re.match() only asks how it begins.",
    needs=("registers",),
)
def check_accepts_names(server: Subject) -> None:
    """All names that the protocol allows are allowed, from one letter to sixteen characters."""
    for number, name in enumerate(
        ("a", "Z9_-", "abcdefghijklmnop", "A0aAzZ", "zq-_-_", "Servers", "error1", "exit", "None")
    ):
        visit(server, f"client{number + 1}").register(name)


@check(
    "C2",
    "Refusals: `name-invalid`, `name-taken`.",
    "Compare the whole line with the form of a name: no strip(), no match() of its beginning alone.",
    needs=("registers",),
)
def check_refuses_bad_names(server: Subject) -> None:
    """What is no name is refused with `name-invalid`; the client stays, and may try again."""
    ann = visit(server, "ann")
    for name in (
        "9ann",
        "_ann",
        "-ann",
        " ann",
        "ann ",
        "\tann",
        "an n",
        "ann!",
        "@nn",
        "[nn",
        "`nn",
        "{nn",
        "an@",
        "an[",
        "an^",
        "an`",
        "an{",
        "an/",
        "an:",
        "an,",
        "an.",
        "abcdefghijklmnopq",
        "änn",
        "ann\u0660",
        "аnn",
        "/list",
        "/nick ann",
        "/exits",
        "/exit x",
        "/exit \t",
        "[ann]",
        "a" * 300,
    ):
        ann.say(name)
        ann.expect_refusal("name-invalid", why=f"{name[:20]!r} is not a letter and up to 15 letters, digits, - or _.")
    ann.register()


@check(
    "C2",
    "`server` and `error` are reserved in any case.",
    "name.lower() in the set of reserved names.",
    needs=("refuses-bad-names",),
)
def check_reserves_names(server: Subject) -> None:
    """Nobody may be called `server` or `error`, however it is written."""
    ann = visit(server, "ann")
    for name in ("server", "SERVER", "Server", "error", "ERROR", "eRRor"):
        ann.say(name)
        ann.expect_refusal(("name-invalid", "name-taken"), why="It could speak in the name of the server.")
    ann.register()


@check(
    "C2",
    "Names are unique without regard to case",
    "Keep the members under their names in lower case, and look there.",
    needs=(
        "lists-members",
        "refuses-bad-names",
    ),
)
def check_names_are_unique(server: Subject) -> None:
    """A name that somebody has is refused, in whichever case; nobody else notices; then another one is accepted."""
    ann, bob = company(server, "ann", "bob")
    cat = visit(server, "cat")
    for name in ("ann", "Ann", "ANN", "bOb"):
        cat.say(name)
        same = name in ("ann", "bob")
        why = "Two of one name" if same else "Two that differ in case alone"
        cat.expect_refusal("name-taken", why=f"{why} could be taken for each other.")
    cat.register()
    for guest in (ann, bob):
        guest.expect_joined("cat")
    cat.expect_list("ann", "bob", "cat")


@check(
    "C2",
    "The client stays connected and unregistered and may try again, without limit of tries.",
    "A refusal changes nothing: no counter, no close().",
    needs=("refuses-bad-names",),
)
def check_tries_again(server: Subject) -> None:
    """A client may ask for a name again and again."""
    ann = visit(server, "ann")
    for _ in server.transcript.times(TRIES):
        ann.say("0")
        ann.expect_refusal("name-invalid")
    ann.register()


@check(
    "C2",
    "The client's first line that is not blank is the name it wants",
    "Nothing but spaces and tabs is a blank line; it is ignored everywhere.",
    needs=("registers",),
)
def check_blank_is_no_name(server: Subject) -> None:
    """Blank lines before the name are ignored: neither refused nor taken for a name."""
    ann = visit(server, "ann")
    ann.expect_prompt()
    for line in ("", " ", "\t", "  \t "):
        ann.say(line)
    ann.say("ann")
    ann.expect_welcome("ann", "The first line that is not blank was `ann`.")


@check(
    "C2",
    UNREGISTERED,
    "Only members hear what is said; who has no name is no member.",
    needs=(
        "messages-reach-all-others",
        "refuses-bad-names",
    ),
)
def check_nameless_hear_nothing(server: Subject) -> None:
    """A client without a name hears no message and no notice, and is not listed."""
    ann = join(server, "ann")
    eve = visit(server, "eve")
    eve.expect_prompt()
    eve.say("0")
    eve.expect_refusal("name-invalid")
    bob = join(server, "bob", ann)
    ann.say("is anybody here?")
    bob.expect_message("ann", "is anybody here?")
    ann.expect_list("ann", "bob", why="eve has no name yet.")
    eve.say("0")
    eve.expect_refusal("name-invalid", why="eve is nobody yet: what the others said was not for her, nor were notices.")
    eve.say("eve")
    eve.expect_welcome("eve")
    ann.expect_joined("eve")
    ann.say("hello eve")
    eve.expect_message("ann", "hello eve", "From her welcome on, eve hears everything.")


@check(
    "C2",
    UNREGISTERED,
    "Only a member leaves with a notice: has the client a name?",
    needs=(
        "nameless-hear-nothing",
        "tells-who-left",
    ),
)
def check_nameless_leave_silently(server: Subject) -> None:
    """A client without a name leaves without a notice, however it leaves."""
    (ann,) = company(server, "ann")
    for way in ("close", "reset", "/exit", "half-close"):
        eve = visit(server, "eve")
        eve.expect_prompt()
        eve.say("ann")
        eve.expect_refusal("name-taken", why="ann is still here: somebody without a name who leaves frees no name.")
        if way == "/exit":
            eve.say("/exit")
            eve.expect_gone()
        elif way == "half-close":
            eve.half_close()
            eve.expect_gone()
        else:
            eve.reset() if way == "reset" else eve.close()
    server.settle()
    ann.expect_silence("Nobody has come, so nobody has left.")
    ann.expect_list("ann", why="eve could not have this name: it was still ann's when eve left.")


@check(
    "C2",
    "Before registration `/exit` works (trailing spaces allowed)",
    "/exit is looked for before the line is taken for a name.",
    needs=("says-goodbye",),
)
def check_exit_without_a_name(server: Subject) -> None:
    """A client without a name can leave with `/exit`."""
    for command in ("/exit", "/exit   "):
        ann = visit(server, "ann")
        ann.expect_prompt()
        ann.say(command)
        ann.expect_gone("/exit works before registration, too.")
