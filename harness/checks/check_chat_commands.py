"""Part C4: the commands, and what is refused."""

from harness.checks.chat import company, join, visit
from harness.checks.mark import check
from harness.checks.subject import Subject

COMMANDS = ("/help", "/list", "/whisper", "/nick", "/exit")
WORDS = "The word runs to the first space; words are lower case"
WHISPER = "to NAME alone: `[PRIVATE FROM sender] TEXT`, TEXT running to the end of the line, kept exactly"
WHISPERED = (
    "trailing spaces do not matter, but for the text of `/whisper`: all spaces before it separate, its own trailing "
    "spaces are kept, and nothing but spaces is `usage`."
)
NICK = (
    "to every registered client, the sender included: one `SERVER` line with the old name, later `is now`, later the "
    "new name"
)
USAGE = "`usage` (an argument is missing; its text contains the command word)"
ALONE = "A refusal goes to the sender alone and changes nothing."
LONG = (
    "A line longer than 4096 bytes (the LF, and the CR dropped before it, not counted) is refused once, as soon as it "
    "is too long or when its LF arrives, and discarded up to that LF; the connection stays and memory stays bounded."
)
MIB = 1 << 20


@check(
    "C4",
    "`SERVER` lines that together contain each of the five command words",
    "One line or several, from the SERVER, to the asker alone.",
    needs=("lists-members",),
)
def check_helps(server: Subject) -> None:
    """`/help` tells the asker all five commands, and nobody else anything."""
    ann, bob = company(server, "ann", "bob")
    for command in ("/help", "/help  "):
        ann.say(command)
        ann.expect_help(COMMANDS, "Each of the five commands is named, and help comes from the server.")
    bob.expect_silence("bob has not asked.")


@check(
    "C4",
    "`unknown-command` (its text contains the word, `/foo`)",
    "Compare the whole word, up to the first space, with each command; what is left over is unknown.",
    needs=("lists-members",),
)
def check_refuses_unknown_commands(server: Subject) -> None:
    """A word that is no command is refused by its name, also if it only begins like one."""
    ann, bob = company(server, "ann", "bob")
    for line in (
        "/foo",
        "/listen",
        "/list2",
        "/helpme now",
        "/LIST",
        "/Exit",
        "/exits",
        "/",
        "//",
        "/ list",
        "/nickname x",
    ):
        ann.say(line)
        ann.expect_refusal("unknown-command", about=line.split(" ")[0], why=f"{WORDS}.")
    bob.expect_silence(ALONE)
    ann.expect_list("ann", "bob", why=ALONE)


@check(
    "C4",
    WHISPER,
    "Look the name up among the members; tell that one, and tell the sender that it was done.",
    needs=("lists-members",),
)
def check_whispers(server: Subject) -> None:
    """A whisper reaches the one that it is for, and nobody else; the sender is told."""
    ann, bob, cat = company(server, "ann", "bob", "cat")
    ann.say("/whisper bob the cat is asleep")
    bob.expect_private_from("ann", "the cat is asleep")
    ann.expect_private_to("bob", "the cat is asleep")
    for guest in (cat, ann, bob):
        guest.expect_silence("One line to bob and one to ann, and not a word to cat.")
    bob.say("/whisper cat wake up")
    cat.expect_private_from("bob", "wake up")
    bob.expect_private_to("cat", "wake up")
    ann.expect_silence("This one was between bob and cat.")


@check(
    "C4",
    WHISPERED,
    "The name ends at a space, the text begins behind all of them and ends with the line.",
    needs=("whispers",),
)
def check_keeps_what_is_whispered(server: Subject) -> None:
    """The text of a whisper is kept exactly, whatever is in it; spaces before it only separate."""
    ann, bob = company(server, "ann", "bob")
    for line, text in (
        ("/whisper bob two  spaces   three", "two  spaces   three"),
        ("/whisper bob trailing  ", "trailing  "),
        ("/whisper   bob    leading ones separate", "leading ones separate"),
        ("/whisper bob /exit", "/exit"),
        ("/whisper bob bob bob", "bob bob"),
        ("/whisper bob \ttab", "\ttab"),
        ("/whisper bob Grüße 🙂", "Grüße 🙂"),
        ("/whisper bob \x1b[31m", "\ufffd[31m"),
        ("/whisper bob x", "x"),
    ):
        ann.say(line)
        bob.expect_private_from("ann", text, "TEXT runs to the end of the line, kept exactly.")
        ann.expect_private_to("bob", text)


@check(
    "C4",
    "NAME in `/whisper` is matched without regard to case; the tags show registered spellings.",
    "The key is the name in lower case; the spelling is the member's.",
    needs=("whispers",),
)
def check_whispers_in_any_case(server: Subject) -> None:
    """A whisper finds its recipient in any case, and both lines show the names as they are registered."""
    ann = visit(server, "ann")
    ann.register("Ann")
    bob = visit(server, "bob")
    bob.register("bOb")
    ann.expect_joined("bOb")
    for name in ("bob", "BOB", "bOb"):
        ann.say(f"/whisper {name} hello")
        bob.expect_private_from("Ann", "hello")
        ann.expect_private_to("bOb", "hello", "The tag shows the name as it is registered.")


@check(
    "C4",
    "`no-such-user` (its text contains the name asked for)",
    "First look whether there is a name, and a text (`usage`); then who has that name. A client without one is nobody.",
    needs=("whispers",),
)
def check_refuses_whispers(server: Subject) -> None:
    """A whisper to nobody, or without a text, is refused, to its sender alone."""
    ann, bob = company(server, "ann", "bob")
    visit(server, "eve").expect_prompt()
    for name in ("eve", "bobby", "bo", "an", "xbob"):
        ann.say(f"/whisper {name} hello")
        ann.expect_refusal("no-such-user", about=name, why="Nobody of that name is here.")
    for line in ("/whisper", "/whisper ", "/whisper bob", "/whisper bob   ", "/whisper    bob "):
        ann.say(line)
        ann.expect_refusal("usage", about="/whisper", why=USAGE)
    bob.expect_silence(ALONE)


@check(
    "C4",
    WHISPER,
    "Who has left is not in the room; who has another name is found by that.",
    needs=(
        "refuses-whispers",
        "tells-who-left",
    ),
)
def check_whispers_to_who_is_here(server: Subject) -> None:
    """A whisper does not reach who has left, but who has the name now."""
    ann, bob = company(server, "ann", "bob")
    bob.say("/exit")
    ann.expect_left("bob")
    ann.say("/whisper bob are you there?")
    ann.expect_refusal("no-such-user", about="bob")
    new = visit(server, "bob")
    new.register("Bob")
    ann.expect_joined("Bob")
    ann.say("/whisper bob and now?")
    new.expect_private_from("ann", "and now?")
    ann.expect_private_to("Bob", "and now?")


@check(
    "C4",
    NICK,
    "Everybody gets one line with both names; from then on only the new one counts.",
    needs=("messages-reach-all-others",),
)
def check_renames(server: Subject) -> None:
    """`/nick` is told to everyone once; messages and the list have the new name from then on."""
    ann, bob, cat = company(server, "ann", "bob", "cat")
    ann.say("before")
    for guest in (bob, cat):
        guest.expect_message("ann", "before")
    ann.say("/nick   Max  ")
    for guest in (ann, bob, cat):
        guest.expect_renamed("ann", "Max", "Everyone is told, the sender included.")
    ann.say("after")
    for guest in (bob, cat):
        guest.expect_message("Max", "after", "What she says from now on has her new name.")
    bob.expect_list("bob", "cat", "Max")
    for guest in (ann, bob, cat):
        guest.expect_silence("One line for one change.")
    ann.say("/exit")
    for guest in (bob, cat):
        guest.expect_left("Max", "She leaves under the name that she has now.")


@check("C4", NICK, "Take the old key out, put the new one in.", needs=("renames", "whispers"))
def check_old_name_is_free(server: Subject) -> None:
    """After `/nick` the new name is reached and taken, and the old one is free for others."""
    ann, bob = company(server, "ann", "bob")
    ann.say("/nick eva")
    for guest in (ann, bob):
        guest.expect_renamed("ann", "eva")
    bob.say("/whisper ann hello")
    bob.expect_refusal("no-such-user", about="ann", why="There is no ann any more.")
    bob.say("/whisper eva hello")
    ann.expect_private_from("bob", "hello")
    bob.expect_private_to("eva", "hello")
    new = visit(server, "new")
    new.say("EVA")
    new.expect_refusal("name-taken")
    new.register("ann")
    for guest in (ann, bob):
        guest.expect_joined("ann", "The old name is free.")
    new.say("I am the new one")
    for guest in (ann, bob):
        guest.expect_message("ann", "I am the new one")
    bob.expect_list("ann", "bob", "eva")


@check("C4", "A change of case of one's own name is allowed", "Taken means: by somebody else.", needs=("renames",))
def check_renames_in_another_case(server: Subject) -> None:
    """One may write one's own name in another case, and is still found."""
    ann, bob = company(server, "ann", "bob")
    ann.say("/nick ANN")
    for guest in (ann, bob):
        guest.expect_renamed("ann", "ANN")
    bob.expect_list("ANN", "bob", why="There is one of her, and it is spelled as she likes.")
    ann.say("hello")
    bob.expect_message("ANN", "hello")
    eve = visit(server, "eve")
    eve.say("ann")
    eve.expect_refusal("name-taken")


@check("C4", ALONE, "Check the name before anything is changed.", needs=("renames", "names-are-unique"))
def check_refuses_renames(server: Subject) -> None:
    """A `/nick` without a name, or to a bad, reserved or taken one, is refused to its sender alone; nothing changes."""
    ann, bob = company(server, "ann", "bob")
    for line in ("/nick", "/nick   "):
        ann.say(line)
        ann.expect_refusal("usage", about="/nick", why=USAGE)
    for name in ("9lives", "ann!", "abcdefghijklmnopq", "änn"):
        ann.say(f"/nick {name}")
        ann.expect_refusal("name-invalid")
    ann.say("/nick two words")
    ann.expect_refusal(("name-invalid", "usage"))
    for name in ("server", "Error"):
        ann.say(f"/nick {name}")
        ann.expect_refusal(("name-invalid", "name-taken"), why="It is reserved.")
    for name in ("bob", "BOB"):
        ann.say(f"/nick {name}")
        ann.expect_refusal("name-taken")
    bob.expect_silence(ALONE)
    ann.say("still ann")
    bob.expect_message("ann", "still ann", ALONE)
    bob.expect_list("ann", "bob")


@check(
    "C4",
    "`/list x`, `/help x` and `/exit x` ignore them or answer `usage`",
    "The word decides; what follows is free.",
    needs=("messages-reach-all-others",),
)
def check_bears_arguments_too_many(server: Subject) -> None:
    """Arguments too many harm nothing."""
    ann, bob = company(server, "ann", "bob")
    for command in ("/list x", "/help me please"):
        ann.say(command)
        ann.expect_at_most_usage("The word decides.")
    ann.say("still here")
    bob.expect_message("ann", "still here")
    bob.send(b"/exit x\n/exit\n")
    bob.expect_goodbye_after_usage("The word decides: it is /exit, or its usage is told.")


@check(
    "B4",
    LONG,
    "LineBuffer says None for a line that was too long: the room refuses it.",
    needs=("messages-reach-all-others",),
)
def check_refuses_a_line_too_long(server: Subject) -> None:
    """A line of more than 4096 bytes is refused once, and no part of it is told to anybody; the client stays."""
    ann, bob = company(server, "ann", "bob")
    for length in (4097, 5000, 100_000):
        ann.send(b"x" * length + b"\nshort\n")
        bob.expect_message("ann", "short", "The long line is forgotten up to its LF, and what follows is a line again.")
        ann.expect_refusal("line-too-long")
        ann.expect_silence("It is refused once.")
    ann.send(b"x" * 4096 + b"\r?\n", chunks=[4098, 1])
    ann.expect_refusal("line-too-long", why="A CR in the middle of a line does not make what comes before it a line.")
    ann.send(b"x" * 4096 + b"\r\n", chunks=[4097, 1])
    bob.expect_message("ann", "x" * 4096, "The CR directly before the LF is not counted.")
    ann.say("/whisper bob " + "x" * 4090)
    ann.expect_refusal("line-too-long")
    ann.say("é" * 2048)
    bob.expect_message("ann", "é" * 2048, "The limit counts bytes: 4096 are allowed.")
    ann.say("é" * 2049)
    ann.expect_refusal("line-too-long")
    bob.expect_silence()


@check("C2", "a line too long is `line-too-long` or `name-invalid`", "Before registration, too.", needs=("registers",))
def check_refuses_a_name_too_long(server: Subject) -> None:
    """A line of more than 4096 bytes is refused in the place of a name; the client may try again."""
    ann = visit(server, "ann")
    for length in (4097, 50_000):
        ann.say("a" * length)
        ann.expect_refusal(("line-too-long", "name-invalid"))
    ann.register()


@check(
    "B4",
    LONG,
    "Keep no more of a line than it takes to know that it is too long.",
    needs=("refuses-a-line-too-long",),
    fresh=True,
)
def check_keeps_no_endless_line(server: Subject) -> None:
    """64 MiB without a newline do not fill the memory of the server, and delay nobody."""
    ann, bob = company(server, "ann", "bob")
    server.expect_bounded_memory(ann, b"x" * MIB, times=64)
    bob.expect_list("ann", "bob")
    ann.send(b"\nstill here\n")
    bob.expect_message("ann", "still here")
    cat = join(server, "cat", bob)
    cat.expect_list("ann", "bob", "cat")
