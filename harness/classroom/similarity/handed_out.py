"""What everybody was given: stubs, modules, examples. It says nothing about who has worked with whom."""

import re
from collections.abc import Iterable, Iterator

from harness.classroom.similarity.lexer import PYTHON, Tokens, tokens_of
from harness.classroom.similarity.winnow import GRAM, Run
from harness.classroom.similarity.works import Reader, Work
from harness.course.layout import LABS
from harness.course.manifest import load_course
from harness.course.stubs import pristine

EXAMPLE = re.compile(r"^``` *python\n(.*?)^```", re.MULTILINE | re.DOTALL)


class HandedOut:
    """All grams of what was handed out, by language."""

    def __init__(self, texts: Iterable[Tokens]) -> None:
        self._grams: dict[str, set[bytes]] = {}
        for tokens in texts:
            grams = self._grams.setdefault(tokens.language, set())
            grams.update(tokens.symbols[at : at + GRAM] for at in range(len(tokens) - GRAM + 1))

    def own(self, tokens: Tokens) -> list[Run]:
        """Return the runs of symbols that were not handed out, none of them shorter than a gram.

        Handed out is every symbol of a gram that stands in what was handed out as well, under whatever names.
        """
        grams = self._grams.get(tokens.language, set())
        runs, begins = [], 0
        for at in range(len(tokens) - GRAM + 1):
            if tokens.symbols[at : at + GRAM] in grams:
                if at - begins >= GRAM:
                    runs.append((begins, at))
                begins = at + GRAM
        if len(tokens) - begins >= GRAM:
            runs.append((begins, len(tokens)))
        return runs


def of_the_course(further: Iterable[Work] = ()) -> HandedOut:
    """Return the stubs of all labs, the examples of the handouts, and what a teacher has given out besides."""
    return HandedOut([*_of_the_labs(), *_of_works(further)])


def _of_the_labs() -> Iterator[Tokens]:
    for file in load_course().files:
        yield tokens_of(pristine(file), PYTHON)
    for page in sorted(LABS.glob("*.md")):
        for example in EXAMPLE.findall(page.read_text(encoding="utf-8")):
            typed = [line[4:] for line in example.split("\n") if line.startswith((">>> ", "... "))]
            yield tokens_of("\n".join(typed) or example, PYTHON)


def _of_works(works: Iterable[Work]) -> Iterator[Tokens]:
    reader = Reader()
    for work in works:
        yield from (source.tokens for source in reader.read(work)[0])
