# %% [markdown]
# # 3 · Blocking, seen
#
# A socket call may take microseconds or for ever. While it waits, its thread does nothing else:
# it *blocks*. That is neither good nor bad, it only matters who waits behind it. Here are time
# lines: a lane for each client, thread or socket, and hatched where it waited.

# %%
import signal
import socket
import threading
import time
from typing import Any

from harness.load.sweep import as_rows, talk
from harness.report.plots import talk_figure
from harness.seen import ask, claim, connected, listening, on_linux, outcome, show
from harness.seen.lanes import Recorder, lanes
from harness.seen.programs import lab

# %% [markdown]
# ## Two clients
#
# ann asks an echo server six times, and pauses 30 ms between answer and question. bob does the
# same; he comes 40 ms after her. The server of lab 1 serves one client after another.

# %%
second = ask(
    "3.1 the second client",
    "How long does bob wait for his first answer from lab 1, in milliseconds? (a number)",
    guess=None,
)

# %%
talks: dict[str, Any] = {f"lab {number}": as_rows(talk(lab(number))) for number in (1, 3, 5)}
show(talk_figure(talks), "labs 1, 3 and 5, two clients each", "03-two-clients")


def longest_of_bob(rows: list[dict[str, Any]]) -> float:
    """Return bob's longest wait for an answer, in seconds."""
    return float(max(row["replied"] - row["sent"] for row in rows if row["client"] == 1))


waits = {name: longest_of_bob(rows) for name, rows in talks.items()}

# %%
in_words = ", ".join(f"{name}: {1000 * wait:.0f} ms" for name, wait in waits.items())
second.happened(
    in_words,
    "bob's connection stands at once (the kernel accepts it), and so he believes that he is "
    "served. But the one thread of lab 1 sits in recv(), waiting for ann, mostly for her "
    "pauses. He waits until she leaves. A thread for each client (lab 3) or a select() for all "
    "(lab 5) ends that.",
    read="labs 1, 3 and 5; recv(2)",
)
claim("the second client waits for the first", waits["lab 1"] > 0.08, in_words)
others = max(waits["lab 3"], waits["lab 5"])
claim("threads and select() let nobody wait", others < waits["lab 1"] / 2, in_words)

# %% [markdown]
# ## Where does the server wait?
#
# Let us look into such a server: every call on its sockets is written down, with its beginning
# and its end. It serves **ann**, who thinks for 0.1 s before she asks, and then **bob**, who asks
# at once.

# %%
where = ask(
    "3.2 where a server waits",
    "In which call does this server spend most of its time?",
    {"a": "accept()", "b": "recv()", "c": "sendall()"},
    guess=None,
)


# %%
def serve_two(recorder: Recorder, listener: socket.socket) -> None:
    """Answer two clients, one after the other; write down each call."""
    door = recorder.watched("listener", listener)
    for name in ("ann", "bob"):
        sock, _ = door.accept()
        with sock:
            served = recorder.watched(f"socket of {name}", sock)
            while question := served.recv(100):
                served.sendall(question.upper())


# %%
recorder = Recorder()
with listening() as listener:
    server = threading.Thread(target=serve_two, args=(recorder, listener))
    server.start()
    ann = socket.create_connection(listener.getsockname())
    bob = socket.create_connection(listener.getsockname())
    recorder.call("bob", "sendall()", bob.sendall, b"i am quick")
    waiting = threading.Thread(target=recorder.call, args=("bob", "recv()", bob.recv, 100))
    waiting.start()
    time.sleep(0.1)  # ann thinks
    ann.sendall(b"well...")
    ann.recv(100)
    ann.close()
    waiting.join()
    bob.close()
    server.join()

# %%
show(lanes("One server, call by call", recorder.spans), "a lane for each socket and for bob")
longest = max(recorder.spans, key=lambda span: span.ended - span.began if span.lane != "bob" else 0)
where.happened(
    f"{longest.lane}: {longest.words}, after {longest.ended - longest.began:.3f} s",
    "recv() waits for a person who thinks. bob's question lay in the kernel all that time, next"
    " to a server that did nothing. A blocking call is a promise to one client, at the cost of "
    "all others in this thread.",
    choice="b",
    read="recv(2); lab 1",
)
was_recv = longest.lane == "socket of ann" and longest.ended - longest.began > 0.08
claim(
    "a blocking recv holds up everybody",
    was_recv,
    f"{longest.words} took {longest.ended - longest.began:.3f} s",
)

# %% [markdown]
# ## How to wake somebody who waits in recv()
#
# A thread waits in `recv()`, and the program wants to stop. Another thread calls `close()` on the
# socket. Or `shutdown()`?

# %%
waking = ask(
    "3.3 waking recv()",
    "A thread waits in recv(). Another thread closes that socket. What does the waiting thread "
    "see (on Linux)?",
    {"a": "recv() returns b''", "b": "recv() raises an error", "c": "nothing: it goes on waiting"},
    guess=None,
)


# %%
def wake_by(how: str, recorder: Recorder) -> bool:
    """Let a thread wait in recv(); return whether it woke when somebody tried to wake it."""
    with connected() as (ann, bob):
        lane = f"recv(), then {how}()"
        waiting = threading.Thread(target=recorder.call, args=(lane, "recv()", bob.recv, 10))
        waiting.start()
        time.sleep(0.1)  # until it surely waits
        tried = (bob.shutdown, socket.SHUT_RDWR) if how == "shutdown" else (bob.close,)
        recorder.call(f"{how}()", f"{how}()", *tried)
        waiting.join(0.15)
        woke = not waiting.is_alive()
        ann.sendall(b"at last")
        waiting.join()
    return woke


recorder = Recorder()
if on_linux("03-waking"):
    by_close, by_shutdown = wake_by("close", recorder), wake_by("shutdown", recorder)
    show(
        lanes("Two ways to stop a thread that reads", recorder.spans),
        "close() does not wake it",
        "03-waking",
    )

# %%
if on_linux():
    waking.happened(
        f"close(): woken: {by_close}; shutdown(): woken: {by_shutdown}",
        "The waiting call holds the connection open in the kernel, whatever becomes of the "
        "descriptor. Worse: the next socket may get the same number. shutdown() acts on the "
        "connection itself: who reads, sees its end. Lab 3 stops its threads that way.",
        choice="c",
        read='close(2), "Multithreaded processes and close()"; shutdown(2)',
    )
    claim("close() in another thread wakes nobody", not by_close, "still waiting 0.15 s later")
    claim("shutdown() wakes who waits in recv()", by_shutdown, "recv() returned")

# %% [markdown]
# ## Interrupted
#
# A signal arrives while `recv()` waits. In C, the call fails with EINTR, and thousands of
# programs have forgotten that. And in Python?

# %%
interrupted = ask(
    "3.4 a signal",
    "A timer's signal arrives every 20 ms while recv() waits 0.2 s for its bytes. What does "
    "recv() do?",
    {
        "a": "raises InterruptedError (EINTR)",
        "b": "returns b''",
        "c": "goes on, and returns the bytes",
    },
    guess=None,
)

# %%
if hasattr(signal, "setitimer"):
    rings: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rings.append(time.monotonic()))
    with connected() as (ann, bob):
        later = threading.Timer(0.2, ann.sendall, [b"here I am"])
        later.start()
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        heard = outcome(bob.recv, 100)
        signal.setitimer(signal.ITIMER_REAL, 0)
        later.join()
    signal.signal(signal.SIGALRM, before)
    interrupted.happened(
        f"recv() returned {heard!r}; the handler ran {len(rings)} times meanwhile",
        "The system call does fail with EINTR. Python runs the handler, and if that raises "
        "nothing, makes the call again, with what is left of its time-out. A handler that "
        "raises ends the call: so Ctrl-C stops a server (step 1.5).",
        choice="c",
        read="PEP 475; signal(7)",
    )
    claim(
        "EINTR restarts",
        heard == b"here I am" and len(rings) > 1,
        f"{len(rings)} signals in one recv()",
    )

# %% [markdown]
# **What to take along.** Ask of each blocking call: *who waits behind it?* If the answer is
# "other clients", give each a thread (lab 3), or never call what may block (lab 5: `select()`
# first). To stop a thread that reads, `shutdown()` its socket.
