"""C8: the client process of lab 7, with a server that the harness plays."""

import sys
from collections.abc import Callable

from harness.checks.bench import Bench, port_in_use
from harness.checks.mark import check
from harness.checks.verdict import Blocked
from harness.checks.visitor import AT_ONCE, CAN_INTERRUPT, DEFAULT_PORT, WAITS, Visitor
from harness.launch.program import HOST
from harness.wire import Fault, Peer, Transcript
from harness.wire.fuzz import under_all
from harness.wire.segments import Chunks, segmentations

TAKES = "Its program takes `[--host HOST] [--port PORT] [--timeout SECONDS]`."
SENDS = "Standard input lines are sent as they are typed, each ended by one LF"
SHOWS = "received lines are shown on standard output, one a line"
HARMLESS = "received lines are shown on standard output, one a line, control characters made harmless."
NO_SERVER = "No server, or none within the timeout (default 5 s): a message on standard error, exit status 1."
CLOSES = "The server closes or resets: a message, exit status 0 or 1 within 1 second, without waiting for a key."
LEAVES = (
    "`/exit`, the end of standard input, or Ctrl-C: `/exit` is sent, the client waits up to 2 seconds for the server's "
    "close, and ends with status 0."
)
GOODBYE = b"[12:00:00] [SERVER] Goodbye, ann"
ENDED = (0, 1)
SHORT_TIMEOUT = 1  # second
OUTLASTING = 1.4  # seconds of silence, more than the short timeout
STILL_THERE = 0.4  # seconds after which a client that does not wait for the close would be gone
FLOOD = 30_000  # lines
MIB = 1 << 20
Token = Callable[[], bytes]


# Connecting


@check(
    "C8",
    TAKES,
    "socket.create_connection((host, port), timeout) makes a socket and connects it.",
)
def check_connects(client: Visitor) -> None:
    """The client connects to the server that it was told of."""
    client.accept()


@check(
    "C8",
    TAKES,
    "connect() takes the host that the program was given, too: no name stands for it in the program.",
    waits=True,
)
def check_connects_where_it_is_told(bench: Bench) -> None:
    """The client connects to the host and the port that it was told, and to no other."""
    bench.invite(host="127.0.0.2" if sys.platform == "linux" else HOST, timeout=SHORT_TIMEOUT).accept()


@check(
    "C7",
    "Its program takes `[--host HOST] [--port PORT]`, defaults 127.0.0.1 and 5555",
    "Without arguments the client connects to 127.0.0.1, port 5555, where the servers of this kit listen.",
    waits=True,
)
def check_has_default_server(bench: Bench) -> None:
    """Without arguments the client connects to 127.0.0.1:5555."""
    if bench.starter.command.fills_in_address:
        raise Blocked("the command line names the address itself, so the program's defaults cannot be seen")
    try:
        client = bench.invite(defaults=True)
    except OSError:
        raise port_in_use(DEFAULT_PORT) from None
    client.accept()


@check(
    "C8",
    NO_SERVER,
    "connect() raises ConnectionRefusedError, a kind of OSError: catch it; sys.exit(text) prints and ends with 1.",
)
def check_no_server(bench: Bench) -> None:
    """Where nobody listens, the client says so on standard error and ends with status 1."""
    client = bench.invite(nobody=True, timeout=SHORT_TIMEOUT)
    client.expect_exit(
        (1,), SHORT_TIMEOUT, "A script that starts the client learns from the status that there was no server."
    )
    client.expect_message("A user wants to know why nothing happens.", on_stderr=True)


@check(
    "C8",
    NO_SERVER,
    "create_connection() takes the timeout as its second argument; TimeoutError is a kind of OSError.",
    needs=("no-server",),
    waits=True,
)
def check_nobody_answers(bench: Bench) -> None:
    """Where nobody answers, the client gives up after its timeout, says so, and ends with status 1."""
    if sys.platform != "linux":
        return  # elsewhere a full accept queue refuses, or keeps nobody waiting
    client = bench.invite(full=True, timeout=SHORT_TIMEOUT)
    client.expect_exit(
        (1,), SHORT_TIMEOUT, f"It was told to wait for {SHORT_TIMEOUT} s. By itself the system tries for two minutes."
    )
    client.expect_message("A user wants to know why nothing happens.", on_stderr=True)


# Sending


@check(
    "C8", SENDS, "A `for` over sys.stdin.buffer gives line after line, as they are typed; then it is the socket's turn."
)
def check_sends_typed_lines(client: Visitor, host: Peer, token: Token) -> None:
    """Each line that is typed reaches the server at once, and before the first one nothing does."""
    for _ in range(3):
        line = token() + b"\n"
        client.type(line)
        host.expect(line, "Nothing but what was typed is sent, and it is sent as soon as its line is complete.")


@check("C8", SENDS, "Send what was typed: no strip(), no upper(), no search for words.", needs=("sends-typed-lines",))
def check_sends_lines_unchanged(client: Visitor, host: Peer) -> None:
    """Typed lines are sent unchanged: spaces, accents, other scripts, an empty line, words like `quit`."""
    texts = (
        "  leading and trailing  ",
        "a\tb",
        "Zürich",
        "日本語 🙂",
        "",
        " ",
        "quit",
        "exit",
        "q",
        "bye",
        " /exit",
        "/exits",
    )
    for text in (*texts, "/list", "/whisper bob  two spaces ", "100% {} \\n", "x" * 3000):
        client.type(f"{text}\n".encode())
        host.expect(f"{text}\n".encode(), "What a line means is for the server to say; only /exit concerns the client.")


@check(
    "C8",
    SENDS,
    "sendall() sends everything; read line after line until the input ends.",
    needs=("sends-typed-lines",),
)
def check_sends_many_lines(client: Visitor, host: Peer) -> None:
    """Thousands of lines that are typed at once (a pasted text, a file) all reach the server, in order."""
    text = b"".join(b"line %d of many, so that a loss or a swap shows\n" % number for number in range(4000))
    client.type(text)
    host.expect(text, "What was pasted at once is many lines, and none of them may be lost.")


@check(
    "C8",
    SENDS,
    "A file's last line may lack its LF. Send line.removesuffix(b'\\n') + b'\\n': exactly one in any case.",
    needs=("sends-typed-lines",),
)
def check_ends_the_last_line(client: Visitor, host: Peer, token: Token) -> None:
    """The last line of the input is sent with an LF though it has none of its own."""
    line = token()
    client.type(b"before\n" + line)
    client.end_input()
    host.expect(b"before\n" + line + b"\n", "Without its LF the server would wait for the rest of the line.")


@check(
    "C8",
    SENDS,
    "sys.stdin decodes what is typed, and fails where that is no UTF-8; sys.stdin.buffer gives the bytes themselves.",
    needs=("sends-typed-lines",),
)
def check_types_what_is_no_text(client: Visitor, host: Peer, token: Token) -> None:
    """A typed line that is not valid UTF-8 does the client no harm, nor the lines behind it."""
    line = token()
    client.type(b"caf\xe9\n")
    host.expect_line(
        rb"caf(\xe9|\xef\xbf\xbd|\?)", "the line, its odd byte perhaps replaced", "A pasted byte is no reason to end."
    )
    client.type(line + b"\n")
    host.expect(line + b"\n")


# Showing


@check("C8", SHOWS, "recv(), a LineBuffer, print(line, flush=True): in a thread, for the other one waits for a key.")
def check_shows_a_line(client: Visitor, host: Peer, token: Token) -> None:
    """A line that the server sends is shown at once, though nobody types anything."""
    for _ in range(3):
        line = b"[12:00:00] [bob] " + token()
        host.send(line + b"\n")
        client.expect_shown(
            line,
            "Nothing was typed, and nothing will be: what waits for a key must not keep the line from being shown. "
            "(Python keeps what is printed to a pipe in a buffer: flush it.)",
        )


@check(
    "C8",
    SHOWS,
    "One recv() can bring several lines, or an empty one; print all that LineBuffer.feed() returns.",
    needs=("shows-a-line",),
)
def check_shows_coalesced_lines(client: Visitor, host: Peer, token: Token) -> None:
    """Several lines that arrive in one piece are shown as several lines, each once; an empty one ends nothing."""
    one, two, three = token(), token(), token()
    host.send(one + b"\n" + two + b"\n\n" + three + b"\n")
    for line in (one, two, three):
        client.expect_shown(line, "All the lines came in one piece.")
    for line in (one, two, three):
        client.expect_shown_once(line, "Each line was sent once.")


@check("C8", SHOWS, "The LF ends a line, not what one recv() brought.", needs=("shows-a-line",))
def check_shows_a_split_line(client: Visitor, host: Peer, token: Token) -> None:
    """A line that arrives in two pieces is shown as one line."""
    one, two = token(), token()
    line = one + b" " + two
    host.send(line + b"\n", chunks=[len(one), len(two) + 2])
    client.expect_shown(line, "Its first half came a moment before the second.")


@check("C8", SHOWS, "Decode whole lines, never what one recv() brought.", needs=("shows-a-split-line",))
def check_shows_a_split_character(client: Visitor, host: Peer) -> None:
    """A character whose bytes arrive in two pieces is shown as one character."""
    for text in ("Zürich", "12 €", "🙂"):
        data = f"{text}\n".encode()
        cut = next(place for place, byte in enumerate(data) if byte >= 0x80) + 1
        host.send(data, chunks=[cut, len(data) - cut])
        client.expect_shown(text.encode(), "The first byte of a character came a moment before the others.")


@check(
    "C8",
    SHOWS,
    "str.splitlines() cuts at ten different characters; a line of the protocol ends at LF alone.",
    needs=("shows-a-line",),
)
def check_shows_other_separators_in_one_line(client: Visitor, host: Peer, token: Token) -> None:
    """U+2028 and U+2029 are characters of a line, and no ends of it."""
    for character in ("\u2028", "\u2029"):
        before, after = token(), token()
        host.send(before + character.encode() + after + b"\n")
        client.expect_shown(before + character.encode() + after, "One line came, and one line is to be shown.")


@check(
    "C8",
    SHOWS,
    "Try LineBuffer by hand with the chunks that are named: what does each feed() return?",
    needs=("shows-a-split-character", "shows-coalesced-lines"),
)
def check_shows_any_cut(client: Visitor, host: Peer, transcript: Transcript, seed: int) -> None:
    """However the same bytes are cut into segments, the same lines are shown."""
    lines = [text.encode() for text in ("one", "d\u00e9j\u00e0 vu", "\u20ac\U0001f642", "  end ")]
    data = b"".join(line + b"\n" for line in lines)

    def exchange(chunks: Chunks) -> None:
        host.send(data, chunks)
        for line in lines:
            client.expect_shown(line, "The same bytes, cut in another way, are the same lines.")

    under_all(segmentations(len(data), seed, 5), exchange, transcript)


@check(
    "C8",
    SHOWS,
    'A UnicodeDecodeError ends the thread that receives: errors="replace" puts U+FFFD in the place of what is no text.',
    needs=("shows-a-line",),
)
def check_shows_what_is_no_text(client: Visitor, host: Peer, token: Token) -> None:
    """A line that is not valid UTF-8 is shown with replacements, and those behind it are shown, too."""
    for odd in (b"\xff", b"caf\xe9", b"\xe2\x82", b"\xed\xa0\x80"):
        line = token()
        host.send(odd + b"\n" + line + b"\n")
        client.expect_shown(line, f"A line with {odd!r} came before it.")


@check(
    "C8",
    SHOWS,
    "The limit of 4096 bytes is one for what clients send; with a name and a time before it a line is longer.",
    needs=("shows-a-split-line",),
)
def check_shows_long_lines(client: Visitor, host: Peer) -> None:
    """Long lines are shown whole: one of 4,140 bytes, as chat servers send them, and one of a mebibyte."""
    for length in (4096, MIB):
        line = b"[12:00:00] [PRIVATE FROM some-other-name] " + b"a long story " * (length // 13)
        host.send(line + b".\n")
        client.expect_shown(line + b".", "Nobody told the client of a limit: what the server sends is to be shown.")


@check(
    "C8",
    SHOWS,
    "Show what comes in one thread, and send what is typed in the other: neither waits for the other.",
    needs=("shows-coalesced-lines", "sends-typed-lines"),
)
def check_shows_a_flood(client: Visitor, host: Peer, token: Token) -> None:
    """Two mebibytes of lines are all shown, in order, and what is typed meanwhile is sent."""
    typed = token() + b"\n"
    lines = [b"[12:00:00] [flood] line %d of a great many that come as fast as they can\n" % n for n in range(FLOOD)]
    _send_flood(host, lines, 0, FLOOD // 2)
    client.type(typed)
    host.expect(typed, "It was typed while lines kept coming.")
    _send_flood(host, lines, FLOOD // 2, FLOOD)
    with client.transcript.muted(f"client.expect_all_shown(flood(0, {FLOOD}).splitlines())"):
        client.expect_all_shown(
            [line[:-1] for line in lines], "Every line is to be shown, in its order, however fast they come."
        )


def _send_flood(host: Peer, lines: list[bytes], first: int, last: int) -> None:
    with host.transcript.muted(f"host.send(flood({first}, {last}))"):
        host.send(b"".join(lines[first:last]))


@check(
    "C8",
    SHOWS,
    "A thread that waits for input waits for the whole line; the other one shows what comes meanwhile.",
    needs=("shows-a-line", "sends-typed-lines"),
)
def check_shows_while_one_types(bench: Bench, token: Token) -> None:
    """At a terminal, a line is shown while another one is half typed, which is then sent whole."""
    client = bench.invite(terminal=True)
    host = client.accept()
    line, begin, rest = token(), token(), token()
    client.type(begin)
    host.send(line + b"\n")
    client.expect_shown(line, "A user who is in the middle of a line is shown what the others say.")
    client.type(rest + b"\n")
    host.expect(begin + rest + b"\n", "What was shown meanwhile is no part of the typed line.")


@check(
    "C8",
    "A separate thread receives.",
    "threading.Thread(target=..., daemon=True).start() for the function that receives and shows.",
    needs=("shows-a-line",),
    model=True,
)
def check_receives_in_a_thread(client: Visitor, host: Peer, token: Token) -> None:
    """A separate thread receives: the connected client has at least two."""
    line = token()
    host.send(line + b"\n")
    client.expect_shown(line)
    client.expect_threads(2, "The idea of this lab is a second thread (--any-model leaves this check out).")


@check(
    "C8",
    NO_SERVER,
    "create_connection() leaves its timeout on the socket: recv() raises TimeoutError then. settimeout(None) lifts it.",
    needs=("shows-a-line", "sends-typed-lines"),
    waits=True,
)
def check_outlasts_its_timeout(bench: Bench) -> None:
    """The timeout is one for connecting: a connection that is silent for longer stays, and works."""
    client = bench.invite(timeout=SHORT_TIMEOUT)
    host = client.accept()
    client.expect_running(OUTLASTING, "The server was silent for a while, which is its right: nobody wrote anything.")
    host.send(b"[12:00:01] [bob] still there?\n")
    client.expect_shown(b"[12:00:01] [bob] still there?", "The silence has ended, and the client should still receive.")
    client.type(b"yes\n")
    host.expect(b"yes\n", "The silence has ended, and the client should still send.")


@check(
    "C8",
    "A separate thread receives.",
    "Wait in recv() and in reading the input; a loop around a non-blocking call is never idle.",
    needs=("shows-a-line",),
    waits=True,
)
def check_waits_without_work(bench: Bench) -> None:
    """While nothing is typed and nothing comes, the client uses no processor time."""
    client = bench.invite()
    host = client.accept()
    host.send(b"[12:00:00] [bob] hello\n")
    client.expect_shown(b"[12:00:00] [bob] hello")
    client.expect_idle("A loop goes round without ever waiting in recv() or for what is typed.")


# Control characters


def _show(client: Visitor, host: Peer, token: Token, odd: bytes, why: str) -> None:
    """Send `odd` between two words, and expect that what is shown between them commands no terminal."""
    before, after = token(), token()
    host.send(b"[12:00:00] [mallory] " + before + odd + after + b"\n")
    client.expect_shown_harmless(before, after, why)


@check(
    "C8",
    HARMLESS,
    "A terminal obeys what follows ESC (0x1B): put U+FFFD in its place. re.sub() or str.translate() can do it.",
    needs=("shows-a-line",),
)
def check_makes_escape_sequences_harmless(client: Visitor, host: Peer, token: Token) -> None:
    """Escape sequences (colours, a cleared screen, a new title) do not reach the terminal."""
    for odd in (b"\x1b[31m", b"\x1b[2J\x1b[H", b"\x1b]0;owned\x07"):
        _show(
            client, host, token, odd, "What comes from the network could clear the screen, or forge what others said."
        )


@check(
    "C8",
    HARMLESS,
    "C3 names them: U+0000 to U+001F except TAB, and U+007F to U+009F. A CR in the middle of a line is one, too.",
    needs=("makes-escape-sequences-harmless",),
)
def check_makes_control_characters_harmless(client: Visitor, host: Peer, token: Token) -> None:
    """No control character reaches the terminal: NUL, BEL, backspace, VT, FF, a CR in the line, DEL, C1."""
    controls = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"]
    for code in controls:
        _show(client, host, token, chr(code).encode(), f"U+{code:04X} is a control character.")


# The server ends


@check(
    "C8",
    CLOSES,
    "When recv() returns b'', print a message and end the process: os._exit() does it from any thread.",
    needs=("shows-a-line",),
)
def check_server_closes(client: Visitor, host: Peer, token: Token) -> None:
    """When the server closes, the client says so and ends within a second, without waiting for a key."""
    line = token()
    host.send(line + b"\n")
    client.expect_shown(line)
    host.close()
    client.expect_exit(ENDED, why="Its standard input is open and silent: whoever waits for a key waits for ever.")
    client.expect_message("A user wants to know why the client has ended.")


@check(
    "C8",
    CLOSES,
    "The thread that reads the input sits in the middle of a line: end the process all the same, with os._exit().",
    needs=("server-closes",),
)
def check_server_closes_while_one_types(bench: Bench, token: Token) -> None:
    """The same at a terminal, in the middle of a line, when the server ends its stream only."""
    client = bench.invite(terminal=True)
    host = client.accept()
    line = token()
    host.send(line + b"\n")
    client.expect_shown(line)
    client.type(b"half a li")
    host.half_close()
    client.expect_exit(ENDED, why="The user has not pressed Enter, and need not.")
    client.expect_message("A user wants to know why the client has ended.")


@check(
    "C8",
    CLOSES,
    "recv() raises ConnectionResetError, a kind of OSError, in the thread that receives: catch it there.",
    needs=("server-closes",),
)
def check_server_resets(client: Visitor, host: Peer, token: Token) -> None:
    """When the server resets the connection, the client says so and ends, without a traceback."""
    line = token()
    host.send(line + b"\n")
    client.expect_shown(line)
    host.reset()
    client.expect_exit(ENDED, why="A server that crashed does not say goodbye.")
    client.expect_message("A user wants to know why the client has ended.")


@check(
    "C8",
    CLOSES,
    'Go on with recv() until it returns b"", and flush what you print: os._exit() throws away what is in buffers.',
    needs=("server-closes", "shows-coalesced-lines"),
)
def check_shows_what_came_before_the_end(client: Visitor, host: Peer) -> None:
    """Lines that came right before the server's close are all shown."""
    lines = [b"[12:00:00] [SERVER] reason %d why this server is full" % number for number in range(2000)]
    host.send(b"".join(line + b"\n" for line in lines))
    host.close()
    client.expect_all_shown(lines, "The server's last words say why it closed.")
    client.expect_exit(ENDED, why="The server has closed.")


@check(
    "C8",
    CLOSES,
    "sendall() raises BrokenPipeError or ConnectionResetError, both a kind of OSError: catch it.",
    needs=("server-resets",),
    waits=True,
)
def check_server_resets_while_it_sends(bench: Bench) -> None:
    """When the server resets while the client is in the middle of sending, it says so and ends, without a traceback."""
    client = bench.invite(receive_buffer=4096)
    host = client.accept()
    client.type_until_stuck(b"All work and no play makes a dull client.\n" * 1000)
    host.reset()
    client.expect_exit(ENDED, why="The client was in the middle of sending.")
    client.expect_message("A user wants to know why the client has ended.")


# Leaving


def _say_goodbye(client: Visitor, host: Peer, expected: bytes, why: str) -> None:
    """Expect what is sent last, answer as a chat server does, and expect that nothing more comes."""
    host.expect(expected, why)
    client.settle()  # whoever says more, or ends, does so now
    goes_on = "It goes on to show what comes, until the server closes."
    client.expect_running(why=goes_on)
    try:
        host.send(GOODBYE + b"\n")
        host.half_close()
    except Fault:
        client.expect_running(AT_ONCE, goes_on)  # it may have been about to end, and that is the fault to be told
        raise
    client.expect_shown(GOODBYE, "The client goes on to show what comes, until the server closes.")
    client.expect_exit((0,), WAITS, why="The user wanted to leave, and could: that is status 0.")
    host.expect_end("After /exit there is nothing more to say, and it is said once.")


@check(
    "C8",
    LEAVES,
    "When /exit is typed, send it and read no more input; end with 0 when the server closes.",
    needs=("sends-typed-lines", "shows-a-line"),
)
def check_exit_command(client: Visitor, host: Peer) -> None:
    """/exit that is typed is sent once; the Goodbye is shown; when the server closes, the client ends with status 0."""
    client.type(b"hello\n/exit\n")
    client.end_input()
    _say_goodbye(client, host, b"hello\n/exit\n", "/exit is sent, once, behind what was typed before.")


@check(
    "C8",
    LEAVES,
    "When the loop over the input ends, send /exit, and wait for the server's close in the same way.",
    needs=("exit-command",),
)
def check_end_of_input(client: Visitor, host: Peer) -> None:
    """At the end of the input (a pipe, a file) /exit is sent behind all lines; the rest is as with /exit."""
    client.type(b"ann\nhello\n")
    client.end_input()
    _say_goodbye(
        client, host, b"ann\nhello\n/exit\n", "printf 'ann\\nhello\\n' | client: whoever says no more, leaves."
    )


@check(
    "C8",
    LEAVES,
    "Ctrl-D at a terminal is an end of the input like any other.",
    needs=("end-of-input",),
)
def check_end_of_input_at_a_terminal(bench: Bench) -> None:
    """Ctrl-D at a terminal is the end of the input: /exit is sent, and the client ends with status 0."""
    client = bench.invite(terminal=True)
    host = client.accept()
    client.type(b"hello\n")
    host.expect(b"hello\n")
    client.end_input()
    _say_goodbye(client, host, b"/exit\n", "Ctrl-D ends the input, and /exit is sent.")


@check(
    "C8",
    LEAVES,
    "Python raises KeyboardInterrupt in the main thread, wherever it is: catch it around the loop over the input.",
    needs=("exit-command",),
)
def check_interrupt(client: Visitor, host: Peer, token: Token) -> None:
    """SIGINT makes the client send /exit and wait for the close; it ends with status 0, without a traceback."""
    if not CAN_INTERRUPT:
        return  # Windows has no way to send it to one process alone
    line = token()
    host.send(line + b"\n")
    client.expect_shown(line)
    client.interrupt()
    _say_goodbye(client, host, b"/exit\n", "Ctrl-C is how most people leave: the server should be told.")


@check(
    "C8",
    LEAVES,
    "Ctrl-C at a terminal is SIGINT; what was half typed is lost, and need not be sent.",
    needs=("interrupt",),
)
def check_interrupt_at_a_terminal(bench: Bench, token: Token) -> None:
    """Ctrl-C at a terminal, in the middle of a line, does the same."""
    if not CAN_INTERRUPT:
        return
    client = bench.invite(terminal=True)
    host = client.accept()
    line = token()
    host.send(line + b"\n")
    client.expect_shown(line)
    client.type(b"never mi")
    client.interrupt()
    _say_goodbye(client, host, b"/exit\n", "Ctrl-C is how most people leave: the server should be told.")


@check(
    "C8",
    LEAVES,
    "Ctrl-C may come before there is a connection: KeyboardInterrupt is to be caught there as well.",
    needs=("interrupt",),
)
def check_interrupt_while_connecting(bench: Bench) -> None:
    """Ctrl-C while the client is still connecting ends it, without a traceback."""
    if not CAN_INTERRUPT or sys.platform != "linux":
        return  # elsewhere there is no way to keep a connect() waiting
    client = bench.invite(full=True)
    client.wait_connecting()
    client.interrupt()
    client.expect_exit(ENDED, WAITS, why="There is nobody to say goodbye to.")


@check(
    "C8",
    LEAVES,
    "After /exit, wait for the end of the thread that receives: join() with a timeout.",
    needs=("end-of-input",),
    waits=True,
)
def check_waits_for_the_close(bench: Bench) -> None:
    """After /exit the client waits for the server's close, and goes on to show what comes."""
    client = bench.invite()
    host = client.accept()
    client.end_input()
    host.expect(b"/exit\n")
    client.expect_running(STILL_THERE, "The server has not closed yet, and up to 2 seconds are its due.")
    _say_goodbye(client, host, b"", "")


@check(
    "C8",
    LEAVES,
    "A wait for a thread can be limited: join(timeout), or a threading.Timer that ends the process.",
    needs=("end-of-input",),
    waits=True,
)
def check_does_not_wait_for_ever(bench: Bench) -> None:
    """If the server does not close after /exit, the client ends by itself after about 2 seconds, with status 0."""
    client = bench.invite()
    host = client.accept()
    client.end_input()
    host.expect(b"/exit\n")
    client.expect_exit(
        (0,), WAITS, "The server does not close: up to 2 seconds, and no longer.", not_before=WAITS - 0.5
    )


@check(
    "C8",
    LEAVES,
    "A sendall() that blocks is interrupted by Ctrl-C like a readline(); sending /exit then must not block for ever.",
    needs=("interrupt",),
    waits=True,
)
def check_leaves_a_server_that_does_not_read(bench: Bench) -> None:
    """Ctrl-C ends a client that is stuck in sending to a server that does not read, after 2 seconds at most."""
    if not CAN_INTERRUPT:
        return
    client = bench.invite(receive_buffer=4096)
    client.accept()
    client.type_until_stuck(b"All work and no play makes a dull client.\n" * 1000)
    client.interrupt()
    client.expect_exit((0,), WAITS, "The server reads nothing, not even /exit.")
