"""A box around a program that nobody trusts: one level of bubblewrap, `bwrap` (Linux).

Inside there is a system that cannot be written to, the program's own folder (which cannot either), a small private
/tmp, processes of the box alone, and a network of its own that has `lo` and nothing else. What runs first is
inside.py; it makes sockets in that network for us, so that clients connect to the program though it has no way out.
"""

import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import IO

from harness.launch import processes
from harness.launch.command import Command, LaunchError
from harness.launch.output import LIMIT

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

READY_WITHIN = 20.0  # seconds until a box stands; it takes 0.03
TMP = 64 << 20  # bytes of /tmp and of /dev/shm
PROCESSES = 512  # and threads; an honest server with a thread for each of its clients has 200
MEMORY = 4 << 30  # bytes of addresses for each process; with 1 GiB, a server with 200 threads could not start them
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
SETTINGS = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "nsswitch.conf", "hosts", "ssl")
PRIVATE_UIDS = 1 << 30  # where the numbers begin that a program gets instead of root: they belong to nobody
CREDENTIALS = struct.Struct("=iII")  # struct ucred of unix(7)
INSIDE = Path(__file__).with_name("inside.py").read_text(encoding="utf-8")


class BoxedProcess:
    """The first process of a program in a box; as subprocess.Popen shows one."""

    stdin: IO[bytes] | None = None

    def __init__(self, box: "Box", words: Sequence[str], folder: Path) -> None:
        """Order the start; whether it came to that is known when `pid` is asked for, or how it goes."""
        self._box = box
        self._words = words
        self._lock = threading.RLock()
        self._pid = 0
        self._why = ""  # it could not be executed
        self._status: int | None = None
        with ExitStack() as theirs:
            self.stdout, stdout = _pipe(theirs)
            self.stderr, stderr = _pipe(theirs)
            self._report, report = _pipe(theirs)
            self._trouble, trouble = _pipe(theirs)
            os.set_blocking(self._report.fileno(), False)
            nothing = theirs.enter_context(open(os.devnull, "rb")).fileno()
            box.order("\0".join([str(folder), *words]), [nothing, stdout, stderr, report, trouble])

    @property
    def pid(self) -> int:
        """Its number outside of the box; raises LaunchError where the command cannot be executed."""
        with self._lock:
            if not self._pid:
                self._pid = self._box.started()
                with self._trouble:
                    self._why = self._trouble.read().decode()
            if self._why:
                raise LaunchError(f"cannot run {self._words[0]!r} in a box: {self._why}")
            return self._pid

    def poll(self) -> int | None:
        """Return its exit status (minus the signal that ended it), None while it runs."""
        with self._lock:
            if self._status is None and self.pid and (told := self._report.read()) is not None:
                self._status = int(told) if told else -9  # it ended with its box
                self._report.close()
            return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; raises subprocess.TimeoutExpired."""
        import select

        while (status := self.poll()) is None:
            poll = select.poll()
            poll.register(self._report, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(list(self._words), timeout or 0)
        return status

    def close(self) -> None:
        """Let go of what it would tell (its box was closed)."""
        with self._lock:
            with suppress(LaunchError):
                self.poll()
            self._status = -9 if self._status is None else self._status
            self._report.close()
            self._trouble.close()


def _pipe(theirs: ExitStack) -> tuple[IO[bytes], int]:
    """Return the end of a new pipe that we read, and the other one, which is theirs."""
    ours, its = os.pipe()
    theirs.callback(os.close, its)
    return os.fdopen(ours, "rb", buffering=0), its


class Box:
    """One box, in which programs may run one after another: its network remembers the first ones."""

    def __init__(self, command: Command, environment: dict[str, str]) -> None:
        """Begin to make a box for a command; raises LaunchError where that cannot be done."""
        bwrap = shutil.which("bwrap")
        if bwrap is None:
            raise LaunchError("bwrap is not installed")
        uid = PRIVATE_UIDS + int.from_bytes(os.urandom(3), "big") if os.getuid() == 0 else 0
        folders = list(_folders(command))
        for folder in folders:
            if folder in (Path("/"), Path.home()):
                raise LaunchError(f"in a box all of {folder} could be read: put the program into a folder of its own")
            if uid and folder.stat().st_mode & 0o5 != 0o5:
                raise LaunchError(
                    f"{folder} is closed to all but its owner, and programs do not run as root in a box: "
                    f"`chmod -R go+rX '{folder}'` opens it"
                )
        self._lock = threading.RLock()
        self._diag: socket.socket | None = None
        self.init = 0  # the first process of the box, as we count processes
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._ours.settimeout(READY_WITHIN)
        arguments, told = os.pipe()
        with theirs:
            os.write(told, b"".join(os.fsencode(word) + b"\0" for word in _options(bwrap, folders, command, bool(uid))))
            os.close(told)
            numbers = [theirs.fileno(), uid, *_limits()]
            words = [sys.executable, "-I", "-S", "-c", INSIDE, *map(str, numbers)]
            try:
                self._bwrap = subprocess.Popen(
                    [bwrap, "--args", str(arguments), "--", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    cwd="/",
                    env=environment | {"HOME": "/tmp", "TMPDIR": "/tmp"},
                    start_new_session=True,
                    pass_fds=[arguments, theirs.fileno()],
                )
            except OSError as error:
                self._ours.close()
                raise LaunchError(f"cannot run {bwrap}: {error.strerror}") from None
            finally:
                os.close(arguments)

    @property
    def pid(self) -> int:
        """The process that holds the box, our child."""
        return self._bwrap.pid

    def _send(self, order: bytes, descriptors: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self._ours, [order], descriptors)
        except OSError as error:
            raise LaunchError(f"there is no box: {self._complaint() or error}") from None

    def _receive(self, due: bytes) -> tuple[int, list[int]]:
        """Return who has sent what is due, and the descriptors that came with it."""
        try:
            data, extra, _, _ = self._ours.recvmsg(64, 256, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise LaunchError(f"the box does not answer: {error}") from None
        if data != due:
            raise LaunchError(f"there is no box: {self._complaint() or 'it has ended'}")
        pid = 0
        descriptors: list[int] = []
        for _, kind, content in extra:
            if kind == socket.SCM_CREDENTIALS:
                pid = CREDENTIALS.unpack(content)[0]
            else:
                descriptors += struct.unpack(f"={len(content) // 4}i", content)
        return pid, descriptors

    def _complaint(self) -> str:
        """Return what bwrap says of its end."""
        assert self._bwrap.stderr is not None
        with suppress(subprocess.TimeoutExpired):
            self._bwrap.wait(1.0)
            return self._bwrap.stderr.read().decode(errors="replace").strip()[-500:]
        return ""

    def wait_ready(self) -> None:
        """Wait until the box stands; raises LaunchError where it cannot."""
        with self._lock:
            if not self.init:
                self.init, _ = self._receive(b"ready")

    def order(self, words: str, descriptors: list[int]) -> None:
        """Order the start of a program; it is carried out as soon as the box stands."""
        with self._lock:
            self._send(words.encode("utf-8", "surrogateescape"), descriptors)

    def started(self) -> int:
        """Wait for what was ordered; return the program's first process, as we count processes."""
        with self._lock:
            self.wait_ready()
            return self._receive(b"started")[0]

    def _made(self, kind: bytes) -> socket.socket:
        with self._lock:
            self._send(kind)
            _, (descriptor,) = self._receive(kind)
        return socket.socket(fileno=descriptor)

    def new_socket(self) -> socket.socket:
        """Return a TCP socket of the network of the box."""
        return self._made(b"tcp")

    def diag(self) -> socket.socket:
        """Return the socket by which the kernel is asked about the network of the box."""
        with self._lock:
            if self._diag is None:
                self._diag = self._made(b"diag")
            return self._diag

    def allow_descriptors(self, number: int) -> None:
        """Let each process in the box open descriptors below `number` only (getrlimit(2), RLIMIT_NOFILE)."""
        inside = [str(known) for pid in self.members() if (known := processes.innermost_number(pid))]
        with self._lock:
            self._send(" ".join(["nofile", str(number), *inside]).encode())
            self._receive(b"nofile")

    def members(self) -> list[int]:
        """Return all processes in the box but the first."""
        return processes.tree(self.init)[1:] if self.init and self._bwrap.poll() is None else []

    def close(self) -> None:
        """End all that is in the box; when this returns, nothing of it is left."""
        with suppress(LaunchError), self._lock:
            self.wait_ready()
        self._ours.close()
        if self._bwrap.poll() is None and self.init:
            processes.send_signal([self.init], 9)
        self._bwrap.wait()
        assert self._bwrap.stderr is not None
        self._bwrap.stderr.close()
        if self._diag:
            self._diag.close()


def _limits() -> list[int]:
    """Return pairs: what is limited (getrlimit(2)), and how much of it there may be."""
    return [
        *(resource.RLIMIT_NPROC, PROCESSES),
        *(resource.RLIMIT_AS, MEMORY),
        *(resource.RLIMIT_FSIZE, LIMIT),
        *(resource.RLIMIT_CORE, 0),
    ]


def _options(bwrap: str, folders: list[Path], command: Command, as_root: bool) -> list[str]:
    """Return what bwrap is told; later mounts lie over earlier ones.

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
    size = ["--size", str(TMP)] if "--size" in _help(bwrap) else []
    options += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/dev/shm", "/tmp"):
        options += ["--perms", "1777", *size, "--tmpfs", place]
    for folder in sorted({*_of_programs(sys.executable, command.words[0]), *folders}):
        options += ["--dir", str(folder), "--ro-bind", str(folder), str(folder)]
    options += ["--dir", str(command.folder.absolute())]
    return [*options, "--remount-ro", "/dev", "--remount-ro", "/"]


@cache
def _help(bwrap: str) -> str:
    return subprocess.run([bwrap, "--help"], capture_output=True, text=True, check=False).stdout


def _folders(command: Command) -> Iterator[Path]:
    """Yield the folders of the files that a command names; where it names none, the one in which it runs."""
    files = [file for word in command.words if (file := command.folder / word).is_file()]
    found = {file.parent.absolute() for file in files if not _is_of_the_system(file) and file.parent.name != "bin"}
    yield from sorted(found or {command.folder.absolute()})


def _of_programs(*programs: str) -> Iterator[Path]:
    """Yield the folders that programs need to run at all: a `bin` comes with all that lies beside it."""
    found = [Path(file) for program in programs if (file := shutil.which(program))]
    for place in dict.fromkeys([*found, *(place.resolve() for place in found), Path(sys.base_prefix, "bin", "python")]):
        if not _is_of_the_system(place):
            prefix = place.parent.parent
            whole = place.parent.name == "bin" and prefix not in (Path("/"), Path.home())
            yield prefix if whole else place.parent


def _is_of_the_system(file: Path) -> bool:
    return any(file.is_relative_to(folder) for folder in SYSTEM)
