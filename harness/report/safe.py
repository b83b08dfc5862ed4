"""Text that a program or a student wrote, made harmless for a terminal."""

import unicodedata

KEPT = "\n\t"
BIDIRECTIONAL = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def safe(text: str) -> str:
    """Escape what does not print: control characters (but newline and tab), surrogates, bidirectional marks."""
    if text.isprintable():
        return "".join(_escaped(char) if char in BIDIRECTIONAL else char for char in text)
    return "".join(_escaped(char) if _is_risky(char) else char for char in text)


def _is_risky(char: str) -> bool:
    return char not in KEPT and (unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") or char in BIDIRECTIONAL)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", errors="backslashreplace").decode()
