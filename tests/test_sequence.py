"""Sequence diagrams: what they tell, as SVG and as Mermaid text, that they are harmless, and the page of a check."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutants.catalogue import Mutant, load_mutants
from support import CHROMIUM, LEADING_OUT, ROOT, SOLUTIONS, Page, in_a_browser, lab, python
from test_report import anything, failed, row

from harness import results as runs
from harness.report.check_page import render
from harness.report.lanes import lanes
from harness.report.sequence.mermaid import mermaid
from harness.report.sequence.story import GAP, MOST_ALIKE, MOST_STEPS, Failure, Look, Story, story, story_of
from harness.report.sequence.svg import CHAR, PALE, WIDTH, svg
from harness.report.sequence.text import columns, cut, fitted, wrapped
from harness.wire.transcript import Kind

SVG = "{http://www.w3.org/2000/svg}"
DRAWN_WITH = {"svg", "title", "desc", "rect", "path", "circle", "text", "tspan"}
EVIL = "<script>alert(1)</script>"
LABEL = r"(?:[A-Za-z0-9 .,!?()/_+*=@|~^'…✗-]|#\d+;)+"
GRAMMAR = {  # of a line of a Mermaid diagram, as far as it is used
    "participant": rf"participant p\d as {LABEL}",
    "message": rf"p\d(?:->>|-->>|-\)|--\)|-x|--x)p\d: {LABEL}",
    "note": rf"Note over p\d(?:,p\d)?: {LABEL}(?:<br/>{LABEL})*",
    "rect": r"rect rgb\(\d+, \d+, \d+\)",
    "end": r"end",
}


def kinds_of(text: str) -> list[str]:
    """Return what each line of a Mermaid diagram is; one that is nothing is an error."""
    head, *lines = text.splitlines()
    assert head == "sequenceDiagram"
    kinds = [next(kind for kind, form in GRAMMAR.items() if re.fullmatch(form, line.strip())) for line in lines]
    depth = 0
    for kind in kinds:
        depth += (kind == "rect") - (kind == "end")
        assert depth in (0, 1)
    assert depth == 0
    return kinds


def drawn(told: Story) -> ElementTree.Element:
    """Return a story as the SVG that it is drawn as, which is harmless."""
    root = ElementTree.fromstring(svg(told, "title", "name"))
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in DRAWN_WITH
        assert not [name for name in element.attrib if name.startswith("on") or "href" in name]
        assert not [value for value in element.attrib.values() if "url(" in value or "javascript" in value]
        assert all(char.isprintable() or char == "\n" for char in (element.text or "") + (element.tail or ""))
    return root


def words_of(root: ElementTree.Element) -> list[str]:
    """Return the lines of text of a drawing, from the top to the bottom."""
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def talk(*who: str) -> list[dict[str, Any]]:
    """Everybody connects, sends and is answered, a millisecond each."""
    kinds = [("connect", ""), ("send", "'hello'"), ("receive", "'hello'")]
    rows = [row(name, kind, data, len(data)) for name in who for kind, data in kinds]
    return [one | {"seconds": number / 1000} for number, one in enumerate(rows)]


# What is told


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("who", ["ann", "server", "client", "user"])
def test_every_kind_of_event_can_be_drawn(kind: Kind, who: str) -> None:
    told = story([row(who, str(kind), "'x'", 1, note="a note")], "server" if who == "ann" else "client")
    (step,) = told.steps
    assert "a note" in " ".join(words_of(drawn(told)))
    assert kinds_of(mermaid(told))[-1] == ("note" if step.look is Look.NOTE else "message")


def test_an_arrow_goes_to_the_program_or_comes_from_it_and_says_what_it_is() -> None:
    kinds = [str(kind) for kind in Kind if kind is not Kind.ACT]
    told = story([row("ann", kind) for kind in kinds])
    directions = {kind: (step.start, step.end) for kind, step in zip(kinds, told.steps, strict=True)}
    assert {kind for kind, ends in directions.items() if ends == (1, 0)} == {"receive", "end seen", "reset seen"}
    text = " ".join(words_of(drawn(told)))
    assert text.count("FIN") == 2
    assert text.count("RST") == 2
    assert "connects" in text
    assert "is refused" in text
    assert [one.name for one in told.participants] == ["ann", "the server"]


def test_ends_and_resets_differ_in_form_and_not_only_in_colour() -> None:
    forms = set()
    for kind in ("connect", "send", "half-close", "reset", "refused"):
        root = drawn(story([row("ann", kind)]))
        paths = [path for path in root.iter(f"{SVG}path") if path.get("stroke") != PALE]
        forms.add(tuple((re.sub(r"[\d.]+", "", path.attrib["d"]), path.get("stroke-dasharray")) for path in paths))
    assert len(forms) == 5


def test_each_segment_of_a_text_has_an_arrow_of_its_own() -> None:
    told = story([row("ann", "send", f"'{letter}'", 1) for letter in "abc"])
    assert [step.data for step in told.steps] == ["'a'", "'b'", "'c'"]
    assert [step.words for step in told.steps] == ["(1 byte)"] * 3


def test_of_many_alike_the_ends_are_drawn_and_the_others_counted() -> None:
    rows = [row("ann", "send", f"'{number}'", 10) for number in range(MOST_ALIKE + 1)]
    told = story(rows)
    assert [step.data for step in told.steps] == ["'0'", "'1'", "", "'5'", "'6'"]
    assert told.steps[2].words == "3 more like this, together 30 bytes"
    assert len(story(rows[:-1]).steps) == MOST_ALIKE


def test_a_long_story_loses_its_middle_and_says_so() -> None:
    told = story([row("ann", "send" if number % 2 else "receive", f"'{number}'", 2) for number in range(200)])
    assert len(told.steps) == MOST_STEPS + 1
    assert [step.words for step in told.steps if step.look is Look.SKIPPED] == ["152 steps are left out here"]
    assert told.steps[-1].data == "'199'"


def test_a_time_in_which_nothing_happens_is_a_step() -> None:
    rows = [row("ann", "send", "'a'", 1, seconds=1), row("ann", "send", "'b'", 1, seconds=1 + 2 * GAP)]
    assert [step.look for step in story(rows).steps] == [Look.DATA, Look.GAP, Look.DATA]
    assert "nothing for 500 ms" in words_of(drawn(story(rows)))
    rows[1]["seconds"] = 1 + GAP / 2
    assert [step.look for step in story(rows).steps] == [Look.DATA, Look.DATA]
    assert {"1000.0", "1125.0"} <= set(words_of(drawn(story(rows))))


def test_a_client_under_test_stands_between_its_user_and_the_server() -> None:
    rows = [row("host", "send", "'x'", 1), row("user", "send", "'y'", 1), row("client", "act", note="ends")]
    told = story(rows, "client")
    assert [one.name for one in told.participants] == ["user", "the client", "host"]
    assert [(step.look, step.start, step.end) for step in told.steps] == [
        (Look.DATA, 2, 1),
        (Look.DATA, 0, 1),
        (Look.NOTE, 1, 1),
    ]


def test_in_a_crowd_those_who_come_last_and_the_one_that_is_named_have_lines_of_their_own() -> None:
    names = [f"client{number}" for number in range(9)]
    told = story(talk(*names), failure=Failure("client2 got nothing"))
    assert [one.name for one in told.participants] == ["others", "client2", "client7", "client8", "the server"]
    assert {step.name for step in told.steps if step.start == 0 or step.end == 0} == {*names[:2], *names[3:7]}
    assert "client0: 'hello' (7 bytes)" in words_of(drawn(told))


# The failing point


def failing(told: Story) -> list[tuple[float, float]]:
    """Return where a drawing marks a failing point."""
    return [(float(mark.attrib["cx"]), float(mark.attrib["cy"])) for mark in drawn(told).iter(f"{SVG}circle")]


def line_of(told: Story, name: str) -> float:
    """Return where the line of a participant stands."""
    texts = drawn(told).iter(f"{SVG}text")
    return next(float(text.attrib["x"]) for text in texts if "".join(text.itertext()) == name)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("bob got nothing within 5 s", "bob"),
        ("the server did not close cat's connection", "cat"),
        ("it spins", "the server"),
    ],
)
def test_the_failing_point_is_on_the_line_of_whom_it_happened_to(message: str, name: str) -> None:
    told = story(talk("ann", "bob", "cat"), failure=Failure(message))
    (mark,) = failing(told)
    assert mark[0] == line_of(told, name)
    assert mark[1] > max(float(text.attrib["y"]) for text in list(drawn(told).iter(f"{SVG}text"))[:-1]) - 60
    assert f"✗ {message}" in words_of(drawn(told))
    assert failing(story(talk("ann"))) == []


def test_what_was_due_and_did_not_come_is_an_arrow_too() -> None:
    failure = Failure("ann got nothing within 5 s", "'hello'", "", seconds=5.0)
    told = story(talk("ann"), failure=failure)
    assert (told.steps[-1].start, told.steps[-1].end) == (1, 0)
    assert [step.look for step in told.steps[-2:]] == [Look.GAP, Look.FAILED]
    assert not any(step.wrong for step in told.steps)
    words = words_of(drawn(told))
    assert {"✗ 'hello' was due here", "expected  'hello'", "received  nothing", "5000.0"} <= set(words)


def test_what_should_not_have_come_is_marked_where_it_came() -> None:
    told = story_of(failed(b"hello", b"help", transcript=talk("ann", "bob"), failed_after=0.006))
    assert [(step.wrong, step.end) for step in told.steps].count((True, 0)) == 1
    assert [step.wrong for step in told.steps].index(True) == 2
    words = words_of(drawn(told))
    assert "✗ 'hello' (7 bytes)" in words
    assert f"{' ' * 14}^ byte 3 is the first that differs" in words
    assert "rect" in kinds_of(mermaid(told))


def test_the_lanes_end_at_the_failing_point() -> None:
    head, *_, last = lanes(talk("ann", "bob"), 100, Failure("bob got nothing", "'hello'", seconds=1.5))
    assert last.startswith("   1500.0  ")
    assert last.index("✗ 'hello' was due here") == head.index("bob")
    *_, last = lanes(talk(*"abcde"), 100, Failure("d got other bytes", "'x'", "'y'"))
    assert last.split() == ["d:", "✗", "here", "it", "fails"]


# Nothing dangerous


rows_of_anything = st.builds(
    row,
    who=st.sampled_from(["ann", "bob", "server", "client", "user", "host", *(f"c{number}" for number in range(6))])
    | anything.filter(bool),
    kind=st.sampled_from([str(kind) for kind in Kind]),
    data=anything,
    size=st.integers(0, 10**9),
    seconds=st.floats(0, 999),
    note=anything,
)


@given(st.lists(rows_of_anything, min_size=1, max_size=12), anything, anything, st.sampled_from(["server", "client"]))
def test_whatever_was_said_a_diagram_is_harmless_and_well_formed(
    rows: list[dict[str, Any]], message: str, text: str, tested: str
) -> None:
    for failure in (None, Failure(message, text, text)):
        told = story(rows, tested, failure)
        root = drawn(told)
        for element in root.iter(f"{SVG}text"):
            words, x = "".join(element.itertext()), float(element.attrib["x"])
            wide = columns(words) * CHAR if "font-size" not in element.attrib else 0
            left = x - wide * {"start": 0, "middle": 0.5, "end": 1}[element.get("text-anchor", "start")]
            assert left > -CHAR, words
            assert left + wide < WIDTH + CHAR, words
        kinds_of(mermaid(told))


@given(anything, st.integers(3, 60))
def test_text_is_cut_and_wrapped_to_the_room_there_is(text: str, room: int) -> None:
    assert all(columns(line) <= room for line in [*wrapped(text, room), *cut(text, room), fitted(text, room)])
    assert "".join(cut(text, room)) == text
    assert "".join("".join(wrapped(text, room)).split()) == "".join(text.split())


# The page


def outcome(**fields: Any) -> dict[str, Any]:
    """The results of a run with one check that failed, everything in it hostile."""
    verdict = failed(
        EVIL,
        f"\u202e{EVIL}",
        message=f"ann got {EVIL} and ]]>",
        why=f"\x1b[2J{EVIL}",
        output=f"{EVIL}\n\0\u2066",
        server=EVIL,
        by_hand="echoes.py",
        transcript=[*talk("ann"), row("ann", "receive", EVIL, 9, note=f"--> {EVIL}")],
    )
    passed = failed() | {"id": "listens", "status": "pass", "message": ""}
    return {
        "lab": 1,
        "title": EVIL,
        "target": EVIL,
        "points": 1,
        "max_points": 3,
        "versions": {"kit": "0.1.0"},
        "checks": [passed, verdict | fields],
    }


def test_a_page_tells_the_whole_story_and_holds_nothing_that_leads_out() -> None:
    page = render(outcome(), "runs/latest")
    parsed = Page(page)
    assert not LEADING_OUT & set(parsed.tags)
    assert EVIL not in page
    assert not {"\u202e", "\u2066", "\x1b", "\0"} & set(page)
    assert parsed.policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert {link for link in parsed.links if link[0] != "style"} == {("href", "#echoes")}
    told = [
        "1 of 2 checks hold; 1 of 3 points",
        "1.2 What is sent comes back.",
        f"✗ ann got {EVIL} and ]]>",
        "Hint: Look at recv().",
        "python3 runs/latest/echoes.py",
        "The server MUST return every byte",
        "sequenceDiagram",
        "✓ holds",
    ]
    text = " ".join(parsed.text.split())
    places = [text.index(words) for words in told]
    assert places == sorted(places)


def test_a_check_without_a_transcript_shows_what_was_expected_and_what_came() -> None:
    parsed = Page(render(outcome(transcript=[], expected="127.0.0.1:5555", received="0.0.0.0:5555"), "runs/latest"))
    assert "svg" not in parsed.tags
    assert "expected  127.0.0.1:5555\nreceived  0.0.0.0:5555" in parsed.text
    assert "Mermaid" not in parsed.text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_the_page_and_runs_nothing_in_it(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    script = "<script>document.title = 'it ran'</script></body>"
    page.write_text(render(outcome(), "runs/latest").replace("</body>", script), encoding="utf-8")
    loaded = in_a_browser(page, tmp_path / "profile")
    shown = Page(loaded.replace(script.removesuffix("</body>"), ""))
    assert shown.tags.count("svg") == 1
    assert not LEADING_OUT & set(shown.tags)
    assert "<title>it ran" not in loaded


# The real thing


@pytest.fixture
def mutant() -> Mutant:
    """An echo server that calls recv() once."""
    return next(mutant for mutant in load_mutants() if str(mutant) == "1-one-recv")


def test_a_check_that_fails_leaves_a_page_with_its_diagram(mutant: Mutant, tmp_path: Path) -> None:
    done = lab("check", "1.2", "--target", python(mutant.write(tmp_path)), "-k", "echoes")
    assert done.returncode == 1, done.stderr
    (report,) = re.findall(r"^What failed, drawn: (.*report\.html)$", done.stdout, re.MULTILINE)
    page = (ROOT / report).read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    root = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    words = words_of(root)
    (verdict,) = (one for one in runs.load((ROOT / report).parent)["checks"] if one["status"] == "fail")
    assert verdict["failed_after"] >= verdict["transcript"][-1]["seconds"]
    assert f"✗ {verdict['message']}" in words
    assert f"✗ {verdict['expected']} was due here" in words
    assert "✗ FIN: the end of the stream" in words
    assert len(list(root.iter(f"{SVG}circle"))) == 1
    assert Page(page).text.count("sequenceDiagram") == 1


def test_a_check_that_holds_leaves_none() -> None:
    done = lab("check", "1.1", "--target", python(SOLUTIONS / "lab01_blocking_echo.py"), "-k", "listens")
    assert done.returncode == 0, done.stdout
    assert "drawn" not in done.stdout
