"""The tier box: one level of bubblewrap, `bwrap`, around a program that nobody trusts (Linux).

Inside there is a system that cannot be written to, the program's own folder (which cannot either), a small private
/tmp, processes of the box alone, and a network of its own that has `lo` and nothing else. What runs first is
inside.py; it makes sockets in that network for us, so that clients connect to the program though it has no way out.
"""

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from harness.launch import processes
from harness.launch.command import Command, LaunchError
from harness.launch.limits import MIB, Limits
from harness.launch.network import Network
from harness.launch.ports import any_port
from harness.launch.tiers import rules
from harness.launch.tiers.kept import HEADROOM, Kept, private_uid
from harness.launch.tiers.place import Stored
from harness.launch.tiers.system import SETTINGS, SYSTEM, folders_of, folders_of_programs, refuse_closed_folders

WRITABLE = ("/tmp", "/dev/shm")
OWN_COUNT = (5, 14)  # from this kernel on, a user namespace has a count of processes of its own (user_namespaces(7))


class Box(Kept):
    """One box, in which programs may run one after another: its network remembers the first ones."""

    what = "box"
    shares_network = False

    def __init__(self, command: Command, limits: Limits) -> None:
        """Begin to make a box for a command; raises LaunchError where that cannot be done."""
        bwrap = shutil.which("bwrap")
        if bwrap is None:
            raise LaunchError("bwrap is not installed")
        super().__init__(limits, private_uid())
        folders = list(folders_of(command))
        refuse_closed_folders(folders, self.uid)
        self._diag: socket.socket | None = None
        self._stores: list[int] = []  # descriptors of the places that can be written to
        calls = rules.system_calls() if rules.can_filter() else b""
        with _readable(calls) as filtered, _readable(_options(bwrap, folders, command, bool(self.uid), limits)) as told:
            words = [bwrap, "--args", str(told), *(["--seccomp", str(filtered)] if calls else []), "--"]
            environment = self._environment() | {"HOME": "/tmp", "TMPDIR": "/tmp", "TERM": "xterm"}
            self._set_up(environment, words, pass_fds=[told, filtered], stores=WRITABLE)

    def counts_processes(self) -> bool:
        """Whether the kernel counts the processes of this box alone."""
        return bool(self.uid) or tuple(map(int, platform.release().split(".")[:2])) >= OWN_COUNT

    def _note(self, descriptors: list[int]) -> None:
        """Take the places that can be written to."""
        self._stores = descriptors
        for descriptor in descriptors:
            self._closing.callback(os.close, descriptor)

    @contextmanager
    def port(self, host: str, wanted: int | None) -> Iterator[int]:
        """Choose a port (unless told which) of a network that has nobody else in it."""
        yield wanted if wanted is not None else any_port()

    def port_was_taken(self, host: str, port: int) -> bool:
        """Nobody else is here."""
        return False

    def new_socket(self) -> socket.socket:
        """Return a TCP socket of the network of the box."""
        return self._made(b"tcp")

    def network(self) -> Network:
        """Return a way into the network of the box for another process of ours."""
        return Network(self._made(b"channel"))

    def diag(self) -> socket.socket:
        """Return the socket by which the kernel is asked about the network of the box."""
        with self._lock:
            if self._diag is None:
                self._diag = self._closing.enter_context(self._made(b"diag"))
            return self._diag

    @property
    def of_network(self) -> int:
        """The first process of the box."""
        return self.init

    def stored(self) -> Stored:
        """Return what there is in the places that can be written to."""
        size = files = 0
        for store in self._stores:
            told = os.fstatvfs(store)
            size += (told.f_blocks - told.f_bfree) * told.f_frsize
            files += told.f_files - told.f_ffree - 1  # the folder itself
        return Stored(size, files)

    def _number_inside(self, pid: int) -> int | None:
        return processes.innermost_number(pid)

    def _end_keeper(self) -> None:
        if self._keeper.poll() is None and self.init:
            processes.send_signal([self.init], 9)


@contextmanager
def _readable(content: bytes) -> Iterator[int]:
    """Give a descriptor from which somebody who inherits it can read a few KiB."""
    descriptor, told = os.pipe()
    try:
        os.write(told, content)
        os.close(told)
        yield descriptor
    finally:
        os.close(descriptor)


def _options(bwrap: str, folders: list[Path], command: Command, as_root: bool, limits: Limits) -> bytes:
    """Return what bwrap is told, with a NUL behind each word; later mounts lie over earlier ones.

    A folder that only leads to what is mounted is closed to all but root, unless it was made by --dir.
    """
    words = "--unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup-try --as-pid-1 --cap-drop ALL"
    options = [*words.split(), "--hostname", "box"]
    if as_root:  # for inside.py, which gives the program its private uid; the program has none of it
        options += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        options += ["--unshare-user", *(["--disable-userns"] if "--disable-userns" in _help(bwrap) else [])]
    for folder in map(Path, SYSTEM):
        if folder.is_symlink():
            options += ["--symlink", os.readlink(folder), str(folder)]
        elif folder.is_dir():
            options += ["--dir", str(folder), "--ro-bind", str(folder), str(folder)]
    options += ["--dir", "/etc"]
    for name in SETTINGS:
        options += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    most = int(limits.disk * MIB * HEADROOM)
    size = ["--size", str(most)] if most and "--size" in _help(bwrap) else []
    # /dev/full reads as /dev/zero does; memory that was mapped from the latter stays, and nobody's figures show it.
    options += ["--proc", "/proc", "--dev", "/dev", "--dev-bind", "/dev/full", "/dev/zero"]
    for place in WRITABLE:
        options += ["--perms", "1777", *size, "--tmpfs", place]
    for folder in sorted({*folders_of_programs(sys.executable, command.words[0]), *folders}):
        options += ["--dir", str(folder), "--ro-bind", str(folder), str(folder)]
    options += ["--dir", str(command.folder.absolute())]
    options += ["--remount-ro", "/dev", "--remount-ro", "/"]
    return b"".join(os.fsencode(word) + b"\0" for word in options)


@cache
def _help(bwrap: str) -> str:
    return subprocess.run([bwrap, "--help"], capture_output=True, text=True, check=False).stdout
