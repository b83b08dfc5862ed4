"""Whether a text gives an answer away: the lines of the solutions that a student is to write, looked for in it.

What is compared has no white space, so neither an indentation nor the end of a line hides anything. Looked for are the
lines that stand in a marked place of a solution, not in its stub, and tell something: `return None` is no answer. Where
no line of a place does, all of them together are looked for. What a student may see all the same is listed in
`solutions/public.toml`, with the files in which it may stand and the reason.
"""

import html
import keyword
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.course.layout import SOLUTIONS
from harness.course.manifest import load_course
from harness.course.stubs import places_in, pristine

PUBLIC = SOLUTIONS / "public.toml"
FEWEST = 3  # words, beside those of Python itself, that make a line tell something
WORD = re.compile(r"[^\W\d]\w*|\d+")
COMMENT = re.compile(r"(?:^|\s)#.*$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What a student is to find."""

    step: str
    code: str  # a line without indentation and comment, or several


def answers() -> list[Answer]:
    """Return all that would tell a student something; raise MarkerError where the marks are wrong."""
    found: dict[str, Answer] = {}
    for file in load_course().files:
        stub = squeezed(pristine(file))
        for place in places_in((SOLUTIONS / file).read_text(encoding="utf-8")):
            lines = [code for line in place.solution if (code := COMMENT.sub("", line).strip())]
            telling = [line for line in lines if tells_something(line) and squeezed(line) not in stub]
            for code in telling or ["\n".join(lines)]:
                found.setdefault(code, Answer(place.step, code))
    return list(found.values())


def tells_something(code: str) -> bool:
    """Whether a line of code has more in it than the words of Python itself."""
    return len([word for word in WORD.findall(code) if not keyword.iskeyword(word)]) >= FEWEST


def squeezed(text: str) -> str:
    """Return a text without its white space, and with `&lt;` and the like as what they stand for."""
    return "".join(html.unescape(text).split())


def found_in(files: Mapping[str, str]) -> Iterator[tuple[str, Answer]]:
    """Yield each file, by its name, with each answer that stands in it, in a comment or beside one."""
    looked_for = [(answer, squeezed(answer.code)) for answer in answers()]
    for name, text in files.items():
        inside = (squeezed(text), squeezed(COMMENT.sub("", text)))
        yield from ((name, answer) for answer, code in looked_for if any(code in one for one in inside))


def public() -> set[tuple[str, str]]:
    """Return the pairs of a file's name, without its folder, and the code that may stand in it."""
    if not PUBLIC.is_file():
        return set()
    entries = tomllib.loads(PUBLIC.read_text(encoding="utf-8"))["public"]
    return {(file, entry["code"]) for entry in entries for file in entry["files"]}


def revealed(files: Mapping[str, str]) -> list[tuple[str, Answer]]:
    """Return what `found_in` finds and `public` does not allow."""
    allowed = public()
    return [(name, answer) for name, answer in found_in(files) if (name.rpartition("/")[2], answer.code) not in allowed]
