"""Reports: text made safe, transcripts in lanes, evidence, and the folders they lie in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import results
from harness.checks.verdict import Status, Verdict, as_rows, compared
from harness.report.evidence import evidence
from harness.report.lanes import MOST_ROWS, lanes
from harness.report.safe import safe
from harness.wire.payload import pattern
from harness.wire.transcript import Kind, Transcript

ROOT = Path(__file__).resolve().parents[1]

# A busy machine is slow, and that is no fault of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

anything = st.text(st.characters())  # surrogates included


# Safe text


@settings(max_examples=500)
@given(anything)
def test_nothing_comes_out_but_what_prints_and_newlines_and_tabs(text: str) -> None:
    assert all(char.isprintable() or char in "\n\t" for char in safe(text))


@given(st.text(st.characters(categories=("L", "N", "P", "S", "M"))))
def test_what_prints_stays_as_it_is(text: str) -> None:
    assert safe(f"{text} \n\t{text}") == f"{text} \n\t{text}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\x08c\x7f", r"a\rb\x08c\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066\u2069\u200f\u061c", r"\u2066\u2069\u200f\u061c"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("line\u2028separator\x85", r"line\u2028separator\x85"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("caf\udce9", r"caf\udce9"),
        ("Grüße, 世界 😀\n", "Grüße, 世界 😀\n"),
    ],
)
def test_what_does_not_print_is_written_out(text: str, told: str) -> None:
    assert safe(text) == told


def test_every_control_and_bidirectional_character_is_escaped() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        risky = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        if risky and char not in "\n\t":
            told = safe(char)
            assert told.startswith("\\"), hex(code)
            assert told.isascii()


# Lanes


def row(who: str, kind: str, data: str = "", size: int = 0, seconds: float = 0.0, note: str = "") -> dict[str, Any]:
    """A row of a transcript as it stands in results.json."""
    return {"seconds": seconds, "who": who, "kind": kind, "data": data, "bytes": size, "note": note}


def test_a_transcript_is_drawn_a_lane_for_each_client() -> None:
    transcript = Transcript()
    transcript.record("server", Kind.ACT, note="listens on 127.0.0.1:5555")
    for name in ("ann", "bob", "cat"):
        transcript.record(name, Kind.CONNECT)
    transcript.record("bob", Kind.SEND, b"hi\n")
    transcript.record("cat", Kind.RECEIVE, b"\xff")
    transcript.record("ann", Kind.RESET_SEEN, note="ECONNRESET")
    drawn = lanes(as_rows(transcript), width=100)
    head, server, *connects, sent, received, reset = drawn
    column = {name: head.index(name) for name in ("ann", "bob", "cat")}
    assert column == {"ann": 11, "bob": 25, "cat": 39}
    assert server.endswith("· the server listens on 127.0.0.1:5555")
    assert [line.index("connects") for line in connects] == [11, 25, 39]
    assert sent[25:] == r"──▶ 'hi\n' (3 bytes)"
    assert received[39:] == r"◀── '\xff' (1 byte)"
    assert reset[11:] == "✕── RST ECONNRESET"
    assert all(re.match(r" *\d+\.\d  ", line) for line in drawn[1:])


def test_every_kind_of_event_can_be_drawn() -> None:
    for kind in Kind:
        who = "server" if kind is Kind.ACT else "ann"
        assert len(lanes([row(who, str(kind), "'x'", 1, note="a note")])) == 2


def test_four_clients_share_a_lane_with_their_names() -> None:
    rows = [row(name, "send", "'hello'", 5) for name in ("ann", "bob", "cat", "dan")]
    drawn = lanes(rows)
    assert [line[11:] for line in drawn] == [f"{name}: ──▶ 'hello' (5 bytes)" for name in ("ann", "bob", "cat", "dan")]


def test_a_long_transcript_loses_its_middle() -> None:
    kinds = ("send", "receive")
    rows = [row("ann", kinds[number % 2], f"'{number}'", 2, seconds=number) for number in range(100)]
    drawn = lanes(rows)
    shown = [line for line in drawn[1:] if "──" in line]
    assert len(drawn) == MOST_ROWS + 1
    assert drawn[5].strip() == "..."
    assert [int(re.findall(r"'(\d+)'", line)[0]) for line in shown] == [0, 1, 2, 3, *range(81, 100)]
    assert len(lanes(rows[:MOST_ROWS])) == MOST_ROWS + 1
    assert not any("..." in line for line in lanes(rows[:MOST_ROWS]))


def test_of_many_lines_of_the_same_kind_the_ends_are_drawn() -> None:
    rows = [row("bob", "receive", f"'{number}'", 2000) for number in range(100)]
    drawn = lanes([row("ann", "connect"), *rows])
    assert [line.strip().partition(" (")[0] for line in drawn[2:]] == [
        "0.0                ◀── '0'",
        "0.0                ◀── '1'",
        "... 96 more like this, together 192,000 bytes",
        "0.0                ◀── '98'",
        "0.0                ◀── '99'",
    ]


events = st.builds(
    row,
    who=st.sampled_from(["ann", "bob", "cat", "dan", "client10", "server"]),
    kind=st.sampled_from([str(kind) for kind in Kind if kind is not Kind.ACT]),
    data=st.binary(max_size=120).map(lambda data: repr(data)[1:]),
    size=st.integers(0, 10**7),
    seconds=st.floats(0, 9999),
    note=st.text(st.characters(categories=("L", "N", "P", "S")), max_size=60),
)


@given(st.lists(events, max_size=40), st.integers(60, 140))
def test_no_line_is_wider_than_told_and_none_holds_what_does_not_print(rows: list[dict[str, Any]], width: int) -> None:
    for line in lanes(rows, width):
        assert len(line) <= width
        assert line.isprintable()


def test_what_is_too_long_goes_on_to_the_right_then_it_is_cut_and_keeps_its_size() -> None:
    rows = [row(name, "send", repr("x" * 80), 80) for name in ("ann", "bob", "cat")]
    for line in lanes(rows, 100)[1:]:
        assert len(line) == 100
        assert re.search(r"──▶ 'x+… \(80 bytes\)$", line)


# Evidence


def failed(expected: str | bytes = "", received: str | bytes = "", **fields: Any) -> dict[str, Any]:
    """A failed check as it stands in results.json."""
    told, came, place = compared(expected, received)
    verdict = Verdict(
        id="echoes",
        step="1.2",
        title="What is sent comes back.",
        clause="A1",
        quote="The server MUST return every byte",
        status=Status.FAIL,
        points=0,
        max_points=2,
        message="ann got other bytes than were due",
        expected=told,
        received=came,
        difference=place,
        hint="Look at recv().",
    )
    return verdict.as_dict() | fields


def shown(verdict: dict[str, Any], width: int = 100) -> list[str]:
    return [line for _, line in evidence(verdict, "runs/latest", width)]


def under_the_caret(expected: bytes, received: bytes) -> tuple[str, str, int]:
    """Return what stands above the caret in `expected` and in `received`, and the byte that is named."""
    lines = shown(failed(expected, received))
    (caret,) = (line for line in lines if line.lstrip().startswith("^"))
    place = caret.index("^")
    told, came = (next(line for line in lines if line.lstrip().startswith(word)) for word in ("expected", "received"))
    found = re.findall(r"\^ byte (\d+) is the first that differs", caret)
    return told[place:], came[place:], int(found[0])


@pytest.mark.parametrize(
    ("expected", "received", "above"),
    [
        (b"hello", b"help", ("lo'", "p'", 3)),
        (b"hello", b"jello", ("hello'", "jello'", 0)),
        (b"a\x00b", b"a\x01b", (r"\x00b'", r"\x01b'", 1)),
        (b"a\x10b", b"a\x1fb", (r"\x10b'", r"\x1fb'", 1)),
        (b"a\nb", b"a\tb", (r"\nb'", r"\tb'", 1)),
        (b"a\nb", b"anb", (r"\nb'", "nb'", 1)),
        (b"a\\x0", b"a\\x1", ("0'", "1'", 3)),
        (b"a\\\\b", b"a\\b", (r"\\b'", "b'", 2)),
        (b"don't", b"dont", ("'t\"", "t'", 3)),
        (b'it\'s "x"', b"it's 'x'", ('"x"\'', "'x'\"", 5)),
        (b"hello", b"hello, world", ("'", ", world'", 5)),
        (b"hello, world", b"hello", (", world'", "'", 5)),
    ],
)
def test_the_caret_stands_under_the_first_byte_that_differs(
    expected: bytes, received: bytes, above: tuple[str, str, int]
) -> None:
    assert under_the_caret(expected, received)[1:] == above[1:]
    if repr(expected)[1] == repr(received)[1]:  # else the same bytes may be written in different ways
        assert under_the_caret(expected, received)[0] == above[0]


@given(st.binary(max_size=80), st.binary(max_size=40), st.binary(max_size=40))
def test_what_stands_above_the_caret_is_the_byte_that_is_named(same: bytes, one: bytes, other: bytes) -> None:
    expected, received = same + one, same + other
    if not expected or not received or expected == received:
        return
    _, came, place = under_the_caret(expected, received)
    if place == len(received):
        assert came in ("'", '"')
    else:
        first = repr(received[place : place + 1])[2:-1]
        assert came.startswith((first, f"\\{first}"))


def test_a_difference_deep_inside_is_shown_with_its_neighbourhood() -> None:
    data = bytearray(pattern(10_000))
    data[5000] ^= 1
    told, came, place = under_the_caret(pattern(10_000), bytes(data))
    assert place == 5000
    assert (told[0], came[0]) == (chr(pattern(10_000)[5000]), chr(data[5000]))
    assert told.endswith("'...")


def test_evidence_tells_the_whole_story() -> None:
    transcript = [row("ann", "connect"), row("ann", "send", "'hello'", 5)]
    lines = shown(
        failed(
            b"hello",
            b"help",
            why="Because.",
            transcript=transcript,
            server="it exited with status 1",
            output="\n".join(f"line {number}" for number in range(40)) + "\n\x1b[31mthe last line",
            by_hand="echoes.py",
        )
    )
    text = "\n".join(lines)
    assert lines[0] == "1.2  What is sent comes back."
    assert 'PROTOCOL.md, A1: "The server MUST return every byte"' in lines[1]
    places = [
        text.index(word)
        for word in (
            "ann got other bytes",
            "expected  'hello'",
            "received  'help'",
            "^ byte 3",
            "Because.",
            "──▶ 'hello' (5 bytes)",
            "The server: it exited with status 1; the end of its output:",
            "│ line 29",
            r"│ \x1b[31mthe last line",
            "Hint: Look at recv().",
            "See it by hand: python3 runs/latest/echoes.py",
        )
    ]
    assert places == sorted(places)
    assert "line 28" not in text
    assert "\x1b" not in text


def test_nothing_received_is_told_as_nothing() -> None:
    lines = shown(failed(b"hello", b""))
    assert "      received  nothing" in lines
    assert not any("^" in line for line in lines)


def test_a_step_that_is_not_written_yet_is_named_in_place_of_a_hint() -> None:
    output = "Traceback (most recent call last):\n  ...\nNotImplementedError: step 1.3"
    text = "\n".join(shown(failed(server="it exited with status 1", output=output)))
    assert "Step 1.3 is not written yet: look for `TODO 1.3`." in text
    assert "Hint:" not in text


@given(message=anything, expected=anything, received=anything, why=anything, output=anything)
def test_evidence_of_anything_is_safe(message: str, expected: str, received: str, why: str, output: str) -> None:
    fields = {"message": message, "why": why, "output": output, "server": "it is still running"}
    for line in shown(failed(expected, received, **fields)):
        assert all(char.isprintable() or char in "\n\t" for char in line)


# The folders of runs


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = [results.new_run("demo", tmp_path / "runs") for _ in range(30)]
    assert len(set(folders)) == 30
    assert all(folder.is_dir() for folder in folders)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}-demo(-\d+)?", folder.name) for folder in folders)


def test_runs_of_several_processes_have_folders_of_their_own(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness import results\n"
        "sys.stdin.read(1)\n"
        "print(*[results.new_run('demo', Path(sys.argv[1])).name for _ in range(20)])"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "runs")]
    processes = [
        subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    names = [name for process in processes for name in process.communicate(timeout=60)[0].split()]
    assert len(names) == len(set(names)) == 60


def test_what_is_saved_is_loaded_and_latest_points_to_it(tmp_path: Path) -> None:
    saved = {"title": "Grüße 😀", "rows": [1, 2.5, None, True], "output": "\x1b\u202e\0"}
    for number in range(2):
        folder = results.new_run("demo", tmp_path)
        results.save(folder, saved | {"number": number})
        assert results.load(folder) == saved | {"number": number}
        if sys.platform != "win32":
            assert (tmp_path / "latest").resolve() == folder
            assert os.readlink(tmp_path / "latest") == folder.name
            assert results.load(tmp_path / "latest")["number"] == number
    assert sorted(path.name for path in folder.iterdir()) == [results.RESULTS]


def test_surroundings_say_what_a_result_depends_on() -> None:
    found = results.surroundings()
    assert set(found) == {"kit", "python", "system", "cores"}
    assert all(found.values())
    assert json.dumps(found)


WRITES_TOO_MUCH = """
import resource, sys
from pathlib import Path
from harness.results import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_whole(Path(sys.argv[1]), "new " * 1000)
except OSError as error:
    print(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    import errno

    file = tmp_path / "results.json"
    results.write_whole(file, "old")
    words = [sys.executable, "-c", WRITES_TOO_MUCH, str(file)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == str(errno.EFBIG)
    assert file.read_text() == "old"
    results.write_whole(file, "newer")
    assert file.read_text() == "newer"
