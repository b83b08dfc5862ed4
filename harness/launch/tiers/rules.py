"""Which system calls a program that nobody trusts may not make: a filter in the classic BPF (seccomp(2)).

No server and no client needs any of them. Each is refused because it reaches beyond the program (another process, the
machine, a namespace), leaves something behind, hides memory, or goes round another rule.
"""

import errno
import platform
import socket
import struct
import sys
from collections.abc import Iterable, Iterator

# By their names, the numbers on x86-64 and on ARM 64 (asm/unistd_64.h, asm-generic/unistd.h); None: there is none.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "add_key": (248, 217),
    "acct": (163, 89),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chown": (92, None),
    "chroot": (161, 51),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "fremovexattr": (199, 16),
    "fsetxattr": (190, 7),
    "futimesat": (261, None),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lchown": (94, None),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "mmap": (9, 222),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "request_key": (249, 218),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semget": (64, 190),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "sendto": (44, 206),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "setxattr": (188, 5),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
    "vhangup": (153, 58),
}
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # AUDIT_ARCH_* of linux/audit.h, and the column
OTHERS = "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd migrate_pages move_pages"
MACHINE = (
    "acct add_key bpf chroot delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick init_module "
    "kexec_file_load kexec_load keyctl mount mount_setattr move_mount name_to_handle_at open_by_handle_at open_tree "
    "perf_event_open pivot_root quotactl reboot request_key setdomainname sethostname setns swapoff swapon syslog "
    "umount2 unshare userfaultfd vhangup"
)
HIDDEN = "memfd_create memfd_secret shmget semget msgget mq_open"  # memory that belongs to no process, or that stays
ROUND = "io_uring_setup io_uring_enter io_uring_register clone3"  # their arguments cannot be looked at
NEWEST = 462  # of the calls that are known here (mseal, Linux 6.10); from 424 on, every processor has the same numbers
ATTRIBUTES = (  # of files of the same user, which Landlock does not protect
    "chmod chown fchmod fchmodat fchmodat2 fchown fchownat fremovexattr fsetxattr futimesat lchown lremovexattr "
    "lsetxattr removexattr setxattr utime utimensat utimes"
)
OF_A_PROCESS = "sched_setaffinity sched_setattr sched_setparam sched_setscheduler prlimit64"  # 0 as first: itself
OF_WHOM = {"setpriority": 0, "ioprio_set": 1}  # PRIO_PROCESS, IOPRIO_WHO_PROCESS as first and 0 as second: itself

NAMESPACES = 0x7E020080  # CLONE_NEW* of clone(2)
FILES, THREAD = 0x400, 0x10000  # CLONE_*: a thread that has no descriptors in common with the others hides its own
HIDDEN_MAP = 0x21  # MAP_SHARED | MAP_ANONYMOUS of mmap(2): it stays when it is not mapped, and nobody's figures show it
KINDS = 0x2F  # MAP_TYPE | MAP_ANONYMOUS
FAST_OPEN = 0x20000000  # MSG_FASTOPEN of send(2), which connects
INET = (2, 10)  # AF_INET, AF_INET6
LOCAL = (1, 16)  # AF_UNIX, AF_NETLINK reach and show others in our network; all that are not named leave a namespace
LOAD, JUMP, JUMP_GE, JUMP_SET, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06  # linux/bpf_common.h
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO

Instruction = tuple[int, int, int, int]  # code, where to go on if true, if false, and a value


def can_filter() -> bool:
    """Whether the numbers of this machine's calls are known, and it runs programs of its own kind."""
    return sys.platform == "linux" and platform.machine() in MACHINES and sys.maxsize > 1 << 32


def system_calls(*, same_user: bool = False, shares_network: bool = False) -> bytes:
    """Return the filter (an array of struct sock_filter).

    With `same_user` the program runs as the user of the harness, with `shares_network` in its network.
    """
    architecture, column = MACHINES[platform.machine()]
    plain = [*OTHERS.split(), *MACHINE.split(), *(ATTRIBUTES.split() if same_user else [])]
    program: list[Instruction] = [
        (LOAD, 0, 0, 4),  # seccomp_data.arch
        *((JUMP, 1, 0, architecture), _refusal(errno.ENOSYS)),
        (LOAD, 0, 0, 0),  # seccomp_data.nr
        *((JUMP_GE, 0, 1, NEWEST + 1), _refusal(errno.ENOSYS)),  # x32, another convention, is above all others
    ]
    for names, code in ((plain, errno.EPERM), ([*HIDDEN.split(), *ROUND.split()], errno.ENOSYS)):
        for number in _numbers(names, column):
            program += [(JUMP, 0, 1, number), _refusal(code)]
    program += _when("clone", column, 0, [(JUMP_SET, 0, 1, NAMESPACES), _refusal(errno.EPERM)])
    program += _when("clone", column, 0, [(AND, 0, 0, FILES | THREAD), (JUMP, 0, 1, THREAD), _refusal(errno.EPERM)])
    program += _when("mmap", column, 3, [(AND, 0, 0, KINDS), (JUMP, 0, 1, HIDDEN_MAP), _refusal(errno.EPERM)])
    program += _when("socket", column, 0, _families(INET if shares_network else (*INET, *LOCAL)))
    if same_user:
        for name in OF_A_PROCESS.split():
            program += _when(name, column, 0, _only(0))
        for name, itself in OF_WHOM.items():
            program += [*_when(name, column, 0, _only(itself)), *_when(name, column, 1, _only(0))]
    if shares_network:
        program += _when("socket", column, 0, _streams_only())
        for name, place in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
            program += _when(name, column, place, [(JUMP_SET, 0, 1, FAST_OPEN), _refusal(errno.EPERM)])
    program.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _refusal(code: int) -> Instruction:
    return RETURN, 0, 0, REFUSE | code


def _numbers(names: Iterable[str], column: int) -> Iterator[int]:
    for name in names:
        if (number := NUMBERS[name][column]) is not None:
            yield number


def _when(name: str, column: int, place: int, body: list[Instruction]) -> list[Instruction]:
    """Look at an argument of one call, by its place; who comes through has the number of the call loaded again."""
    (number,) = _numbers([name], column)
    loaded = [(LOAD, 0, 0, 16 + 8 * place), *body, (LOAD, 0, 0, 0)]  # seccomp_data.args, the lower half
    return [(JUMP, 0, len(loaded), number), *loaded]


def _only(value: int) -> list[Instruction]:
    return [(JUMP, 1, 0, value), _refusal(errno.EPERM)]


def _families(allowed: tuple[int, ...]) -> list[Instruction]:
    return [*((JUMP, len(allowed) - place, 0, one) for place, one in enumerate(allowed)), _refusal(errno.EAFNOSUPPORT)]


def _streams_only() -> list[Instruction]:
    """Of the families that leave the machine, let none be asked for anything but TCP: rules on ports know no other."""
    body: list[Instruction] = [
        (LOAD, 0, 0, 24),  # the type
        (AND, 0, 0, 0xF),
        *((JUMP, 1, 0, socket.SOCK_STREAM), _refusal(errno.EACCES)),
        (LOAD, 0, 0, 32),  # the protocol: 0 or TCP; others (MPTCP, SCTP) have streams, too
        *((JUMP, 2, 0, 0), (JUMP, 1, 0, socket.IPPROTO_TCP), _refusal(errno.EACCES)),
    ]
    inet = [(JUMP, 1, 0, socket.AF_INET), (JUMP, 0, len(body), socket.AF_INET6)]
    return [*inet, *body]
