# %% [markdown]
# # 6 · The accept queue
#
# Between a client's `connect()` and the server's `accept()` stands a queue, in the kernel of the
# server. The kernel shakes hands with everybody whom it has room for; `accept()` only takes out
# who is there already. Most of what is said about "the backlog" can be seen in a second.

# %%
import select
import socket
import struct
import threading
import time

from harness.launch import sockdiag
from harness.seen import ask, claim, listening, on_linux, outcome, show, until
from harness.seen.lanes import Recorder, lanes


def waiting_at(listener: socket.socket) -> tuple[int, int]:
    """Return how many connections wait to be accepted, and how many may (Linux)."""
    port = listener.getsockname()[1]
    [entry] = [entry for entry in sockdiag.listeners() if entry.port == port]
    return entry.unread, entry.unsent  # what `ss -l` shows as Recv-Q and Send-Q


# %% [markdown]
# ## Before anybody accepts
#
# A server listens, and does nothing else. A client connects, and sends.

# %%
early = ask(
    "6.1 data before accept()",
    "The server has not called accept(). What can the client do?",
    {
        "a": "nothing: connect() waits",
        "b": "connect(), but not send()",
        "c": "connect() and send()",
    },
    guess=None,
)

# %%
with listening() as listener:
    client = socket.create_connection(listener.getsockname(), timeout=5)
    sent = client.send(b"I was early")
    client.close()
    queue = waiting_at(listener) if on_linux() else (1, 16)
    late, _ = listener.accept()
    with late:
        found = late.recv(100)

# %%
early.happened(
    f"all that, and it closed. accept() came later, and recv() gave {found!r}",
    "The handshake is the kernel's. A connection that nobody has accepted has its queues like "
    'any other. So "connected" says nothing about the program behind the port: it may hang.',
    choice="c",
    read="listen(2), accept(2)",
)
claim(
    "data before accept()",
    sent == 11 and found == b"I was early",
    f"{found!r}, from one who had left",
)
claim(
    "the queue can be seen",
    queue == (1, 16),
    f"{queue[0]} waits, of {queue[1]} (ss -l says so, too)",
)

# %% [markdown]
# ## A full queue
#
# Now `listen(2)`, and nobody accepts. Five clients come, one after the other; each has patience
# for 0.3 s.

# %%
full = ask(
    "6.2 listen(2)",
    "What do the five see?",
    {
        "a": "two connect, three are refused",
        "b": "three connect, two wait in vain",
        "c": "all connect",
        "d": "two connect, three wait in vain",
    },
    guess=None,
)


# %%
def come(recorder: Recorder, name: str, address: tuple[str, int], patience: float) -> socket.socket:
    """Try to connect; write down how that went."""
    sock = socket.socket()
    sock.settimeout(patience)
    recorder.call(name, "connect()", sock.connect, address)
    return sock


recorder = Recorder()
with listening(backlog=2) as listener:
    came = [
        come(recorder, name, listener.getsockname(), 0.3)
        for name in ("ann", "bob", "cat", "dan", "eve")
    ]
    queue = waiting_at(listener) if on_linux() else (0, 0)
    for sock in came:
        sock.close()
with listening() as closed_soon:
    nobody = closed_soon.getsockname()
come(recorder, "fay", nobody, 0.3).close()

# %%
if on_linux("06-full"):
    picture = lanes(
        "listen(2), and nobody accepts; fay calls a port where nobody listens", recorder.spans
    )
    show(picture, "three connect, two time out, one is refused", "06-full")
    ways = [span.words.partition(" → ")[2] or "connected" for span in recorder.spans]
    full.happened(
        f"{', '.join(ways[:5])}; the queue holds {queue[0]}",
        "Linux lets one more in than was asked for, for historical reasons. Who comes then is "
        "not refused: his SYN is thrown away, as if it were lost, and he sends it again after 1"
        " s, 3 s, 7 s. A refusal (RST) says that nobody listens at all.",
        choice="b",
        read="listen(2); tcp(7), tcp_abort_on_overflow; RFC 6298",
    )
    three = ways[:5] == ["connected"] * 3 + ["TimeoutError"] * 2
    claim("listen(2): three connect, the others time out", three and queue[0] == 3, f"{ways[:5]}")
    took = recorder.spans[-1].ended - recorder.spans[-1].began
    quick = ways[5] == "ECONNREFUSED" and took < 0.2
    claim("refused at once where nobody listens", quick, f"{ways[5]} after {1000 * took:.2f} ms")

# %% [markdown]
# So a client can tell two troubles apart: *refused at once* (no server there) and *no answer* (a
# server that does not keep up, a firewall, a wrong address). Both look alike in a program that
# prints "cannot connect".
#
# ## A second that nobody ordered
#
# The queue is full, and gil connects, with all the time in the world. After 0.1 s the server
# accepts everybody, and the queue is empty. When is gil connected?

# %%
second = ask(
    "6.3 after the queue was full",
    "0.1 s after gil's connect() began, there is room. After how many seconds is he connected? "
    "(a number)",
    guess=None,
)

# %%
recorder = Recorder()
with listening(backlog=2) as listener:
    address = listener.getsockname()
    others = [socket.create_connection(address) for _ in range(3)]
    gil = threading.Thread(target=lambda: come(recorder, "gil", address, 20).close())
    gil.start()
    time.sleep(0.1)  # so long the queue is full
    accepted = [recorder.call("server", "accept()", listener.accept) for _ in range(3)]
    gil.join()
    for sock in [*others, *(pair[0] for pair in accepted)]:
        sock.close()
waited = recorder.longest("gil")
if on_linux("06-second"):
    picture = lanes("The queue is empty after 0.1 s; gil's SYN is not there", recorder.spans)
    show(picture, "gil waits a second", "06-second")
    second.happened(
        f"{waited.ended - waited.began:.2f} s",
        "His first SYN was thrown away, and his kernel does not know why. It waits a whole "
        "second (the first retransmission time-out), and tries again. Where web servers show "
        "some answers after 1.0 s or 3.0 s, look at the accept queue.",
        read="RFC 6298, section 2; listen(2)",
    )
    lost = waited.ended - waited.began
    claim("a full accept queue costs a second", 0.9 < lost < 8, f"{lost:.2f} s for a connect()")

# %% [markdown]
# ## Who left before it was his turn
#
# ann connects, and resets the connection before the server accepts. What does `accept()` say?

# %%
gone = ask(
    "6.4 a caller who is gone",
    "The connection was reset while it waited in the queue. On Linux, accept() ...",
    {"a": "skips it", "b": "raises an error", "c": "returns it, and recv() raises the error"},
    guess=None,
)

# %%
with listening() as listener:
    ann = socket.create_connection(listener.getsockname())
    ann.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ann.close()
    listener.settimeout(2)
    dead = outcome(listener.accept)
    said = outcome(dead[0].recv, 10) if isinstance(dead, tuple) else dead
    if isinstance(dead, tuple):
        dead[0].close()
if on_linux():
    gone.happened(
        f"accept() returned it; recv() said {said}",
        "On Linux the error waits until the first read or write. Other systems raise "
        "ECONNABORTED from accept(), or say nothing. A server must survive both: neither is a "
        "reason to stop accepting.",
        choice="c",
        read="accept(2), ECONNABORTED; Stevens, UNIX Network Programming, section 5.11",
    )
    claim(
        "a reset connection is accepted all the same", said == "ECONNRESET", f"recv() said {said}"
    )

# %% [markdown]
# ## No descriptor left
#
# Each accepted client takes a descriptor, and a process has a limit of them (`ulimit -n`). At the
# limit `accept()` fails with EMFILE. The client stays in the queue. What does a server do that
# loops over `select()` and `accept()`?

# %%
spinning = ask(
    "6.5 EMFILE",
    "No descriptor is left, and one client waits. How often do select() and accept() run in "
    "0.05 s? (a number)",
    guess=None,
)


# %%
def spin(listener: socket.socket, seconds: float) -> tuple[int, set[str]]:
    """Loop as a server does; return how often, and what accept() said."""
    turns, said = 0, set()
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        ready, _, _ = select.select([listener], [], [], 1.0)
        if ready:
            said.add(str(outcome(listener.accept)))
            turns += 1
    return turns, said


# %%
if on_linux():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening() as listener, socket.create_connection(listener.getsockname()):
        until(lambda: waiting_at(listener)[0] == 1)
        with open("/dev/null") as probe:
            lowest = probe.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            turns, answers = spin(listener, 0.05)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    spinning.happened(
        f"{turns:,} times, each with {', '.join(answers)}",
        "The listener stays readable, since the client still waits: select() returns at once, "
        "accept() fails at once. The server uses a whole processor, and serves nobody. After "
        "EMFILE, wait a moment, or stop watching the listener (lab 3).",
        read="accept(2), EMFILE; getrlimit(2)",
    )
    claim(
        "accept() spins at EMFILE",
        turns > 50 and answers == {"EMFILE"},
        f"{turns:,} turns in 0.05 s",
    )

# %% [markdown]
# **What to take along.** Ask for a generous backlog (`listen(128)` or more), and accept as soon
# as the listener is readable. An overflow does not refuse anybody: it makes them wait for a
# second. Survive everything that `accept()` may raise.
