"""What runs before a program that nobody trusts, and stays: it starts the program, tells how it ends, and ends it all.

The harness hands this text to a Python that sees nothing of the kit (see kept.py). In a box it is the first process
(pid_namespaces(7)): nobody inside can end or stop it, and with it ends all that is in the box. In the tier ruleset it
is a child subreaper (PR_SET_CHILD_SUBREAPER(2const)) that the rules do not bind, and that ends all itself. In both,
whoever loses its parent becomes its child. It ends when nobody holds the other end of its channel any more, so when
the harness has died as well.
"""

import os
import resource
import select
import signal
import socket
import struct

SOCKETS = {
    b"tcp": (socket.AF_INET, socket.SOCK_STREAM, 0),
    b"diag": (getattr(socket, "AF_NETLINK", 16), socket.SOCK_DGRAM, 4),  # sock_diag(7)
}
DUMPABLE, SECCOMP, SUBREAPER, NO_NEW_PRIVS = 4, 22, 36, 38  # prctl(2)
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # landlock(7); the numbers are those of every processor
BENEATH, PORT = 1, 2  # kinds of rules
BESIDE = 1 << 24  # from a private user's number to that of another one who is nobody either (kept.py)

Ends = dict[int, int]  # by the process that was started, where its exit status is to be written


class First:
    """The first process: it does what it is told on its channel, and collects whoever has ended."""

    def __init__(self, channel, uid, limits, rules=None, stores=()) -> None:  # type: ignore[no-untyped-def]
        self.channel = socket.socket(fileno=channel)
        self.stores = stores  # folders of a box that can be written to: the harness looks how full they are
        self.uid = uid  # of the programs; 0: ours
        self.limits = limits
        self.rules = rules  # of the tier ruleset
        self.others: list[socket.socket] = []  # further channels, on which sockets may be asked for and nothing else
        self.ends: Ends = {}
        os.set_inheritable(channel, False)

    def serve(self) -> None:
        """Go on until the harness lets go of the channel; then end all that is left."""
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken)
        if self.rules:
            _prctl(SUBREAPER, 1)
        elif not self.uid:
            _prctl(DUMPABLE, 0)  # nobody of the same user looks into this process, or at its descriptors
        socket.send_fds(self.channel, [b"ready"], [os.open(store, os.O_PATH) for store in self.stores])
        while True:
            others = {other.fileno(): other for other in self.others}
            poll = select.poll()  # select() refuses descriptors from 1,024 on; the harness may have given us one
            for number in (self.channel.fileno(), wake, *others):
                poll.register(number, select.POLLIN)
            ready = [number for number, _ in poll.poll()]
            if wake in ready:
                os.read(wake, 4096)
                self.collect()
            for other in [others[number] for number in ready if number in others]:
                if (order := other.recv(64)) == b"tcp":
                    _hand_over(other, order)
                elif not order:
                    self.others.remove(other)
                    other.close()
            if self.channel.fileno() in ready:
                order, descriptors, _, _ = socket.recv_fds(self.channel, 1 << 17, 5)
                if not order:
                    break
                self.obey(order, descriptors)
        if self.rules:
            self.end_all()
            os.execv(self.rules["removal"][0], self.rules["removal"])

    def obey(self, order: bytes, descriptors: list[int]) -> None:
        """Carry out one order."""
        if order in SOCKETS:
            _hand_over(self.channel, order)
        elif order == b"channel":
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                socket.send_fds(self.channel, [order], [theirs.fileno()])
            self.others.append(ours)
        elif order == b"kill":
            self.kill_all()
            self.channel.send(b"kill")
        elif order.startswith(b"memory "):
            told, tell = os.pipe()
            _as_user(self.uid, lambda: os.write(tell, b"%d" % sum(map(_memory_of, order.split()[1:]))), beside=True)
            os.close(tell)
            socket.send_fds(self.channel, [b"memory"], [told])
            os.close(told)
        elif order.startswith(b"nofile "):
            _allow_descriptors(self.uid, *map(int, order.split()[1:]))
            self.channel.send(b"nofile")
        else:
            *streams, report, trouble = descriptors
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            self.ends[self.start(order, streams, trouble)] = report
            for descriptor in (*streams, trouble):
                os.close(descriptor)

    def collect(self) -> bool:
        """Take note of those that have ended; return whether anybody is left."""
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if pid in self.ends:
                    report = self.ends.pop(pid)
                    try:
                        os.write(report, b"%d" % os.waitstatus_to_exitcode(status))
                    except OSError:  # the harness does not want to know any more
                        pass
                    os.close(report)
        except ChildProcessError:
            return False
        return True

    def start(self, order: bytes, streams: list[int], trouble: int) -> int:
        """Start a program: a port, a folder and words, with NUL between; what hinders it is written to `trouble`."""
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            self.channel.send(b"started")  # the kernel adds who sends this, as the harness counts processes (unix(7))
            for target, source in enumerate(streams):
                os.dup2(source, target)
            if os.isatty(0):
                _take_terminal()
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and would hand that on
                signal.signal(number, signal.SIG_DFL)
            port, folder, *words = order.decode("utf-8", "surrogateescape").split("\0")
            for what, most in self.limits:
                hard = resource.getrlimit(what)[1]
                most = most if hard == resource.RLIM_INFINITY else min(most, hard)
                soft = min(most, resource.getrlimit(what)[0]) if what == resource.RLIMIT_NOFILE else most
                resource.setrlimit(what, (soft, most))
            os.chdir(folder)
            if self.rules:
                _restrict_files_and_ports(self.rules, int(port))
            _become(self.uid)
            if self.rules:
                _restrict_calls(self.rules["calls"])
            os.execvp(words[0], words)
        except OSError as error:
            os.write(trouble, (error.strerror or str(error)).encode())
        finally:
            os._exit(127)

    def kill_all(self) -> None:
        """Kill every process that was started here: where one call reaches them all, nobody forks meanwhile."""
        if self.uid:
            for pid in self.ends:  # it may not be that user's yet
                _quietly(os.kill, pid, signal.SIGKILL)
            _as_user(self.uid, lambda: os.kill(-1, signal.SIGKILL), beside=True)
        elif not self.rules:  # we are the first process of a box: all the others that there are
            _quietly(os.kill, -1, signal.SIGKILL)
        else:
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in _descendants():
                    _quietly(os.kill, pid, number)

    def end_all(self) -> None:
        """End every process that was started here, and whatever they started; remove what they share with others."""
        while self.collect():
            self.kill_all()
            select.poll().poll(1)  # milliseconds, in which the kernel ends them
        for entry in os.scandir("/dev/shm") if self.uid else ():
            if entry.stat(follow_symlinks=False).st_uid == self.uid:
                _quietly(os.unlink, entry.path)


def _hand_over(channel: socket.socket, kind: bytes) -> None:
    with socket.socket(*SOCKETS[kind]) as made:
        socket.send_fds(channel, [kind], [made.fileno()])


def _descendants() -> list[int]:
    found = [os.getpid()]
    for pid in found:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as children:
                    found += map(int, children.read().split())
        except OSError:  # it has ended
            pass
    return found[1:]


def _quietly(act, *arguments) -> None:  # type: ignore[no-untyped-def]
    """Do something to what may be gone already."""
    try:
        act(*arguments)
    except OSError:
        pass


def _allow_descriptors(uid: int, number: int, *pids: int) -> None:
    """Let processes open descriptors below `number` only, as their own user: root may lack CAP_SYS_RESOURCE."""

    def allow() -> None:
        for member in pids:
            try:
                hard = resource.prlimit(member, resource.RLIMIT_NOFILE)[1]
                resource.prlimit(member, resource.RLIMIT_NOFILE, (number, hard))
            except ProcessLookupError:  # it has ended
                pass

    _as_user(uid, allow)


def _memory_of(pid: bytes) -> int:
    """Return the bytes of memory of a process, shared pages counted in proportion (proc_pid_smaps(5), Pss)."""
    try:
        with open(b"/proc/%s/smaps_rollup" % pid) as rollup:
            return 1024 * next((int(line.split()[1]) for line in rollup if line.startswith("Pss:")), 0)
    except OSError:  # it has ended, or lets nobody look: then all that it has counts
        pass
    try:
        with open(b"/proc/%s/statm" % pid) as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _as_user(uid: int, act, beside: bool = False) -> None:  # type: ignore[no-untyped-def]
    """Do something in a process of another user.

    With `beside` it only acts with the rights of that user, who can neither end nor stop it meanwhile: kill(2) goes by
    the effective user of who sends, and by the real and the saved one of who receives.
    """
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        if uid and beside:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid + BESIDE, uid, uid + BESIDE)
        else:
            _become(uid)
        act()
    finally:
        os._exit(0)


def _become(uid: int) -> None:
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def _take_terminal() -> None:
    """Let the terminal that is the standard input send its signals to this process (tty_ioctl(4), TIOCSCTTY)."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _restrict_files_and_ports(rules: dict, port: int) -> None:  # type: ignore[type-arg]
    """Restrict this process by Landlock: to files and folders with their rights, and to one port to connect to."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments) -> int:  # type: ignore[no-untyped-def]
        result = libc.syscall(number, *arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), "Landlock: " + os.strerror(ctypes.get_errno()))
        return int(result)

    _prctl(NO_NEW_PRIVS, 1)
    ruleset = call(CREATE_RULESET, rules["handled"], len(rules["handled"]), 0)
    for path, rights in rules["files"]:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        call(ADD_RULE, ruleset, BENEATH, struct.pack("=Qi", rights, beneath), 0)
        os.close(beneath)
    call(ADD_RULE, ruleset, PORT, struct.pack("=QQ", 3, port), 0)  # LANDLOCK_ACCESS_NET_BIND_TCP, _CONNECT_TCP
    call(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _restrict_calls(program: bytes) -> None:
    """Refuse system calls from now on as a filter says (seccomp(2), struct sock_fprog)."""
    import ctypes

    held = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
    _prctl(SECCOMP, 2, fprog)


def _prctl(number: int, *arguments) -> None:  # type: ignore[no-untyped-def]
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    words = [arg if isinstance(arg, bytes) else ctypes.c_ulong(arg) for arg in arguments]
    if libc.prctl(number, *words, *[ctypes.c_ulong(0)] * (4 - len(words))):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
