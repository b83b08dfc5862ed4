"""Sweeps: several servers under several loads, made by several generators, and what is told of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import PATIENCE, ROOT, cluster, serving
from test_load_echo import echo

from harness.launch import Command, processes
from harness.launch.network import Network
from harness.launch.workers import WorkerDied, Workers
from harness.load.echo import EchoLoad
from harness.load.generators import Cluster, GeneratorDied, Local
from harness.load.histogram import Histogram
from harness.load.outcome import CannotLoad, LoadFault, Outcome, ServerFull
from harness.load.scenarios import ScenarioError, scenario, scenarios
from harness.load.summary import PERCENTS, compared, points, rows, sentences
from harness.load.sweep import Measurement, Server, Sweep, Used, talk

PROGRAMS = Path(__file__).resolve().parent / "programs"
LASTING = EchoLoad(clients=4, requests=None, pause=0.0, duration=0.1)


def at(address: tuple[str, int]) -> Any:
    """Return a server that is reached there, in our own network."""
    return SimpleNamespace(address=address, network=Network)


def program(file: str, behaviour: str, *words: str) -> Command:
    return Command((sys.executable, str(PROGRAMS / f"{file}.py"), behaviour, *words), PROGRAMS)


ONE_AFTER_ANOTHER = Server("one", program("starting", "echo"))
THREADS = Server("many", program("serving", "threads"))


# Workers


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def refuse() -> None:
    raise ServerFull(7)


def test_workers_do_their_tasks_at_the_same_time_and_again() -> None:
    looks: list[float] = []
    with Workers(2) as workers:
        for _ in range(2):
            tasks = [partial(pow, 2, 5), partial(time.sleep, 0.2)]
            assert workers.run(tasks, lambda: looks.append(time.monotonic()), 0.02) == [32, None]
        pids = [set(workers.run([os.getpid, os.getpid], lambda: None, 1)) for _ in range(2)]
    assert pids[0] == pids[1]
    assert len(pids[0] - {os.getpid()}) == 2
    assert len(looks) > 5


def test_what_a_task_raises_is_raised_and_ends_the_others() -> None:
    began = time.monotonic()
    with Workers(2) as workers, pytest.raises(ServerFull, match="it takes 7 clients"):
        workers.run([partial(time.sleep, PATIENCE), refuse], lambda: None, 1)
    assert time.monotonic() - began < PATIENCE


def test_a_worker_that_dies_is_named_and_replaced() -> None:
    with Workers(2) as workers:
        with pytest.raises(WorkerDied, match=r"^worker 2 of 2 was ended by SIGKILL$"):
            workers.run([partial(time.sleep, PATIENCE), partial(die, signal.SIGKILL)], lambda: None, 1)
        assert workers.run([partial(pow, 2, 3)], lambda: None, 1) == [8]


ORPHANS = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from functools import partial
from harness.launch.workers import Workers
def tell(): print(*[process.pid for process, _ in workers._workers], flush=True)
if __name__ == "__main__":
    workers = Workers(2)
    workers.run([partial(time.sleep, 60)] * 2, tell, 0.1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_workers_end_with_whoever_started_them(tmp_path: Path) -> None:
    file = tmp_path / "orphans.py"
    file.write_text(ORPHANS, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(file), str(ROOT)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + PATIENCE
        while any(processes.state(pid) not in ("", "Z") for pid in workers):
            assert time.monotonic() < deadline, "they outlive it"
            time.sleep(0.01)  # polls: nobody is told when a process that is not one's child ends
    assert len(workers) == 2


# Generators


def test_generators_make_one_load_together() -> None:
    with serving(echo) as address, Local(3) as generators:
        outcome = generators.run(EchoLoad(7, requests=2, pause=0.0, duration=0.0), at(address), lambda: None)
        assert (outcome.answers, outcome.sessions) == (14, 7)
        assert generators.run(EchoLoad(1, requests=2, duration=0.0), at(address), lambda: None).sessions == 1


def test_a_generator_that_dies_is_reported() -> None:
    generators = Local(2)

    def kill_one() -> None:
        os.kill(generators._workers._workers[1][0].pid, signal.SIGKILL)

    load = EchoLoad(4, requests=None, duration=PATIENCE)
    with serving(echo) as address, generators, pytest.raises(GeneratorDied, match="nothing of this measurement counts"):
        generators.run(load, at(address), kill_one)


def test_more_clients_than_descriptors_are_told_with_the_remedy() -> None:
    resource = pytest.importorskip("resource", reason="there is no such limit")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("this machine has no limit")
    with Local(1) as generators, pytest.raises(CannotLoad, match=r"may have \d+ descriptors .* more generators"):
        generators.run(EchoLoad(hard), at(("127.0.0.1", 1)), lambda: None)


def test_two_workers_of_a_cluster_make_one_load_and_one_that_dies_is_reported() -> None:
    with cluster(2) as (scheduler, workers), serving(echo) as address, Cluster(scheduler) as generators:
        assert generators.number == 2
        outcome = generators.run(EchoLoad(7, requests=2, pause=0.0, duration=0.0), at(address), lambda: None)
        assert (outcome.answers, outcome.sessions) == (14, 7)
        with pytest.raises(LoadFault, match="could not connect"):
            generators.run(EchoLoad(2, requests=2, duration=0.0), at((address[0], 1)), lambda: None)
        with pytest.raises(GeneratorDied, match=r"number [12] of 2, at tcp://127.0.0.1:\d+"):
            generators.run(EchoLoad(4, requests=None, duration=PATIENCE), at(address), workers[1].kill)


def test_a_cluster_that_is_not_there_is_told() -> None:
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.cluster.FOUND_WITHIN", 0.5)
        with pytest.raises(CannotLoad, match=r"no scheduler answers at tcp://127.0.0.1:1: .* start one with"):
            Cluster("tcp://127.0.0.1:1")
        with pytest.raises(CannotLoad, match=r"takes an address such as tcp://127.0.0.1:8786; not 'nonsense'"):
            Cluster("nonsense")


# Sweeps


def swept(servers: list[Server], loads: list[EchoLoad], rounds: int = 1) -> Sweep:
    with Local(1) as generators:
        sweep = Sweep(servers, loads, rounds, generators)
        assert len(list(sweep.run())) == len(servers) * len(loads) * rounds
    return sweep


def test_a_sweep_takes_the_servers_in_turn_and_measures_each() -> None:
    sweep = swept([ONE_AFTER_ANOTHER, THREADS], [EchoLoad(clients, duration=0.03) for clients in (1, 3)], 2)
    seen = [(one.round, one.load.clients, one.server.name) for one in sweep.done]
    assert seen == [(turn, count, server) for turn in (0, 1) for count in (1, 3) for server in ("one", "many")]
    assert not sweep.faults
    for row in points(sweep.done, "clients"):
        assert row["answers"] % 10 == 0
        assert row["answers"] >= 10 * row["clients"]
        assert row["throughput"] == pytest.approx(row["answers"] / row["seconds"])
        assert list(row["latency"]) == list(row["first_reply"]) == [f"{percent:g}" for percent in PERCENTS]
        assert list(row["latency"].values()) == sorted(row["latency"].values())
        assert row["threads"] >= 1
        assert row["memory"] > 1 << 20
        assert row["descriptors"] >= 4
        assert row["switches"] > 0
    assert json.loads(json.dumps(points(sweep.done, "clients"))) == points(sweep.done, "clients")


def test_a_sweep_sees_the_threads_of_a_server() -> None:
    sweep = swept([ONE_AFTER_ANOTHER, THREADS], [EchoLoad(3, requests=20, pause=0.02, duration=0.0)])
    assert [one.used.threads > 1 for one in sweep.done] == [False, True]


def test_a_talk_shows_two_clients_in_turn_or_at_once() -> None:
    for server, bob_waits in ((ONE_AFTER_ANOTHER, True), (THREADS, False)):
        spans = talk(server)
        assert [len([span for span in spans if span.client == client]) for client in (0, 1)] == [6, 6]
        ann_ends = max(span.replied for span in spans if span.client == 0)
        bob_begins = min(span.replied for span in spans if span.client == 1)
        assert (bob_begins > ann_ends) is bob_waits


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server("gone", Command(("/no/such/program",), PROGRAMS)), "cannot run '/no/such/program': No such file"),
        (Server("ends", program("starting", "exits", "3")), "it exited with status 3"),
        (Server("wrong", program("serving", "shouts")), "client 0, session 1, request 1: expected"),
        (Server("dies", program("serving", "dies_after", "30")), "session 1, request"),
    ],
    ids=lambda value: value.name if isinstance(value, Server) else "",
)
def test_a_sweep_names_the_server_that_is_at_fault_and_goes_on_with_the_others(server: Server, reason: str) -> None:
    sweep = swept([server, THREADS], [EchoLoad(2, duration=0.1), EchoLoad(3, duration=0.1)])
    assert sweep.faults[server.name].startswith(f"{server.name}, 2 clients: ")
    assert reason in sweep.faults[server.name]
    assert [one.server.name for one in sweep.done] == ["many", "many"]


def test_a_server_that_dies_under_load_is_told_with_how_it_ended() -> None:
    sweep = swept([Server("dies", program("serving", "dies_after", "30"))], [EchoLoad(2, duration=0.1)])
    assert "; it " in sweep.faults["dies"]


def test_a_program_that_does_not_listen_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.load.sweep.START", 0.1)
    sweep = swept([Server("mute", program("starting", "never_listens"))], [EchoLoad(1, duration=0.1)])
    assert sweep.faults == {"mute": "mute, 1 clients: it does not listen"}


def test_a_server_that_is_full_is_asked_for_no_more() -> None:
    class Full(Local):
        def run(self, load: Any, address: Any, watch: Any) -> Outcome:
            if load.clients > 2:
                raise ServerFull(2)
            return super().run(load, address, watch)

    with Full(1) as generators:
        sweep = Sweep([THREADS], [EchoLoad(clients, duration=0.03) for clients in (2, 3, 4)], 2, generators)
        list(sweep.run())
    assert [one.load.clients for one in sweep.done] == [2, 2]
    assert sweep.full == {"many": "it takes 2 clients, and no more (3 came)"}


# What is told


def measured(
    server: str = "a", clients: int = 2, turn: int = 0, unit: int = 1, rate: float | None = None, **outcome: Any
) -> Measurement:
    """A measurement of 100 answers in a second: 1 to 100 times `unit` milliseconds."""
    latencies = Histogram()
    latencies.record_all([number * unit * 1_000_000 for number in range(1, 101)])
    first = Histogram()
    first.record(unit)
    told = Outcome(tenths=[Histogram(), latencies], first_replies=first, measured=(0, 10**9), **outcome)
    named = Server(server, Command(("x",), PROGRAMS), reference=server == "reference")
    return Measurement(
        named, EchoLoad(clients, requests=None, rate=rate), turn, told, Used(unit, unit << 20, unit, unit, unit)
    )


def test_a_row_tells_medians_and_ranges_and_the_curve_of_all() -> None:
    done = [measured(server, 2, turn, unit) for turn, unit in enumerate([3, 100, 4]) for server in ("a", "b")]
    table = rows([*done, measured("a", 5)], "clients")
    assert [(row["server"], row["clients"], row["rounds"]) for row in table] == [("a", 2, 3), ("b", 2, 3), ("a", 5, 1)]
    row = table[0]
    assert [row[name] for name in ("answers", "seconds", "throughput", "threads", "cpu")] == [100, 1, 100, 4, 4]
    assert row["latency"]["99"] == pytest.approx(0.396, rel=0.01)
    assert row["ranges"]["99"] == pytest.approx([0.297, 9.9], rel=0.01)
    assert row["ranges"]["throughput"] == [100, 100]
    percents, seconds = zip(*row["curve"], strict=True)
    assert list(percents) == sorted(percents)
    assert (percents[-1], seconds[-1]) == (100, 10)
    assert next(value for percent, value in row["curve"] if percent > 66) == pytest.approx(0.4, rel=0.05)
    assert [second for second, *_ in row["over_time"]] == [0.1]
    assert row["verdict"]


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        ({"busy": 0.95}, "the load itself was busy for 90 % of the time or more"),
        ({"lag": 80}, "itself was late, "),
    ],
)
def test_where_the_load_was_the_bottleneck_there_is_no_verdict(outcome: dict[str, Any], why: str) -> None:
    if "lag" in outcome:
        outcome = {"lag": Histogram()}
        outcome["lag"].record(80_000_000)
    table = rows([measured(**outcome), measured("b")], "clients")
    assert [row["verdict"] for row in table] == [False, True]
    assert why in table[0]["why"]
    told = sentences(table, "clients", "replies")
    assert any(text.startswith("No verdict on a with 2 clients: ") and why in text for text in told)
    assert not any(text.startswith("A, ") for text in told)


def with_throughput(throughputs: dict[float, float], over: str) -> list[dict[str, Any]]:
    """Rows of one server whose throughput is as told, by number of clients or rate."""
    found = []
    for place, throughput in throughputs.items():
        rate = place if over == "rate" else None
        one = measured(clients=2 if rate else int(place), rate=rate)
        (row,) = rows([one], "rate" if rate else "clients")
        found.append(row | {"throughput": throughput, "kept": rate and throughput / rate})
    return found


def test_the_knee_is_where_more_clients_bring_no_more() -> None:
    table = with_throughput({1: 100, 2: 200, 5: 480, 10: 500, 20: 505}, "clients")
    assert any(text.startswith("The knee of a is at 5 clients") for text in sentences(table, "clients", "replies"))
    rising = with_throughput({1: 100, 2: 200, 5: 480}, "clients")
    assert not any("knee" in text for text in sentences(rising, "clients", "replies"))


@pytest.mark.parametrize(
    ("throughputs", "told"),
    [
        ({10.0: 10, 100.0: 99, 1000.0: 600}, "A keeps 100 a second; offered more, it does at most 600"),
        ({10.0: 10, 100.0: 99, 1000.0: 998}, "A keeps every rate that was offered, up to 1,000."),
        ({10.0: 2, 100.0: 3, 1000.0: 4}, "A keeps none of the rates that were offered."),
    ],
)
def test_the_rate_that_is_kept_is_told(throughputs: dict[float, float], told: str) -> None:
    assert any(text.startswith(told) for text in sentences(with_throughput(throughputs, "rate"), "rate", "replies"))


def test_one_rate_that_is_not_kept_is_told() -> None:
    one = measured(clients=5, rate=1000.0)
    (row,) = rows([one], "clients")
    told = sentences([row | {"kept": 0.4}], "clients", "replies")
    assert any("with 5 clients, did 400 a second of the 1,000 that were due" in text for text in told)
    assert not any("that were due" in text for text in sentences([row | {"kept": 0.99}], "clients", "replies"))


def test_a_server_is_compared_with_the_reference_of_the_same_minute() -> None:
    table = rows([measured("reference", unit=2), measured("yours", unit=4)], "clients")
    table[1]["throughput"] = 50
    (told,) = compared(table, "clients")
    assert told.startswith("Yours has 0.50 of the throughput of reference with 2 clients, and 2.00 of its waiting")


# Scenarios


@pytest.mark.parametrize("name", scenarios())
def test_a_scenario_is_whole(name: str) -> None:
    chosen = scenarios()[name]
    load = chosen.make(max(chosen.clients))
    assert load.clients == max(chosen.clients)
    assert load.rate is None
    for one in (load, chosen.make(10, 100.0)):
        told = chosen.how_measured(one)
        assert all(text.endswith(".") for text in told)
        assert not any("{" in text for text in told)
        assert any("Open loop: 100" in text for text in told) is (one.rate is not None)


def test_the_usual_scenario_fits_the_servers() -> None:
    assert scenario(None, {"echo"}).name == "echo"
    assert scenario(None, {"chat"}).name == "broadcast"
    assert scenario(None, {"echo", "chat"}).name == "echo"


@pytest.mark.parametrize(
    ("name", "kinds", "told"),
    [
        ("nonsense", {"echo"}, "there is no scenario 'nonsense'; there are echo, "),
        ("broadcast", {"echo", "chat"}, "scenario broadcast is not for echo servers; for the servers that you gave: "),
    ],
)
def test_a_scenario_that_does_not_fit_is_told(name: str, kinds: set[str], told: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario(name, kinds)
    assert str(caught.value).startswith(told)


def test_values_of_a_scenario_can_be_told() -> None:
    chosen = scenario("idle", {"chat"}).with_values({"active": "3"})
    assert getattr(chosen.make(10), "active", None) == 3
    with pytest.raises(ScenarioError, match="scenario idle has no 'nothing'; it has active, "):
        chosen.with_values({"nothing": "3"})
    with pytest.raises(ScenarioError, match="active takes a number, such as active=10; not 'many'"):
        chosen.with_values({"active": "many"})
