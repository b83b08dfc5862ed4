"""A place that is kept by a process of ours, inside.py: our side of the channel to it, and of what it starts."""

import os
import select
import socket
import struct
import subprocess
import sys
import threading
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from harness.launch import descriptors, figures, processes
from harness.launch.command import LaunchError
from harness.launch.limits import MIB, Limits
from harness.launch.streams import Streams
from harness.launch.tiers.place import Place, open_places

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

READY_WITHIN = 20.0  # seconds until a place stands; it takes 0.03
HEADROOM = 1.25  # what the kernel refuses is this many times what the limit ends
PRIVATE_UIDS = 1 << 30  # where the numbers begin that a program gets instead of root: they belong to nobody
CREDENTIALS = struct.Struct("=iII")  # struct ucred of unix(7)
INSIDE = Path(__file__).with_name("inside.py").read_text(encoding="utf-8")


def private_uid() -> int:
    """Return a number that no user has, where we are root and can give it away; else 0."""
    return PRIVATE_UIDS + int.from_bytes(os.urandom(3), "big") if os.getuid() == 0 else 0


class KeptProcess:
    """The first process of a program in such a place."""

    def __init__(self, place: "Kept", words: Sequence[str], folder: Path, streams: Streams, port: int) -> None:
        """Order the start; whether it came to that is known when `pid` is asked for, or how it goes."""
        self._place = place
        self._words = words
        self._lock = threading.RLock()
        self._pid = 0
        self._why = ""  # it could not be executed
        self._status: int | None = None
        with ExitStack() as theirs:
            stdin, stdout, self.stdin, self.stdout = streams.ends(theirs)
            self.stderr, stderr = _pipe(theirs)
            self._report, report = _pipe(theirs)
            self._trouble, trouble = _pipe(theirs)
            os.set_blocking(self._report.fileno(), False)
            place.order("\0".join([str(port), str(folder), *words]), [stdin, stdout, stderr, report, trouble])

    @property
    def pid(self) -> int:
        """Its number; raises LaunchError where the command cannot be executed, or the place does not stand."""
        with self._lock:
            if not self._pid:
                self._pid = self._place.started()
                with self._trouble:
                    self._why = self._trouble.read().decode()
            if self._why:
                raise LaunchError(f"cannot run {self._words[0]!r} in a {self._place.what}: {self._why}")
            return self._pid

    def poll(self) -> int | None:
        """Return its exit status (minus the signal that ended it), None while it runs."""
        with self._lock:
            if self._status is None and self.pid and (told := self._report.read()) is not None:
                self._status = int(told) if told else -9  # it ended with its place
                self._report.close()
            return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; raises subprocess.TimeoutExpired."""
        while (status := self.poll()) is None:
            poll = select.poll()
            poll.register(self._report, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(list(self._words), timeout or 0)
        return status

    def close(self) -> None:
        """Let go of what it would tell (its place was closed)."""
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


class Kept(Place):
    """A place whose first process starts programs for us, and ends with us. Those who derive say how it begins."""

    what = "a place"
    process: KeptProcess

    def __init__(self, limits: Limits, uid: int) -> None:
        super().__init__(limits)
        self.uid = uid  # of the programs; 0: ours
        self.init = 0  # the first process, as we count processes
        self._lock = threading.RLock()
        self._closing = ExitStack()
        self._said: dict[bytes, tuple[int, list[int]]] = {}  # what was said before it was due
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._ours.settimeout(READY_WITHIN)
        self._keeper: subprocess.Popen[bytes]

    def _set_up(self, environment: dict[str, str], before: Sequence[str] = (), **told: Any) -> None:
        """Start the first process, or what becomes it; raises LaunchError."""
        pass_fds = told.pop("pass_fds", [])
        told = {"channel": self._theirs.fileno(), "uid": self.uid, "limits": self._kernel_limits(), **told}
        text = f"{INSIDE}\nFirst(**{told!r}).serve()"
        python = told.pop("python", sys.executable)
        with self._theirs:
            try:
                self._keeper = subprocess.Popen(
                    [*before, python, "-I", "-S", "-c", text],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    cwd="/",
                    env=environment,
                    start_new_session=True,
                    pass_fds=[*pass_fds, self._theirs.fileno()],
                )
            except OSError as error:
                self._ours.close()
                self._closing.close()
                raise LaunchError(f"cannot run {[*before, python][0]}: {error.strerror}") from None
        open_places[self._keeper.pid] = self

    def _kernel_limits(self) -> list[tuple[int, int]]:
        """Return what the kernel limits for each process (getrlimit(2)), and how much of it there may be."""
        most = {
            resource.RLIMIT_CPU: self.limits.cpu * HEADROOM,
            resource.RLIMIT_NOFILE: self.limits.descriptors * HEADROOM,
            resource.RLIMIT_NPROC: self.limits.processes * HEADROOM * self.counts_processes(),
            resource.RLIMIT_FSIZE: self.limits.file * MIB,
            resource.RLIMIT_AS: self.limits.addresses * MIB,
        }
        limited = [(what, int(number)) for what, number in most.items() if number]
        return [*limited, (resource.RLIMIT_CORE, 0)]

    def counts_processes(self) -> bool:
        """Whether the kernel counts the processes of this place alone: those of another user, or of one's own."""
        return bool(self.uid)

    # The channel

    def _send(self, order: bytes, descriptors: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self._ours, [order], descriptors)
        except OSError as error:
            raise LaunchError(f"there is no {self.what}: {self._complaint() or error}") from None

    def _receive(self, due: bytes) -> tuple[int, list[int]]:
        """Return who has sent what is due, and the descriptors that came with it."""
        while due not in self._said:  # a program that was started may speak before or after what it was asked for
            try:
                data, extra, _, _ = self._ours.recvmsg(64, 256, socket.MSG_CMSG_CLOEXEC)
            except OSError as error:
                raise LaunchError(f"the {self.what} does not answer: {self._complaint() or error}") from None
            if not data:
                raise LaunchError(f"there is no {self.what}: {self._complaint() or 'it has ended'}")
            pid = 0
            found: list[int] = []
            for _, kind, content in extra:
                if kind == socket.SCM_CREDENTIALS:
                    pid = CREDENTIALS.unpack(content)[0]
                else:
                    found += struct.unpack(f"={len(content) // 4}i", content)
            self._said[data] = (pid, found)
        return self._said.pop(due)

    def _complaint(self) -> str:
        """Return what the first process, or what was to become it, says of its end."""
        assert self._keeper.stderr is not None
        with suppress(subprocess.TimeoutExpired, ValueError):  # still there, or closed meanwhile
            self._keeper.wait(1.0)
            return self._keeper.stderr.read().decode(errors="replace").strip()[-500:]
        return ""

    def wait_ready(self) -> None:
        """Wait until the place stands; raises LaunchError where it cannot."""
        with self._lock:
            if not self.init:
                self.init, more = self._receive(b"ready")
                self._note(more)

    def _note(self, descriptors: list[int]) -> None:
        """Take what came with the first word."""

    def order(self, words: str, descriptors: list[int]) -> None:
        """Order the start of a program; it is carried out as soon as the place stands."""
        with self._lock:
            self._send(words.encode("utf-8", "surrogateescape"), descriptors)

    def started(self) -> int:
        """Wait for what was ordered; return the program's first process, as we count processes."""
        with self._lock:
            self.wait_ready()
            return self._receive(b"started")[0]

    def _made(self, kind: bytes) -> socket.socket:
        with self._lock:
            self.wait_ready()
            self._send(kind)
            _, (descriptor,) = self._receive(kind)
        return socket.socket(fileno=descriptor)

    # What every place offers

    def begin(self, words: list[str], folder: Path, streams: Streams, port: int) -> KeptProcess:
        """Order the start of a program in a folder, with the port where it listens, or connects to."""
        self.process = KeptProcess(self, words, folder, streams, port)
        self._closing.callback(self.process.close)
        return self.process

    @property
    def child(self) -> int:
        """What keeps the place."""
        return self._keeper.pid

    def members(self) -> list[int]:
        """Return all processes here but the first."""
        return processes.tree(self.init)[1:] if self.init and self._keeper.poll() is None else []

    def ended_cpu(self) -> float:
        """Return the seconds of processor time of those that have ended, and that no parent has waited for."""
        return figures.cpu_of_ended(self.init) if self.init else 0.0

    def memory(self, pids: list[int]) -> int:
        """Return the bytes of memory of processes, shared pages counted in proportion."""
        if not self.uid or processes.may_look_into_others():
            return super().memory(pids)
        inside = [str(known) for pid in pids if (known := self._number_inside(pid))]
        with suppress(LaunchError), self._lock:
            self._send(" ".join(["memory", *inside]).encode())
            _, (descriptor,) = self._receive(b"memory")
            with os.fdopen(descriptor, "rb") as told:
                return int(told.read() or 0)
        return 0  # all has ended

    def kill(self) -> None:
        """End every process at once; where a single call reaches them all, none can fork meanwhile."""
        with suppress(LaunchError), self._lock:
            self.wait_ready()
            self._send(b"kill")
            self._receive(b"kill")

    def allow_descriptors(self, number: int) -> None:
        """Let each process open descriptors below `number` only. Raises descriptors.TooFew."""
        members = self.members()
        descriptors.check_descriptors(members, number)
        inside = [str(known) for pid in members if (known := self._number_inside(pid))]
        with self._lock:
            self._send(" ".join(["nofile", str(number), *inside]).encode())
            self._receive(b"nofile")

    @abstractmethod
    def _number_inside(self, pid: int) -> int | None:
        """Return the number of a process as the first one counts them; None if it is gone."""

    def close(self) -> None:
        """End all that is here; when this returns, nothing of it is left."""
        with suppress(LaunchError), self._lock:
            self.wait_ready()
        self._ours.close()
        self._end_keeper()
        self._keeper.wait()
        assert self._keeper.stderr is not None
        self._keeper.stderr.close()
        open_places.pop(self._keeper.pid, None)
        self._closing.close()

    @abstractmethod
    def _end_keeper(self) -> None:
        """Hasten the end of the first process, which knows that it has to end."""
