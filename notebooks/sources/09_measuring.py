# %% [markdown]
# # 9 · Measuring honestly
#
# "The server answers in 0.1 ms." Nearly every such sentence is wrong, and most of them in the
# same four ways. You will make each mistake here, with a real server (the one of lab 5), and see
# how large it is.

# %%
import select
import threading
import time
from collections.abc import Callable
from statistics import mean, median

from harness.load.echo import EchoLoad
from harness.load.histogram import Histogram
from harness.load.outcome import Outcome, Share
from harness.seen import ask, claim, on_linux, show
from harness.seen.curves import curves
from harness.seen.programs import running

STALL = 0.3  # seconds

# %% [markdown]
# ## A server that stalls
#
# Servers stop now and then: a garbage collection, a disk, a lock. We stop ours for 0.3 s
# (SIGSTOP), once, in the middle of a second, and measure in two ways.
#
# - **Closed loop**: one client asks, waits for the answer, pauses 3 ms, and asks again.
# - **Open loop**: 300 questions a second are due, at even times, whatever became of those before.
# Latency counts from when a   question was *due*.

# %%
stalling = ask(
    "9.1 one stall",
    "Within which time are 90 of 100 questions answered (the p90)?",
    {
        "a": "in both more than 100 ms",
        "b": "closed: a few ms; open: more than 100 ms",
        "c": "in both a few ms",
    },
    guess=None,
)


# %%
def loaded(load: EchoLoad, stall: float) -> Outcome:
    """Load the server of lab 5, stop it once for `stall` seconds; return what was measured."""
    found: list[Outcome] = []
    with running(5) as program, program.network() as network:

        def run() -> None:
            found.append(load.run(program.address, Share(network=network), keep_spans=True))

        loading = threading.Thread(target=run)
        loading.start()
        time.sleep(0.4)  # into the second that is measured
        with program.frozen():
            time.sleep(stall)  # the stall itself
        loading.join()
    return found[0]


closed = EchoLoad(clients=1, requests=None, pause=0.003, duration=1.0)
open_loop = EchoLoad(clients=10, requests=None, pause=0.0, rate=300.0, duration=1.0)
outcomes = {"closed loop": loaded(closed, STALL), "open loop": loaded(open_loop, STALL)}

# %%
lines = {
    name: [(span.sent, 1000 * (span.replied - span.sent)) for span in outcome.spans]
    for name, outcome in outcomes.items()
}
picture = curves("One stall of 0.3 s", "seconds", "ms to the answer", lines, kind="dots")
p90 = {name: outcome.latencies.percentile(90) / 1e6 for name, outcome in outcomes.items()}
counts = {name: outcome.answers for name, outcome in outcomes.items()}
in_words = ", ".join(
    f"{name}: {ms:.1f} ms, of {counts[name]} questions" for name, ms in p90.items()
)
show(picture, in_words, "09-stall")

# %%
stalling.happened(
    in_words,
    "The closed loop sent one question into the stall, and then politely waited. The ninety "
    "that real people would have asked meanwhile were never asked, and so never counted: the "
    "load was coordinated with the server. This is called coordinated omission. The open loop "
    "counts everybody who would have waited.",
    choice="b",
    read="Gil Tene: How NOT to measure latency; harness/load/echo.py",
)
claim("coordinated omission", p90["open loop"] > 3 * p90["closed loop"], in_words)
waited = {name: sum(ms > 20 for _, ms in points) for name, points in lines.items()}
claim("the open loop counts all who wait", waited["open loop"] > 30, f"waited over 20 ms: {waited}")

# %% [markdown]
# ## The mean
#
# The same closed loop: one question took 0.3 s, and hundreds a fraction of a millisecond.

# %%
meaning = ask(
    "9.2 the mean",
    "Which part of the questions took longer than the mean? (per cent, a number)",
    guess=None,
)

# %%
times = [ms for _, ms in lines["closed loop"]]
above = 100 * sum(ms > mean(times) for ms in times) / len(times)
ordered = sorted(times)
shares = [(100 * n / len(ordered), ms) for n, ms in enumerate(ordered, start=1)]
levels = {"latency": shares, "mean": [(0.0, mean(times)), (100.0, mean(times))]}
in_words = f"mean {mean(times):.2f} ms, half within {median(times):.2f} ms"
show(
    curves("The mean is nobody's latency", "per cent of the questions", "ms", levels, "log y"),
    in_words,
)
meaning.happened(
    f"{above:.1f} %; {in_words}, the longest {max(times):.0f} ms",
    "Latencies are not spread around a middle: most are short, few are very long. The mean lies"
    " between, where there is nearly nobody. Say the median, p99 and the maximum; better, show "
    "the curve.",
    read="harness/load/histogram.py",
)
claim(
    "the mean is nobody's latency",
    above < 35,
    f"{above:.1f} % are above it",
)

# %% [markdown]
# ## Averaging percentiles
#
# Many tools write down a p99 for each interval, and a dashboard shows the average of them. Here
# is one histogram for each tenth of a second of the open loop.

# %%
averaging = ask(
    "9.3 the average of p99s",
    "Is the average of the p99 of ten intervals the p99 of the whole?",
    {"a": "yes", "b": "no, it is less here", "c": "no, it is more here"},
    guess=None,
)

# %%
tenths = [tenth for tenth in outcomes["open loop"].tenths if tenth.count]
each = [tenth.percentile(99) / 1e6 for tenth in tenths]
whole = Histogram()
for tenth in tenths:
    whole.add(tenth)
true = whole.percentile(99) / 1e6
by_interval = {"p99 of each interval": [(float(n), ms) for n, ms in enumerate(each, start=1)]}
by_interval["their average"] = [(1.0, mean(each)), (float(len(each)), mean(each))]
by_interval["p99 of the whole"] = [(1.0, true), (float(len(each)), true)]
picture = curves("Percentiles cannot be averaged", "interval with answers", "ms", by_interval)
show(picture, f"{mean(each):.0f} ms against {true:.0f} ms", "09-average")

# %%
averaging.happened(
    f"the average is {mean(each):.0f} ms, the p99 of the whole {true:.0f} ms",
    "A percentile is a place in a sorted list, and lists cannot be averaged by one of their "
    "places. And the intervals in which nothing was answered have no percentile at all: the "
    "stall itself is missing. Histograms can be added; that is why the kit keeps them.",
    choice="b",
    read="harness/load/histogram.py; HdrHistogram",
)
claim(
    "percentiles cannot be averaged",
    mean(each) < 0.75 * true,
    f"{mean(each):.0f} ms instead of {true:.0f}",
)

# %% [markdown]
# ## The clock of the load
#
# A load client must send at the right moment, and so must wait in between. Here each way to wait
# is asked for 0.3 ms, 100 times. What one waits too long is added to each latency, and looks like
# the server's.

# %%
pausing = ask(
    "9.4 0.3 ms",
    "epoll's time-out is asked for 0.3 ms. How long does it take, in the middle? (milliseconds)",
    guess=None,
)


# %%
def spin(seconds: float) -> None:
    """Wait without sleeping."""
    over = time.perf_counter() + seconds
    while time.perf_counter() < over:
        pass


def milliseconds(wait: Callable[[float], object]) -> list[float]:
    """Ask for 0.3 ms a hundred times; return how long each took, shortest first."""
    took = []
    for _ in range(100):
        began = time.perf_counter()
        wait(0.0003)
        took.append(1000 * (time.perf_counter() - began))
    return sorted(took)


# %%
if on_linux("09-pauses"):
    with select.epoll() as epoll:
        ways: dict[str, Callable[[float], object]] = {
            "epoll": epoll.poll,
            "time.sleep()": time.sleep,
            "select()": lambda seconds: select.select([], [], [], seconds),
            "spinning": spin,
        }
        pauses = {name: milliseconds(wait) for name, wait in ways.items()}
    lines = {name: [(float(n), ms) for n, ms in enumerate(took)] for name, took in pauses.items()}
    picture = curves(
        "Asked for 0.3 ms", "per cent took no longer", "ms", lines, "log y", pausing.guess
    )
    middle = {name: median(took) for name, took in pauses.items()}
    in_words = ", ".join(f"{name}: {ms:.2f} ms" for name, ms in middle.items())
    show(picture, in_words, "09-pauses")

# %%
if on_linux():
    pausing.happened(
        in_words,
        "epoll_wait() counts whole milliseconds, and Python rounds up: 0.3 becomes 1. select() "
        "and sleep() count finer, and wake a little late. Spinning is exact, and burns a "
        "processor. The kit's load waits with select(), then spins for the rest.",
        read="epoll_wait(2), epoll_pwait2(2); time(7)",
    )
    claim("epoll's time-out counts whole milliseconds", middle["epoll"] >= 0.95, in_words)
    claim("spinning is exact", pauses["spinning"][10] < 0.4, f"{pauses['spinning'][10]:.3f} ms")

# %% [markdown]
# ## A check that always works
#
# Little's law: in a closed loop without pauses, *clients = throughput × mean latency*, whatever
# the server does. Where a tool's figures do not fit, they are wrong.

# %%
little = ask(
    "9.5 Little's law",
    "8 clients, each asks as soon as it is answered. The mean latency is 0.2 ms. How many "
    "answers a second are that? (a number)",
    guess=None,
)

# %%
busy = loaded(EchoLoad(clients=8, requests=None, pause=0.0, duration=0.6), 0.0)
latencies = [span.replied - span.sent for span in busy.spans[8:]]
rate = busy.answers / busy.seconds
product = rate * mean(latencies)
little.happened(
    f"40,000. Measured: {rate:,.0f} a second × {1000 * mean(latencies):.3f} ms = {product:.2f}",
    "Each client is always waiting for exactly one answer, so the number of those who wait is "
    "8, all the time.",
    read="J. D. C. Little, A proof for the queuing formula L = λW, 1961",
)
claim("Little's law", 5 < product < 11, f"{product:.2f} of 8 clients")

# %% [markdown]
# **What to take along.** Say how you asked (closed or open), at which rate, and from when you
# counted. Show p50, p99 and the maximum, from histograms that were added. Look at your own clock
# before you blame the server. And check with Little.
