"""Text that a program or a student wrote, made harmless for a terminal."""

from harness.report.sequence.text import fitted

KEPT = "\n\t"
MOST = 300  # columns of one text in a line; a name may have 10,000


def safe(text: str) -> str:
    """Escape what does not print (str.isprintable), but newline and tab.

    That is: control characters, surrogates, bidirectional marks and what else has no shape of its own, and every
    separator but the space.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in KEPT else _escaped(char) for char in text)


def one_line(text: str, most: int = MOST) -> str:
    """Return a text made safe, in one line of at most so many columns."""
    return fitted(" ".join(safe(text[: 4 * most]).split()), most)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", errors="backslashreplace").decode()
