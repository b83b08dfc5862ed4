"""Programs that take: memory, disk, output, descriptors, processor time; openly, and where nobody may look for it."""

from hostile.case import AS_ROOT, Case, Ends, Says

from harness.launch.limits import LIMITS
from harness.launch.tiers import BOX, RULESET

MEMORY = Ends("more than 64 MiB of memory", "memory")
DISK = Ends("more than 8 MiB in files", "disk")
FEW = {"memory": 64}
SMALL = {"disk": 8, "file": 4}

MEMORY_BOMB = """
held = []
for _ in range(64):
    held.append(os.urandom(1 << 20) * 16)
time.sleep(60)
"""
FORKED_MEMORY_BOMB = """
def hold():
    held = os.urandom(1 << 20) * 12
    time.sleep(60)
for _ in range(10):
    in_child(hold)
time.sleep(60)
"""
LEADERLESS_MEMORY_BOMB = """
def hold():
    held = [os.urandom(1 << 20) * 16 for _ in range(32)]
    time.sleep(60)
threading.Thread(target=hold).start()
call("exit", 0)
"""
# What is shared and anonymous stays when it is not mapped any more, and nobody's figures show it.
SHARED = """
def take(file):
    held = mmap.mmap(file, 512 << 20)
    for _ in range(16):
        held.write(bytes(4 << 20))
        held.madvise(mmap.MADV_DONTNEED)
    return held
def take_zeros():
    with open("/dev/zero", "r+b", buffering=0) as zeros:
        return take(zeros.fileno())
found = worked(anonymous=lambda: take(-1), zeros=take_zeros)
"""
HIDDEN = """
found = worked(
    memfd=lambda: call("memfd_create", b"x", 0),
    secret=lambda: call("memfd_secret", 0),
    sysv=lambda: call("shmget", 0, 1 << 20, 0o1600),
    semaphores=lambda: call("semget", 0, 100, 0o1600),
    messages=lambda: call("msgget", 0, 0o1600),
    queue=lambda: call("mq_open", world["mark"].encode(), 0o102, 0o600, None),
    huge=lambda: mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000),
)
"""
ADDRESSES = """
def take():
    try:
        return mmap.mmap(-1, 5 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
    except OSError:
        return False
found = worked(addresses=take)
"""
FILES = """
import tempfile
folder = {folder}
def fill(name, size=1 << 20):
    with open(os.path.join(folder, name), "wb", buffering=0) as file:
        file.write(os.urandom(size))
def without_end(deed):
    for number in range(256):
        try:
            deed(number)
        except OSError:
            time.sleep(0.01)
    time.sleep(60)
"""
TEMPORARY, SHARED_MEMORY = "tempfile.gettempdir()", "'/dev/shm'"
IN_TEMPORARY = FILES.format(folder=TEMPORARY)
DISK_BOMB = IN_TEMPORARY + "without_end(lambda number: fill(f'{number}'))"
SHM_BOMB = FILES.format(folder=SHARED_MEMORY) + "without_end(lambda number: fill(world['mark'] + f'{number}'))"
REMOVED_FILES = (
    IN_TEMPORARY
    + """
held = []
def hold(number):
    file = tempfile.TemporaryFile()
    file.write(os.urandom(1 << 20))
    file.flush()
    held.append(file)
without_end(hold)
"""
)
MAPPED_FILES = (
    IN_TEMPORARY
    + """
held = []
def hold(number):
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(1 << 20))
        file.flush()
        libc.mmap(None, ctypes.c_size_t(1 << 20), 3, 1, file.fileno(), ctypes.c_long(0))
without_end(hold)
"""
)
SENT_FILES = (
    IN_TEMPORARY
    + """
ours, theirs = socket.socketpair()
def hold(number):
    with tempfile.TemporaryFile() as file:
        file.write(os.urandom(1 << 20))
        file.flush()
        socket.send_fds(ours, [b"x"], [file.fileno()])
if world["tier"] == "ruleset":  # which cannot see them: 12 MB are not too much for the test
    for number in range(12):
        hold(number)
    found = "unseen"
else:
    without_end(hold)
"""
)
LARGE_FILE = IN_TEMPORARY + "open(os.path.join(folder, 'large'), 'wb').write(bytes(5 << 20))"
LARGE_FILE_OF_ANOTHER = (
    IN_TEMPORARY
    + """
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # as programs have it that are not in Python
os.execvp("dd", ["dd", "if=/dev/zero", "of=" + os.path.join(folder, "large"), "bs=1M", "count=5"])
"""
)
SPARSE_FILE = """
import tempfile
with open(os.path.join(tempfile.gettempdir(), "sparse"), "wb") as file:
    file.truncate(1 << 40)
"""
ALLOCATED = """
import tempfile
with open(os.path.join(tempfile.gettempdir(), "allocated"), "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 5 << 20)
"""
INODES = """
import tempfile
for number in range(5000):
    try:
        open(os.path.join(tempfile.gettempdir(), f"{number}"), "w").close()
    except OSError:
        time.sleep(0.01)
time.sleep(60)
"""
DEEP = (
    IN_TEMPORARY
    + """
os.chdir(folder)
for _ in range(60):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
folder = ""
without_end(lambda number: fill(f"{number}"))
"""
)
CLOSED = (
    IN_TEMPORARY
    + """
os.mkdir(os.path.join(folder, "closed"), 0o300)
folder = os.path.join(folder, "closed")
without_end(lambda number: fill(f"{number}"))
"""
)
PRINTS = """
def endless(stream, text):
    while True:
        os.write(stream, text)
{deed}
"""
DESCRIPTORS = """
held = []
while len(held) < 1000:
    try:
        held.append(os.dup(0))
    except OSError:
        time.sleep(0.01)
time.sleep(60)
"""
RAISES = """
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
"""
LIFTS = """
def lift(name):
    number = getattr(resource, name)
    soft, hard = resource.getrlimit(number)
    if hard == resource.RLIM_INFINITY:
        return False
    resource.setrlimit(number, (hard + 1, hard + 1))
found = worked(**{name: lambda name=name: lift(name) for name in dir(resource) if name.startswith("RLIMIT_")})
"""
ASKS = """
found = []
for name in ("NPROC", "NOFILE", "CPU", "FSIZE", "AS", "CORE"):
    soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
    if name != "NPROC" or world["tier"] == "box" or world["root"]:  # it would count all of the user's processes
        found.append((name, hard))
"""
BY_KERNEL = [
    ("NPROC", LIMITS.processes * 5 // 4),
    ("NOFILE", 1250),
    ("CPU", LIMITS.cpu * 5 // 4),
    ("FSIZE", LIMITS.file << 20),
    ("AS", LIMITS.addresses << 20),
    ("CORE", 0),
]
BURNS = """
def burn():
    while True:
        pass
for _ in range(3):
    in_child(burn)
hang()
"""
BURNS_AND_HANDS_OVER = """
print("burns", flush=True)
for _ in range(2000):
    until = time.process_time() + 0.03
    while time.process_time() < until:
        pass
    if os.fork():
        os._exit(0)
"""
UNPRINTABLE = "os.write(1, bytes(range(256)) * 8); os.write(2, b'\\x1b[2J\\x1b]0;mine\\x07' * 99); sys.exit(3)"

CASES = (
    Case("memory-bomb", MEMORY_BOMB, MEMORY, limits=FEW),
    Case("forked-memory-bomb", FORKED_MEMORY_BOMB, MEMORY, limits=FEW),
    Case("memory-behind-a-first-thread-that-has-ended", LEADERLESS_MEMORY_BOMB, MEMORY, limits=FEW),
    Case("memory-that-is-shared-and-not-mapped", SHARED, Says([]), plain=Says(["anonymous", "zeros"])),
    Case("memory-that-belongs-to-no-process", HIDDEN, Says([])),
    Case("more-addresses-than-allowed", ADDRESSES, Says([]), plain=Says(["addresses"])),
    Case("disk-bomb", DISK_BOMB, DISK, limits=SMALL),
    Case("shared-memory-bomb", SHM_BOMB, DISK, limits=SMALL, tiers=(BOX, RULESET) if AS_ROOT else (BOX,)),
    Case("files-removed-while-open", REMOVED_FILES, DISK, limits=SMALL),
    Case("files-removed-while-mapped", MAPPED_FILES, DISK, limits=SMALL),
    Case("files-removed-while-being-sent", SENT_FILES, DISK, ruleset=Says("unseen"), limits=SMALL),
    Case("files-in-folders-deeper-than-any-path", DEEP, DISK, limits=SMALL),
    Case("files-in-a-folder-that-cannot-be-listed", CLOSED, DISK, limits=SMALL),
    Case("large-file", LARGE_FILE, Ends("status 1", prints="File too large"), limits={"file": 4}),
    Case("sparse-file", SPARSE_FILE, Ends("status 1", prints="File too large")),
    Case("allocated-file", ALLOCATED, Ends("status 1", prints="File too large"), limits={"file": 4}),
    Case("large-file-of-c", LARGE_FILE_OF_ANOTHER, Ends("a file of more than 4 MiB", "file"), limits={"file": 4}),
    Case("inode-bomb", INODES, Ends("more than 100 files", "inodes"), limits={"inodes": 100}),
    *(
        Case(name, PRINTS.format(deed=deed), printed, plain=printed, limits={"output": 2})
        for printed in [Ends("it printed more than 2 MiB", "output")]
        for name, deed in (
            ("prints-without-end", "endless(1, b'all is well\\n' * 999)"),
            ("complains-without-end", "endless(2, b'something is wrong\\n' * 999)"),
            ("prints-one-line-without-end", "endless(1, bytes(1 << 16))"),
            ("prints-both-ways-without-end", "in_child(endless, 1, b'out' * 999)\nendless(2, b'err\\n' * 999)"),
        )
    ),
    Case("prints-what-terminals-obey", UNPRINTABLE, Ends("status 3"), plain=Ends("status 3")),
    *(
        Case(
            name,
            source + DESCRIPTORS,
            Ends("more than 200 open descriptors", "descriptors"),
            limits={"descriptors": 200},
        )
        for name, source in (("descriptor-leak", ""), ("descriptor-leak-with-all-that-are-allowed", RAISES))
    ),
    Case("lifts-its-limits", LIFTS, Says([])),
    Case(
        "asks-for-its-limits",
        ASKS,
        Says(BY_KERNEL),
        limits={"descriptors": 1000},
        ruleset=Says(BY_KERNEL if AS_ROOT else BY_KERNEL[1:]),
    ),
    Case("burns-in-the-background", BURNS, Ends("more than 1 s of processor time", "cpu"), limits={"cpu": 1}),
    Case("burns-and-hands-over", BURNS_AND_HANDS_OVER, Ends("more than 1 s", "cpu"), limits={"cpu": 1}),
    Case("runs-too-long", "hang()", Ends("it ran for more than 1 s", "wall"), limits={"wall": 1}),
)
