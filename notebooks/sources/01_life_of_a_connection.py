# %% [markdown]
# # 1 · The life of a connection
#
# A TCP connection is two pieces of memory, one in each kernel. They go through a small set of
# *states* together, and most surprises of socket programming are one of these states at the wrong
# moment. Here you start real sockets, and look at what the kernel says about both of them.
#
# **How to read a notebook.** Run the cells from top to bottom (Shift-Enter). Before each
# experiment there is a question: put your guess into its cell first, and run it. Being wrong is
# the point: what you predicted is shown beside what happened. Each line with a ✓ is *measured*
# when you run it, and the cell fails if it is not so on your machine.

# %%
import errno
import socket
import struct

from harness.seen import ask, claim, connected, listening, on_linux, outcome, show, state, until
from harness.seen.ladder import Rung, ladder
from harness.seen.ruler import ruler

# %% [markdown]
# ## Saying goodbye, one direction at a time
#
# A connection is two streams, one each way, and each is ended by itself. `shutdown(SHUT_WR)` ends
# mine: "I have nothing more to send". In a moment **ann** will call it, while **bob**, at the
# other end, goes on.

# %%
goodbye = ask(
    "1.1 half-close",
    "ann calls shutdown(SHUT_WR). bob then sends her 10 bytes. What does ann's recv() give?",
    {"a": "b'', because the connection is closed", "b": "the 10 bytes", "c": "an error: EPIPE"},
    guess=None,
)


# %%
def a_whole_life() -> tuple[list[Rung], bytes, bytes]:
    """Lead a connection to its end; return each step, and what both have received."""
    rungs: list[Rung] = []
    with connected() as (ann, bob):
        ends = (ann.getsockname(), bob.getsockname())

        def step(words: str, segment: str, way: str, left: str, right: str) -> None:
            until(lambda: (state(*ends), state(*ends[::-1])) == (left, right))
            rungs.append(Rung(words, segment, way, state(*ends), state(*ends[::-1])))

        step("ann: connect()", "SYN, SYN+ACK, ACK", "→", "ESTABLISHED", "ESTABLISHED")
        ann.shutdown(socket.SHUT_WR)
        step("ann: shutdown(SHUT_WR)", "FIN", "→", "FIN_WAIT2", "CLOSE_WAIT")
        to_bob = bob.recv(100)
        bob.sendall(b"ten bytes.")
        to_ann = ann.recv(100)
        step("bob: sendall(10 bytes)", "10 bytes", "←", "FIN_WAIT2", "CLOSE_WAIT")
        bob.close()
        step("bob: close()", "FIN", "←", "TIME_WAIT", "CLOSED")
    return rungs, to_bob, to_ann


# %%
if on_linux("01-ladder"):
    rungs, to_bob, to_ann = a_whole_life()
    states = [f"{rung.left}/{rung.right}" for rung in rungs]
    picture = ladder("Both ends of one connection, as the kernel told it", ("ann", "bob"), rungs)
    show(picture, " → ".join(states), "01-ladder")
    heard_both = (to_bob, to_ann) == (b"", b"ten bytes.")
    claim("half-close", heard_both, f"after ann's FIN, {len(to_ann)} bytes came the other way")
    in_order = states[1::2] == ["FIN_WAIT2/CLOSE_WAIT", "TIME_WAIT/CLOSED"]
    claim("states of a close", in_order, " → ".join(states))
    goodbye.happened(
        f"bob read {to_bob!r}, the end of ann's stream. ann read {to_ann!r}.",
        "A FIN ends one direction only. ann's end waited in FIN_WAIT2 for bob's FIN, and "
        "received all the while.",
        choice="b",
        read="RFC 9293, section 3.6; shutdown(2)",
    )

# %% [markdown]
# **CLOSE_WAIT** is the state to remember. It says: *the other side has finished, and our program
# has not noticed*. A server with hundreds of sockets in CLOSE_WAIT forgets to `close()`. No
# time-out ever ends that state; only the program can.
#
# And look at the last step: bob closed last and was free at once; ann, who said goodbye *first*,
# stays in **TIME_WAIT**.

# %% [markdown]
# ## TIME_WAIT: who closes first, waits
#
# TIME_WAIT remembers the connection for a while (60 s on Linux), in case a segment is late or the
# last ACK is lost. It has no process and no descriptor any more. You meet it when you stop your
# server and start it again.

# %%
restart = ask(
    "1.2 TIME_WAIT",
    "A server on port P closes a connection first, and ends. It is started again at once, and "
    "binds to port P. Without SO_REUSEADDR, what happens?",
    {"a": "bind() works", "b": "bind() waits up to a minute", "c": "bind() fails with EADDRINUSE"},
    guess=None,
)


# %%
def bind_again(address: tuple[str, int], reuse: bool) -> str:
    """Try to bind a second time; return what came of it."""
    with socket.socket() as again:
        if reuse:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
        return outcome(again.bind, address) or "works"


with listening() as server:
    address = server.getsockname()
    client = socket.create_connection(address)
    served, _ = server.accept()
served.close()  # the server says goodbye first
client.recv(1)
client.close()
without, with_it = bind_again(address, reuse=False), bind_again(address, reuse=True)

# %%
restart.happened(
    f"without SO_REUSEADDR: {without}; with it: {with_it}",
    "The old connection is still there, in TIME_WAIT, and has port P. SO_REUSEADDR says: I "
    "know, and I want the port all the same. That is why step 1.1 of the labs asks for it.",
    choice="c",
    read="RFC 9293, section 3.6.1; socket(7), SO_REUSEADDR",
)
claim(
    "TIME_WAIT keeps the port",
    (without, with_it) == ("EADDRINUSE", "works"),
    f"bind() again: {without}; with SO_REUSEADDR it {with_it}",
)

# %% [markdown]
# ## A rude goodbye: RST
#
# Besides FIN there is RST, the reset. Nobody calls "reset": programs cause it by accident. Here
# bob answers 200,000 bytes and closes. In the first run he has read ann's question before; in the
# second he has not, so 5 bytes lie unread in his kernel.

# %%
rude = ask(
    "1.3 close with unread data",
    "bob sends 200,000 bytes and closes, while 5 bytes from ann lie unread at his end. ann "
    "reads slowly. She gets...",
    {"a": "all 200,000 bytes, then the end", "b": "a part, then ECONNRESET", "c": "nothing at all"},
    guess=None,
)


# %%
def answer_and_close(read_the_question: bool) -> tuple[list[int], str]:
    """Let bob answer and close; return the sizes of what ann read, and how it ended for her."""
    sizes: list[int] = []
    with connected(send_buffer=16384) as (ann, bob):
        ann.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        ann.sendall(b"hello")
        until(lambda: bob.recv(5, socket.MSG_PEEK) == b"hello")
        if read_the_question:
            bob.recv(5)
        bob.setblocking(False)
        bob.send(bytes(200_000))
        bob.close()
        while isinstance(piece := outcome(ann.recv, 8192), bytes) and piece:
            sizes.append(len(piece))
    return sizes, piece if isinstance(piece, str) else "the end (FIN)"


# %%
polite, polite_end = answer_and_close(read_the_question=True)
reset, reset_end = answer_and_close(read_the_question=False)
show(
    ruler("bob has read the question, and closes", [200_000], polite),
    f"{sum(polite)} bytes, then {polite_end}",
)
show(
    ruler("5 bytes of it lie unread when he closes", [200_000], reset),
    f"{sum(reset)} bytes, then {reset_end}",
)

# %%
rude.happened(
    f"with everything read: {sum(polite):,} bytes, then {polite_end}. "
    f"With 5 bytes unread: {sum(reset):,}, then {reset_end}.",
    "close() with unread data is a lie: the other side believes that its bytes arrived. So TCP "
    "must tell it, by a RST, and a RST throws away what waits to be sent. The answer was "
    "complete, and its end was destroyed on the way.",
    choice="b",
    read="RFC 9293, section 3.6.1; RFC 2525, section 2.17",
)
claim(
    "closing with everything read loses nothing", sum(polite) == 200_000, f"{sum(polite):,} bytes"
)
claim(
    "close with unread data resets",
    reset_end == "ECONNRESET" and sum(reset) < 200_000,
    f"{reset_end} after {sum(reset):,} of 200,000 bytes",
)

# %% [markdown]
# ## Two more ways to a reset
#
# `SO_LINGER` with a time of 0 turns `close()` into a reset on purpose: no FIN, and no TIME_WAIT
# either. It is sometimes recommended against TIME_WAIT. What does the other side think of it?
#
# And who goes on writing to a peer that has closed? The first `send()` cannot know better.

# %%
writing = ask(
    "1.4 writing to nobody",
    "bob has closed, and ann has not looked. She calls send() twice, with a moment between. "
    "What does she get?",
    {
        "a": "an error, twice",
        "b": "no error, then an error",
        "c": "no error at all: send() never knows",
    },
    guess=None,
)

# %%
with connected() as (ann, bob):
    bob.close()
    first = outcome(ann.send, b"are you there?")
    until(lambda: ann.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EPIPE, patience=2.0)
    second = outcome(ann.send, b"hello?")

with connected() as (carl, dora):
    ends = carl.getsockname(), dora.getsockname()
    dora.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    dora.close()
    lingered = outcome(carl.recv, 100)

# %%
writing.happened(
    f"the first send(): {first} bytes taken; the second: {second}",
    "send() hands bytes to the own kernel, and that is all it can say. The first ones reach a "
    "kernel that has no such socket any more; it answers with RST. Only then does ann's kernel "
    "know, and the second send() can fail.",
    choice="b",
    read="tcp(7); send(2), EPIPE; RFC 9293, section 3.5.2",
)
claim(
    "EPIPE on the second write",
    first == 14 and second == "EPIPE",
    f"first {first} bytes, then {second}",
)
claim("SO_LINGER 0 resets", lingered == "ECONNRESET", f"recv() of the other side: {lingered}")

# %% [markdown]
# ## Talking to oneself, and callers with two names
#
# Two oddities that cost people an evening each. A socket that binds to a port and connects to
# that same port finds itself: this happens to clients that try again and again to reach a local
# server on a high port. And a server that listens on IPv6 for everybody sees the callers of IPv4
# under an IPv6 name.

# %%
with socket.socket() as alone:
    alone.bind(("127.0.0.1", 0))
    met = outcome(alone.connect, alone.getsockname()) or "connected"
    if met == "connected":
        alone.sendall(b"who is there?")
        echo = alone.recv(100)
if on_linux():
    claim(
        "self-connect",
        met == "connected" and echo == b"who is there?",
        f"one socket, and it hears itself: {echo!r}",
    )

if socket.has_dualstack_ipv6():
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both:
        caller = socket.create_connection(("127.0.0.1", both.getsockname()[1]))
        called, (name, *_) = both.accept()
        caller.close()
        called.close()
    claim(
        "IPv4 callers of an IPv6 socket", name == "::ffff:127.0.0.1", f"127.0.0.1 appears as {name}"
    )

# %% [markdown]
# ## The end is an event that stays
#
# Last: how does a program notice a FIN at all? `recv()` returns `b""`, and it goes on doing so.
# It is not an error, and not a message of length 0 (`send(b"")` sends nothing). A loop that does
# not stop there spins for ever.

# %%
with connected() as (ann, bob):
    ann.sendall(b"")
    ann.sendall(b"last words")
    ann.close()
    heard = [bob.recv(100) for _ in range(4)]
claim(
    "the end of a stream is read again and again",
    heard == [b"last words", b"", b"", b""],
    f"{heard}",
)

# %% [markdown]
# **What to take along.** Read until `b""`; then close. Close only what you have read, or your
# answer may die on the way. Set `SO_REUSEADDR` on a listener. Expect `ECONNRESET` and `EPIPE`
# from every peer at any time: they are the end of one client, and never of a server (steps 1.3
# and 1.4 of the labs).
