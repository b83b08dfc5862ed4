# %% [markdown]
# # 4 · Buffers and back-pressure
#
# Between two programs there are two queues: one in the sender's kernel, one in the reader's. They
# make `send()` quick, and they hide a slow reader, for a while. Then they are full, and somebody
# has to decide what happens. Here you see them fill.
#
# The pictures are **queue bars**: above the line what waits in the sender's kernel, below it what
# waits in the reader's.

# %%
import socket
import threading
import time
from contextlib import ExitStack

from harness.seen import ask, claim, connected, on_linux, outcome, say, show
from harness.seen.curves import curves
from harness.seen.dragging import drag
from harness.seen.lanes import Recorder, lanes
from harness.seen.queues import Queues

MB = 1_000_000

# %% [markdown]
# ## For a peer that never reads
#
# bob never calls `recv()`. ann sends 64 kB, and again, without blocking, until the kernel takes
# no more.

# %%
much = ask(
    "4.1 how much the kernel takes",
    "How many bytes will ann's send() have taken when it says EAGAIN? (a number)",
    guess=None,
)


# %%
def fill(ann: socket.socket, piece: int = 65_536) -> tuple[int, str]:
    """Send until nothing is taken; return how many bytes were, and what send() said then."""
    taken = 0
    ann.setblocking(False)
    while isinstance(sent := outcome(ann.send, bytes(piece)), int):
        taken += sent
    return taken, sent


with connected() as (ann, bob):
    taken, said = fill(ann)
if on_linux("04-filling"):
    with connected() as (ann, bob):
        queues = Queues(ann, bob)
        ann.setblocking(False)
        while isinstance(outcome(ann.send, bytes(65_536)), int):
            queues.look()
        full = queues.look("EAGAIN")
    picture = queues.picture("Filling the queues of a peer that never reads")
    show(picture, f"{full}", "04-filling")

# %%
much.happened(
    f"{taken:,} bytes; then {said}",
    "send() copies into the own kernel's queue and returns. The kernel moves the bytes on to "
    "the other side as long as that one offers a window, that is, room in its receive queue. "
    "Both have limits, and Linux raises them while a connection is busy.",
    read="tcp(7), tcp_wmem and tcp_rmem; send(2), EAGAIN; RFC 9293, section 3.8.6",
)
claim("a peer that never reads absorbs bytes", 50_000 < taken < 40 * MB, f"{taken:,} bytes")
claim("EAGAIN: full, and not broken", said == "EAGAIN", f"send() said {said}")
if on_linux():
    claim(
        "both kernels hold a share",
        min(full.sender, full.reader) > 10_000,
        f"{full.sender:,} and {full.reader:,}",
    )

# %% [markdown]
# ## A part of it
#
# Now one single `send()` with 50 MB.

# %%
part = ask(
    "4.2 a large send()",
    "What does a non-blocking send() of 50 MB do?",
    {"a": "takes all 50 MB", "b": "takes a part, and says how much", "c": "takes nothing: EAGAIN"},
    guess=None,
)

# %%
with connected() as (ann, bob):
    ann.setblocking(False)
    at_once = ann.send(bytes(50 * MB))
part.happened(
    f"it took {at_once:,} of 50,000,000 bytes",
    "Who ignores what send() returns loses the rest, and in tests with small messages never "
    "sees it. Keep the rest, and send it when the socket is writable again (lab 5), or use "
    "sendall() where waiting harms nobody.",
    choice="b",
    read="send(2); lab 5, step 5.3",
)
claim("a partial send", 0 < at_once < 50 * MB, f"{at_once:,} of 50,000,000 bytes")

# %% [markdown]
# ## What sendall() hides
#
# `sendall()` goes on until all is handed over. Here it has a time-out of 0.2 s, and bob does not
# read. Afterwards he reads all that there is.

# %%
prefix = ask(
    "4.3 sendall with a time-out",
    "sendall() of 50 MB raised a time-out. What does ann's program know about how much was sent?",
    {
        "a": "nothing was sent",
        "b": "the exception tells how much",
        "c": "some unknown beginning was sent",
    },
    guess=None,
)

# %%
arrived = 0
with connected() as (ann, bob):
    ann.settimeout(0.2)
    broke = outcome(ann.sendall, bytes(50 * MB))
    ann.shutdown(socket.SHUT_WR)
    while piece := bob.recv(MB):
        arrived += len(piece)
prefix.happened(
    f"sendall() ended with {broke!r}; bob then read {arrived:,} bytes of it",
    "On an error there is no way to know how much was sent; Python's documentation says so in "
    "one sentence. The stream has ended in the middle of something, and nothing can be sent "
    "behind it that makes sense. After a time-out of sendall(), close.",
    choice="c",
    read="Python: socket.socket.sendall",
)
claim(
    "sendall() that fails has sent a part",
    broke == "timeout" and 0 < arrived < 50 * MB,
    f"{arrived:,} bytes",
)

# %% [markdown]
# ## A slow reader
#
# bob reads 100 kB every 5 ms, at most 20 MB a second. ann sends 3 MB with one `sendall()`. When
# does it return?

# %%
slow = ask(
    "4.4 a slow reader",
    "ann's sendall() of 3 MB returns. How many bytes has bob read by then?",
    {"a": "all 3 MB: it waits for the reader", "b": "some or none: the kernels hold the rest"},
    guess=None,
)


# %%
def read_slowly(bob: socket.socket, queues: Queues | None, total: int, read: list[int]) -> None:
    """Read 100 kB every 5 ms, and look at the queues each time."""
    while read[0] < total:
        read[0] += len(bob.recv(100_000))
        if queues:
            queues.look()
        time.sleep(0.005)  # bob is slow


read = [0]
with connected() as (ann, bob):
    seen = Queues(ann, bob) if on_linux("04-slow-reader") else None
    reader = threading.Thread(target=read_slowly, args=(bob, seen, 3 * MB, read))
    reader.start()
    ann.sendall(bytes(3 * MB))
    read_by_then = read[0]
    if seen:
        seen.look("sendall() returns")
    reader.join()
if seen:
    show(seen.picture("A slow reader, 3 MB"), f"{len(seen.looks)} looks", "04-slow-reader")

# %%
slow.happened(
    f"bob had read {read_by_then:,} of 3,000,000 bytes",
    "That sendall() returned says that the own kernel has the bytes, and not that anybody got "
    "them. So a slow client looks like a quick one, until the queues are full; and what a "
    'server has "sent" may be seconds away from its reader.',
    choice="b",
    read="send(2): no error does not mean delivery; RFC 9293, section 3.8.6",
)
claim(
    "sendall() returns before the reader has read",
    read_by_then < 3 * MB,
    f"{read_by_then:,} of 3,000,000 read",
)

# %% [markdown]
# ## Asking for a size
#
# `SO_RCVBUF` asks for a size of the receive queue. The kernel has its own opinion.

# %%
doubled = ask(
    "4.5 SO_RCVBUF",
    "A program sets SO_RCVBUF to 50,000 and reads it back. What does it read on Linux? (a number)",
    guess=None,
)

# %%
with socket.socket() as any_socket:
    any_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)
    read_back = any_socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
sizes = [4_096, 16_384, 65_536, 131_072]
absorbed = []
for size in sizes:
    with connected(receive_buffer=size, send_buffer=16_384) as (ann, bob):
        absorbed.append(fill(ann, 1_000)[0])
line = {"taken": [(size / 1000, took / 1000) for size, took in zip(sizes, absorbed, strict=True)]}
title = "What a peer that never reads absorbs"
show(curves(title, "kB of SO_RCVBUF asked for", "kB taken", line), f"{absorbed}")

# %%
if on_linux():
    doubled.happened(
        f"{read_back:,}",
        "Linux doubles it: half of the memory is meant for the bookkeeping of the segments. A "
        "size that was set stays, where the kernel would have let it grow: who sets it by habit"
        " makes a fast connection slow.",
        read="socket(7), SO_RCVBUF; tcp(7)",
    )
    claim("SO_RCVBUF doubles", read_back == 100_000, f"50,000 asked for, {read_back:,} given")
claim(
    "smaller buffers absorb less",
    absorbed[0] < absorbed[-1] / 2,
    f"{absorbed[0]:,} and {absorbed[-1]:,} bytes",
)


# %% [markdown]
# Drag it yourself (in JupyterLab; the curve above is the same without a slider).


# %%
def try_sizes(receive_buffer: int, send_buffer: int) -> None:
    """Fill a connection with these buffers, and say how much it took."""
    with connected(receive_buffer=receive_buffer, send_buffer=send_buffer) as (ann, _):
        took, _ = fill(ann, 1_000)
    words = f"SO_RCVBUF {receive_buffer:,}, SO_SNDBUF {send_buffer:,}: {took:,} bytes taken"
    say(f"<p>{words}</p>", words)


choices = [4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 200_000]
drag(try_sizes, receive_buffer=choices, send_buffer=choices)

# %% [markdown]
# ## One reader stops a whole chat
#
# A naive chat sends each line to all members in turn, with `sendall()`. Four members read; the
# second has gone for lunch.

# %%
lunch = ask(
    "4.6 a naive broadcast",
    "One of four members does not read any more. What happens to the other three?",
    {
        "a": "nothing, they have sockets of their own",
        "b": "those before him go on",
        "c": "all of them starve",
    },
    guess=None,
)


# %%
def broadcast(members: dict[str, socket.socket], recorder: Recorder, seconds: float) -> None:
    """Send lines to all, in turn, until the time is over or somebody is stuck."""
    over = time.monotonic() + seconds
    for sock in members.values():
        sock.settimeout(0.4)  # in a real chat there is none, and this is for ever
    while time.monotonic() < over:
        for name, sock in members.items():
            if recorder.call(name, "sendall()", sock.sendall, bytes(20_000)):
                return


def eat(sock: socket.socket) -> None:
    """Read until the end."""
    while sock.recv(MB):
        pass


# %%
recorder = Recorder()
with ExitStack() as stack:
    ends = {
        name: stack.enter_context(connected(receive_buffer=65_536, send_buffer=65_536))
        for name in ("ann", "bob", "cat", "dan")
    }
    readers = [
        threading.Thread(target=eat, args=(ends[name][1],)) for name in ("ann", "cat", "dan")
    ]
    for reader in readers:
        reader.start()
    broadcast({name: server_side for name, (server_side, _) in ends.items()}, recorder, 20.0)
    for server_side, _ in ends.values():
        server_side.close()
    for reader in readers:
        reader.join()
stuck = max(recorder.spans, key=lambda span: span.ended - span.began)
show(
    lanes("A naive broadcast, and bob is at lunch", recorder.spans),
    f"{stuck.lane} stops all",
    "04-broadcast",
)

# %%
after = [span for span in recorder.spans if span.began > stuck.began and span.lane != stuck.lane]
lunch.happened(
    f"the server waited in sendall() for {stuck.lane}; nobody got anything meanwhile",
    "The loop is one thread, and sendall() blocks it: ann, cat and dan read, and there is "
    "nothing to read. One phone in a tunnel stops the chat for everybody. The cure is a queue "
    "for each member, with a limit (labs 5 and 6).",
    choice="c",
    read="PROTOCOL.md, slow readers; lab 6",
)
claim(
    "one reader stops a naive broadcast",
    stuck.lane == "bob" and not after,
    f"{stuck.words} for {stuck.lane}",
)

# %% [markdown]
# **What to take along.** A `send()` that succeeds has told the own kernel, and nobody else. Look
# at what it returns. Give every client an output queue with a limit, and decide what happens at
# the limit: that decision is called back-pressure.
