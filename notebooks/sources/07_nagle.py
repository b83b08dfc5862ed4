# %% [markdown]
# # 7 · Forty milliseconds that nobody ordered
#
# Two good ideas of the 1980s, each sensible alone, meet in one connection and make it a thousand
# times slower. No processor is busy, no cable is slow, no packet is lost. This is the most famous
# riddle of TCP, and every few years a large service discovers it again.

# %%
import socket
import threading
import time
from contextlib import suppress
from statistics import median

from harness.seen import ask, claim, connected, on_linux, show, until
from harness.seen.curves import curves
from harness.seen.lanes import Recorder, lanes
from harness.seen.router import Router
from harness.seen.segments import segments_sent

ROUNDS = 25

# %% [markdown]
# ## Write, write, read
#
# ann asks bob again and again. A question has a head (4 bytes) and a body (4 bytes). bob answers
# when he has both.
#
# In the first run ann sends head and body with two `send()`, as one does without a thought. In
# the second run she sends both with one.

# %%
riddle = ask(
    "7.1 write, write, read",
    "One send() of 8 bytes takes about 0.05 ms to be answered. How long does it take, in the "
    "middle, with two send() of 4 bytes each? (milliseconds)",
    guess=None,
)


# %%
def answer(sock: socket.socket, quick_ack: bool) -> None:
    """Answer each 8 bytes with 8 bytes, until the end."""
    have = b""
    while piece := sock.recv(8 - len(have)):
        have += piece
        if quick_ack:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if len(have) == 8:
            sock.send(have)
            have = b""


# %%
def rounds(pieces: list[bytes], nagle: bool = True, quick_ack: bool = False) -> list[float]:
    """Ask again and again, each question in these pieces; return the seconds of each round."""
    took = []
    with connected() as (ann, bob):
        ann.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, not nagle)
        answering = threading.Thread(target=answer, args=(bob, quick_ack))
        answering.start()
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for piece in pieces:
                ann.send(piece)
            ann.recv(8)
            took.append(time.perf_counter() - began)
        ann.shutdown(socket.SHUT_WR)
        answering.join()
    return took


# %%
two = [b"head", b"body"]
runs = {"two sends": rounds(two), "one send": rounds([b"headbody"])}
lines = {
    name: [(float(place), 1000 * one) for place, one in enumerate(took, start=1)]
    for name, took in runs.items()
}
picture = curves(
    "Each point is one question", "question", "ms", lines, "log y", riddle.guess, "dots"
)
middle = {name: 1000 * median(took[5:]) for name, took in runs.items()}
in_words = ", ".join(f"{name}: {ms:.2f} ms" for name, ms in middle.items())
show(picture, in_words, "07-riddle")

# %%
if on_linux():
    riddle.happened(
        in_words,
        "Nagle's algorithm (1984) holds a small segment back while an earlier one is not "
        "acknowledged: the body waits for the ACK of the head. Delayed ACK (1982) holds the ACK"
        " back, up to 40 ms on Linux, because an answer may carry it. But bob has no answer "
        "before he has the body. Each waits for the other, until bob's timer ends it.",
        read="RFC 896; RFC 1122, section 4.2.3.2; RFC 9293, section 3.7.4; tcp(7), TCP_NODELAY",
    )
    claim("Nagle and delayed ACK: 40 ms", 20 < middle["two sends"] < 400, in_words)
    claim("one send does not wait", middle["one send"] < middle["two sends"] / 4, in_words)

# %% [markdown]
# ## One slow question, seen
#
# The same in slow motion: when ann's calls began and ended, and when bob's `recv()` returned.


# %%
def watched_round(recorder: Recorder) -> None:
    """Make a few questions, and write down the calls of the last one."""
    with connected() as (ann, bob):
        for number in range(8):
            last = number == 7
            if last:
                recorder.began = time.monotonic()
            wait = recorder.call if last else lambda lane, words, function, *args: function(*args)
            asking = threading.Thread(target=lambda wait=wait: wait("ann", "recv()", ann.recv, 8))
            wait("ann", "send(head)", ann.send, b"head")
            wait("ann", "send(body)", ann.send, b"body")
            asking.start()
            for _ in range(2):
                wait("bob", "recv()", bob.recv, 4)
            wait("bob", "send()", bob.send, b"answered")
            asking.join()


recorder = Recorder()
watched_round(recorder)
show(
    lanes("One question in two pieces", recorder.spans), "bob waits for the body", "07-slow-motion"
)

# %% [markdown]
# Both of ann's `send()` return at once. The body lies in her kernel, and bob waits for it.
# Nobody's program does anything wrong that one could see in its code.
#
# ## Three cures

# %%
cures = ask(
    "7.2 cures",
    "Which of these takes the 40 ms away? TCP_NODELAY at ann's end; one send() for head and "
    "body; TCP_QUICKACK at bob's end.",
    {"a": "only the first", "b": "the first two", "c": "all three"},
    guess=None,
)

# %%
runs = {"as it was": rounds(two), "one send()": rounds([b"".join(two)])}
runs["TCP_NODELAY"] = rounds(two, nagle=False)
if on_linux("07-cures"):
    runs["TCP_QUICKACK"] = rounds(two, quick_ack=True)
    middle = {name: 1000 * median(took[5:]) for name, took in runs.items()}
    lines = {
        name: [(float(n), 1000 * one) for n, one in enumerate(took, start=1)]
        for name, took in runs.items()
    }
    in_words = ", ".join(f"{name}: {ms:.2f} ms" for name, ms in middle.items())
    picture = curves("Four ways to ask", "question", "ms", lines, "log y", kind="dots")
    show(picture, in_words, "07-cures")
    cures.happened(
        in_words,
        "Each removes one of the two waits. Best is to give the kernel what belongs together in"
        " one call (sendmsg() takes several pieces): then nothing waits, and there are fewer "
        "segments. TCP_NODELAY helps where that cannot be. TCP_QUICKACK is asked for again "
        "after each recv(), and is Linux's alone.",
        choice="c",
        read="tcp(7), TCP_NODELAY and TCP_QUICKACK; sendmsg(2)",
    )
    slow = middle.pop("as it was")
    claim("TCP_NODELAY ends it", middle["TCP_NODELAY"] < slow / 4, in_words)
    claim("TCP_QUICKACK ends it", middle["TCP_QUICKACK"] < slow / 4, in_words)

# %% [markdown]
# ## What Nagle is good for
#
# Nagle's algorithm was made for programs that send single letters: 1 byte of data, 40 bytes of
# headers. ann and bob have talked for a while; now ann sends eight letters, one `send()` each.
# How many segments does her kernel make of them?

# %%
letters = ask(
    "7.3 eight letters",
    "8 send() of 1 byte are 8 segments with TCP_NODELAY. How many with Nagle's algorithm? (a "
    "number)",
    guess=None,
)


# %%
def segments_of(number: int, option: int, value: int) -> int:
    """Send single bytes under an option; return how many segments they became."""
    with connected() as (ann, bob):
        for _ in range(10):  # they talk: from then on, bob's kernel delays its ACKs
            ann.send(b"?")
            bob.send(bob.recv(1))
            ann.recv(1)
        ann.setsockopt(socket.IPPROTO_TCP, option, value)
        before = segments_sent(ann)
        for _ in range(number):
            ann.send(b"x")
        if option != socket.TCP_NODELAY:
            ann.setsockopt(socket.IPPROTO_TCP, option, 0)
        until(lambda: len(bob.recv(100, socket.MSG_PEEK)) == number)
        return segments_sent(ann) - before


if on_linux():
    counts = {
        "TCP_NODELAY": segments_of(8, socket.TCP_NODELAY, 1),
        "Nagle": segments_of(8, socket.TCP_NODELAY, 0),
        "TCP_CORK": segments_of(8, socket.TCP_CORK, 1),
    }
    in_words = ", ".join(f"{name}: {count}" for name, count in counts.items())

# %%
if on_linux():
    letters.happened(
        in_words,
        "The first letter leaves at once. While it is on its way, the others gather behind it, "
        "and leave as one segment when the ACK comes. The slower the network, the more gathers:"
        " that is the beauty of it. TCP_CORK holds all back until it is taken out again.",
        read="RFC 896; tcp(7), TCP_CORK",
    )
    claim("with TCP_NODELAY each send() is a segment", counts["TCP_NODELAY"] >= 8, in_words)
    claim("Nagle gathers small sends", counts["Nagle"] <= 4, in_words)
    claim("TCP_CORK makes one of many", counts["TCP_CORK"] <= 2, in_words)

# %% [markdown]
# ## Who waits in the queue of others
#
# The last kind of time that nobody ordered is not in your machine. A line of 500,000 bytes a
# second has a queue in front of it, as each home router has. eve asks for nothing but a sign of
# life every 10 ms. After 0.3 s, dan begins to upload: as much as goes. Two routers differ in the
# room of their queue: 5,500 bytes, and 100,500. (Beside dan's datagrams of 1,000 bytes there is
# always room for a small one of eve.)

# %%
RATE, PING = 500_000, 0.01  # bytes a second; seconds
ROOMS = {"a queue of 5,500 bytes": 5_500, "a queue of 100,500 bytes": 100_500}
bloat = ask(
    "7.4 a bulk flow",
    "dan's upload keeps the queue of 100,500 bytes full. How long is eve's sign of life on its "
    "way then? (milliseconds)",
    guess=None,
)


# %%
def through(room: int) -> tuple[list[tuple[float, float]], int]:
    """Send both flows; return when each sign of life left, how long it took, and all bytes."""
    ways = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("127.0.0.1", 0))
        end.settimeout(0.5)
        with Router(end.getsockname(), RATE, room) as router:
            sending = threading.Thread(target=send_both, args=(router.address,))
            began = time.perf_counter()
            sending.start()
            with suppress(TimeoutError):
                while True:
                    data = end.recv(2000)
                    if data[:4] == b"eve ":
                        left = float(data[4:])
                        ways.append((left - began, 1000 * (time.perf_counter() - left)))
            sending.join()
            return ways, router.passed


# %%
def send_both(address: tuple[str, int]) -> None:
    """Be eve for a second, and dan from 0.3 s on: twice what the line carries."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        began = eves = time.perf_counter()
        dans = began + 0.3
        while (now := time.perf_counter()) < began + 1.0:
            if now >= eves:
                out.sendto(b"eve %.6f" % now, address)
                eves += PING
            while now >= dans:
                out.sendto(bytes(1000), address)
                dans += 1000 / (2 * RATE)
            time.sleep(0.0005)


# %%
seen = {name: through(room) for name, room in ROOMS.items()}
waits = {name: [(when, ms) for when, ms in ways] for name, (ways, _) in seen.items()}
late = {name: median(ms for when, ms in ways if when > 0.7) for name, ways in waits.items()}
carried = {name: passed for name, (_, passed) in seen.items()}
in_words = ", ".join(f"{name}: {ms:.0f} ms" for name, ms in late.items())
picture = curves(
    "Signs of life on their way", "seconds", "ms", waits, "linear", bloat.guess, "dots"
)
show(picture, in_words, "07-bloat")

# %%
short, long = late.values()
bloat.happened(
    in_words,
    "Her datagram stands behind all of dan's that wait already, and leaves in its turn: 100,500 "
    "bytes at 500,000 a second are 201 ms. TCP fills any queue that it finds, because it slows "
    "down only when something is lost. A longer queue loses later, carries no byte more, and lets "
    "everybody wait. This is called bufferbloat; the cure is a short queue, or one that is fair.",
    read="RFC 8290; RFC 7567; Gettys and Nichols, Bufferbloat, ACM Queue, 2011",
)
claim("bufferbloat: one flow fills the queue of all", 100 < long < 500, in_words)
claim("a short queue is a short wait", short < long / 3, in_words)
told = ", ".join(f"{name}: {bytes_:,}" for name, bytes_ in carried.items())
claim("a longer queue carries no more", max(carried.values()) < 1.5 * min(carried.values()), told)

# %% [markdown]
# **What to take along.** Give the kernel whole messages, in one `sendall()`. A server that
# answers in small pieces sets `TCP_NODELAY` as well. And if something takes 40 ms (or 200 ms on
# other systems) while all processors sleep, you know now where to look.
