"""Copies are found, however they were made to look; those who have worked alone stay below what is usual."""

import csv
import io
import itertools
import json
import random
import re
import string
import sys
import tokenize
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hand_ins import (
    WAYS,
    Files,
    a_class,
    commented,
    each,
    reformatted,
    renamed,
    reordered,
    split_in_two,
)
from hypothesis import given
from hypothesis import strategies as st
from mutants.catalogue import load_mutants
from support import LEADING_OUT, ROOT, SOLUTIONS, Page, lab

from harness.classroom.similarity import Comparison, Pair, Work, compare, of_the_course
from harness.classroom.similarity.compare import LONG
from harness.classroom.similarity.lexer import CODES, PYTHON, decoded, language_of, tokens_of
from harness.classroom.similarity.noise import CEILING, FLOOR, LEAST, MUCH, noise_of
from harness.classroom.similarity.passages import passages
from harness.classroom.similarity.told import as_csv, as_results
from harness.classroom.similarity.winnow import GRAM, GUARANTEED, fingerprints
from harness.classroom.similarity.works import MOST_OF_A_FILE, Reader
from harness.course import load_course
from harness.course.layout import RUNS
from harness.course.stubs import pristine
from harness.report import similarity_page

CLASS = 60

# An own function, as no other of the class has it: some 90 symbols.
TALLY = '''
def tally(entries, least):
    """Count what was said by whom."""
    counts = {}
    for entry in entries:
        speaker, _, words = entry.partition(" ")
        if len(words) < least or speaker in ("SERVER", "ERROR"):
            continue
        counts[speaker] = counts.get(speaker, 0) + len(words.split())
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [f"{speaker}: {number}" for speaker, number in ranked if number > least]
'''


def everything(files: Files) -> Files:
    return split_in_two(each(commented, each(renamed, each(reordered, files))))


CHANGES: dict[str, Callable[[Files], Files]] = {
    "identical": lambda files: files,
    "renamed": lambda files: each(renamed, files),
    "reordered": lambda files: each(reordered, files),
    "commented": lambda files: each(commented, files),
    "reformatted": lambda files: each(reformatted, files),
    "split over two files": split_in_two,
    "in one file": lambda files: {"all.py": b"\n".join(files.values())},
    "all of that": everything,
}

SCORES = {
    "reordered": 0.8,
    "split over two files": 0.7,
    "all of that": 0.6,
}  # at least; what stood side by side is torn


def compared(class_of: dict[str, Files], references: Iterable[Work] = (), **settings: Any) -> Comparison:
    works = [Work(name, name, files) for name, files in class_of.items()]
    return compare(works, of_the_course(), references, **settings)


def names(comparison: Comparison) -> dict[frozenset[str], Pair]:
    """Return the pairs that stand out, by the names of both."""
    works = comparison.works
    return {frozenset((works[one.first].work.name, works[one.second].work.name)): one for one in comparison.pairs}


@cache
def class_with_copies() -> Comparison:
    """Each change was made to the hand-in of another student; together they are CLASS."""
    students = a_class(CLASS - len(CHANGES))
    victims = list(students)
    return compared(students | {how: change(students[victims[at]]) for at, (how, change) in enumerate(CHANGES.items())})


# Copies


@pytest.mark.parametrize("how", CHANGES)
def test_a_copy_is_found(how: str) -> None:
    pair = names(class_with_copies())[frozenset((how, f"student-{list(CHANGES).index(how):03}"))]
    assert pair.is_alike
    assert pair.score > SCORES.get(how, 0.99)


def test_nobody_else_is_told_and_the_most_alike_come_first() -> None:
    scores = [pair.score for pair in class_with_copies().pairs]
    assert len(scores) == len(CHANGES)
    assert scores == sorted(scores, reverse=True) != sorted(scores)


@pytest.mark.parametrize("number", [5, 20, CLASS, 120])
def test_those_who_have_worked_alone_are_not_told(number: int) -> None:
    assert not compared(a_class(number, seed=number)).pairs


@pytest.mark.parametrize("file", WAYS)
def test_of_a_small_task_many_have_the_same_and_hardly_a_pair_of_1770_is_told(file: str) -> None:
    comparison = compared({name: {file: files[file]} for name, files in a_class(CLASS, seed=4).items()})
    assert len(comparison.pairs) <= 1


def test_copies_of_one_are_a_group_however_many_they_are() -> None:
    students = a_class(CLASS - 20, seed=3)
    copies = {f"copy-{number}": each(renamed, students["student-007"]) for number in range(20)}
    comparison = compared(students | copies, top=500)
    (group,) = comparison.clusters
    assert {comparison.works[one].work.name for one in group} == {"student-007", *copies}
    assert len(comparison.pairs) == 21 * 20 // 2


def test_mutants_are_copies_of_the_solution_and_of_each_other(tmp_path: Path) -> None:
    students = a_class(CLASS - 5, seed=5)
    mutants = [one for one in load_mutants() if one.lab == 6 and {change.file for change in one.changes} == {"room.py"}]
    wrong: dict[str, Files] = {}
    for mutant in mutants[:5]:
        mutant.write(tmp_path)
        wrong[str(mutant)] = {name: (tmp_path / name).read_bytes() for name in students["student-000"]}
    assert len(wrong) == 5
    solutions = Work("solutions", "the solutions", {path.name: path for path in SOLUTIONS.glob("*.py")})
    found = names(compared(students | wrong, [solutions]))
    together = {*wrong, "the solutions"}
    assert set(found) == {frozenset((one, other)) for one in together for other in together if one < other}


def test_a_function_that_was_copied_is_found_with_its_lines() -> None:
    students = a_class(CLASS, seed=9)
    students["student-004"]["room.py"] += TALLY.encode()
    students["student-031"]["framing.py"] += each(renamed, {"": TALLY.encode()})[""]
    results = as_results(compared(students))
    (pair,) = results["pairs"]
    assert (pair["first"], pair["second"], pair["why"]) == ("student-004", "student-031", "passage")
    (place,) = [one for one in pair["passages"] if one["rare"] >= LONG]
    assert place["others"] == 0
    assert not place["common"]
    for side, key, file in (("first", "student-004", "room.py"), ("second", "student-031", "framing.py")):
        lines = students[key][file].decode().splitlines()
        assert place[side]["path"] == file
        assert place[side]["line"] + place[side]["lines"] - 1 == len(lines), "it stands at the end"
        assert 5 <= place[side]["lines"] < TALLY.count("\n"), "and is nothing but that function"


def test_what_was_handed_out_is_nobodys_own() -> None:
    stubs = {file: pristine(file).encode() for file in load_course().files}
    comparison = compared({f"student-{number}": stubs for number in range(6)})
    assert not comparison.pairs
    assert [work.own for work in comparison.works] == [0] * 6


def test_a_stub_is_left_away_below_what_was_written_and_under_other_names() -> None:
    students = {f"student-{number}": {"lab.py": pristine("room.py").encode()} for number in range(6)}
    students["student-1"]["lab.py"] += TALLY.encode()
    students["student-2"] = each(renamed, students["student-1"])
    comparison = compared(students)
    assert [bool(work.own) for work in comparison.works] == [False, True, True, False, False, False]
    assert set(names(comparison)) == {frozenset(("student-1", "student-2"))}


def test_what_a_teacher_gave_out_besides_is_left_away() -> None:
    works = [Work(str(number), str(number), {"own.py": TALLY.encode()}) for number in range(6)]
    assert len(compare(works, of_the_course()).pairs) == 0 < len(compare(works[:2], of_the_course()).pairs)
    assert not compare(works[:2], of_the_course([Work("given", "given", {"tally.py": TALLY.encode()})])).pairs


def test_a_copy_of_the_kit_counts_for_nothing() -> None:
    kit = {f"repo/{path.relative_to(ROOT).as_posix()}": path for path in (ROOT / "harness").rglob("*.py")}
    students = [Work(f"s{one}", f"s{one}", kit | {"repo/labs/x.py": b"print(1)"}) for one in range(2)]
    comparison = compare(students, of_the_course())
    assert not comparison.pairs
    assert comparison.works[0].notes == (f"{len(kit)} files are of the kit itself",)


# Other languages, and what is no program of any


def in_other_words(text: str) -> str:
    """Rename what is no word of C or JavaScript, as far as one can tell."""
    tokens = tokens_of(text, "C")
    for symbol, start, end in reversed(list(zip(tokens.symbols, tokens.starts, tokens.ends, strict=True))):
        if symbol == CODES["name"] and not text[start:end].startswith("$"):
            text = f"{text[:start]}{text[start:end]}_{len(text[start:end])}{text[end:]}"
    return text


@pytest.mark.parametrize("file", ["echo_epoll.c", "chat.mjs"])
def test_a_copy_in_another_language_is_found(file: str) -> None:
    text = (ROOT / "tests" / "servers" / file).read_text(encoding="utf-8")
    students = a_class(20) | {"one": {file: text.encode()}, "two": {f"my_{file}": in_other_words(text).encode()}}
    assert set(names(compared(students))) == {frozenset(("one", "two"))}


def test_languages_are_compared_with_their_own_kind() -> None:
    text = b"a = b(c, d[1]) + e(f, g[2]) - h(i, j[3]) * k(l, m[4]) / n(o, p[5]) % q(r, s[6])\n" * 5
    assert compared({"one": {"a.py": text}, "two": {"b.py": text}}).pairs
    assert not compared({"one": {"a.py": text}, "two": {"b.js": text}}).pairs


BROKEN = {
    "a syntax error": lambda text: text.replace("def feed(", "def feed((").encode(),
    "an open string": lambda text: (text + "'''" + text).encode(),
    "Latin-1": lambda text: ("# caf\u00e9\n" + text).encode("latin-1"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "Python 2": lambda text: (text + '\nprint "hello", 0777, `x`, a <> b\n').encode(),
    "tabs and spaces": lambda text: ("if 1:\n\tx\n        y\n  z\n" + text).encode(),
    "binary behind it": lambda text: text.encode() + bytes(range(256)) * 20,
    "12 MB behind it": lambda text: text.encode() + b"\n" + b"x = [1, 2, 3]\n" * 900_000,
    "one line of 12 MB": lambda text: text.encode() + b"\nx = " + b"'a';" * 3_000_000,
    "brackets behind it": lambda text: text.encode() + b"[" * 12_000_000,
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_python_does_not_understand_is_compared_as_far_as_it_goes(what: str) -> None:
    students = a_class(20, seed=2)
    victim = students["student-003"]
    copy = {name: BROKEN[what](data.decode()) for name, data in victim.items() if name == "room.py"}
    students["student-003"] = {"room.py": victim["room.py"]}
    comparison = compared(students | {"copy": copy})
    pair = names(comparison)[frozenset(("student-003", "copy"))]
    assert pair.of_first > 0.9
    if "12 MB" in what:
        taken = comparison.works[-1]
        assert taken.notes == (f"room.py is too large: its first {MOST_OF_A_FILE:,} bytes are compared",)
        assert len(taken.parts[0].source.text) == MOST_OF_A_FILE


def test_a_large_file_does_not_take_the_place_of_the_others() -> None:
    files = {f"{letter}.py": b"x" * MOST_OF_A_FILE for letter in "abcdef"} | {"z.py": TALLY.encode()}
    sources, notes = Reader().read(Work("one", "one", files | {"notes.txt": b"", "data.bin": b""}))
    assert TALLY in {source.text for source in sources if source.path == "z.py"}
    assert "2 files are no program" in notes
    assert any(note.startswith("f.py is too large") for note in notes)


def test_what_is_no_regular_file_is_told_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "there.py").symlink_to(tmp_path / "nowhere.py")
    files = {"folder.py": tmp_path, "gone.py": tmp_path / "gone.py", "link.py": tmp_path / "there.py"}
    sources, notes = Reader().read(Work("one", "one", files))
    assert not sources
    assert [note.partition(" ")[0] for note in notes] == ["folder.py", "gone.py", "link.py"]


# How it is found


symbols = st.lists(st.integers(1, 3), max_size=60).map(bytes)


@given(symbols, symbols, symbols, symbols, st.lists(st.integers(1, 3), min_size=GUARANTEED, max_size=40).map(bytes))
def test_a_match_of_the_guaranteed_length_is_never_overlooked(
    before: bytes, behind: bytes, other_before: bytes, other_behind: bytes, shared: bytes
) -> None:
    one, other = before + shared + behind, other_before + shared + other_behind
    prints = [{gram for _, gram in fingerprints(text, (0, len(text)))} for text in (one, other)]
    assert prints[0] & prints[1]
    texts = [[("Python", text, [(0, len(text))])] for text in (one, other)]
    found = passages(texts[0], texts[1])
    assert any(passage.length >= GUARANTEED for passage in found)
    for passage in found:
        first, second = passage.first, passage.second
        assert one[first : first + passage.length] == other[second : second + passage.length]
    for side in ("first", "second"):
        spans = sorted((getattr(passage, side), getattr(passage, side) + passage.length) for passage in found)
        assert all(left[1] <= right[0] for left, right in itertools.pairwise(spans)), "each symbol once"


@given(st.binary(max_size=60))
def test_a_fingerprint_is_a_gram_of_the_text_and_every_window_has_one(text: bytes) -> None:
    chosen = dict(fingerprints(text, (0, len(text))))
    assert all(text[at : at + GRAM] == gram and len(gram) == GRAM for at, gram in chosen.items())
    for first in range(len(text) - GUARANTEED + 1):
        assert any(at in chosen for at in range(first, first + GUARANTEED - GRAM + 1))


WRITTEN = """
def f(a):
    'Words.'
    x = g(a, "one two", [1, 2]); return x
"""
FORMATTED = """
def f(
    a,
):
    # Words.
    x = g(
        a,
        'one '
        r'two',
        [1, 2,],
    )
    return x
"""


def test_how_it_is_formatted_makes_no_difference() -> None:
    symbols = {tokens_of(text, PYTHON).symbols for text in (WRITTEN, FORMATTED, WRITTEN.replace(" = ", " = \\\n  "))}
    assert len(symbols) == 1
    assert tokens_of(WRITTEN.replace("[1, 2]", "(1, 2)"), PYTHON).symbols not in symbols


def by_tokenize(text: str) -> list[str]:
    """Return the tokens as Python's own lexer has them, but for strings and what is dropped for its layout."""
    dropped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    found = [one for one in tokenize.generate_tokens(io.StringIO(text).readline) if one.type not in dropped]
    kinds = {tokenize.NAME, tokenize.OP, tokenize.NUMBER}
    return [one.string for one in found if one.type in kinds and one.string not in (",", ";")]


def test_python_is_read_as_python_reads_it() -> None:
    """Strings are left away here: before Python 3.12 an f-string is one token."""
    files = [*SOLUTIONS.glob("*.py"), *(ROOT / "harness" / "checks").glob("*.py"), Path(__file__)]
    files += [
        Path(tokenize.__file__).with_name(f"{name}.py") for name in ("tokenize", "_pydecimal", "shutil", "socket")
    ]
    assert len(files) > 30
    for file in files:
        text = decoded(file.read_bytes())
        if sys.version_info >= (3, 12) and re.search(r"\b[rR]?[fFtT][rR]?['\"]", text):
            continue
        tokens = tokens_of(text, PYTHON)
        pairs = zip(tokens.symbols, tokens.starts, tokens.ends, strict=True)
        words = [text[start:end] for symbol, start, end in pairs if symbol not in (CODES["string"], CODES[","])]
        assert words == by_tokenize(text), file


@given(st.text(alphabet=string.printable + "\u00e9\u20ac\\\"'#/*`", max_size=300))
def test_any_text_has_tokens_that_stand_in_it_in_order(text: str) -> None:
    for language in ("Python", "C"):
        tokens = tokens_of(text, language)
        places = [*tokens.starts, len(text)]
        for number, (start, end) in enumerate(zip(tokens.starts, tokens.ends, strict=True)):
            assert start < end <= places[number + 1]
            assert text[start:end].strip()


def test_what_a_file_is_is_told_by_its_name() -> None:
    assert [language_of(name) for name in ("a/B.PY", "x.mjs", "x.c", "x.txt", "py")] == [
        "Python",
        "JavaScript",
        "C",
        None,
        None,
    ]


def test_the_threshold_is_the_classes_own_and_copies_do_not_move_it() -> None:
    chance = random.Random(1)
    alone = [chance.gauss(0.2, 0.03) for _ in range(1770)]
    found = noise_of(alone, [], CLASS, None)
    assert 0.38 < found.threshold < 0.44
    assert abs(noise_of([*alone, *[1.0] * 190], [], CLASS, None).threshold - found.threshold) < 0.05
    assert noise_of([0.01] * 1770, [], CLASS, None).threshold == FLOOR
    assert noise_of(alone, [], CLASS, 0.77).threshold == 0.77


def test_what_is_told_is_enough_and_stands_out() -> None:
    usual, small = noise_of([0.1, 0.2] * 885, [], CLASS, None), noise_of([0.1, 0.5] * 885, [], CLASS, None)
    assert usual.threshold < CEILING < small.threshold == 1.0
    assert usual.is_exceeded(usual.threshold, LEAST)
    assert not usual.is_exceeded(1.0, LEAST - 1)
    assert small.is_exceeded(CEILING, MUCH)
    assert not small.is_exceeded(0.99, MUCH - 1)
    asked = noise_of([0.1, 0.5] * 885, [], CLASS, 0.9)
    assert asked.is_exceeded(0.9, LEAST)
    assert not asked.is_exceeded(CEILING, MUCH)


# What is printed and written


HOSTILE = ["=1+1", "<script>alert(1)</script>", "\u202etxt.exe", "\x1b[31mred"]


def write(folder: Path, students: dict[str, Files]) -> Path:
    for student, files in students.items():
        for name, data in files.items():
            path = folder / student / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder


def run_of(output: str) -> Path:
    match = re.search(r"Side by side: (\S+)/report\.html", output)
    assert match, output
    return ROOT / match[1]


def test_the_command_prints_the_pairs_and_writes_them_in_three_ways(tmp_path: Path) -> None:
    students = a_class(20)
    folder = write(tmp_path / "class", students | {"zoe": each(renamed, students["student-005"])})
    done = lab("similarity", str(folder), "--solutions")
    assert done.returncode == 0, done.stderr
    assert "21 hand-ins" in done.stdout
    assert "never a penalty by itself" in done.stdout
    assert re.search(r"student-005 +zoe +1\.00 +100% +100%", done.stdout)
    run = run_of(done.stdout)
    assert run.parent == RUNS
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    (pair,) = results["pairs"]
    rows = list(csv.DictReader((run / "pairs.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["first"], row["second"], row["score"]) for row in rows] == [("student-005", "zoe", "1.0")]
    assert pair["score"] == 1.0
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert "never a penalty by itself" in page.text
    assert "student-005 and zoe" in page.text
    assert similarity_page.render(results) == (run / "report.html").read_text(encoding="utf-8")


def test_the_same_class_gives_the_same_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    students = a_class(12)
    students |= {"zoe": everything(students["student-005"]), "yan": each(renamed, students["student-005"])}
    folder = write(tmp_path / "class", students)
    told = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        run = run_of(lab("similarity", str(folder)).stdout)
        told.append([(run / name).read_bytes() for name in ("results.json", "pairs.csv", "report.html")])
    assert told[0] == told[1]


def test_names_and_code_are_harmless_wherever_they_are_shown() -> None:
    code = TALLY + '\nx = "</span><script>alert(2)</script><img src=x onerror=alert(3)>"\n# \x1b[31m \u202e\n'
    works = [Work(f"key-{at}", name, {f"<b>{at}.py": code.encode()}) for at, name in enumerate(HOSTILE)]
    results = as_results(compare(works, of_the_course())) | {"folder": "<i>", "versions": {}}
    assert len(results["pairs"]) == 6
    assert len(results["clusters"]) == 1
    text = similarity_page.render(results)
    page = Page(text)
    assert not LEADING_OUT & set(page.tags)
    assert "b" in page.tags
    assert "i" in page.tags
    assert page.policy.startswith("default-src 'none'")
    assert all(name == "href" and value.startswith("#") for name, value in page.links)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert(1)</script>" in page.text
    assert "=1+1" not in {cell for row in csv.reader(io.StringIO(as_csv(results))) for cell in row}


def test_every_link_of_the_page_leads_somewhere() -> None:
    students = a_class(12)
    students |= {"zoe": split_in_two(students["student-005"]), "yan": each(reordered, students["student-005"])}
    text = similarity_page.render(as_results(compared(students)) | {"folder": "class", "versions": {}})
    targets = set(re.findall(r'id="([^"]+)"', text))
    links = {value[1:] for _, value in Page(text).links}
    assert len(links) > 10
    assert links <= targets


def test_grey_is_what_was_handed_out() -> None:
    comparison = compared({"one": {"room.py": (pristine("room.py") + TALLY).encode()}, "two": {"t.py": TALLY.encode()}})
    results = as_results(comparison)
    (file,) = results["texts"]["one"]
    given = "".join(file["text"][start:end] for start, end in file["given"])
    assert "class ChatRoom" in given
    assert "tally" not in given
    assert "ranked" not in given


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-folder"], "there is no no-such-folder"),
        (["{one}"], "has 1 hand-in, and two are needed"),
        (["{two}", "--threshold", "2"], "--threshold takes a number above 0, and 1 at most"),
        (["{two}", "--threshold", "nan"], "--threshold takes a number above 0, and 1 at most"),
        (["{two}", "--top", "0"], "--top takes a number from 1 on"),
        (["{two}", "--layout", "blackboard"], "there is no layout blackboard"),
        (["{two}", "--handed-out", "nowhere"], "there is no nowhere"),
        (["{two}", "--roster", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(words: list[str], said: str, tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"ann": {"a.py": b"print(1)"}})
    two = write(tmp_path / "two", {"ann": {"a.py": b"print(1)"}, "bob": {"a.py": b"print(1)"}})
    done = lab("similarity", *(word.format(one=one, two=two) for word in words))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
