"""What a sweep comes to: a row for each server and each load, and what can be said of them."""

from collections.abc import Sequence
from statistics import median
from typing import Any, Literal

from harness.load.generators import together
from harness.load.histogram import Histogram
from harness.load.outcome import SECOND, TENTH, Outcome
from harness.load.sweep import Measurement
from harness.units import seconds as in_words

PERCENTS = (50, 90, 99, 99.9, 100)
BUSY = 0.9  # of a processor: above that the load, not the server, may have been the bottleneck
LATE = 0.5  # of the latency that 99 of 100 do not exceed: a load that is so late has made much of it itself
KEPT = 0.95  # of an offered rate: who needs longer for it than that does not keep it
NEARLY_ALL = 0.9  # of the highest throughput: from there on more clients only wait longer

Over = Literal["clients", "rate"]
Row = dict[str, Any]


def rows(done: Sequence[Measurement], over: Over) -> list[Row]:
    """Return a row for each server and load: medians over the rounds, with their ranges.

    Percentiles are never averaged: the curve is that of all latencies of all rounds together.
    """
    keys = dict.fromkeys((one.server, _x(one, over)) for one in done)
    return [_row([one for one in done if (one.server, _x(one, over)) == key], over) for key in keys]


def points(done: Sequence[Measurement], over: Over) -> list[Row]:
    """Return a row for each single measurement."""
    return [_figures(one, over) | {"round": one.round} for one in done]


def _x(one: Measurement, over: Over) -> float:
    return one.load.clients if over == "clients" else (one.load.rate or 0)


def _figures(one: Measurement, over: Over) -> Row:
    outcome, used, latencies = one.outcome, one.used, one.outcome.latencies
    return {
        "server": one.server.name,
        "reference": one.server.reference,
        "x": _x(one, over),
        "clients": one.load.clients,
        "rate": one.load.rate,
        "answers": latencies.count,
        "seconds": outcome.seconds,
        "ready": outcome.ready,
        "offered": max(one.load.duration, outcome.last_due),  # seconds; of few who talk at a low rate, each talks once
        "kept": max(one.load.duration, outcome.last_due) / outcome.seconds if one.load.rate else None,
        "throughput": latencies.count / outcome.seconds,
        "latency": _percentiles(latencies),
        "first_reply": _percentiles(outcome.first_replies),
        "threads": used.threads,
        "memory": used.memory,
        "descriptors": used.descriptors,
        "cpu": used.cpu,
        "switches": used.switches,
        "busy": outcome.busy,
        "lateness": _own_lateness(one) / SECOND,
    }


def _own_lateness(one: Measurement) -> int:
    """Return by how much the load itself may have made its latencies longer, in 99 of 100 cases; nanoseconds.

    What comes at once is handled one after another. In an open loop a send that is late counts as well; in a closed
    loop it does not, for latency runs from the send.
    """
    own = [one.outcome.lag, *([one.outcome.lateness] if one.load.rate else [])]
    return max((histogram.percentile(99) for histogram in own if histogram.count), default=0)


def _percentiles(histogram: Histogram) -> dict[str, float]:
    return {f"{percent:g}": histogram.percentile(percent) / SECOND for percent in PERCENTS if histogram.count}


def _row(same: Sequence[Measurement], over: Over) -> Row:
    figures = [_figures(one, over) for one in same]
    row = {**figures[0], "rounds": len(same)}
    for name in (
        "answers",
        "seconds",
        "offered",
        "ready",
        "throughput",
        "threads",
        "memory",
        "descriptors",
        "cpu",
        "switches",
    ):
        row[name] = median(one[name] for one in figures)
    for name in ("busy", "lateness"):
        row[name] = median(one[name] for one in figures)
    for name in ("latency", "first_reply"):
        row[name] = {percent: median(one[name][percent] for one in figures) for percent in figures[0][name]}
    row["kept"] = median(one["kept"] for one in figures) if row["rate"] else None
    row["ranges"] = {
        **{name: _range(one[name] for one in figures) for name in ("throughput", "cpu")},
        **{percent: _range(one["latency"][percent] for one in figures) for percent in row["latency"]},
    }
    whole = together([Outcome(), *(one.outcome for one in same)])
    row["curve"] = [[percent, value / SECOND] for percent, value in whole.latencies.curve()]
    row["over_time"] = _overin_words(same[0].outcome)
    row["acts"] = {
        act: _percentiles(latencies) | {"count": latencies.count} for act, latencies in sorted(whole.acts.items())
    }
    row["why"] = _why_no_verdict(row)
    row["verdict"] = not row["why"]
    return row


def _range(values: Any) -> list[float]:
    found = sorted(values)
    return [found[0], found[-1]]


def _overin_words(outcome: Outcome) -> list[list[float]]:
    return [
        [number * TENTH / SECOND, *(tenth.percentile(percent) / SECOND for percent in (50, 99, 100)), tenth.count]
        for number, tenth in enumerate(outcome.tenths)
        if tenth.count
    ]


def _why_no_verdict(row: Row) -> str:
    if row["busy"] >= BUSY:
        return f"the load itself was busy for {100 * BUSY:.0f} % of the time or more"
    if row["lateness"] >= LATE * row["latency"]["99"]:
        return f"the load itself was late, by {LATE:g} of the p99 or more"
    return ""


# What can be said


def sentences(table: Sequence[Row], over: Over, answers: str, knee: bool = True) -> list[str]:
    """Say of each server what its figures are, where its `knee` is, and where nothing can be said."""
    return [
        sentence
        for own in _by_server(table)
        for sentence in (
            _at_most(own, over, answers),
            _knee(own, over, answers) if knee else "",
            _not_kept(own, over),
            _no_verdict(own, over),
        )
        if sentence
    ]


def _by_server(table: Sequence[Row]) -> list[list[Row]]:
    return [[row for row in table if row["server"] == name] for name in dict.fromkeys(row["server"] for row in table)]


def _at_most(own: Sequence[Row], over: Over, answers: str) -> str:
    sound = [row for row in own if row["verdict"]]
    if not sound:
        return ""
    row = sound[-1]
    threads = f"{row['threads']:.0f} {'thread' if row['threads'] == 1 else 'threads'}"
    return _sentence(
        f"{row['server']}, {_where(row, over)}: {row['throughput']:,.0f} {answers} a second; half of them within "
        f"{in_words(row['latency']['50'])}, 99 of 100 within {in_words(row['latency']['99'])}, the last "
        f"after {in_words(row['latency']['100'])}; {threads}, {row['memory'] / 2**20:.1f} MiB"
    )


def _where(row: Row, over: Over) -> str:
    if over == "clients":
        return f"with {row['clients']:,} {'client' if row['clients'] == 1 else 'clients'}"
    return f"offered {row['rate']:,.0f} a second"


def _knee(own: Sequence[Row], over: Over, answers: str) -> str:
    """Say from where on more load brings no more answers; nothing where no such place was reached."""
    sound = [row for row in own if row["verdict"]]
    if len(sound) < 3:
        return ""
    if over == "rate":
        kept = [row for row in sound if row["kept"] >= KEPT]
        if len(kept) == len(sound):
            return _sentence(f"{own[0]['server']} keeps every rate that was offered, up to {kept[-1]['rate']:,.0f}")
        if not kept:
            return _sentence(f"{own[0]['server']} keeps none of the rates that were offered")
        return _sentence(
            f"{own[0]['server']} keeps {kept[-1]['rate']:,.0f} a second; offered more, it does at most "
            f"{max(row['rate'] * row['kept'] for row in sound):,.0f}, and what waits gets ever older"
        )
    most = max(row["throughput"] for row in sound)
    knee = next(row for row in sound if row["throughput"] >= NEARLY_ALL * most)
    if knee["x"] == sound[-1]["x"]:
        return ""
    return _sentence(
        f"the knee of {own[0]['server']} is at {knee['clients']:,} {'client' if knee['clients'] == 1 else 'clients'}: "
        f"that many get {knee['throughput']:,.0f} {answers} a second out of it, more of them hardly more, and only "
        f"wait longer ({in_words(knee['latency']['99'])} there, {in_words(sound[-1]['latency']['99'])} with "
        f"{sound[-1]['clients']:,}; 99 of 100)"
    )


def _not_kept(own: Sequence[Row], over: Over) -> str:
    """Say of a sweep over the clients at one rate where that rate was not kept."""
    short = [row for row in own if over == "clients" and row["rate"] and row["kept"] < KEPT]
    if not short:
        return ""
    worst = min(short, key=lambda row: float(row["kept"]))
    return _sentence(
        f"{own[0]['server']}, {_where(worst, over)}, did {worst['rate'] * worst['kept']:,.0f} a second of the "
        f"{worst['rate']:,.0f} that were due: what waits gets ever older, and the latencies are those of a queue"
    )


def _no_verdict(own: Sequence[Row], over: Over) -> str:
    without = [row for row in own if not row["verdict"]]
    if not without:
        return ""
    *numbers, last = (f"{row['x']:,.0f}" for row in without)
    places = f"{', '.join(numbers)} and {last}" if numbers else last
    where = f"with {places} client{'' if places == '1' else 's'}" if over == "clients" else f"offered {places} a second"
    reasons = " or ".join(dict.fromkeys(row["why"] for row in without))
    return _sentence(
        f"no verdict on {own[0]['server']} {where}: {reasons}, so these figures are not the server's alone"
    )


def beside_reference(table: Sequence[Row]) -> dict[str, tuple[Row, Row]]:
    """Return each server's row beside the reference's, under the highest load on which there is a verdict of both."""
    reference = {row["x"]: row for row in table if row["reference"] and row["verdict"]}
    common = [row for row in table if not row["reference"] and row["verdict"] and row["x"] in reference]
    return {row["server"]: (row, reference[row["x"]]) for row in common}  # the last one of each server stays


def compared(table: Sequence[Row], over: Over) -> list[str]:
    """Say of each server what part of the reference's throughput it has, and of its waiting."""
    return [
        _sentence(
            f"{mine['server']} has {mine['throughput'] / its['throughput']:.2f} of the throughput of {its['server']} "
            f"{_where(mine, over)}, and {mine['latency']['99'] / its['latency']['99']:.2f} of its waiting (99 of 100), "
            "in the same minute on this machine"
        )
        for mine, its in beside_reference(table).values()
    ]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
