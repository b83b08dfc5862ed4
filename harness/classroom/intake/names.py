"""Names in a hand-in: which are refused, which do not count, which are the same to some system, how they are shown."""

import re
import unicodedata

from harness.classroom.intake.limits import Limits
from harness.report.safe import safe

SHOWN = 80  # characters of a name in a sentence

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
FOREIGN = {".7z": "7z", ".rar": "RAR"}

# What programs leave lying about; the rest of what does not count is told by its look.
LEFT_OUT = {
    *("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", ".Spotlight-V100", ".Trashes"),
    *(".git", ".hg", ".svn", ".idea", ".vscode", "node_modules"),
    *("venv", ".venv", "site-packages", "__pycache__", ".ipynb_checkpoints"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"),
}
MARK_OF_VENV = "pyvenv.cfg"


class Refused(Exception):
    """A name that is not let onto a disk; the text says why, as the end of a sentence about it."""


def parts_of(name: str) -> tuple[str, ...]:
    """Split a name at its separators, of whichever system; "a//b" and "./a" mean no more than they seem to."""
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def judged(name: str, limits: Limits) -> tuple[str, ...]:
    """Return the parts of a name that may be written below a folder; raise Refused with the reason."""
    parts = parts_of(name)
    if name[:1] in ("/", "\\"):
        raise Refused("is an absolute path")
    if not parts:
        raise Refused("is no name")
    if ".." in parts:
        raise Refused("leads out of its folder")
    if any(":" in part for part in parts):
        raise Refused("has a colon, which stands for a drive or a stream")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        raise Refused("has control characters")
    if len(parts) > limits.depth:
        raise Refused(f"lies more than {limits.depth} folders deep")
    if max(len(part.encode()) for part in parts) > limits.name or len("/".join(parts).encode()) > limits.path:
        raise Refused("is too long")
    return parts


def mended(name: str) -> str:
    """Return a name whose bytes were not UTF-8 (they came as surrogates) as what Windows meant by them."""
    try:
        name.encode()
        return name
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def does_not_count(parts: tuple[str, ...]) -> str | None:
    """Return the part of a path that makes it count for nothing, None if it counts."""
    for part in parts:
        if part in LEFT_OUT or part.startswith("._"):
            return part
    return parts[-1] if parts and parts[-1].endswith(".pyc") else None


def folded(name: str) -> str:
    """Return what two names have in common that are one name to some file system (canonical caseless matching)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def archive_suffix(name: str) -> str:
    """Return the ending that makes a file an archive which can be opened, "" if none does."""
    return next((suffix for suffix in sorted(ARCHIVES, key=len, reverse=True) if name.lower().endswith(suffix)), "")


def foreign_archive(name: str) -> str:
    """Return what kind of archive a file is that is not opened, "" if it is none."""
    return next((kind for suffix, kind in FOREIGN.items() if name.lower().endswith(suffix)), "")


def stem(name: str) -> str:
    """Return a name without the ending of an archive or of its last suffix."""
    suffix = archive_suffix(name)
    return name[: -len(suffix)] if suffix else re.sub(r"(?<=.)\.\w{1,5}$", "", name)


def shown(name: str) -> str:
    """Return a name as it may stand in a sentence for people: on one line, harmless, not too long."""
    text = safe(name).replace("\n", "\\n").replace("\t", "\\t")
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 20]}...{text[-17:]}"
