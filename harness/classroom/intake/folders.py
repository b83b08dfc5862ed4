"""Folders that are walked and filled without ever following a link.

Where the system has the calls of openat(2), every step is taken from an open folder, so that nobody can put a link
in the way meanwhile; elsewhere (Windows) each step is looked at before it is taken.
"""

import os
import stat
from pathlib import Path
from types import TracebackType

AT = {os.open, os.mkdir, os.stat} <= os.supports_dir_fd and os.scandir in os.supports_fd and hasattr(os, "O_NOFOLLOW")
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK = getattr(os, "O_NONBLOCK", 0)
BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
DIRECTORY = getattr(os, "O_DIRECTORY", 0)
READABLE = 0o644  # whichever user a program is run as has to read its hand-in
ENTERABLE = 0o755

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class NotRegular(OSError):
    """A file is no longer the regular file that it was."""


def kind_of(mode: int) -> str:
    """Return in a word what a file of such a mode is."""
    return KINDS.get(stat.S_IFMT(mode), "special file")


class Folder:
    """An open folder."""

    def __init__(self, path: Path, fd: int | None = None) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | DIRECTORY | BINARY) if AT and fd is None else fd

    def __enter__(self) -> "Folder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)

    def scan(self) -> list[tuple[str, os.stat_result]]:
        """Return the names in here with what each is (not: what it links to), in the order of the names."""
        with os.scandir(self.path if self._fd is None else self._fd) as found:
            return sorted((one.name, one.stat(follow_symlinks=False)) for one in found)

    def enter(self, name: str) -> "Folder":
        """Open a folder in here; raise OSError if it is a link, or none."""
        if self._fd is None:
            self._look(name, "folder")
            return Folder(self.path / name)
        return Folder(self.path / name, os.open(name, os.O_RDONLY | DIRECTORY | NOFOLLOW | BINARY, dir_fd=self._fd))

    def make(self, name: str) -> "Folder":
        """Make a folder in here, if there is none yet, and open it."""
        try:
            if self._fd is None:
                os.mkdir(self.path / name)
            else:
                os.mkdir(name, dir_fd=self._fd)
        except FileExistsError:
            return self.enter(name)
        made = self.enter(name)
        if made._fd is not None:
            os.fchmod(made._fd, ENTERABLE)
        return made

    def read(self, name: str) -> int:
        """Open a regular file in here to read it; raise OSError for all else, and never wait for it."""
        if self._fd is None:
            self._look(name, "file")
            return os.open(self.path / name, os.O_RDONLY | BINARY)
        fd = os.open(name, os.O_RDONLY | NOFOLLOW | NONBLOCK | BINARY, dir_fd=self._fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise NotRegular(f"{name} is no regular file")
        return fd

    def create(self, name: str) -> int:
        """Make a file in here that was not there before, and open it to write."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | BINARY
        if self._fd is None:
            return os.open(self.path / name, flags, READABLE)
        fd = os.open(name, flags, READABLE, dir_fd=self._fd)
        os.fchmod(fd, READABLE)
        return fd

    def _look(self, name: str, due: str) -> None:
        if kind_of(os.lstat(self.path / name).st_mode) != due:
            raise NotRegular(f"{name} is no {due}")
