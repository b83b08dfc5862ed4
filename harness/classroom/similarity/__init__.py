"""Which hand-ins share more code than their class does anyway.

    works = works_of(intake.counting)           or Work(key, name, {path: bytes or a Path}) from anywhere
    compare(works, of_the_course()) -> Comparison

A work becomes symbols (`lexer`), what was handed out is taken away (`handed_out`), the rest becomes fingerprints
(`winnow`), which count the less the more of the class have them (`noise`); pairs that stand out are compared passage by
passage (`passages`). It is a reason to look and to talk, never a penalty by itself.
"""

from harness.classroom.similarity.compare import Comparison, Pair, Taken, compare
from harness.classroom.similarity.handed_out import of_the_course
from harness.classroom.similarity.works import Work, works_of

__all__ = ["Comparison", "Pair", "Taken", "Work", "compare", "of_the_course", "works_of"]
