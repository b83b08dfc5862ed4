"""Reports of a class: feedback, the page of the class in a real browser, what a regrade changes, the terminal."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, a_browser
from classes import a_class, lab_info, results_of, with_student
from hypothesis import example, given, settings
from markdown_it import MarkdownIt
from rich.console import Console
from support import CHROMIUM, LEADING_OUT, ROOT, Page
from test_documents import anchors
from test_report import anything

from harness.classroom.policy import Late
from harness.course import load_course
from harness.marks import CheckMark, Class, LabMark, State, StudentMark, class_from
from harness.report import markdown
from harness.report.marks.bars import histogram
from harness.report.marks.class_page import MOST_UNSTABLE, Extra, anchor, class_html
from harness.report.marks.compact import compact, letter_of
from harness.report.marks.feedback import feedback_html, feedback_markdown
from harness.report.marks.insight import FEW, cause_of, items, marks_of, spread, troubles
from harness.report.marks.regrade import NO_CHANGE, regrade, regrade_markdown
from harness.report.marks.terminal import sparkline, summarise_class
from harness.report.marks.told import AT_LENGTH, DECIDES, NOTHING
from harness.report.safe import safe

EVIL = "<script>alert(1)</script>"
HOSTILE = [
    EVIL,
    "a | b `c` **d** [e](http://example.org) ![f](x) <img src=x> @ann",
    "\u202egnp.exe\u2066",
    "\x1b[2J\x1b]0;title\x07",
    "x" * 10_000,
    "</script><!--<script>",
    "\n# head\n\n- item",
    "```\nend of code",
]
TAGS = {"h1", "h2", "h3", "h4", "p", "strong", "ul", "li", "code", "pre", "blockquote"}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}
GRADED, MISSING, UNDECIDED, LATE, BY_HAND = 0, 9, 5, 2, 8  # places in a_class()
RENDERED = MarkdownIt("commonmark").enable("table")
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@pytest.fixture(scope="module")
def klass() -> Class:
    """A class of forty."""
    return a_class()


def with_checks(klass: Class, place: int, **fields: Any) -> Class:
    """Return a class in which a student's first lab has these fields."""
    student = klass.students[place]
    return with_student(klass, place, labs={**student.labs, 1: replace(student.labs[1], **fields)})


def with_status(klass: Class, place: int, public: str, hidden: str) -> Class:
    """Return a class in which all checks of a student's first lab came out alike."""
    checks = {
        check.id: CheckMark(
            status, check.points * (status == "pass"), check.points, "ann got nothing", "", 3, 3 * (status != "pass")
        )
        for check in klass.lab(1).checks
        for status in [hidden if check.hidden else public]
    }
    return with_checks(klass, place, checks=checks, raw=sum(one.points for one in checks.values()), override=None)


def feedback(klass: Class, place: int, **fields: Any) -> tuple[str, str]:
    """Return a student's feedback as Markdown and as HTML."""
    student = klass.students[place]
    results = results_of(klass, student, **fields)
    return feedback_markdown(klass, student, results), feedback_html(klass, student, results)


def words(page: str) -> str:
    """Return the text of an HTML page in one line."""
    return " ".join(Page(SCRIPT.sub("", page)).text.split())


def plain(text: str) -> str:
    """Return the text of a Markdown page in one line."""
    return " ".join(Page(RENDERED.render(text)).text.split())


def unspaced(text: str) -> str:
    """Return a text without spaces, which a reader of HTML may add and drop."""
    return "".join(text.split())


def named(klass: Class, name: str) -> Class:
    """Return a class in which everything that somebody else may have written is this text."""
    students = tuple(
        replace(
            student,
            name=name,
            id=name,
            login=name,
            email=name,
            section=name,
            notes=(name,),
            labs={
                number: replace(
                    mark,
                    reason=name,
                    notes=(name,),
                    override={"points": 1, "reason": name} if mark.override else None,
                    checks={key: replace(one, message=name) for key, one in mark.checks.items()},
                )
                for number, mark in student.labs.items()
            },
        )
        for student in klass.students
    )
    return replace(klass, title=name, notes=(name,), students=students)


# Markdown


@settings(max_examples=150)
@given(anything)
@example("#0")
@example("\\@|`@`")
@example("1. a")
def test_a_text_stays_text_in_markdown(told: str) -> None:
    shown = " ".join(safe(told[:60]).split())
    for before in ("x ", ""):
        page = f"{before}{markdown.text(told[:60], 999)}\n"
        tags = Page(RENDERED.render(page)).tags
        assert set(tags) <= {"p", "code"}, page
        assert unspaced(plain(page)) == unspaced(f"{before}{shown}")


@settings(max_examples=150)
@given(anything)
def test_code_stays_code_in_markdown(told: str) -> None:
    shown = " ".join(safe(told[:60]).split())
    assert Page(RENDERED.render(f"x {markdown.code(told[:60], 999)}")).tags == ["p", "code"]
    assert unspaced(plain(f"x {markdown.code(told[:60], 999)}")) == unspaced(f"x{shown}")


@pytest.mark.parametrize("told", ["", "a\n```\n<b>x", "````", "~~~\n", "``` ```\n\n    `"])
def test_a_block_of_code_ends_at_its_end(told: str) -> None:
    html = RENDERED.render(f"{markdown.block(told)}\nafter\n")
    assert Page(html).tags == ["pre", "code", "p"]
    assert html.endswith("<p>after</p>\n")


@settings(max_examples=150)
@given(anything)
def test_a_text_stays_in_its_cell(told: str) -> None:
    table = f"| a | b |\n|---|---|\n| {markdown.text(told[:60])} | end |\n"
    html = RENDERED.render(table)
    assert html.count("<td>") == 2
    assert html.count("<td>end</td>") == 1


@pytest.mark.parametrize("told", ["@ann", "see #12", "www.example.org", "http://example.org", ":tada:", "@@a:b:"])
def test_what_turns_into_links_elsewhere_is_broken_up(told: str) -> None:
    assert not re.search(r"@|://|www\.|#\d|:\w+:", re.sub("`[^`]+`", " ", markdown.text(told)))


# Feedback


def test_feedback_tells_marks_faults_and_what_holds(klass: Class) -> None:
    student = klass.students[LATE]
    mark = student.labs[1]
    for text in map(lambda told, read: read(told), feedback(klass, LATE), (plain, words)):
        assert student.name in text
        assert f"Total: {klass.total(student):g} of 30 points." in text
        assert f"{mark.points:g} of 24" in text
        assert "It came 1 day late, which costs 2.4 points." in text
        assert "handed in 2026-12-01 02:02".lower() in text.lower()
        failed = next(check for check in klass.lab(1).checks if mark.checks[check.id].status == "fail")
        assert failed.title in text
        assert f"✗ {mark.checks[failed.id].message}" in text
        assert "Hint: One recv() need not be one send() of the client." in text
        assert f"See it by hand: ./lab check 1 -k {failed.id} --seed 17" in text
        assert "The server MUST return every byte it receives" in text
        assert "^ byte 4 is the first that differs" in text
        assert "the end of its output: listening on 127.0.0.1:28245 ann is here" in text
        assert "What holds" in text
        assert "because this must hold first: What check 0 of lab 2 says holds." in text
        assert "!" not in re.sub(r"[^\w\s]!|!\w", "", text)


def test_the_first_failures_are_drawn_and_the_others_short(klass: Class) -> None:
    made = with_status(klass, GRADED, "fail", "fail")
    made = with_student(made, GRADED, labs={1: made.students[GRADED].labs[1]})
    text, page = feedback(made, GRADED)
    parsed = Page(page)
    assert parsed.tags.count("svg") == AT_LENGTH
    assert text.count("sequenceDiagram") == AT_LENGTH
    assert text.count("See it by hand:") == words(page).count("See it by hand:") == 10
    names = re.findall(r'id="([^"]+)"', page)
    assert len(names) == len(set(names))


def test_an_override_is_told_with_its_reason(klass: Class) -> None:
    for text in feedback(klass, BY_HAND):
        assert "Your instructor has set this mark by hand: agreed in the office hour." in text
        assert "15 of 24" in text


def test_nothing_handed_in_is_told(klass: Class) -> None:
    for text in feedback(klass, MISSING):
        assert text.count(NOTHING) == 2
        assert "0 of 30 points" in text
        assert "What to work on" not in text


def test_a_mark_to_be_decided_is_no_zero(klass: Class) -> None:
    for text in feedback(klass, UNDECIDED):
        assert DECIDES in text
        assert "Why: it took longer than the time that there was." in text
        assert "Total: to be decided, because a person will look at lab 1 first." in text
        assert not re.search(r"\b0 of (24|30|10)\b", text)


def test_a_lab_that_is_in_no_mark_is_told_as_not_handed_in(klass: Class) -> None:
    text, _ = feedback(with_student(klass, GRADED, labs={}), GRADED)
    assert text.count(NOTHING) == 2


def test_without_results_the_message_alone_is_told(klass: Class) -> None:
    student = klass.students[LATE]
    text = feedback_markdown(klass, student, {})
    assert "✗ **ann got nothing within 4 s**" in text
    assert "sequenceDiagram" not in text
    assert "svg" not in Page(feedback_html(klass, student, {})).tags


def test_a_check_that_holds_at_times_is_worked_on_and_earns_its_points(klass: Class) -> None:
    made = with_status(klass, GRADED, "pass", "pass")
    checks = dict(made.students[GRADED].labs[1].checks)
    checks["check-1-3"] = replace(checks["check-1-3"], attempts=3, failures=1)
    made = with_checks(made, GRADED, checks=checks)
    for text in feedback(made, GRADED):
        assert "All public checks hold: 20 of 20 points." in text
        assert "failed in 1 of 3 rounds" in text
        assert "./lab check 1 -k check-1-3 --seed 17" in text


# Hidden checks


def of_hidden(klass: Class) -> list[str]:
    """Return what hidden checks are called."""
    hidden = [check for lab in klass.labs for check in lab.checks if check.hidden]
    return [name for check in hidden for name in (check.id, check.title)]


@pytest.mark.parametrize("status", ["fail", "blocked", "error", "pass"])
def test_hidden_checks_leave_nothing_but_their_points(klass: Class, status: str) -> None:
    made = with_status(klass, GRADED, "pass", status)
    secret = {"message": "the secret message", "output": "the secret output", "why": "the secret why"}
    results = results_of(made, made.students[GRADED])
    for verdict in results[1]["checks"]:
        if verdict["id"] in of_hidden(klass):
            verdict |= secret
    made = with_student(made, GRADED, labs={1: made.students[GRADED].labs[1]})
    student = made.students[GRADED]
    for text in (feedback_markdown(made, student, results), feedback_html(made, student, results)):
        assert f"Hidden checks: {4 if status == 'pass' else 0} of 4 points." in text
        assert "All public checks hold: 20 of 20 points." in text
        assert "All checks" not in text
        assert "secret" not in text
        assert not [name for name in of_hidden(klass) if name in text]
        assert "What to work on" not in text


def test_a_public_check_does_not_say_which_hidden_one_holds_it_up(klass: Class) -> None:
    made = with_status(klass, GRADED, "blocked", "fail")
    checks = {
        name: replace(one, message="'check-1-10' does not hold")
        for name, one in made.students[GRADED].labs[1].checks.items()
    }
    made = with_checks(made, GRADED, checks=checks, reason="check-1-11: KeyError", notes=("see check-1-10",))
    made = with_checks(made, GRADED, state=State.REVIEW)
    for text in feedback(made, GRADED):
        assert "not made: a check that must hold first does not" in text
        assert "KeyError" not in text
        assert not [name for name in of_hidden(klass) if name in text]


def test_a_check_that_the_class_does_not_know_is_hidden(klass: Class) -> None:
    student = klass.students[GRADED]
    results = results_of(klass, student)
    stranger = results[1]["checks"][0] | {"id": "unknown-check", "status": "fail", "message": "unknown message"}
    results[1]["checks"].append(stranger)
    assert "unknown" not in feedback_markdown(klass, student, results) + feedback_html(klass, student, results)


def test_without_hidden_checks_all_are_all(klass: Class) -> None:
    info = klass.lab(1)
    public = replace(info, checks=tuple(replace(check, hidden=False) for check in info.checks))
    made = replace(with_status(klass, GRADED, "pass", "pass"), labs=(public, klass.lab(2)))
    for text in feedback(made, GRADED):
        assert "All checks hold: 24 of 24 points." in text


def test_feedback_names_the_line_of_the_program_that_explains_a_failure(klass: Class) -> None:
    place = {"file": "mine.py", "line": 31, "code": "data = connection.recv(1024)", "says": "Nothing looks for the LF."}
    told = feedback(klass, GRADED, in_code=[place], elsewhere={"bob": "'hello'"})
    for text in (told[0], Page(told[1]).text):
        assert "mine.py, line 31:" in text
        assert "Nothing looks for the LF." in text
        assert "Meanwhile this had come for bob: 'hello'" in text


# Hostile texts


@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("place", [GRADED, LATE, UNDECIDED, BY_HAND, MISSING])
def test_feedback_is_harmless_whatever_somebody_is_called(klass: Class, place: int, evil: str) -> None:
    fields = {"message": evil, "output": evil, "expected": evil, "received": evil, "difference": None, "server": evil}
    fields |= {"elsewhere": {evil: evil}, "in_code": [{"file": evil, "line": 1, "code": evil, "says": evil}]}
    text, page = feedback(named(klass, evil), place, **fields)
    assert_harmless(page)
    html = RENDERED.render(
        text.replace("<details><summary>The same as a picture</summary>", "").replace("</details>", "")
    )
    parsed = Page(html)
    assert set(parsed.tags) <= TAGS
    assert all(char.isprintable() or char in "\n\t" for char in text)
    assert len(text) < 60_000
    assert len(page) < 120_000


@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
def test_the_page_of_a_class_is_harmless_whatever_its_students_are_called(klass: Class, evil: str) -> None:
    page = class_html(named(klass, evil), Extra(feedback={"s0000": f"feedback/{evil[:50]}"}, policy=(evil,)))
    assert_harmless(page, scripts=2)
    assert len(page) < 800_000
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert len(data["students"]) == 40


def assert_harmless(page: str, scripts: int = 0) -> None:
    """Assert that nothing in a page leads out of it, runs, or turns text around."""
    parsed = Page(page)
    assert not (LEADING_OUT - {"script"}) & set(parsed.tags)
    assert parsed.tags.count("script") == scripts == page.count("<script") == page.count("</script")
    assert all(char.isprintable() or char in "\n\t" for char in page)
    for name, value in parsed.links:
        if name == "style":
            assert re.fullmatch(r"width:\d+%|white-space: pre; color-scheme: light", value), value
        else:
            assert re.fullmatch(r"#[\w-]+|[\w./%-]+(#[\w-]+)?", value), value


@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
def test_the_terminal_and_the_regrade_are_harmless(klass: Class, evil: str) -> None:
    made = named(klass, evil)
    said = summary(made)
    assert all(char.isprintable() or char == "\n" for char in said)
    assert max(map(len, said.splitlines())) < 700
    text = regrade_markdown(klass, replace(made, students=named(a_class(seed=2), evil).students))
    html = RENDERED.render(text)
    assert set(Page(html).tags) <= TAGS
    rows = re.findall(r"<tr>.*?</tr>", html, re.DOTALL)
    assert all(len(re.findall("<t[hd]", one)) == 5 for one in rows)


# What a class shows


def test_the_discrimination_is_the_correlation_with_the_other_checks() -> None:
    info = lab_info(1, 4)
    held = [(1, 1), (1, 1), (1, 1), (1, 0), (0, 1), (0, 0), (0, 0), (1, 0), (0, 1), (0, 0)]

    def mark(first: int, others: int) -> LabMark:
        won = (first, others, others, others)
        checks = {
            check.id: CheckMark("pass" if has else "fail", 2 * has, 2)
            for check, has in zip(info.checks, won, strict=True)
        }
        return LabMark(State.GRADED, raw=2 * sum(won), max_points=8, checks=checks)

    students = [StudentMark(str(place), "x", labs={1: mark(*one)}) for place, one in enumerate(held)]
    klass = replace(a_class(1, 1), labs=(info,), students=tuple(students))
    first, second, *_ = items(klass, info)
    assert (first.made, first.held, first.share) == (10, 5, 0.5)
    assert first.discrimination == pytest.approx(0.2)  # by hand: (3 * 3 - 2 * 2) / 25
    assert second.discrimination is not None
    assert second.discrimination > 0.8
    assert len(held) == FEW
    assert items(replace(klass, students=klass.students[1:]), info)[0].discrimination is None
    alike = replace(klass, students=tuple(replace(one, labs={1: mark(1, 1)}) for one in students))
    assert [item.discrimination for item in items(alike, info)] == [None] * 4


def test_an_error_and_who_has_no_mark_are_no_verdict_on_a_check(klass: Class) -> None:
    info = klass.lab(1)
    before = items(klass, info)[0]
    made = with_status(klass, GRADED, "error", "error")
    after = items(made, info)[0]
    assert (after.made, after.errors) == (before.made - 1, before.errors + 1)
    states = [student.labs[1].state for student in klass.students]
    assert before.made + before.errors == states.count(State.GRADED) == 34


def test_failures_are_grouped_by_check_and_by_cause(klass: Class) -> None:
    found = troubles(klass)
    counts = [len(trouble.students) for trouble in found]
    assert counts == sorted(counts, reverse=True)
    for trouble in found:
        marks = {
            place: student.labs[trouble.lab.number].checks[trouble.check.id]
            for place, student in enumerate(klass.students)
            if student.labs[trouble.lab.number].state is State.GRADED
        }
        assert set(trouble.students) == {place for place, one in marks.items() if one.status == "fail"}
        assert trouble.graded == len(marks)
        for cause in trouble.causes:
            assert {cause_of(marks[place]) for place in cause.students} == {cause.message}


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("it ended with status 1, not 0 or 130", "it ended with status …, not … or …"),
        ("ann got 'a\\'b' where number 7 was due", "ann got … where number … was due"),
        ("bob expected a line with hello, and got [SERVER] x y", "bob expected a line with hello, and got …"),
        ("it listens on 127.0.0.1:5000, not here", "it listens on …, not here"),
        ("U+FFFD and UTF-8 stay, as does C7", "U+FFFD and UTF-8 stay, as does C7"),
        ("", "no message"),
    ],
)
def test_a_cause_is_a_message_without_what_differs(message: str, cause: str) -> None:
    assert cause_of(CheckMark("fail", 0, 1, message)) == cause
    assert cause_of(CheckMark("fail", 0, 1, message, "memory")) == "went beyond the limit 'memory', and was ended"


def test_points_are_spread_over_tenths() -> None:
    assert spread([0, 0.9, 1, 5, 9.9, 10, 11, -1], 10) == (3, 1, 0, 0, 0, 1, 0, 0, 0, 3)
    assert spread([0.3], 1) == (0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    assert spread([1, 2], 0) == (0,) * 10
    assert sparkline([0, 1, 4, 8, 800]) == " ▁▁▁█"
    assert "3 from 0 to 1, 1 from 1 to 2," in histogram([0, 0.5, 0.9, 1, 10], 10)


def test_who_has_no_mark_or_handed_in_nothing_is_in_no_histogram(klass: Class) -> None:
    assert len(marks_of(klass, 1)) == 40 - 4 - 2
    assert len(marks_of(klass, None)) == 40 - 4 - 2


def test_a_heading_of_every_step_is_in_its_handout() -> None:
    for lab in load_course().labs:
        for step in lab.steps:
            assert anchor(step.heading) in anchors(ROOT / "labs" / lab.handout)


def test_the_rule_of_lateness_in_words() -> None:
    due = datetime.fromisoformat("2026-12-01T23:59:00+00:00")
    assert Late({6: due}, 10, 10, 50).sentences == (
        "Lab 6 is due on 2026-12-01 at 23:59 UTC.",
        "Each day that has begun after a deadline, after 10 minutes of grace, costs 10 % of the lab's points, "
        "50 % at most.",
    )
    assert Late({6: due}).sentences[1:] == ("Lateness costs nothing.",)
    assert Late().sentences == ("No lab has a deadline.",)


# The page of a class


def test_the_page_reads_without_scripts(klass: Class) -> None:
    extra = Extra(handouts="../labs", policy=("A rule.",), seconds=90, workers=2, cpu=80, memory=50 * 2**20)
    text = words(class_html(klass, extra))
    undecided, missing = klass.students[UNDECIDED], klass.students[MISSING]
    for told in (
        "40 students, 2 labs. 2 marks have to be decided by a person. 4 students have handed in nothing.",
        '▲ The hand-in "lab2-final.zip" belongs to nobody on the roster.',
        f"{undecided.name} 1 it took longer than the time that there was",
        "34 marks, mean",
        "needs JavaScript",
        "lab01.md, Step 1.1: Some title, with select()",
        "notebook 02_a_byte_stream.ipynb",
        "point-biserial correlation",
        f"{missing.name} {missing.email}",
        "Each check was made 3 times for each student. A check holds if it holds in most of its rounds.",
        "Lab 2: A line server: 24 points, which count 20 of 30 in the total.",
        "A rule.",
        "Tier box, seed 17, kit 0.1.0.",
        "Grading took 90 s with 2 workers.",
        "The hungriest of them took 50 MiB of memory.",
        "agreed in the office hour",
    ):
        assert told in text
    assert "without a wall" not in text
    weak = replace(klass, tier="plain")
    student = weak.students[0]
    for told in (
        class_html(weak),
        feedback_html(weak, student, {}),
        feedback_markdown(weak, student, {}),
        regrade_markdown(klass, weak),
    ):
        assert "without a wall" in words(told)
    trouble = troubles(klass)[0]
    assert f"{len(trouble.students)} of {trouble.graded} fail {trouble.check.title}" in text


def test_links_lead_to_handouts_and_feedback_only_where_they_are(klass: Class) -> None:
    hrefs = {value for name, value in Page(class_html(klass)).links if name == "href"}
    assert not [href for href in hrefs if "lab01.md" in href or ".ipynb" in href or "feedback" in href]
    extra = Extra(feedback={"s0005": "feedback/s 5.html"}, handouts="../labs", notebooks="../notebooks")
    hrefs = {value for name, value in Page(class_html(klass, extra)).links if name == "href"}
    assert {"../labs/lab01.md#step-11-some-title-with-select", "../notebooks/02_a_byte_stream.ipynb"} <= hrefs
    assert "feedback/s%205.html" in hrefs


def test_the_page_allows_its_one_script_and_no_other(klass: Class) -> None:
    page = class_html(klass)
    (script,) = SCRIPT.findall(page)
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    policy = Page(page).policy
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    assert not re.search("innerHTML|outerHTML|insertAdjacent|document.write|eval|Function|fetch|http", script)


def test_a_class_that_nobody_is_in_or_in_which_nothing_fails_has_a_page() -> None:
    nobody = replace(a_class(1, 1), students=(), notes=())
    assert "0 students, 1 lab." in words(class_html(nobody))
    assert "Nothing: each check that was made holds." in words(class_html(nobody))
    no_labs = replace(nobody, labs=())
    assert "0 students, 0 labs." in words(class_html(no_labs))
    assert "0 students" in summary(no_labs)


def test_the_data_of_the_page_say_what_the_class_does(klass: Class) -> None:
    data = compact(klass, troubles(klass), {})
    assert json.loads(json.dumps(data)) == data
    for student, told in zip(klass.students, data["students"], strict=True):
        assert told["total"] == klass.total(student)
        for lab, mark in zip(klass.labs, told["labs"], strict=True):
            real = student.labs[lab.number]
            letters = "".join(letter_of(real.checks.get(check.id)) for check in lab.checks) if real.checks else ""
            assert mark.get("verdicts", "") == letters
            failed = [
                real.checks[check.id] for check in lab.checks if real.checks and real.checks[check.id].status == "fail"
            ]
            assert [data["causes"][place] for place in mark.get("causes", [])] == [cause_of(one) for one in failed]


def test_the_reports_are_the_same_after_reading_the_marks_back(klass: Class) -> None:
    again = class_from(json.loads(json.dumps(klass.as_dict())))
    assert class_html(again) == class_html(klass)


def test_a_long_list_of_unstable_verdicts_is_cut() -> None:
    text = words(class_html(a_class(200, 1)))
    assert f"These are {MOST_UNSTABLE} of" in text


# In a browser


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium for all tests of this file."""
    with a_browser(tmp_path_factory.mktemp("browser") / "profile") as started:
        started.resize(1400, 900)
        yield started


@pytest.fixture
def shown(browser: Browser, klass: Class, tmp_path: Path) -> Iterator[Browser]:
    """The page of the class in a browser; whatever is done with it, its log stays empty."""
    page = tmp_path / "class.html"
    page.write_text(class_html(klass, Extra(feedback={"s0000": "feedback/s0000.html"})), encoding="utf-8")
    browser.said.clear()
    browser.open(page)
    yield browser
    assert browser.said == []


def names(browser: Browser) -> list[str]:
    """Return the names in the table, from the top to the bottom."""
    found: list[str] = browser.do("[...document.querySelectorAll('#body th')].map((one) => one.textContent)")
    return found


def column(browser: Browser, place: int) -> list[str]:
    """Return a column of the table."""
    found: list[str] = browser.do(
        f"[...document.querySelectorAll('#body tr')].map((row) => row.cells[{place}].textContent)"
    )
    return found


def choose(browser: Browser, control: str, value: str, event: str = "change") -> None:
    """Set a control as a person does."""
    element = f"document.getElementById({control!r})"
    browser.do(f"{element}.value = {json.dumps(value)}; {element}.dispatchEvent(new Event({event!r}))")


def sort_by(browser: Browser, column: str) -> str:
    """Click on the head of a column; return how it is sorted now."""
    browser.do(f"document.querySelector('[data-id={column}]').click()")
    order: str = browser.do(f"document.querySelector('[data-id={column}]').parentElement.getAttribute('aria-sort')")
    return order


@needs_chromium
def test_the_table_is_sorted_by_any_column(shown: Browser, klass: Class) -> None:
    assert names(shown) == sorted(student.name for student in klass.students)
    assert sort_by(shown, "name") == "descending"
    assert names(shown) == sorted((student.name for student in klass.students), reverse=True)
    totals = [total for student in klass.students if (total := klass.total(student)) is not None]
    for order in (False, True):
        assert sort_by(shown, "total") == ("descending" if order else "ascending")
        assert column(shown, 2) == [*(f"{total:g}" for total in sorted(totals, reverse=order)), "?", "?"]
    sort_by(shown, "check3")
    signs = [sign for sign in column(shown, 7 + 3) if sign]
    assert signs == sorted(signs, key=["✗", "✗~", "!", "·", "✓~", "✓"].index)
    assert len(set(signs)) > 2


@needs_chromium
def test_the_table_is_filtered_by_text_status_and_cause(shown: Browser, klass: Class) -> None:
    choose(shown, "find", "bo  u1", "input")
    assert names(shown) == sorted(
        student.name for student in klass.students if "bo" in student.name.lower() and student.login.startswith("u1")
    )
    choose(shown, "find", "", "input")
    choose(shown, "which", "review")
    assert names(shown) == sorted(student.name for student in klass.students if student.to_be_looked_at)
    assert shown.do("document.getElementById('count').textContent") == "2 of 40"
    choose(shown, "lab", "1")  # of lab 2 they all have marks
    assert names(shown) == []
    choose(shown, "which", "all")
    trouble = troubles(klass)[0]
    shown.do("document.querySelector('button.show').click()")
    assert names(shown) == sorted(klass.students[place].name for place in trouble.causes[0].students)
    shown.do("document.getElementById('cause').click()")
    assert len(names(shown)) == 40


@needs_chromium
def test_the_cells_tell_what_the_checks_did(shown: Browser, klass: Class) -> None:
    by_name = {student.name: student.labs[1].checks for student in klass.students}
    signs = {"p": "✓", "f": "✗", "b": "·", "e": "!", "u": "✓~", "v": "✗~", "-": ""}
    for place, check in enumerate(klass.lab(1).checks):
        told = dict(zip(names(shown), column(shown, 7 + place - 0), strict=True))
        assert told == {name: signs[letter_of(checks.get(check.id))] for name, checks in by_name.items()}


@needs_chromium
def test_the_head_and_the_names_stay_in_sight(shown: Browser) -> None:
    shown.resize(700, 500)
    place = "(() => { const {x, y} = document.querySelector(%r).getBoundingClientRect(); return [x, y]; })()"
    shown.do("document.getElementById('everybody').scrollIntoView()")
    head, name = shown.do(place % "#head th"), shown.do(place % "#body th")
    shown.do("document.getElementById('box').scrollTo(200, 150)")
    assert shown.do("document.getElementById('box').scrollLeft") == 200
    assert shown.do(place % "#head th") == head
    assert shown.do(place % "#body th")[0] == name[0]
    assert shown.do("document.documentElement.scrollWidth <= innerWidth"), "the page itself does not scroll sideways"
    shown.resize(1400, 900)


@needs_chromium
def test_the_table_is_used_with_the_keyboard(shown: Browser, klass: Class) -> None:
    focus = "document.activeElement.textContent"
    shown.do("document.querySelector('[data-id=name]').focus()")
    shown.press("ArrowRight")
    assert shown.do(focus) == "section"
    shown.press("Enter")
    assert shown.do("document.activeElement.parentElement.getAttribute('aria-sort')") == "ascending"
    shown.press("ArrowDown")
    first, second, *_, last = names(shown)
    assert shown.do(focus) == first
    shown.press("ArrowDown")
    assert shown.do(focus) == second
    shown.press("End")
    assert shown.do(focus) == last
    shown.press("Enter")
    assert shown.do("document.getElementById('one').open")
    assert shown.do("document.getElementById('one').querySelector('h3').textContent") == last
    shown.press("Escape")
    assert not shown.do("document.getElementById('one').open")
    assert shown.do(focus) == last


@needs_chromium
def test_a_table_of_checks_is_sorted(shown: Browser, klass: Class) -> None:
    shown.do("document.querySelectorAll('.analysis')[0].tHead.rows[0].cells[4].querySelector('button').click()")
    cells = "[...document.querySelectorAll('.analysis')[0].tBodies[0].rows].map((row) => row.cells[4].dataset.value)"
    shares = [float(value) for value in shown.do(cells)]
    assert shares == sorted(item.share for item in items(klass, klass.lab(1)))


@needs_chromium
def test_no_other_script_runs_in_the_page(browser: Browser, klass: Class, tmp_path: Path) -> None:
    for number, evil in enumerate(HOSTILE):
        page = tmp_path / f"class{number}.html"
        page.write_text(class_html(named(klass, evil)), encoding="utf-8")
        browser.said.clear()
        browser.open(page)
        assert browser.do("document.querySelectorAll('#body tr').length") == 40
        browser.do("document.querySelector('#body button').click()")
        assert browser.do("document.getElementById('one').open")
        assert browser.said == []
    for added in ("<script>document.title = 'it ran'</script>", "<img src=x onerror=\"document.title = 'it ran'\">"):
        page.write_text(class_html(klass).replace("</body>", f"{added}</body>"), encoding="utf-8")
        browser.said.clear()
        browser.open(page)
        assert "it ran" not in browser.do("document.title")
        assert "Content Security Policy" in "".join(browser.said)


@needs_chromium
def test_without_scripts_there_is_the_summary_and_no_empty_table(klass: Class, tmp_path: Path) -> None:
    page = tmp_path / "class.html"
    page.write_text(class_html(klass), encoding="utf-8")
    with a_browser(tmp_path / "profile") as browser:
        browser.without_scripts()
        browser.open(page)
        text = browser.do("document.body.innerText")
        assert "needs JavaScript" in text
        assert "What breaks" in text
        assert "show in the table" not in text
        assert not browser.do("document.getElementById('table').checkVisibility()")


@needs_chromium
@pytest.mark.slow
def test_a_thousand_students_open_at_once(browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    klass = a_class(1000, 3, 60)
    page = tmp_path / "class.html"
    page.write_text(class_html(klass), encoding="utf-8")
    browser.said.clear()
    browser.open(page)
    load = browser.do("performance.getEntriesByType('navigation')[0].loadEventEnd")
    timed = (
        "const began = performance.now(); {}; document.getElementById('box').offsetHeight; performance.now() - began"
    )
    sort = browser.do(f"{{ {timed.format('document.querySelector(`[data-id=check5]`).click()')} }}")
    rows = browser.do("document.querySelectorAll('#body tr').length")
    assert rows < 150, "only what is seen is in the table"
    browser.do("document.querySelector('[data-id=name]').click(); document.querySelector('#body button').focus()")
    browser.press("End")
    last = max((student.name for student in klass.students), key=str.casefold)
    assert browser.do("document.activeElement.textContent") == last
    assert browser.do("(dispatchEvent(new Event('beforeprint')), document.querySelectorAll('#body tr').length)") == 1000
    assert browser.said == []
    with capsys.disabled():
        size = page.stat().st_size / 1024
        print(f"\n1,000 students, 3 labs of 60 checks: {size:.0f} KiB, load {load:.0f} ms, first sort {sort:.0f} ms")
    assert load < 20_000
    assert sort < 10_000


# Graded again


def test_nothing_changes_from_a_class_to_itself(klass: Class) -> None:
    told = regrade(klass, klass)
    assert (told.changes, told.moved) == ((), 0)
    assert NO_CHANGE in regrade_markdown(klass, klass)


def changed(old: Class, new: Class) -> tuple[float | None, float | None, str]:
    """Return the one change there is: before, after, why."""
    (change,) = regrade(old, new).changes
    return change.before, change.after, "; ".join(change.why)


def test_a_regrade_tells_whose_mark_changes_and_why(klass: Class) -> None:
    held, fell = (with_status(klass, GRADED, status, "pass") for status in ("pass", "fail"))
    one = dict(held.students[GRADED].labs[1].checks)
    one["check-1-3"] = replace(one["check-1-3"], status="fail", points=0)
    fails = with_checks(held, GRADED, checks=one, raw=22)
    assert changed(held, fails) == (24, 22, "check-1-3: pass, now fail (-2)")
    late = with_checks(held, GRADED, late_days=1, deduction=2.4)
    assert changed(held, late) == (24, 21.6, "lateness costs 2.4 instead of 0 points")
    by_hand = with_checks(held, GRADED, override={"points": 20, "reason": "as agreed"})
    assert changed(held, by_hand) == (24, 20, "marked by hand (20: as agreed)")
    assert changed(by_hand, held) == (20, 24, "no longer marked by hand")
    nothing = with_checks(held, GRADED, state=State.NOTHING, checks={}, raw=0)
    assert changed(nothing, held) == (0, 24, "newly handed in")
    review = with_checks(held, GRADED, state=State.REVIEW, reason="too slow")
    assert changed(held, review) == (24, None, "a person has to look at it now: too slow")
    assert changed(review, held) == (None, 24, "could be graded this time")
    other = with_student(fails, GRADED, digest="new")
    *_, why = changed(with_student(held, GRADED, digest="old"), other)
    assert why.startswith("what was handed in has changed; check-1-3")
    more = changed(held, fell)
    assert more[2].count("pass, now fail") == 10


def test_a_regrade_tells_of_students_who_come_and_go_and_of_weights(klass: Class) -> None:
    fewer = replace(klass, students=klass.students[1:])
    assert [change.why for change in regrade(fewer, klass).changes] == [("in the class since now",)] * 2
    assert [change.after for change in regrade(klass, fewer).changes] == [None, None]
    heavier = replace(klass, labs=(replace(klass.labs[0], weight=50.0), klass.labs[1]))
    changes = regrade(klass, heavier).changes
    assert {change.lab for change in changes} == {None}
    assert len(changes) == 40 - 4 - 2  # but those with 0, and those without a total
    assert "| total |" in regrade_markdown(klass, heavier)


def test_a_regrade_says_what_else_is_not_the_same(klass: Class) -> None:
    text = plain(regrade_markdown(klass, replace(a_class(seed=2), seed=18, tier="plain")))
    assert "The seed was 17, and is 18." in text
    assert "The tier was box, and is plain." in text
    told = regrade(klass, a_class(seed=2))
    counts = told.counts
    assert sum(counts.values()) == len(told.changes)
    assert f"{len(told.changes)} marks have changed: {counts['up']} higher, {counts['down']} lower" in text
    assert told.moved


# In a terminal


def summary(klass: Class, width: int = 80) -> str:
    """Return what a terminal shows of a class."""
    file = io.StringIO()
    summarise_class(
        Console(file=file, width=width, highlight=False, markup=False, emoji=False),
        klass,
        ("Report: runs/x/class.html",),
    )
    return file.getvalue()


def test_the_terminal_tells_counts_marks_causes_and_who_is_to_be_looked_at(klass: Class) -> None:
    said = summary(klass)
    assert "Computer networks: 40 students, 2 labs, tier box" in said
    row = next(line for line in said.splitlines() if line.startswith("1 A blocking"))
    assert row.split()[4:9] == ["ser…", "34", "4", "2", "5"]
    assert set(row.split()[-1]) <= set("▁▂▃▄▅▆▇█")
    trouble = troubles(klass)[0]
    assert f"{len(trouble.students)} of {trouble.graded} " in said
    assert trouble.check.title in said
    assert "To be decided by a person, no zero meanwhile: 2 students" in said
    assert klass.students[UNDECIDED].name in said
    assert said.endswith("Report: runs/x/class.html\n")
    table = said[said.index("lab  ") : said.index("What breaks")]
    assert max(map(len, table.splitlines())) <= 80
    assert table.count("…") == 1
