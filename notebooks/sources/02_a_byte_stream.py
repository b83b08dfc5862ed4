# %% [markdown]
# # 2 · A byte stream
#
# TCP carries a stream of bytes, in order, without a loss. It carries nothing else: no messages,
# no lines, no characters. What one `send()` hands over may come out of three `recv()`, and three
# `send()` out of one. Most programs that work on one's own machine, and fail at a customer's,
# have assumed otherwise.
#
# Below, a **byte ruler** shows one stream: above it, where the writer has cut it; below it, where
# the reader has.

# %%
import socket
import threading
from itertools import accumulate

from harness.seen import ask, claim, connected, on_linux, outcome, show, unread, until
from harness.seen.curves import curves
from harness.seen.ruler import ruler
from harness.wire.segments import cut, segmentations

# %% [markdown]
# ## Three writes
#
# ann calls `send()` three times, with `hello `, `my ` and `name is ann`. bob is busy for a
# moment; then he calls `recv(1000)`.

# %%
three = ask(
    "2.1 three sends",
    "How many recv(1000) does bob need to get all three pieces?",
    {"a": "one", "b": "three, one for each send", "c": "20, one for each byte"},
    guess=None,
)

# %%
pieces = [b"hello ", b"my ", b"name is ann"]
with connected() as (ann, bob):
    for piece in pieces:
        ann.send(piece)
    until(lambda: len(bob.recv(1000, socket.MSG_PEEK)) == 20)
    got = [bob.recv(1000)]
sizes_sent, sizes_got = [len(piece) for piece in pieces], [len(one) for one in got]
picture = ruler("Three sends, one recv", sizes_sent, sizes_got, got[0])
show(picture, f"{got}", "02-three-sends")
three.happened(
    f"{len(got)}: {got[0]!r}",
    "The kernel keeps bytes, and not where a send() ended. recv() gives what is there, up to "
    "the number that it was asked for.",
    choice="a",
    read="RFC 9293, section 3.7; recv(2)",
)
claim(
    "three sends come out of one recv",
    got == [b"".join(pieces)],
    f"{len(pieces)} sends, {len(got)} recv",
)

# %% [markdown]
# ## One write
#
# Now the other way round: one `sendall()` of 300,000 bytes. bob asks for as much as there may be:
# `recv(1_000_000)`.

# %%
large = ask(
    "2.2 one large send",
    "ann hands over 300,000 bytes in one call. How many recv(1_000_000) does bob need? (a number)",
    guess=None,
)


# %%
def received(data: bytes, most: int) -> list[bytes]:
    """Send `data` with one call; return what each recv(most) of the other side gave."""
    got: list[bytes] = []
    with connected(send_buffer=65536) as (ann, bob):
        sender = threading.Thread(target=ann.sendall, args=(data,))
        sender.start()
        while len(b"".join(got)) < len(data):
            got.append(bob.recv(most))
        sender.join()
    return got


# %%
alphabet = bytes(range(256)) * 1172
parts = received(alphabet[:300_000], 1_000_000)
sizes = [len(part) for part in parts]
show(ruler("One sendall, several recv", [300_000], sizes), f"{sizes}", "02-one-send")
large.happened(
    f"{len(sizes)}, and the first gave {sizes[0]:,} bytes",
    "recv() does not wait for the number that it is given: that is a limit, not a wish. It "
    "waits until there is anything, and gives what has arrived so far. Run the cell again: the "
    "cuts are other ones each time.",
    read="recv(2)",
)
claim("one send comes out of several recv", len(sizes) > 1, f"{len(sizes)} recv for 300,000 bytes")
claim(
    "the order of the bytes is kept",
    b"".join(parts) == alphabet[:300_000],
    "300,000 bytes, each in its place",
)

# %% [markdown]
# ## How large is a recv?
#
# The number that `recv()` is given is a limit. Here bob reads the same 300,000 bytes three times,
# with other limits.

# %%
lines = {}
largest = {}
for most in (1_000, 20_000, 1_000_000):
    parts_read = received(alphabet[:300_000], most)
    ends = list(accumulate(len(part) for part in parts_read))
    lines[f"recv({most})"] = [(float(n), end / 1000) for n, end in enumerate(ends, start=1)]
    largest[most] = max(map(len, parts_read))
bites = "The same bytes, read in larger and larger bites"
few = {name: points[:: max(1, len(points) // 30)] for name, points in lines.items()}
picture = curves(bites, "calls of recv()", "kB received", few, "log x")
in_words = ", ".join(f"recv({most}): {size:,} at most" for most, size in largest.items())
show(picture, in_words)
kept = all(size <= most for most, size in largest.items())
claim("recv gives no more than asked for", kept and largest[1_000_000] < 300_000, in_words)

# %% [markdown]
# ## Lines, if one wants them
#
# If the stream has no borders, the program must put some in, and look for them. A line is what
# ends with a newline. This is the obvious way to read one, and it is in thousands of programs.


# %%
def one_recv_is_one_line(sock: socket.socket) -> list[str]:
    """Read lines as if each recv() brought just one."""
    lines = []
    while data := sock.recv(1024):
        lines.append(data.decode("utf-8").strip())
    return lines


naive = ask(
    "2.3 lines",
    "Two lines, 'Grüße' and 'bye', 12 bytes in UTF-8, are cut into segments in 60 different "
    "ways. In how many of 60 does the function above give ['Grüße', 'bye']? (a number)",
    guess=None,
)

# %%
text = "Grüße\nbye\n"
data = text.encode()
results = []
for chunks in segmentations(len(data), seed=1, number=60):
    read = []
    with connected() as (ann, bob):
        for piece in cut(data, chunks):
            ann.sendall(piece)
            until(lambda: bob.recv(100, socket.MSG_PEEK))
            read.append(bob.recv(1024))  # a reader that is as quick as can be
    try:
        results.append(([one.decode().strip() for one in read], chunks))
    except UnicodeDecodeError:
        results.append((["UnicodeDecodeError"], chunks))
right = [chunks for lines_read, chunks in results if lines_read == ["Grüße", "bye"]]
broken = [chunks for lines_read, chunks in results if lines_read == ["UnicodeDecodeError"]]

# %%
picture = ruler("A character in two segments", broken[-1], broken[-1], data)
show(picture, f"cut as {broken[-1]}", "02-split-character")
naive.happened(
    f"{len(right)} of 60. In {len(broken)} it ends with a UnicodeDecodeError.",
    "Each cut gives wrong lines, unless it happens to lie at a newline. And ü and ß are two "
    "bytes each: cut between them, half a character is not text at all. So: keep bytes until "
    "the newline is there, and decode whole lines only.",
    read="RFC 3629, section 3; lab 2, LineBuffer",
)
claim(
    "a cut inside a character breaks decode()",
    len(broken) > 10,
    f"{len(broken)} of 60 ways to cut 12 bytes",
)
claim("one recv is not one line", len(right) < 10, f"right in {len(right)} of 60 ways")

# %% [markdown]
# Each of these cuts can happen on any network. On the loopback they are rare, which is why such a
# program seems to work. The checks of lab 2 send every exchange in many ways to cut it, as
# `segmentations()` did here.
#
# ## Reading without taking, and taking less
#
# `recv(5)` takes five bytes, and the rest stays where it is. `MSG_PEEK` looks, and takes nothing.
# The kernel tells how much is there.

# %%
left = ask(
    "2.4 a small recv",
    "20 bytes have arrived. bob calls recv(5). What becomes of the other 15?",
    {
        "a": "they are lost, as with UDP",
        "b": "they stay for the next recv()",
        "c": "recv() raises an error",
    },
    guess=None,
)

# %%
with connected() as (ann, bob):
    ann.sendall(b"twenty bytes arrived")
    until(lambda: len(bob.recv(100, socket.MSG_PEEK)) == 20)
    counts = [unread(bob)] if on_linux() else []
    small = [bob.recv(5) for _ in range(4)]
    counts += [unread(bob)] if on_linux() else []
with (
    socket.socket(type=socket.SOCK_DGRAM) as sender,
    socket.socket(type=socket.SOCK_DGRAM) as receiver,
):
    receiver.bind(("127.0.0.1", 0))
    sender.sendto(b"twenty bytes arrived", receiver.getsockname())
    first = outcome(receiver.recv, 5)
    receiver.setblocking(False)
    then = outcome(receiver.recv, 5)

# %%
show(ruler("recv(5), four times", [20], [len(one) for one in small], b"".join(small)), f"{small}")
left.happened(
    f"TCP: {small}. UDP: {first!r}, then {then}.",
    "A stream has no message that could be cut off. A datagram is one: what does not fit is "
    "thrown away (on Windows with an error).",
    choice="b",
    read="recv(2), udp(7)",
)
claim(
    "what recv leaves, the next recv gets", b"".join(small) == b"twenty bytes arrived", f"{small}"
)
if on_linux():
    claim(
        "a datagram is taken whole or cut off",
        (first, then) == (b"twent", "EAGAIN"),
        f"{first!r}, then {then}",
    )
    claim(
        "the kernel tells what waits",
        counts == [20, 0],
        f"{counts[0]} bytes before, {counts[1]} after",
    )

# %% [markdown]
# **What to take along.** Loop until you have what you need. Decide by the bytes (a newline, a
# length) where a message ends, and never by where a `recv()` did. Decode what is whole. Lab 2
# makes a `LineBuffer` of this, which knows no socket at all.
