"""Text that a program or a student wrote, made harmless for a terminal."""

KEPT = "\n\t"


def safe(text: str) -> str:
    """Escape what does not print (str.isprintable), but newline and tab.

    That is: control characters, surrogates, bidirectional marks and what else has no shape of its own, and every
    separator but the space.
    """
    return "".join(char if char.isprintable() or char in KEPT else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", errors="backslashreplace").decode()
