"""Programs that reach for what is not theirs: files, and processes."""

from hostile.case import AS_ROOT, Case, Ends, Says

READS = """
def read(path):
    with open(path, "rb") as file:
        return bool(file.read(1))
found = worked(
    checks=lambda: read(world["checks"]),
    solution=lambda: read(world["solution"]),
    another=lambda: read(world["another"]),
    shadow=lambda: read("/etc/shadow"),
    home=lambda: read(world["in_home"]),
    environment=lambda: read(f"/proc/{world['grader']}/environ"),
    neighbours_environment=lambda: read(f"/proc/{world['neighbour_pid']}/environ"),
    first_ones_environment=lambda: read(f"/proc/{os.getppid()}/environ"),
    outside=lambda: len(os.listdir(world["outside"])) > 1,
    memory=lambda: read(f"/proc/{os.getppid()}/mem"),
    descriptors=lambda: os.listdir(f"/proc/{os.getppid()}/fd"),
    processes=lambda: str(world["bystander"]) in os.listdir("/proc"),
    kernel=lambda: read("/proc/kcore") or read("/dev/mem"),
    logs=lambda: os.listdir("/var/log") != [],
)
"""
CAN_BE_READ = ["checks", "solution", "another", *(["shadow"] if AS_ROOT else []), "home", "environment"]
CAN_BE_READ += ["neighbours_environment", "first_ones_environment", "outside", "descriptors", "processes", "logs"]
WRITES = """
import tempfile
places = {
    "own": os.path.dirname(os.path.abspath(__file__)),
    "outside": world["outside"],
    "root": "/", "usr": "/usr", "etc": "/etc", "dev": "/dev", "run": "/run", "home": world["home"],
    "kit": world["root_folder"], "runs": world["runs"], "queue": "/dev/mqueue", "var_tmp": "/var/tmp",
    "tmp": "/tmp", "shm": "/dev/shm", "own_tmp": tempfile.gettempdir(),
}
if world["tier"] == "plain":
    places = {name: places[name] for name in ("own", "outside")}
def write(place):
    with open(os.path.join(place, world["mark"]), "w") as file:
        file.write("left behind")
found = worked(**{name: lambda place=place: write(place) for name, place in places.items()})
"""
PLANTS = """
import tempfile
os.chdir(tempfile.gettempdir())
os.mkdir("closed")
for name, target in (("a", world["precious"]), ("b", "/"), ("c", world["outside"]), ("closed/d", world["precious"])):
    os.symlink(target, name)
for name in ("-rf", "x\\ny", "\\xff", "--no-preserve-root"):
    open(name, "w").close()
os.chmod("closed", 0) if world["root"] else None
os.mkfifo("pipe")
found = "planted"
"""
CHANGES = """
own, other = os.path.abspath(__file__), world["another"]
import tempfile
found = worked(
    mode=lambda: os.chmod(own, 0o777),
    time=lambda: os.utime(own, (1, 1)),
    attribute=lambda: os.setxattr(own, "user.mine", b"x"),
    owner=lambda: os.chown(own, os.getuid(), os.getgid()),
    length=lambda: os.truncate(own, 0),
    removes=lambda: os.unlink(own),
    renames=lambda: os.rename(own, own + "~"),
    folder=lambda: os.rmdir(os.path.dirname(other)),
    link=lambda: os.link(other, os.path.join(tempfile.gettempdir(), "link")),
    others_mode=lambda: os.chmod(other, 0o600),
    others_time=lambda: os.utime(other, (1, 1)),
    others_length=lambda: os.truncate(other, 0),
)
"""
# Never outside of what holds it: who can signal the grader gives up.
KILLS_ALL = """
try:
    os.kill(world["grader"], 0)
    sys.exit("nothing holds me")
except OSError:
    pass
in_child(os.kill, -1, {signal})
hang()
"""
KILLS = """
import struct
def by_file_descriptor(pid, number):
    signal.pidfd_send_signal(os.pidfd_open(pid), number)
whom = {"grader": world["grader"], "bystander": world["bystander"], "neighbour": world["neighbour_pid"]}
deeds = {}
for name, pid in whom.items():
    for number in (0, signal.SIGURG, signal.SIGSTOP, signal.SIGKILL)[: 2 if world["tier"] == "plain" else 4]:
        deeds[f"{name}_{number:d}"] = lambda pid=pid, number=number: os.kill(pid, number)
        deeds[f"{name}_{number:d}_by_file"] = lambda pid=pid, number=number: by_file_descriptor(pid, number)
if world["tier"] == "plain":
    found = len(worked(**deeds))
else:
    deeds["group"] = lambda: os.killpg(os.getpgid(world["grader"]), signal.SIGKILL)
    found = len(worked(**deeds))
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        parent = os.getppid()
        worked(kill=lambda: os.kill(parent, number), group=lambda: os.killpg(os.getpgid(parent) or 1, number))
"""
LOOKS_INTO = """
def others():
    return [world["grader"], world["bystander"], world["neighbour_pid"], os.getppid(), in_child(time.sleep, 60)]
def attach(pid):
    call("ptrace", 0x4206, pid, 0, 0)  # PTRACE_SEIZE, which stops nobody
def vector(buffer):
    return struct.pack("PP", ctypes.addressof(buffer), len(buffer))
def read(pid):
    buffer = ctypes.create_string_buffer(8)
    with open(f"/proc/{pid}/maps") as maps:
        start = int(maps.readline().split("-")[0], 16)
    call("process_vm_readv", pid, vector(buffer), 1, struct.pack("PP", start, 8), 1, 0)
def own_child(pid):
    buffer = ctypes.create_string_buffer(8)
    call("process_vm_writev", pid, vector(buffer), 1, vector(buffer), 1, 0)
def memory(pid):
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
def takes(pid):
    call("pidfd_getfd", os.pidfd_open(pid), 0, 0)
pids = others()
if world["tier"] == "plain":
    pids = pids[1:2]
found = worked(**{
    f"{name}_{number}": lambda deed=deed, pid=pid: deed(pid)
    for number, pid in enumerate(pids)
    for name, deed in (("attach", attach), ("read", read), ("memory", memory), ("takes", takes))
    if (name, number) != ("memory", 4)
})
if world["tier"] != "plain":
    found += worked(own_child=lambda: own_child(pids[4]))
"""
RESTRICTS = """
core = (0, 0)
deeds = {}
for name, pid in (("grader", world["grader"]), ("bystander", world["bystander"]), ("parent", os.getppid())):
    deeds |= {
        f"limits_{name}": lambda pid=pid: resource.prlimit(pid, resource.RLIMIT_CORE, core),
        f"nice_{name}": lambda pid=pid: os.setpriority(os.PRIO_PROCESS, pid, 7),
        f"processors_{name}": lambda pid=pid: os.sched_setaffinity(pid, {0}),
        f"scheduler_{name}": lambda pid=pid: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0)),
        f"io_{name}": lambda pid=pid: call("ioprio_set", 1, pid, (3 << 13) | 7),
    }
if world["tier"] == "plain":
    deeds = {name: deed for name, deed in deeds.items() if name.endswith("bystander")}
found = worked(**deeds)
worked(  # to our own user, who may be the grader's
    nice=lambda: os.setpriority(os.PRIO_USER, 0, 9),
    io=lambda: call("ioprio_set", 3, 0, (3 << 13) | 7),
)
"""
OWN = """
found = worked(
    limits=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])),
    nice=lambda: os.nice(1),
    processors=lambda: os.sched_setaffinity(0, {0}),
)
"""

CASES = (
    Case("reads-what-is-not-its-own", READS, Says([]), plain=Says(CAN_BE_READ)),
    Case(
        "writes-everywhere",
        WRITES,
        Says(["tmp", "shm", "own_tmp"]),
        ruleset=Says(["shm", "own_tmp"] if AS_ROOT else ["own_tmp"]),
        plain=Says(["own", "outside"]),
    ),
    Case("plants-links-for-the-grader", PLANTS, Says("planted")),
    Case("changes-files", CHANGES, Says([])),
    Case("kills-all", KILLS_ALL.format(signal="signal.SIGKILL"), Ends("SIGKILL")),
    Case("kills-the-grader", KILLS, Says(0), plain=Says(12)),
    Case("looks-into-processes", LOOKS_INTO, Says([]), plain=Says(["attach_0", "read_0", "memory_0", "takes_0"])),
    Case(
        "restricts-others",
        RESTRICTS,
        Says([]),
        plain=Says([f"{what}_bystander" for what in ("limits", "nice", "processors", "scheduler", "io")]),
    ),
    Case("restricts-itself", OWN, Says(["limits", "nice", "processors"])),
)
