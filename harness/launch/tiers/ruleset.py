"""The tier ruleset: what the kernel offers without namespaces, so inside most containers, too (Linux).

A program sees the system, its interpreter and its own folder, writes to one private folder, connects to one port number
(landlock(7)), and makes no call that reaches other processes or the machine (rules.py). Where we are root it is a user
of its own; where not, Landlock keeps its signals from us. Its network is ours.
"""

import ctypes
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import cache
from pathlib import Path

from harness.launch.command import Command, LaunchError
from harness.launch.limits import Limits
from harness.launch.processes import contents, figures_of
from harness.launch.streams import Streams
from harness.launch.tiers import rules
from harness.launch.tiers.kept import Kept, KeptProcess, private_uid
from harness.launch.tiers.place import Stored
from harness.launch.tiers.system import (
    SETTINGS,
    SYSTEM,
    can_be_entered,
    folders_of,
    folders_of_programs,
    refuse_closed_folders,
)

OF_ROOT, OF_OTHERS = 4, 6  # from these versions on, Landlock knows of ports, and of signals
CREATE_RULESET, VERSION = 444, 1
# LANDLOCK_ACCESS_FS_*
EXECUTE, WRITE, READ, LIST, REMOVE_FOLDER, REMOVE, MAKE_FOLDER, MAKE_FILE = 1, 2, 4, 8, 16, 32, 128, 256
MAKE_SOCKET, MAKE_FIFO, MAKE_LINK, REFER, TRUNCATE, IOCTL = 512, 1024, 4096, 8192, 16384, 32768
SEE = EXECUTE | READ | LIST
USE = WRITE | READ | TRUNCATE
OWN = SEE | USE | REMOVE_FOLDER | REMOVE | MAKE_FOLDER | MAKE_FILE | MAKE_SOCKET | MAKE_FIFO | MAKE_LINK | REFER
SHARED = USE | LIST | REMOVE | MAKE_FILE
OF_FILES = EXECUTE | USE | IOCTL
DEVICES = {"null": USE, "zero": READ, "full": USE, "random": READ, "urandom": READ}  # mapped zeros could hide memory
FIGURES = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/filesystems", "/proc/sys")
PROCESSORS = "/sys/devices/system/cpu"
SHM = "/dev/shm"
LONG = 2000  # of the 4095 bytes that a path can have
PYTHONS = "/usr/local/bin:/usr/bin:/bin"
OLDEST = (3, 11)


@cache
def landlock() -> int:
    """Return the version of Landlock that the kernel knows; 0: none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, VERSION)))


@cache
def missing() -> str:
    """Return what this machine lacks for the tier; "" if nothing."""
    due = OF_ROOT if os.getuid() == 0 else OF_OTHERS
    if landlock() < due:
        return f"it needs Landlock {due} or later (Linux {'6.7' if due == OF_ROOT else '6.12'}), here is {landlock()}"
    if not rules.can_filter():
        return "the numbers of this processor's system calls are not known"
    if python_for_others() is None:
        return f"no Python {OLDEST[0]}.{OLDEST[1]} or later that other users may run: install one outside of /root"
    return ""


@cache
def python_for_others() -> str | None:
    """Return the Python that programs are run with: ours, if they can enter its folder, else the system's."""
    if os.getuid() or can_be_entered(Path(sys.executable)):
        return sys.executable
    found = shutil.which("python3", path=PYTHONS)
    if found is None or not can_be_entered(Path(found)):
        return None
    told = subprocess.run([found, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
    return found if told.returncode == 0 and tuple(map(int, told.stdout.split())) >= OLDEST else None


class Ruleset(Kept):
    """Rules for one command, and a private folder. Raises LaunchError where they cannot be had."""

    what = "ruleset"

    def __init__(self, command: Command, limits: Limits) -> None:
        super().__init__(limits, private_uid())
        if why := missing():
            raise LaunchError(why)
        folders = list(folders_of(command))
        refuse_closed_folders(folders, self.uid, whole_way=True)
        place = tempfile.gettempdir() if not self.uid or _open_to_others(tempfile.gettempdir()) else "/tmp"
        self._private = Path(tempfile.mkdtemp(prefix="socket-lab-kit-", dir=place))
        self._closing.callback(self._remove)
        if self.uid:
            os.chown(self._private, self.uid, self.uid)
        told = {
            "handled": _handled(),
            "files": list(self._files([*folders, *folders_of_programs(self._python(command.words[0]))])),
            "calls": rules.system_calls(same_user=not self.uid, shares_network=True),
            "removal": [_tool("rm"), "-rf", "--one-file-system", "--", str(self._private)],
        }
        environment = self._environment() | {"HOME": str(self._private), "TMPDIR": str(self._private)}
        self._set_up(environment | {"TERM": "xterm"}, rules=told)

    def begin(self, words: list[str], folder: Path, streams: Streams, port: int) -> KeptProcess:
        """Order the start of a program in a folder, with the port where it listens, or connects to."""
        return super().begin([self._python(words[0]), *words[1:]], folder, streams, port)

    def _python(self, word: str) -> str:
        """Return the Python that programs can run in place of ours."""
        return python_for_others() or word if word == sys.executable else word

    def _files(self, folders: list[Path]) -> Iterator[tuple[str, int]]:
        """Yield what may be used, with the rights."""
        own = [(str(self._private), OWN), *((f"/dev/{name}", rights) for name, rights in DEVICES.items())]
        settings = [(f"/etc/{name}", SEE) for name in SETTINGS]
        seen = [(str(place), SEE) for place in (*SYSTEM, *folders, *FIGURES, PROCESSORS)]
        for path, rights in [*own, *seen, *settings, *([(SHM, SHARED)] if self.uid else [])]:
            if os.path.exists(path):
                yield path, (rights if os.path.isdir(path) else rights & OF_FILES) & _known()

    @property
    def of_network(self) -> int:
        """We are in it."""
        return os.getpid()

    def stored(self) -> Stored:
        """Return what there is in the private folder, in shared memory, and in files that were removed while in use."""
        size = files = 0
        with ExitStack() as opened:
            for told in self._own(opened):
                size, files = size + told.st_blocks * 512, files + 1
                if 0 < self.limits.inodes < files:
                    break
        for told in self._shared():
            size, files = size + told.st_blocks * 512, files + 1
        removed = dict(kept for pid in self.members() for kept in (*_mapped(pid), *_opened(pid)))
        return Stored(size + sum(removed.values()), files + len(removed))

    def _own(self, opened: ExitStack) -> Iterator[os.stat_result]:
        """Yield what is in the private folder, also where that is deeper than any path can be long."""
        folders = [str(self._private)]
        while folders:
            folder = folders.pop()
            with suppress(OSError):  # it has gone
                if len(folder) > LONG:
                    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
                    opened.callback(os.close, descriptor)
                    folder = f"/proc/self/fd/{descriptor}"
                with _listed(folder) as entries:
                    for entry in entries:
                        with suppress(OSError):
                            told = entry.stat(follow_symlinks=False)
                            yield told
                            if stat.S_ISDIR(told.st_mode):
                                folders.append(entry.path)

    def _shared(self) -> Iterator[os.stat_result]:
        if self.uid:
            with suppress(OSError), os.scandir(SHM) as entries:
                for entry in entries:
                    with suppress(OSError):
                        if (told := entry.stat(follow_symlinks=False)).st_uid == self.uid:
                            yield told

    def members(self) -> list[int]:
        """Return all processes here but the first, and those that it makes to do its own work."""
        return [pid for pid in super().members() if not self.uid or _user_of(pid) == self.uid]

    def _number_inside(self, pid: int) -> int:
        return pid

    def _end_keeper(self) -> None:
        """It ends by itself, after all that it has started."""

    def _remove(self) -> None:
        """Remove what the first process could not: folders that are closed even to their owner."""
        if self._private.exists():
            subprocess.run([_tool("chmod"), "-R", "u+rwx", str(self._private)], check=False, capture_output=True)
            subprocess.run([_tool("rm"), "-rf", "--", str(self._private)], check=False, capture_output=True)


def _listed(folder: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    """List a folder, one of our own user's, too, that was closed to its owner."""
    try:
        return os.scandir(folder)
    except PermissionError:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.chmod(f"/proc/self/fd/{descriptor}", 0o700)
        finally:
            os.close(descriptor)
        return os.scandir(folder)


def _opened(pid: int) -> Iterator[tuple[int, int]]:
    """Yield the files that a process has open and that have no name any more: number and bytes."""
    folder = f"{figures_of(pid)}/fd"
    with suppress(OSError):
        for descriptor in os.listdir(folder):
            with suppress(OSError):
                told = os.stat(f"{folder}/{descriptor}")
                if stat.S_ISREG(told.st_mode) and not told.st_nlink:
                    yield told.st_ino, told.st_blocks * 512


def _mapped(pid: int) -> Iterator[tuple[int, int]]:
    """Yield the files that a process has mapped and that have no name any more: number, and bytes at least."""
    with suppress(OSError):
        for line in contents(f"{figures_of(pid)}/maps").splitlines():
            if line.endswith(b" (deleted)"):
                places, _, offset, _, number, *_ = line.split()
                start, end = (int(place, 16) for place in places.split(b"-"))
                yield int(number), end - start + int(offset, 16)


def _open_to_others(folder: str) -> bool:
    return all(place.stat().st_mode & 0o1 for place in [Path(folder), *Path(folder).absolute().parents])


def _tool(name: str) -> str:
    """Return the path of a tool that every system has, whatever our PATH says."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), os.defpath])) or name


def _user_of(pid: int) -> int | None:
    with suppress(OSError):
        for line in contents(f"/proc/{pid}/status").splitlines():
            if line.startswith(b"Uid:"):
                return int(line.split()[1])
    return None


def _known() -> int:
    """Return the rights that this Landlock knows."""
    return (1 << 15) - 1 | (IOCTL if landlock() >= 5 else 0)


def _handled() -> bytes:
    """Return a struct landlock_ruleset_attr: what is refused unless a rule allows it."""
    scoped = struct.pack("=Q", 3) if landlock() >= OF_OTHERS else b""  # abstract Unix sockets, signals
    return struct.pack("=QQ", _known(), 3) + scoped
