"""Part B: lines in a byte stream, and the numbered line server (B6)."""

import re

from harness.checks.mark import check
from harness.checks.subject import Subject
from harness.wire import Peer, Transcript
from harness.wire.fuzz import under_all
from harness.wire.segments import Chunks, segmentations

LINE = "A line is any bytes ended by LF (0x0A). One CR directly before the LF is dropped."
CUTS = (
    "How the bytes were cut into segments never matters: split, coalesced, one byte at a time, in the middle of a "
    "character."
)
LONG = (
    "A line longer than 4096 bytes (the LF, and the CR dropped before it, not counted) is refused once, as soon as it "
    "is too long or when its LF arrives, and discarded up to that LF; the connection stays and memory stays bounded."
)
ANSWERS = "The lab 2 server answers each line with `<n> <text>` LF, n counting the connection's lines from 1"
REFUSED = "ERROR line-too-long"
LIMIT = 4096
MIB = 1 << 20


@check("B6", ANSWERS, "For each line that comes out of the buffer, send `<n> <text>` and LF.")
def check_answers_a_line(ann: Peer) -> None:
    """A line is answered with its number and its text."""
    ann.send(b"hello\n")
    ann.expect(b"1 hello\n", "The first line of a connection has the number 1.")


@check("B6", ANSWERS, "One counter for each connection, one more for each line.")
def check_counts_lines(ann: Peer) -> None:
    """The lines of a connection are numbered 1, 2, 3 and so on, an empty one too."""
    for number, text in enumerate((b"one", b"two", b"", b"two", b"  four  "), start=1):
        ann.send(text + b"\n")
        ann.expect(b"%d %s\n" % (number, text), "Every line counts, whatever its text.")


@check("B6", ANSWERS, "The counter belongs to the connection: it starts when the client is accepted.")
def check_counts_each_connection_anew(server: Subject) -> None:
    """Each connection's lines are counted from 1."""
    for name in ("ann", "bob"):
        peer = server.connect(name)
        server.greet(peer, "n counts this connection's lines, not the server's.")
        peer.close()


@check(
    "B3",
    "Text is UTF-8",
    "Decode and encode with UTF-8, and change nothing: no strip(), no title(), no normalisation.",
)
def check_keeps_the_text(ann: Peer) -> None:
    """The text of a line comes back as it was sent: spaces, accents, other scripts, emoji."""
    texts = (
        "  leading and trailing  ",
        "a\tb",
        "Zürich",
        "日本語",
        "🙂👩‍🚀",
        "e\u0301 is not é",
        "\ufeffBOM",
        "100% %s {}",
    )
    for number, text in enumerate(texts, start=1):
        ann.send(f"{text}\n".encode())
        ann.expect(f"{number} {text}\n".encode(), "Text is kept exactly.")


def _converse(server: Subject, data: bytes, answers: bytes, chunks: Chunks | None, why: str) -> None:
    """Send `data` on a new connection, end the stream, expect exactly `answers` and the end."""
    peer = server.connect("ann")
    peer.send(data, chunks)
    peer.half_close()
    peer.expect(answers, why)
    peer.expect_end("Everything was answered, and the client has ended its stream.")
    peer.close()


@check("B2", CUTS, "One recv() can bring several lines: LineBuffer.feed() returns all that are complete.")
def check_coalesced_lines(server: Subject) -> None:
    """Several lines that arrive in one piece are several lines."""
    with server.frozen():
        ann = server.connect("ann")
        ann.send(b"one\ntwo\n")
        ann.send(b"three\n")
    ann.expect(b"1 one\n2 two\n3 three\n", "All three lines were there when the server looked for the first time.")


@check("B2", CUTS, "One recv() can bring a part of a line: keep it until the LF has come.")
def check_split_line(ann: Peer) -> None:
    """A line that arrives in two pieces is one line."""
    ann.send(b"hello world\n", chunks=[5, 7])
    ann.expect(b"1 hello world\n", "The LF ends a line, not the segment.")
    ann.send(b"\n", chunks=[1])
    ann.expect(b"2 \n")


@check(
    "B2",
    CUTS,
    "Try LineBuffer by hand with the chunks that are named: what does each feed() return?",
    ("split-line", "crlf"),
)
def check_any_cut(server: Subject, transcript: Transcript, seed: int) -> None:
    """However the same bytes are cut into segments, the answers are the same."""
    data = "one\r\n\nd\u00e9j\u00e0 vu\n\u20ac\U0001f642\r\r\n  end \n".encode()
    answers = "1 one\n2 \n3 d\u00e9j\u00e0 vu\n4 \u20ac\U0001f642\r\n5   end \n".encode()

    def exchange(chunks: Chunks) -> None:
        _converse(server, data, answers, chunks, "The same bytes, cut in another way, are the same lines.")

    under_all(segmentations(len(data), seed, 10), exchange, transcript)


@check("B2", CUTS, "Decode whole lines, never what one recv() brought.", ("split-line",))
def check_split_character(ann: Peer) -> None:
    """A character whose bytes arrive in two pieces is one character."""
    ann.send("Gr\u00fc\u00dfe \U0001f642\n".encode(), chunks=[3, 2, 4, 3, 1])
    ann.expect("1 Gr\u00fc\u00dfe \U0001f642\n".encode(), "Half a character is no character yet.")


@check("B1", LINE, "Drop one CR at the end of a line, after cutting at the LF; leave every other CR alone.")
def check_crlf(server: Subject) -> None:
    """One CR directly before the LF is dropped; every other CR is text."""
    _converse(
        server,
        b"a\r\nb\n\r\nc\rd\ne\r\r\n",
        b"1 a\n2 b\n3 \n4 c\rd\n5 e\r\n",
        [1, 1, 1, 12],
        "telnet ends its lines with CR LF, nc with LF; CR and LF may come in different segments.",
    )


@check(
    "B1",
    "No other character ends a line (not U+2028, VT, FF, NEL).",
    'bytes.split(b"\\n"): str.splitlines() also cuts at VT, FF, FS, GS, RS, NEL, U+2028 and U+2029.',
)
def check_only_lf_ends_a_line(server: Subject) -> None:
    """Characters that some programs take for line ends are text."""
    text = "a\vb\fc\x1cd\x1de\x1ef\x85g\u2028h\u2029i\0j"
    _converse(
        server,
        f"{text}\n{text}\n".encode(),
        f"1 {text}\n2 {text}\n".encode(),
        None,
        "Only LF (0x0A) ends a line.",
    )


@check("B2", CUTS, "Answer every line that feed() returns; a sendall() may have a lot to send.", ("coalesced-lines",))
def check_many_lines_at_once(server: Subject) -> None:
    """Two thousand lines in one piece get two thousand answers, in order."""
    _converse(
        server,
        b"".join(b"line %d\n" % number for number in range(1, 2001)),
        b"".join(b"%d line %d\n" % (number, number) for number in range(1, 2001)),
        None,
        "Every line is answered, in the order sent.",
    )


@check(
    "B5",
    "Bytes after the last LF at the end of the stream are not a line",
    "At the end of the stream, forget what is left in the buffer.",
)
def check_unfinished_line(server: Subject) -> None:
    """What follows the last LF at the end of the stream is not a line, and gets no answer."""
    _converse(server, b"one\ntwo", b"1 one\n", None, "`two` has no LF: who knows what it was going to be?")
    _converse(server, b"just this", b"", None, "There is no LF, so there is no line.")
    _converse(
        server, b"three\n", b"1 three\n", None, "What another client left unfinished does not belong to this one."
    )


INVALID = (
    (b"\xff", "a byte that never occurs in UTF-8"),
    (b"\xc3(", "the first byte of two, then something else"),
    (b"\xe2\x82", "two bytes of three"),
    (b"\xc0\x80", "an overlong form"),
    (b"\xed\xa0\x80", "half of a surrogate pair"),
    (b"\xf4\x90\x80\x80", "a code point above U+10FFFF"),
)


@check(
    "B3",
    "an invalid sequence becomes one or more U+FFFD",
    'bytes.decode("utf-8", errors="replace").',
)
def check_invalid_utf8(ann: Peer) -> None:
    """Bytes that are not valid UTF-8 become U+FFFD; the text around them stays."""
    for number, (data, words) in enumerate(INVALID, start=1):
        ann.send(b"a" + data + b"z\n")
        rest = re.escape(data[1:]) if data == b"\xc3(" else b""
        ann.expect_line(
            b"%d a(\xef\xbf\xbd)+%sz" % (number, rest),
            f"{number} a\ufffd{rest.decode().replace(chr(92), '')}z (one U+FFFD or more)",
            f"{data!r} is {words}.",
        )


@check(
    "B3",
    "an invalid sequence becomes one or more U+FFFD and harms nobody",
    'UnicodeDecodeError is no OSError: with errors="replace" it is never raised.',
)
def check_invalid_utf8_harms_nobody(server: Subject) -> None:
    """After a line that is not valid UTF-8, its sender and the next client are served as before."""
    ann = server.connect("ann")
    ann.send(b"\xff\xfe\x80\n")
    ann.expect_line(b"1 (\xef\xbf\xbd)+", "1 \ufffd (one U+FFFD or more)")
    ann.send(b"still here\n")
    ann.expect(b"2 still here\n", "One bad line harms nobody, its sender included.")
    ann.close()
    server.greet(server.connect("bob"))


@check("B4", LONG, "4096 bytes are allowed, 4097 are not; neither the LF nor the CR before it counts.")
def check_longest_line(server: Subject) -> None:
    """A line of 4096 bytes is answered, with LF or CR LF at its end, and one of 4097 is refused."""
    longest = b"x" * LIMIT
    _converse(
        server,
        longest + b"\n" + longest + b"\r\n" + longest + b"y\n" + longest + b"\r\r\n",
        b"1 %s\n2 %s\n3 %s\n4 %s\n" % (longest, longest, REFUSED.encode(), REFUSED.encode()),
        [LIMIT + 1, LIMIT + 1, 1, LIMIT + 2, LIMIT + 1, 1, 1],
        "The CR may arrive before the LF that shows it to be a part of the line's end.",
    )


@check("B4", LONG, "Refuse a long line once, with its number, forget it up to its LF, and go on.")
def check_refuses_a_long_line(ann: Peer) -> None:
    """A long line is refused once, with its number; the lines before and after it are answered."""
    ann.send(b"before\n" + b"x" * 100_000 + b"\nafter\n" + b"y" * 5000 + b"\n\n")
    ann.expect(
        b"1 before\n2 ERROR line-too-long\n3 after\n4 ERROR line-too-long\n5 \n",
        "A refused line counts; the connection stays.",
    )


@check("B4", LONG, "Measure the line before decoding it: len() of bytes, not of a string.", ("longest-line",))
def check_limit_counts_bytes(server: Subject) -> None:
    """The limit counts bytes, not characters."""
    fits, exceeds = "\u00e9" * (LIMIT // 2), "\u20ac" * (LIMIT // 3 + 1)
    _converse(
        server,
        f"{fits}\n{exceeds}\n".encode(),
        f"1 {fits}\n2 {REFUSED}\n".encode(),
        None,
        f"{len(exceeds)} euro signs are {3 * len(exceeds)} bytes.",
    )


@check("B4", LONG, "What follows a refusal up to the LF belongs to the refused line.", ("refuses-a-long-line",))
def check_long_line_in_pieces(server: Subject) -> None:
    """A long line that arrives in pieces is refused once, and its rest is not taken for another line."""
    data = b"a\n" + b"x" * 9000 + b"\nb\n"
    for chunks in ([5000, 4000, 5], [4098, 1, 1, 4900, 3, 2], [2, 4096, 1, 1, 4902, 1, 2]):
        _converse(
            server,
            data,
            b"1 a\n2 ERROR line-too-long\n3 b\n",
            [*chunks[:-1], len(data) - sum(chunks[:-1])],
            "All of it up to its LF is one line, refused once.",
        )


@check(
    "B4",
    LONG,
    "Keep no more of a line than it takes to know that it is too long.",
    needs=("refuses-a-long-line",),
    fresh=True,
)
def check_bounded_memory(server: Subject) -> None:
    """A line of 64 MiB does not fill the memory of the server."""
    ann = server.connect("ann")
    ann.send(b"hello\n")
    ann.expect(b"1 hello\n")
    server.expect_bounded_memory(ann, b"x" * MIB, times=64)
    ann.send(b"\nstill here\n")
    ann.expect(b"2 ERROR line-too-long\n3 still here\n", "It is one line, refused once.")
