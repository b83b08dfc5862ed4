# %% [markdown]
# # 8 · Threads, select(), epoll, asyncio
#
# Four ways to serve many clients, and the servers of labs 3, 5, 8 and 9 are one each. Which is
# best? That depends on what one counts: time, processors, memory, threads, or lines of code. Here
# the kit's own load engine counts all of them, with every answer checked.
#
# This notebook starts servers and loads them; it takes about half a minute.

# %%
import resource
import socket
import sys
import threading
import time
from contextlib import ExitStack
from statistics import median
from typing import Any

from harness.launch import Figures
from harness.load import summary
from harness.load.generators import Local
from harness.load.scenarios import scenario
from harness.load.sweep import Sweep
from harness.report.plots import load_figure
from harness.seen import ask, claim, connected, on_linux, say, show
from harness.seen.curves import curves
from harness.seen.dragging import drag
from harness.seen.programs import lab, running

# %% [markdown]
# ## One to a hundred clients
#
# Each client sends 64 bytes, waits for the answer, and sends again: as fast as it can. (Labs 8
# and 9 are chats. They are sent a line that can be nobody's name, and refuse it: also one line
# in, one line out.)

# %%
costs = ask(
    "8.1 a hundred clients",
    "How many threads has the server of lab 3 with 100 clients, and how many that of lab 5?",
    {
        "a": "1 and 1",
        "b": "about 100, and 1",
        "c": "about 100, and 100",
        "d": "as many as there are cores",
    },
    guess=None,
)


# %%
def measure(labs: list[int], clients: list[int], seconds: float) -> list[dict[str, Any]]:
    """Load the servers of these labs; return a row for each measurement."""
    steady = scenario("steady", {"echo", "chat"})
    steady = steady.with_values({"duration": str(seconds), "warm_up": "0.05"})
    with Local(1) as generators:
        sweep = Sweep([lab(one) for one in labs], [steady.make(n) for n in clients], 1, generators)
        for _ in sweep.run():
            pass  # it yields what comes next, for those who show progress
    assert not sweep.faults, sweep.faults
    return summary.rows(sweep.done, "clients")


rows = measure([3, 5, 8, 9], [1, 10, 100], 0.2)
load = {
    "title": "One question in flight for each client",
    "answer": "reply",
    "answers": "replies",
    "over": "clients",
    "unit": "questions",
}
show(load_figure(rows, load), "latency and throughput of labs 3, 5, 8 and 9", "08-load")

# %% [markdown]
# The load above was measured from outside. To count threads and memory exactly, let the clients
# just stand there.


# %%
def held(number: int, clients: int) -> Figures:
    """Connect so many clients to a server, let each be answered once; return what it uses then."""
    with running(number) as program, ExitStack() as stack:
        for _ in range(clients):
            sock = stack.enter_context(socket.create_connection(program.address))
            sock.sendall(b"?\n")
            sock.recv(100)
        return program.figures()


few, many = ({number: held(number, clients) for number in (3, 5)} for clients in (1, 100))
threads = {f"lab {number}": figures.threads for number, figures in many.items()}
grown = {f"lab {n}": (many[n].pss - few[n].pss) / 2**20 for n in many}

# %%
costs.happened(
    ", ".join(f"{name}: {count} threads" for name, count in threads.items()),
    "A thread for each client is the price of code that may wait. select(), epoll and asyncio "
    "need one thread, because they never wait for a single client, but for all of them at once.",
    choice="b",
    read="labs 3, 5, 8 and 9",
)
one_each = threads["lab 3"] >= 100 and threads["lab 5"] <= 2
claim("a thread a client, or one for all", one_each, f"{threads}")
in_words = ", ".join(f"{name}: {more:.1f} MiB more" for name, more in grown.items())
claim("threads take memory with each client", grown["lab 3"] > grown["lab 5"], in_words)

# %% [markdown]
# ## A hundred at the same moment
#
# A hundred questions arrive together. How often does a server give up its processor, or is made
# to, until all are answered? (To make them arrive together, the server is stopped for a moment
# while they are sent.)

# %%
switching = ask(
    "8.2 context switches",
    "100 clients ask together. How many context switches do both servers need for 100 answers?",
    {
        "a": "lab 3 about 100 or more, lab 5 a few",
        "b": "both about 100: one for each answer",
        "c": "lab 3 none: its threads run side by side",
    },
    guess=None,
)


# %%
def switches_for(number: int, clients: int) -> int:
    """Let so many clients ask together; return the server's context switches for the answers."""
    with running(number) as program, ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection(program.address)) for _ in range(clients)
        ]
        for sock in socks:
            sock.sendall(b"?\n")
            sock.recv(100)
        with program.frozen():
            for sock in socks:
                sock.sendall(b"!\n")
            before = sum(program.switches().values())
        for sock in socks:
            sock.recv(100)
        return sum(program.switches().values()) - before


# %%
if on_linux():
    counted = {f"lab {number}": switches_for(number, 100) for number in (3, 5)}
    in_words = ", ".join(f"{name}: {count}" for name, count in counted.items())
    switching.happened(
        in_words,
        "A thread answers its client, waits in recv() again, and so gives up its processor: "
        "once for each answer at least, and more often for the interpreter lock. One turn of "
        "select() names all hundred, and they are answered in a row.",
        choice="a",
        read="proc_pid_status(5), ctxt_switches; lab 5",
    )
    claim("threads switch for each answer", counted["lab 3"] >= 90, in_words)
    claim("select() serves a crowd in one go", counted["lab 5"] < counted["lab 3"] / 3, in_words)

# %% [markdown]
# ## What does a thread take?
#
# "A thread needs 8 MB of stack" one reads. So 500 threads would need 4 GB. Let us start 500 that
# only wait.

# %%
stacks = ask(
    "8.3 500 threads",
    "How much memory do 500 waiting threads really use (resident), in MiB? (a number)",
    guess=None,
)


# %%
def memory() -> list[int]:
    """Return the bytes that this process has reserved, and those that it has (Linux)."""
    with open("/proc/self/statm") as statm:
        return [int(word) * resource.getpagesize() for word in statm.read().split()[:2]]


if on_linux():
    before = memory()
    bell = threading.Event()
    sleepers = [threading.Thread(target=bell.wait) for _ in range(500)]
    for sleeper in sleepers:
        sleeper.start()
    after = memory()
    bell.set()
    for sleeper in sleepers:
        sleeper.join()

# %%
if on_linux():
    virtual, resident = (
        max(0, late - early) / 500 for early, late in zip(before, after, strict=True)
    )
    stacks.happened(
        f"{500 * resident / 2**20:.0f} MiB, {resident / 1024:.0f} KiB each; "
        f"{virtual / 2**20:.1f} MiB each are reserved",
        "The stack is only reserved: addresses, no memory. A page is given when it is first "
        "touched, and a thread that waits has touched few. What threads cost is switching and "
        "sharing, rather than memory; but 10,000 of them are too much all the same.",
        read="pthread_create(3), mmap(2); proc_pid_statm(5)",
    )
    small = resident < 300 * 1024 and virtual > 2**20
    claim(
        "a thread reserves much and uses little",
        small,
        f"{resident / 1024:.0f} KiB of {virtual / 2**20:.1f} MiB",
    )

# %% [markdown]
# ## When threads compute
#
# Python's threads share one interpreter lock (the GIL). An echo takes 0.05 ms. Now two other
# threads of the same process compute something, for ever. What becomes of the echo?

# %%
computing = ask(
    "8.4 busy neighbours",
    "Two threads compute. How long does an echo take then, in the middle? (milliseconds)",
    guess=None,
)


# %%
def echo_back(sock: socket.socket) -> None:
    """Send back whatever comes."""
    while piece := sock.recv(100):
        sock.send(piece)


def echoes(number: int, busy_threads: int) -> list[float]:
    """Return the milliseconds of so many echoes, beside threads that compute."""
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sum(range(1_000))

    neighbours = [threading.Thread(target=compute) for _ in range(busy_threads)]
    with connected() as (ann, bob):
        threads = [threading.Thread(target=echo_back, args=(bob,)), *neighbours]
        for thread in threads:
            thread.start()
        took = [timed_echo(ann) for _ in range(number)]
        stop.set()
        ann.shutdown(socket.SHUT_WR)
        for thread in threads:
            thread.join()
    return took


# %%
def timed_echo(sock: socket.socket) -> float:
    """Return how many milliseconds an echo takes, after a pause."""
    time.sleep(0.02)  # meanwhile, the others compute
    began = time.perf_counter()
    sock.send(b"x")
    sock.recv(1)
    return 1000 * (time.perf_counter() - began)


runs = {f"{busy} threads compute": echoes(16, busy) for busy in (0, 2, 4)}
lines = {name: [(float(n), ms) for n, ms in enumerate(took)] for name, took in runs.items()}
picture = curves(
    "An echo beside threads that compute", "echo", "ms", lines, "log y", computing.guess
)
middle = {name: median(took) for name, took in runs.items()}
in_words = ", ".join(f"{name}: {ms:.2f} ms" for name, ms in middle.items())
show(picture, in_words, "08-gil")

# %%
computing.happened(
    in_words,
    f"Who wants the interpreter lock waits {1000 * sys.getswitchinterval():.0f} ms before he may "
    "ask for it, and others may be quicker then; and an echo needs it several times, in two "
    "threads. The processors are not the bottleneck: the lock is. Processes have a lock each.",
    read="Python: sys.setswitchinterval",
)
quiet, busy = min(runs["0 threads compute"]), middle["2 threads compute"]
in_words = f"quickest alone {quiet:.2f} ms; beside two, in the middle, {busy:.1f} ms"
claim("computing threads make an echo wait", quiet < 3 and busy > max(3, 5 * quiet), in_words)

# %% [markdown]
# ## Drag the number of clients
#
# In JupyterLab, let labs 3 and 5 serve as many clients as you like (each time, both are started
# and loaded for 0.2 s). The first picture above shows the same without a slider.


# %%
def try_clients(clients: int) -> None:
    """Load labs 3 and 5 with so many clients."""
    for row in measure([3, 5], [clients], 0.2):
        p99 = 1000 * row["latency"]["99"]
        words = f"{row['server']}: {row['throughput']:,.0f} answers a second, p99 {p99:.2f} ms"
        say(f"<p>{words}</p>", words)


drag(try_clients, clients=[1, 5, 20, 50, 100, 200])

# %% [markdown]
# **What to take along.** A thread for each client is easy to write, and serves hundreds. One
# thread with select() or epoll is quicker and smaller, and takes more thought: nothing in it may
# wait. asyncio is the same with the loop written by others. Measure with the number of clients
# that you will have.
