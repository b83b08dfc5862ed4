"""Part C3, and part B as far as it concerns a chat: what is said reaches all others, exactly."""

from harness.checks.chat import Guest, company, join, visit
from harness.checks.mark import check
from harness.checks.subject import Subject
from harness.wire import Transcript
from harness.wire.fuzz import under_all
from harness.wire.segments import Chunks, segmentations

TOLD = (
    "A line that does not begin with `/` goes, as `[time] [name] text`, to all other registered clients and not to its "
    "sender."
)
KEPT = "Text is kept exactly: leading, trailing and inner spaces included."
CONTROLS = (
    "Control characters (U+0000 to U+001F except TAB, U+007F to U+009F), once B1 has dropped its CR, are replaced by "
    "U+FFFD before anything that a client sent is sent to anyone, itself included"
)
CUTS = (
    "How the bytes were cut into segments never matters: split, coalesced, one byte at a time, in the middle of a "
    "character."
)
ORDER = (
    "What one client sends is carried out in the order sent. Replies come in that order; every recipient sees one "
    "sender's messages in that order, each exactly once."
)


@check(
    "C3",
    TOLD,
    "Go through the members: each one but the sender gets the line, with the sender's name before it.",
    needs=("lists-members",),
)
def check_messages_reach_all_others(server: Subject) -> None:
    """What a client says reaches all others once, under its name, and not itself."""
    ann, bob, cat = company(server, "ann", "bob", "cat")
    for sender, others in ((ann, (bob, cat)), (cat, (ann, bob)), (bob, (cat, ann)), (ann, (bob, cat))):
        sender.say(f"it is {sender.name} who speaks")
        for other in others:
            other.expect_message(sender.name, f"it is {sender.name} who speaks")
        for guest in (sender, *others):
            guest.expect_silence("Once to each of the others is enough, and the sender knows what it said.")


@check(
    "C3",
    KEPT,
    "Only the end of the line is taken off: no strip(), no split() and join(), no formatting with %.",
    needs=("messages-reach-all-others",),
)
def check_keeps_what_is_said(server: Subject) -> None:
    """Text arrives as it was sent: spaces, tabs, other scripts, and what looks like a format."""
    ann, bob = company(server, "ann", "bob")
    for text in (
        "  leading and trailing  ",
        "in   the    middle",
        "a\tb",
        "Grüße aus Zürich, 日本語, 🙂👩‍🚀",
        "e\u0301 is not é",
        "100% {} %s \\n [12:00:00] [SERVER] x",
        " /list",
        "and/or",
        ".",
        "x" * 4096,
    ):
        ann.say(text)
        bob.expect_message("ann", text, "Text is kept exactly.")


@check(
    "C4",
    "A line that begins with `/` is a command and is never shown to others as a message.",
    "Look at the first character before a line is told to anybody.",
    needs=("messages-reach-all-others",),
)
def check_commands_are_not_shown(server: Subject) -> None:
    """Lines that begin with `/` are not shown to others, known commands or not."""
    ann, bob = company(server, "ann", "bob")
    for command in ("/list", "/dance", "/", "//", "/ hello", "/listen", "/exits"):
        ann.say(command)
    ann.say("done")
    bob.expect_message("ann", "done", "What begins with `/` is between ann and the server.")


@check(
    "C3",
    "A blank line (nothing but spaces and tabs) is ignored.",
    'line.strip(" \\t") is empty then.',
    needs=("messages-reach-all-others",),
)
def check_ignores_blank_lines(server: Subject) -> None:
    """Blank lines are ignored: nobody hears of them, and they end nothing."""
    ann, bob = company(server, "ann", "bob")
    for line in ("", " ", "    ", "\t", " \t ", "\r"):
        ann.say(line)
    ann.say("\u00a0")
    bob.expect_message(
        "ann", "\u00a0", "A no-break space is neither a space nor a tab; the lines before it were blank."
    )
    ann.expect_silence("Nothing was said, so nothing is answered.")


@check(
    "C3",
    CONTROLS,
    "One regular expression over the text of every line that is made, whoever it goes to.",
    needs=("messages-reach-all-others",),
)
def check_replaces_control_characters(server: Subject) -> None:
    """Control characters in what a client says arrive as U+FFFD, one for each; a TAB stays."""
    ann, bob = company(server, "ann", "bob")
    for number in (*range(0x20), *range(0x7F, 0xA0)):
        if chr(number) not in "\t\n":
            ann.say(f"a{chr(number)}b")
            bob.expect_message("ann", "a\ufffdb", f"U+{number:04X} could command bob's terminal.")
    ann.say("\x1b[2J\x1b]0;title\x07\x07\tred\x1b[31m\r\r")
    red = "\ufffd[2J\ufffd]0;title\ufffd\ufffd\tred\ufffd[31m\ufffd"
    bob.expect_message("ann", red, "One for each of them; only the one CR directly before the LF is dropped.")


@check(
    "C3",
    CONTROLS,
    "An answer that repeats what the client sent goes to a terminal, too.",
    needs=(
        "replaces-control-characters",
        "refuses-bad-names",
    ),
)
def check_answers_are_harmless(server: Subject) -> None:
    """Control characters do not come back in answers and refusals either."""
    ann = visit(server, "ann")
    ann.expect_prompt()
    for name in ("\x1b[2J", "ann\x07", "a\x00b", "ann\x9b"):
        ann.say(name)
        ann.expect_refusal("name-invalid")
    ann.register()
    for command in ("/\x1b[2J\x07", "/whisper \x1b[31mbob \x1b[0m", "/nick \x1b]0;x\x07"):
        ann.say(command)
        ann.heard("Whatever is answered to it must not command a terminal.")


# How the bytes arrive


@check(
    "B2",
    CUTS,
    "One recv() can bring several lines: carry out all of them, one after another.",
    needs=("messages-reach-all-others",),
)
def check_several_lines_at_once(server: Subject) -> None:
    """A name, messages and commands that arrive in one piece are carried out one after another."""
    (bob,) = company(server, "bob")
    with server.frozen():
        ann = visit(server, "ann")
        ann.send(b"ann\none\ntwo\n")
        ann.send(b"/list\nthree\n")
    bob.expect_joined("ann")
    for text in ("one", "two", "three"):
        bob.expect_message("ann", text, "All of it was there when the server looked for the first time.")
    ann.expect_welcome("ann")
    ann.expect_answer_of_list("ann", "bob")


@check(
    "B2",
    CUTS,
    "One recv() can bring a part of a line: each client has a buffer of its own for it.",
    needs=("messages-reach-all-others",),
)
def check_lines_in_pieces(server: Subject) -> None:
    """Lines of two clients that arrive in pieces, in turns, are put together rightly."""
    ann, bob, cat = company(server, "ann", "bob", "cat")
    pieces = (b"from ann: gr\xc3", b"\xbc\xc3\x9f", b"e\n"), (b"from bob: \xe2", b"\x82", b"\xac\n")
    for one, other in zip(*pieces, strict=True):
        ann.send(one)
        ann.wait_eaten()
        bob.send(other)
        bob.wait_eaten()
    heard = {"ann": "from ann: grüße", "bob": "from bob: €"}
    bob.expect_message("ann", heard["ann"], "Half a character is no character yet, and half a line no line.")
    ann.expect_message("bob", heard["bob"], "Each connection has a stream of its own.")
    cat.expect_message("ann", heard["ann"])
    cat.expect_message("bob", heard["bob"])


@check(
    "B2",
    CUTS,
    "What does each recv() bring, with the chunks that are named?",
    needs=(
        "lines-in-pieces",
        "ends-of-lines",
        "ignores-blank-lines",
        "tells-who-left",
    ),
)
def check_any_cut_of_a_dialogue(server: Subject, transcript: Transcript, seed: int) -> None:
    """However the bytes of a whole dialogue are cut into segments, all hear the same."""
    (bob,) = company(server, "bob")
    data = "\r\nann\r\nh\u00e9llo\n\u20ac \U0001f642 \r\n  \n/list\n/dance\n".encode()

    here: list[Guest] = []

    def exchange(chunks: Chunks) -> None:
        with transcript.muted():
            while here:  # from the exchange before, which may have failed
                here.pop().drop()
                bob.wait_until_gone("ann")
        ann = visit(server, "ann")
        here.append(ann)
        ann.send(data, chunks)
        bob.expect_joined("ann")
        bob.expect_message("ann", "h\u00e9llo", "The same bytes, cut in another way, are the same lines.")
        bob.expect_message("ann", "\u20ac \U0001f642 ")
        ann.expect_welcome("ann")
        ann.expect_answer_of_list("ann", "bob")

    under_all(segmentations(len(data), seed, 8), exchange, transcript)


@check(
    "B1",
    "One CR directly before the LF is dropped.",
    'removesuffix("\\r"), after cutting at the LF.',
    needs=("messages-reach-all-others",),
)
def check_ends_of_lines(server: Subject) -> None:
    """Lines may end with LF or CR LF, and nothing else ends a line."""
    ann, bob = company(server, "ann", "bob")
    ann.send(b"one\r\ntwo\n", chunks=[4, 1, 4])
    bob.expect_message("ann", "one", "telnet ends its lines with CR LF, nc with LF.")
    bob.expect_message("ann", "two")
    ann.say("a\u2028b\u2029c\u00a0d")
    bob.expect_message("ann", "a\u2028b\u2029c\u00a0d", "Only LF (0x0A) ends a line.")
    ann.send(b"/list\r\n")
    ann.expect_answer_of_list("ann", "bob", why="Commands may end with CR LF, too.")


@check(
    "B3",
    "an invalid sequence becomes one or more U+FFFD and harms nobody",
    'bytes.decode("utf-8", errors="replace"), line by line.',
    needs=(
        "messages-reach-all-others",
        "refuses-bad-names",
    ),
)
def check_bytes_that_are_no_text(server: Subject) -> None:
    """Bytes that are not valid UTF-8 become U+FFFD and harm nobody, before and after registration."""
    bob = join(server, "bob")
    ann = visit(server, "ann")
    ann.say(b"\xff\xfeann")
    ann.expect_refusal("name-invalid")
    ann.register()
    bob.expect_joined("ann")
    for data in (b"\xff", b"\xc3(", b"\xe2\x82", b"\xc0\x80", b"\xed\xa0\x80"):
        ann.say(b"a" + data + b"z")
        bob.expect_line(
            rb"\[[\d:]{8}\] \[ann\] a(\xef\xbf\xbd)+\(?z",
            "[HH:MM:SS] [ann] a\ufffdz (one U+FFFD or more)",
            f"{data!r} is not valid UTF-8.",
        )
    ann.say("still here")
    bob.expect_message("ann", "still here", "One bad line harms nobody, its sender included.")


@check(
    "B5",
    "Bytes after the last LF at the end of the stream are not a line",
    "At the end, forget the buffer.",
    needs=("messages-reach-all-others",),
)
def check_half_a_line_at_the_end(server: Subject) -> None:
    """What follows the last LF at the end of the stream is neither a name, nor a message, nor a command."""
    bob = join(server, "bob")
    eve = visit(server, "eve")
    eve.send(b"eve")
    eve.half_close()
    eve.expect_gone()
    ann = join(server, "ann", bob)
    ann.send(b"whole\nhalf")
    ann.half_close()
    bob.expect_message("ann", "whole")
    ann.expect_gone()
    server.settle()
    bob.expect_unheard("half", "eve", why="Who knows what it was going to be?")


@check(
    "C6",
    ORDER,
    "Carry out a client's lines in the order in which they come out of its buffer.",
    needs=("messages-reach-all-others",),
)
def check_keeps_the_order(server: Subject) -> None:
    """Hundreds of lines in one piece: each recipient gets each message once and in order, and so come the answers."""
    ann, bob, cat = company(server, "ann", "bob", "cat")
    ann.send(b"".join(b"number %d\n" % number + b"/list\n" * (number % 100 == 0) for number in range(500)))
    for guest in (bob, cat):
        with server.transcript.muted(f"{guest.name}.expect_messages('ann', 'number', 500)"):
            for number in range(500):
                guest.expect_message("ann", f"number {number}", "In the order in which ann sent them.")
    for _ in range(5):
        ann.expect_answer_of_list("ann", "bob", "cat")
    for guest in (ann, bob, cat):
        guest.expect_silence("Each exactly once.")
