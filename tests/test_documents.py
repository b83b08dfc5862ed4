"""The documents tell the truth: links and anchors lead somewhere, commands can be typed, what is named exists.

What a handout quotes is compared with what the kit prints in test_handouts.py.
"""

import argparse
import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support import ROOT, SOLUTIONS

from harness import cli
from harness.course import Lab, load_course
from harness.course.layout import LABS

COURSE = load_course()
CHECKS = {name for lab in COURSE.labs for step in lab.steps for name in step.checks}
INSTRUCTORS = ROOT / "INSTRUCTORS.md"
GLOSSARY = LABS / "GLOSSARY.md"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(LABS.glob("*.md")), *sorted((ROOT / "tests").rglob("*.md"))]
ABOUT_THE_COURSE = [INSTRUCTORS, GLOSSARY]

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"^\$ \./lab\b(.*)$|`\./lab\b([^`\n]*)`|^    \./lab\b(.*?)(?:  .*)?$", re.MULTILINE)
MUTANT = re.compile(r"\b\d-[a-z][a-z0-9-]+")  # a lab and a name, as tests/mutants/catalogue.py writes them
SEVERAL_WORDS = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
FILE = re.compile(r"(labs|solutions|harness|tests|notebooks)/[\w./-]*")
STEP = re.compile(r"(?:\*\*|[Ss]teps? |\band |\bin |check |hint )(\d\.\d+)")
QUOTED = re.compile(r'\*"(.+?)"\*')
FIGURE = re.compile(r"\b\d+ of \d+\b")
TERM = re.compile(r"^### ([^\n]+)\n\n(.+?)\n\nSee ([^\n]+); source: ([^\n]+)\.$", re.MULTILINE | re.DOTALL)
SOURCE = re.compile(r'RFC \d+( section [\d.]+)?|PEP \d+|[\w-]+\(\d\)|Python: \w+|.+, "(.+)"( \(.+\))?')


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(path: Path) -> str:
    """Return a document without its fenced blocks."""
    return FENCE.sub("", text_of(path))


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def anchor(heading: str) -> str:
    """Return what a heading is called in a link: letters, digits, `_` and `-`, in lower case."""
    words = LINK.sub(r"\2", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {anchor(heading) for heading in HEADING.findall(prose(path))}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for picture, words, target in LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        file, _, place = target.partition("#")
        led_to = (page.parent / file) if file else page
        assert led_to.exists(), target
        assert not place or place in anchors(led_to), f"{target}: no heading of this name"
        assert words, f"{target} has no text"
        assert not picture or len(words) > 40, f"{target} needs a text for those who cannot see it"


def test_an_anchor_is_made_as_readers_of_markdown_make_it() -> None:
    assert anchor("Step 8.3: More than 1,024 of them") == "step-83-more-than-1024-of-them"
    assert anchor("Nagle's algorithm") == "nagles-algorithm"
    assert anchor("TIME_WAIT") == "time_wait"


def typed(page: Path) -> Iterator[list[str]]:
    """Yield the words behind `./lab` of all commands of a document."""
    for match in COMMAND.finditer(text_of(page)):
        yield shlex.split(next(part for part in match.groups() if part is not None))


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_can_be_typed(page: Path) -> None:
    for words in typed(page):
        try:
            args, further = cli.parser().parse_known_args(words)
        except SystemExit:
            pytest.fail(f"`./lab {shlex.join(words)}` is not understood")
        assert not further or hasattr(args, "arguments"), f"`./lab {shlex.join(words)}`: {further}"
        told = vars(args)
        for name in [told.get("lab"), told.get("step"), *told.get("labs", [])]:
            if name:
                COURSE.step(name) if "." in name else COURSE.lab(name)
        assert told.get("keyword") in {None, "", *CHECKS}, f"there is no check {told['keyword']!r}"
        for word in further:
            assert word.startswith("-") or (ROOT / word).exists(), word


# What the texts for teachers and the glossary name


@pytest.mark.parametrize("page", ABOUT_THE_COURSE, ids=lambda page: page.name)
def test_what_stands_in_backticks_exists(page: Path) -> None:
    codes = set(SPAN.findall(text_of(LABS / "PROTOCOL.md")))
    for name in MUTANT.findall(text_of(page)):
        assert name in stories(), f"there is no mutant {name}"
    for span in SPAN.findall(prose(page)):
        first = span.split()[0]
        if first.startswith("--"):
            assert first in options(), f"no command has {first}"
        elif SEVERAL_WORDS.fullmatch(span) and not MUTANT.fullmatch(span):
            assert span in CHECKS | codes, f"{span} is neither a check nor a word of the protocol"
        elif FILE.fullmatch(span) and span != "labs/progress.txt":  # which is made by the first check
            assert (ROOT / span).exists(), span


@cache
def options() -> set[str]:
    """Return every option of every command."""
    top = cli.parser()
    [verbs] = [action.choices for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    return {option for parser in [top, *verbs.values()] for option in parser._option_string_actions}


@cache
def stories() -> dict[str, str]:
    """Return what the author of each mutant thought, by the mutant's lab and name."""
    found = {}
    for lab in COURSE.labs:
        data = tomllib.loads(text_of(ROOT / "tests" / "mutants" / f"lab{lab.number}.toml"))
        found |= {f"{lab.number}-{mutant['name']}": mutant["story"] for mutant in data["mutant"]}
    return found


@pytest.mark.parametrize("page", ABOUT_THE_COURSE, ids=lambda page: page.name)
def test_every_lab_and_step_that_is_named_exists(page: Path) -> None:
    for name in STEP.findall(prose(page)):
        COURSE.step(name)
    for number in re.findall(r"\b[Ll]abs? (\d+)", prose(page)):
        COURSE.lab(number)


# INSTRUCTORS.md


@pytest.mark.parametrize("lab", COURSE.labs, ids=lambda lab: f"lab {lab.number}")
def test_the_table_tells_what_the_course_says(lab: Lab) -> None:
    row = next(line for line in text_of(INSTRUCTORS).splitlines() if line.startswith(f"| [{lab.number}]"))
    link, minutes, points, steps, _, imports = (cell.strip() for cell in row.strip("|").split("|"))
    assert link == f"[{lab.number}](labs/{lab.handout})"
    assert (int(minutes), int(points), int(steps)) == (lab.minutes, lab.points, len(lab.steps))
    assert {int(number) for number in re.findall(r"\d+", imports)} == labs_behind(lab)


def labs_behind(lab: Lab) -> set[int]:
    """Return the labs whose files a lab's program imports, at first or second hand."""
    owner = {Path(file).stem: one.number for one in COURSE.labs for file in one.files}
    seen: set[str] = set()
    ahead = [Path(lab.program).stem]
    while ahead:
        name = ahead.pop()
        if name in owner and name not in seen:
            seen.add(name)
            tree = ast.walk(ast.parse(text_of(SOLUTIONS / f"{name}.py")))
            ahead += [node.module for node in tree if isinstance(node, ast.ImportFrom) and node.module]
    return {owner[name] for name in seen} - {lab.number}


def test_the_minutes_add_up() -> None:
    told = re.search(r"^Together (\d+) minutes", text_of(INSTRUCTORS), re.MULTILINE)
    assert told
    assert int(told[1]) == sum(lab.minutes for lab in COURSE.labs)


def about(lab: Lab) -> str:
    """Return what INSTRUCTORS.md says of a lab, in one line."""
    return in_one_line(text_of(INSTRUCTORS).partition(f"\n### Lab {lab.number}: {lab.title}\n")[2].partition("\n##")[0])


@pytest.mark.parametrize("lab", COURSE.labs, ids=lambda lab: f"lab {lab.number}")
def test_each_step_has_its_title_its_minutes_and_a_mistake(lab: Lab) -> None:
    handout = re.search(r"^About \d+ minutes: (.+)\.$", text_of(LABS / lab.handout), re.MULTILINE)
    assert handout
    minutes = {step: told for told, step in re.findall(r"(\d+) for (?:step )?(\d\.\d)", handout[1])}
    steps = re.findall(r"- \*\*(\S+) (.+?)\*\* \((\d+) minutes\)\. \*\"", about(lab))
    assert steps == [(step.id, step.title, minutes[step.id]) for step in lab.steps]


@pytest.mark.parametrize("lab", COURSE.labs, ids=lambda lab: f"lab {lab.number}")
def test_what_students_say_is_said_by_a_mutant_of_the_lab(lab: Lab) -> None:
    known = {story.rstrip(".") for name, story in stories().items() if name.startswith(f"{lab.number}-")}
    known |= {story[0].upper() + story[1:] for one in known for story in one.split("; ")}
    for story in QUOTED.findall(about(lab)):
        assert story.rstrip(".") in known, story


@pytest.mark.parametrize("lab", COURSE.labs, ids=lambda lab: f"lab {lab.number}")
def test_there_are_questions_with_answers_that_no_handout_has(lab: Lab) -> None:
    questions = re.findall(r" \d\. (.+?) Answer: ", about(lab).partition("Questions:")[2])
    assert len(questions) >= 3
    handout = in_one_line(text_of(LABS / lab.handout))
    assert not [question for question in questions if question in handout]


def test_figures_are_those_of_the_handouts() -> None:
    handouts = in_one_line("".join(text_of(LABS / lab.handout) for lab in COURSE.labs))
    for lab in COURSE.labs:
        for figure in FIGURE.findall(about(lab)):
            assert figure in handouts, figure


# GLOSSARY.md


def terms() -> list[tuple[str, str, str, str]]:
    """Return each term with its explanation, the pages where one meets it, and its sources."""
    return TERM.findall(text_of(GLOSSARY))


def test_no_term_is_overlooked() -> None:
    headings = re.findall(r"^### (.+)$", prose(GLOSSARY), re.MULTILINE)
    assert [name for name, *_ in terms()] == headings
    assert 60 <= len(headings) <= 90


def test_the_glossary_is_in_alphabetical_order_and_its_index_is_complete() -> None:
    names = [name for name, *_ in terms()]
    assert names == sorted(names, key=str.casefold)
    index = text_of(GLOSSARY).partition("\n### ")[0]
    assert re.findall(r"\[([^\]]+)\]\(#", index) == names


@pytest.mark.parametrize("term", terms(), ids=lambda term: term[0])
def test_a_term_is_short_has_a_source_and_is_used_where_it_leads(term: tuple[str, str, str, str]) -> None:
    name, explanation, pages, sources = term
    assert 1 <= len(re.findall(r"[.!?:](?= |$|\))", in_one_line(explanation))) <= 5
    for source in re.split(r", (?=[\w-]+\(|RFC|PEP|Python)", sources):
        assert SOURCE.fullmatch(source), source
    words = [word.rstrip("s").casefold() for word in re.split(r" \(|\)|, ", name) if word]
    for _, _, page in LINK.findall(pages):
        used = in_one_line(text_of(LABS / page)).casefold()
        assert any(re.search(rf"(?<!\w){re.escape(word)}", used) for word in words), f"{page} does not say {name}"
