"""Programs that want points for nothing, or make their judge suffer: made by `lab check` itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hostile.case import Case, Ends
from hostile.multiplying import FORK_BOMB
from hostile.reaching import KILLS, WRITES
from hostile.taking import FILES, MEMORY_BOMB, TEMPORARY


@dataclass(frozen=True)
class Judged:
    """A program, one check (a keyword of pytest), and what its verdict tells, in its message or of the end."""

    name: str
    source: str
    tells: str  # a pattern
    check: str = "listens"
    limit: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def case(self) -> Case:
        """Return the program."""
        return Case(self.name, self.source, Ends(""), files=self.files)


PRAISE = "Lab 1: 27 of 27 checks hold; 47 of 47 points (in the tier box)."
PASSED = '{"lab": 1, "points": 47, "max_points": 47, "checks": []}'
WRITES_RESULTS = (
    WRITES.replace('world["mark"]', '"results.json"').replace('"left behind"', repr(PASSED))
    + f"""
folders = ["runs/latest", "runs", ".", "/tmp", world["runs"], os.path.join(world["runs"], "latest"), world["outside"]]
for folder in folders:
    def forge():
        with open(os.path.join(folder, "results.json"), "w") as file:
            file.write({PASSED!r})
    worked(forge=forge)
print("all passed", flush=True)
os._exit(0)
"""
)
IMITATES = f"""
for stream in (1, 2):
    for line in ({PASSED!r}, " ✓ 1.1  The program starts, listens and can be connected to.", {PRAISE!r}, "1 passed"):
        os.write(stream, (line + "\\n").encode())
for number in range(3, 1024):
    worked(write=lambda: os.write(number, {PASSED!r}.encode()), status=lambda: os.write(number, b"0"))
os._exit(0)
"""
EACH_CONNECTION = """
listener = socket.create_server(("127.0.0.1", port), backlog=100)
print(f"[INFO] listening on 127.0.0.1:{{port}}", flush=True)
while True:
    connection, _ = listener.accept()
    try:
        {deed}
    except OSError:
        pass
"""
QUITS = EACH_CONNECTION.format(deed="os._exit(0)")
FLOODS = EACH_CONNECTION.format(deed="while True: connection.sendall(bytes(1 << 20))")
SLOWLY = EACH_CONNECTION.format(
    deed="[(connection.send(b'x'), time.sleep(1)) for _ in iter(lambda: connection.recv(1), b'')]"
)
ANSWERS_ANYTHING = EACH_CONNECTION.format(deed=f"connection.sendall({PRAISE!r}.encode()); connection.close()")
OBEYED = f"""
os.write(1, b"\\x1b[2J\\x1b]0;mine\\x07\\x1b[8m\\xe2\\x80\\xae<script>alert(1)</script>\\r{PRAISE}\\n")
sys.exit(3)
"""

JUDGED = (
    Judged("syntax-error", "def f(:", "exited with status 1"),
    Judged("exits-at-once-with-0", "os._exit(0)", "exited with status 0"),
    Judged("writes-results", WRITES_RESULTS, "exited with status 0"),
    Judged("imitates-the-reporter", IMITATES, "exited with status 0"),
    Judged("kills-its-judge", KILLS + "\nos._exit(0)", "exited with status 0"),
    Judged("prints-what-terminals-obey", OBEYED, "exited with status 3"),
    Judged("fork-bomb", FORK_BOMB.format(depth=3), "processes and threads", limit="processes"),
    Judged("memory-bomb", MEMORY_BOMB, "more than 256 MiB of memory", limit="memory"),
    Judged(
        "disk-bomb",
        FILES.format(folder=TEMPORARY) + "without_end(lambda number: fill(f'{number}'))",
        "more than 64 MiB in files",
        limit="disk",
    ),
    Judged("prints-without-end", "while True: os.write(1, bytes(1 << 16))", "printed more than 32 MiB", limit="output"),
    Judged("quits-when-connected", QUITS, "exited with status 0", check="echoes"),
    Judged("floods-the-client", FLOODS, "running", check="echoes"),
    Judged("answers-one-byte-a-second", SLOWLY, "running", check="echoes"),
    Judged("answers-with-praise", ANSWERS_ANYTHING, "running", check="echoes"),
)
