"""What runs first in a box: it makes sockets for the harness, and starts the program under test.

The harness hands this text to a Python that sees nothing of the kit (see box.py). It is the first process of the
box (pid_namespaces(7)): nobody inside can end or stop it, whoever loses its parent becomes its child, and with it ends
all that is in the box. It ends when nobody holds the other end of its channel any more, so when the harness has
died as well.
"""

import os
import resource
import select
import signal
import socket
import sys

SOCKETS = {
    b"tcp": (socket.AF_INET, socket.SOCK_STREAM, 0),
    b"diag": (getattr(socket, "AF_NETLINK", 16), socket.SOCK_DGRAM, 4),  # sock_diag(7)
}


def serve(channel: socket.socket, uid: int, limits: list[tuple[int, int]]) -> None:
    """Do what the harness asks for, and collect whoever has ended, until the harness lets go of the channel."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    channel.send(b"ready")
    reports: dict[int, int] = {}  # by the process that was started, where its exit status is to be written
    while True:
        ready, _, _ = select.select([channel.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _collect(reports)
        if channel.fileno() in ready:
            order, descriptors, _, _ = socket.recv_fds(channel, 1 << 17, 5)
            if not order:
                return
            if order in SOCKETS:
                with socket.socket(*SOCKETS[order]) as made:
                    socket.send_fds(channel, [order], [made.fileno()])
                continue
            if order.startswith(b"nofile "):
                _allow_descriptors(uid, *map(int, order.split()[1:]))
                channel.send(b"nofile")
                continue
            *streams, report, trouble = descriptors
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            reports[_start(channel, order, streams, trouble, uid, limits)] = report
            for descriptor in (*streams, trouble):
                os.close(descriptor)


def _collect(reports: dict[int, int]) -> None:
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            if pid in reports:
                report = reports.pop(pid)
                try:
                    os.write(report, b"%d" % os.waitstatus_to_exitcode(status))
                except OSError:  # the harness does not want to know any more
                    pass
                os.close(report)
    except ChildProcessError:  # nobody is left
        pass


def _start(
    channel: socket.socket, order: bytes, streams: list[int], trouble: int, uid: int, limits: list[tuple[int, int]]
) -> int:
    """Start a folder's program, the words of both with NUL between them; what hinders it is written to `trouble`."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        channel.send(b"started")  # the kernel adds who sends this, as the harness counts processes (unix(7))
        for target, source in enumerate(streams):
            os.dup2(source, target)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and would hand that on
            signal.signal(number, signal.SIG_DFL)
        folder, *words = order.decode("utf-8", "surrogateescape").split("\0")
        for what, most in limits:
            hard = resource.getrlimit(what)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (most, most))
        os.chdir(folder)
        _become(uid)
        os.execvp(words[0], words)
    except OSError as error:
        os.write(trouble, (error.strerror or str(error)).encode())
    finally:
        os._exit(127)


def _allow_descriptors(uid: int, number: int, *pids: int) -> None:
    """Let processes open descriptors below `number` only, as their own user: root may lack CAP_SYS_RESOURCE."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        _become(uid)
        for member in pids:
            try:
                hard = resource.prlimit(member, resource.RLIMIT_NOFILE)[1]
                resource.prlimit(member, resource.RLIMIT_NOFILE, (number, hard))
            except ProcessLookupError:  # it has ended
                pass
    finally:
        os._exit(0)


def _become(uid: int) -> None:
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def _protect() -> None:
    """Let nobody of the same user look into this process, or at its descriptors (prctl(2), PR_SET_DUMPABLE)."""
    import ctypes

    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    if not numbers[1]:
        _protect()
    os.set_inheritable(numbers[0], False)
    serve(socket.socket(fileno=numbers[0]), numbers[1], list(zip(numbers[2::2], numbers[3::2], strict=True)))
