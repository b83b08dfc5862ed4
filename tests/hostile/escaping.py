"""Programs that ask the kernel for what no server needs, or somebody with more rights."""

import platform

from hostile.case import Case, Says

NAMESPACES = """
def clone(flags):
    pid = call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
NEWUSER, NEWNET, NEWNS, NEWPID = 0x10000000, 0x40000000, 0x20000, 0x20000000
found = worked(
    unshare=lambda: call("unshare", NEWUSER | NEWNET | NEWNS),
    nothing=lambda: call("unshare", 0),
    user=lambda: clone(NEWUSER),
    network=lambda: clone(NEWUSER | NEWNET),
    processes=lambda: clone(NEWUSER | NEWPID),
    enters=lambda: call("setns", os.open(f"/proc/{os.getppid()}/ns/net", os.O_RDONLY), 0),
    root=lambda: os.chroot("/tmp"),
    pivot=lambda: call("pivot_root", b"/tmp", b"/tmp"),
    mount=lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    remount=lambda: call("mount", None, b"/", None, 0x20 | 0x1000, None),
    unmount=lambda: call("umount2", b"/proc/sys", 2),
    opens=lambda: call("fsopen", b"tmpfs", 0),
    tree=lambda: call("open_tree", -100, b"/", 1),
    name=lambda: call("sethostname", b"mine", 4),
)
"""
# With these arguments each would come to something else than a refusal.
REFUSED = """
me = os.getpid()
calls = dict(
    ptrace=(0, 0, 0, 0), process_vm_readv=(me, None, 0, None, 0, 0), process_vm_writev=(me, None, 0, None, 0, 0),
    process_madvise=(-1, None, 0, 0, 0), kcmp=(me, me, 2, 0, 0), pidfd_getfd=(-1, 0, 0),
    migrate_pages=(me, 0, None, None), move_pages=(me, 0, None, None, None, 0),
    add_key=(b"user", b"mine", b"x", 1, -2), keyctl=(0, -2, 1), request_key=(b"user", b"mine", None, 0),
    bpf=(0, None, 0), perf_event_open=(None, 0, -1, -1, 0), userfaultfd=(1,), unshare=(0,), setns=(-1, 0),
    name_to_handle_at=(-100, b"/", None, None, 0), open_by_handle_at=(-1, None, 0), syslog=(9, None, 0),
    quotactl=(0x800007 << 8, None, 0, None), fanotify_init=(0x200, 0), umount2=(None, 0),
    fsconfig=(-1, 9, None, None, 0),
    io_uring_setup=(1, None), io_uring_enter=(-1, 0, 0, 0, None, 0), io_uring_register=(-1, 0, None, 0),
    clone3=(None, 0), memfd_create=(b"x", 0), shmget=(0, 4096, 0o1600), semget=(0, 1, 0o1600), msgget=(0, 0o1600),
    mq_open=(None, 0, 0, None),
)
def refused(name):
    try:
        call(name, *calls[name])
    except OSError as error:
        return error.errno in (errno.EPERM, errno.ENOSYS)
found = [name for name in calls if name in world["calls"] and not refused(name)]
"""
FRESH = """
found = []
for number in range(463, 480):  # of Linux 6.13 and later; nobody knows what those to come will do
    try:
        call(number, -1, None, 0, None, 0, 0)
        found.append(number)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            found.append(number)
"""
CONVENTIONS = """
code = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
code.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
old = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
def by_interrupt():  # where the kernel does not know of it, it ends the process
    pid = in_child(lambda: os._exit(0 if old() > 0 else 1))
    return os.waitpid(pid, 0)[1] == 0
found = worked(x32=lambda: call(0x40000000 | 39), i386=by_interrupt)
"""
SPLITS = """
# A thread with descriptors of its own: nobody would see how many.
def split():
    stack = ctypes.create_string_buffer(1 << 16)
    call("clone", 0x100 | 0x800 | 0x10000, ctypes.addressof(stack) + (1 << 15), 0, 0, 0)
    time.sleep(0.1)
found = worked(split=split)
"""
TERMINAL = """
import fcntl, glob, termios
def type_at(path):
    terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
    for byte in b"id\\n":
        fcntl.ioctl(terminal, termios.TIOCSTI, bytes([byte]))
paths = ["/dev/tty", "/dev/console", "/dev/tty1", *glob.glob("/dev/pts/[0-9]*"), "/dev/stdin"]
found = worked(**{path: lambda path=path: type_at(path) for path in paths})
"""
HELPERS = """
import subprocess
def runs(*words):
    try:
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=5).returncode == 0
    except subprocess.TimeoutExpired:
        return False
found = worked(
    sudo=lambda: runs("sudo", "-n", "true"),
    su=lambda: runs("su", "-c", "true"),
    mount=lambda: runs("mount", "-t", "tmpfs", "none", "/tmp"),
    group=lambda: runs("newgrp", "root"),
    user=lambda: os.setuid(0),
    real_user=lambda: os.setresuid(0, 0, 0),
    groups=lambda: os.setgroups([0]),
    belongs=lambda: bool(os.getgroups()),
    newly=lambda: libc.prctl(39, 0, 0, 0, 0) != 1,
)
"""
CAPABILITIES = """
header, data = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
call("capget", header, data)
effective, permitted, _, *more = struct.unpack("6I", data.raw)
found = [effective, permitted, *more[:2], [number for number in range(41) if libc.prctl(47, 1, number, 0, 0) == 1]]
"""
INHERITED = """
def is_open(number):
    try:
        os.fstat(number)
        return True
    except OSError:
        return False
found = [number for number in range(3, 1024) if is_open(number)]
for number in found:
    worked(write=lambda: os.write(number, b"0\\n"), send=lambda: os.write(number, b"started"))
"""

CASES = (
    Case("makes-namespaces", NAMESPACES, Says([])),
    Case("makes-calls-that-no-server-needs", REFUSED, Says([])),
    Case("makes-calls-that-are-newer-than-the-kit", FRESH, Says([])),
    *([Case("makes-calls-by-other-conventions", CONVENTIONS, Says([]))] if platform.machine() == "x86_64" else []),
    Case("makes-a-thread-with-descriptors-of-its-own", SPLITS, Says([])),
    Case("types-at-terminals", TERMINAL, Says([])),
    Case("asks-for-more-rights", HELPERS, Says([])),
    Case("has-capabilities", CAPABILITIES, Says([0, 0, 0, 0, []])),
    Case("writes-to-inherited-descriptors", INHERITED, Says([]), plain=Says([])),
)
