# %% [markdown]
# # 5 · select() in slow motion
#
# `select()` answers one question: *on which of these sockets would a call not wait?* One thread
# can so serve thousands of clients, if it understands the answer. The pictures show calls of
# `select()`, one column each: what it was asked for, and, filled, what it named.

# %%
import errno
import select
import socket
import time
from contextlib import ExitStack
from typing import Any

from harness.launch.descriptors import own_descriptors
from harness.seen import ask, claim, connected, listening, on_linux, outcome, show, until
from harness.seen.curves import curves
from harness.seen.turns import Turn, turns

# %% [markdown]
# ## What is readable?
#
# The server below watches its listener and one client. Between the calls something happens:
# somebody connects, ten bytes arrive, four of them are read, the rest is read, the client leaves.

# %%
readable = ask(
    "5.1 four of ten bytes",
    "Ten bytes have arrived, and the server has read four. It calls select() again. Is the "
    "client's socket named?",
    {"a": "yes", "b": "no: select() has told it already"},
    guess=None,
)


# %%
class Slow:
    """Calls select() and writes down what came of it."""

    def __init__(self, names: dict[str, socket.socket]) -> None:
        self.names = names
        self.calls: list[Turn] = []

    def turn(self, words: str, read: list[str], write: list[str], patience: float = 0.05) -> None:
        """Ask select() about the sockets of these names."""
        asked = [self.names[name] for name in read], [self.names[name] for name in write]
        began = time.monotonic()
        named = select.select(*asked, [], patience)
        took = time.monotonic() - began
        name_of = {sock: name for name, sock in self.names.items()}
        found = [name_of[sock] for sock in named[0]], [name_of[sock] for sock in named[1]]
        self.calls.append(Turn(words, (read, write), found, took))


# %%
with listening() as listener:
    slow = Slow({"listener": listener})
    slow.turn("nobody there", ["listener"], [])
    caller = socket.create_connection(listener.getsockname())
    slow.turn("one calls", ["listener"], [], 5.0)
    slow.names["client"], _ = listener.accept()
    caller.sendall(b"ten bytes.")
    slow.turn("10 bytes come", ["listener", "client"], [], 5.0)
    slow.names["client"].recv(4)
    slow.turn("4 are read", ["listener", "client"], [], 5.0)
    slow.names["client"].recv(100)
    slow.turn("all are read", ["listener", "client"], [])
    caller.close()
    slow.turn("it leaves", ["listener", "client"], [], 5.0)
    last = slow.names["client"].recv(100)
    slow.names["client"].close()
named = [call.named[0] for call in slow.calls]
show(turns("Six calls of select()", slow.calls), f"{named}", "05-turns")

# %%
readable.happened(
    f"select() named {named[3]} again, and {named[5]} at its end, where recv() gave {last!r}",
    "select() tells a state, not an event: there are bytes. That is called level-triggered. As "
    "long as something is left, it says so. A listener is readable when accept() would not "
    "wait, and a client that has left is readable, too: its end can be read.",
    choice="a",
    read="select(2); poll(2)",
)
claim(
    "select() is level-triggered",
    named[3] == ["client"] and named[4] == [],
    "named until all was read",
)
claim("a caller makes the listener readable", named[:2] == [[], ["listener"]], "before accept()")
claim(
    "the end of a stream is readable",
    named[5] == ["client"] and last == b"",
    f"recv() gave {last!r}",
)

# %% [markdown]
# ## What is writable?
#
# Nearly everything, nearly always. Who asks for it without need has written the slowest way to
# burn a processor.

# %%
burning = ask(
    "5.2 asking for writable",
    "Nothing is to be sent. A server asks select() all the same whether its client is writable,"
    " with a time-out of 1 s. How often does select() return in 0.1 s? (a number)",
    guess=None,
)

# %%
with connected() as (ann, bob):
    began, idle = time.monotonic(), 0
    while time.monotonic() < began + 0.1:
        select.select([bob], [bob], [], 1.0)
        idle += 1
    slow = Slow({"client": bob})
    slow.turn("at rest", ["client"], ["client"])
    bob.setblocking(False)
    while isinstance(outcome(bob.send, bytes(65_536)), int):
        pass
    slow.turn("send queue full", ["client"], ["client"])
    ann.settimeout(0.2)
    while outcome(ann.recv, 1_000_000) != "timeout":
        pass
    slow.turn("it has read", ["client"], ["client"])
show(turns("When is a socket writable?", slow.calls), f"{idle} turns in 0.1 s")

# %%
burning.happened(
    f"{idle:,} times, for nothing",
    "There is room in the send queue, so a send() would not wait, so it returns at once: a busy"
    " loop. Ask for writable only while something is waiting to be sent (lab 5). Then it is "
    "worth gold: it says when a slow reader has made room.",
    read="select(2); lab 5, step 5.3",
)
claim("an idle socket is always writable", idle > 100, f"{idle:,} calls in 0.1 s")
writable = [bool(call.named[1]) for call in slow.calls]
claim(
    "a full queue is not writable until it is read", writable == [True, False, True], f"{writable}"
)

# %% [markdown]
# ## Edge-triggered: told once
#
# epoll (lab 8) can tell changes instead of states: `EPOLLET`. It is quicker, by a little. What
# does it do with the four bytes of ten?

# %%
edge = ask(
    "5.3 edge-triggered",
    "With EPOLLET: ten bytes arrive, poll() tells it, four are read. The next poll() ...",
    {
        "a": "tells it again",
        "b": "tells nothing: six bytes lie there unread",
        "c": "raises an error",
    },
    guess=None,
)


# %%
def told(flags: int) -> list[int]:
    """Let ten bytes come and read four; return how many events each of two polls told."""
    with connected() as (ann, bob), select.epoll() as epoll:
        epoll.register(bob, select.EPOLLIN | flags)
        ann.sendall(b"ten bytes.")
        counts = [len(epoll.poll(5.0))]
        bob.recv(4)
        return [*counts, len(epoll.poll(0.1))]


if on_linux():
    level, edges = told(0), told(select.EPOLLET)
    edge.happened(
        f"level-triggered: {level[1]} event; edge-triggered: {edges[1]}",
        "Nothing has changed since, so there is no edge. The six bytes wait until something "
        "else arrives, which may be never: the client waits for an answer to them. With "
        "EPOLLET, read until EAGAIN, every time.",
        choice="b",
        read="epoll(7), edge-triggered",
    )
    claim(
        "edge-triggered epoll leaves bytes behind",
        (level, edges) == ([1, 1], [1, 0]),
        f"{level} and {edges}",
    )

# %% [markdown]
# ## The limit at 1,024
#
# `select()` takes its sets as 1,024 bits, one for each descriptor. What about a socket whose
# descriptor is 1,031?

# %%
beyond = ask(
    "5.4 descriptor 1,031",
    "A single socket has the descriptor 1,031. What does select() do with it?",
    {"a": "works: it is only one socket", "b": "refuses it", "c": "ignores it"},
    guess=None,
)

# %%
if on_linux():
    import fcntl

    with connected() as (ann, bob), own_descriptors(1_100):
        with socket.socket(fileno=fcntl.fcntl(bob, fcntl.F_DUPFD, 1_031)) as high:
            ann.sendall(b"x")
            try:
                refused = f"{select.select([high], [], [], 1.0)}"
            except ValueError as error:
                refused = f"ValueError: {error}"
            poll = select.poll()
            poll.register(high, select.POLLIN)
            polled = len(poll.poll(5_000))
    beyond.happened(
        f"{refused}; poll() on the same socket named {polled}",
        "Not the number of sockets counts, but the largest descriptor, and files and pipes take"
        " descriptors, too. C programs have it worse: they write beyond the set, into other "
        "variables. poll(), epoll and kqueue have no such limit.",
        choice="b",
        read="select(2), FD_SETSIZE; poll(2)",
    )
    claim(
        "select() knows no descriptor above 1,023", "ValueError" in refused and polled == 1, refused
    )

# %% [markdown]
# ## Connecting without waiting
#
# A non-blocking `connect()` returns at once, with EINPROGRESS. When it is done, the socket
# becomes *writable*. Also when it has failed.

# %%
with listening() as listener, socket.socket() as lucky, socket.socket() as unlucky:
    with listening() as closed_soon:
        nobody = closed_soon.getsockname()
    results = []
    for sock, address in ((lucky, listener.getsockname()), (unlucky, nobody)):
        sock.setblocking(False)
        first = sock.connect_ex(address)
        _, writable_now, _ = select.select([], [sock], [sock], 5.0)
        how = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        names = [errno.errorcode.get(code, "connected") for code in (first, how)]
        results.append((names[0], sock in writable_now, names[1]))
told_both = results[0][2] == "connected" and results[1][2] == "ECONNREFUSED"
if on_linux():
    both_writable = told_both and results[1][1]
    claim("a failed connect() is writable, too", both_writable, f"{results}")

# %% [markdown]
# ## What a call costs
#
# `select()` is handed all sockets each time, and looks at each. epoll keeps the list in the
# kernel, and names those that are ready. One of many is ready below; all others are idle. What
# does one call cost?

# %%
cost = ask(
    "5.5 many idle sockets",
    "500 sockets instead of 10, all idle but one. How many times as much does one call of "
    "select() take? (a number)",
    guess=None,
)


# %%
def seconds_a_call(call: Any, turns: int = 300) -> float:
    """Return how long a call takes, the quickest of many rounds."""
    rounds = []
    for _ in range(turns):
        began = time.perf_counter()
        call()
        rounds.append(time.perf_counter() - began)
    return min(rounds)


def costs(number: int) -> tuple[float, float]:
    """Watch so many sockets, one ready; return the seconds of a call of select() and epoll."""
    with ExitStack() as stack:
        stack.enter_context(own_descriptors(2 * number + 200))
        pairs = [stack.enter_context(connected()) for _ in range(number)]
        watched = [bob for _, bob in pairs if bob.fileno() < 1_024]
        epoll = stack.enter_context(select.epoll())
        for bob in watched:
            epoll.register(bob, select.EPOLLIN)
        pairs[0][0].sendall(b"x")
        until(lambda: epoll.poll(0))
        return (
            seconds_a_call(lambda: select.select(watched, [], [], 0)),
            seconds_a_call(lambda: epoll.poll(0)),
        )


# %%
if on_linux("05-cost"):
    measured = {number: costs(number) for number in (10, 50, 100, 200, 400)}
    lines = {
        name: [(float(number), 1e6 * both[place]) for number, both in measured.items()]
        for place, name in enumerate(("select()", "epoll"))
    }
    picture = curves("One call, one socket ready", "sockets watched", "µs a call", lines)
    show(picture, f"{lines}", "05-cost")
    grew = [measured[400][place] / measured[10][place] for place in (0, 1)]
    cost.happened(
        f"400 against 10 sockets: select() {grew[0]:.0f} times, epoll {grew[1]:.1f} times",
        "A call of select() copies the sets into the kernel and asks every socket; epoll has "
        "asked before, once. With a hundred clients that is nothing. With ten thousand it is "
        "the whole server: lab 8.",
        read="select(2), epoll(7); lab 8",
    )
    claim("select() costs more with each idle socket", grew[0] > 4, f"{grew[0]:.0f} times as much")
    claim("epoll does not", grew[1] < grew[0] / 2, f"{grew[1]:.1f} times as much")

# %% [markdown]
# **What to take along.** Readable: a call to `recv()` or `accept()` would not wait. Ask for
# writable only with something to send. Level-triggered forgives, edge-triggered does not. Above a
# thousand descriptors, take epoll or kqueue, best by way of Python's `selectors` (lab 8).
