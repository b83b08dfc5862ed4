"""The report of a load: pictures, the HTML page, and the table for a terminal, from rows that are made up."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from rich.console import Console
from support import CHROMIUM, LEADING_OUT, Page, in_a_browser

from harness.report import html, plots
from harness.report.figures_table import load_table
from harness.report.plots.canvas import COLOURS, GREY, looks
from harness.report.plots.ends import spread
from harness.units import number, seconds

EVIL = "<script>alert(1)</script>"
PICTURES = {"load.svg", "tail.svg", "time.svg", "cost.svg", "talk.svg"}
PANELS = {"load.svg": 4, "tail.svg": 1, "cost.svg": 6}  # in which each server has its name at a line's end
SERVERS = ["lab 1", "lab 3", "lab 4", "lab 5", "lab 6", "lab 8", "yours (lab 6)"]
COUNTS = [1, 10, 50, 100, 500, 1000, 5000, 10_000]
FULL = {"lab 1": 100, "lab 5": 1000, "lab 6": 1000}  # the most clients that a server takes
NOT_SURE = ("lab 8", 5000)
WHY = "the load itself was busy for 97 % of the time"


# Rows, made up


def row(server: str, x: float, place: int = 0, **fields: Any) -> dict[str, Any]:
    """A row of a server; the higher its place, the slower it is."""
    half, most = 1e-4 * (1 + place) * (1 + x / 500), 1e-3 * (1 + place) * (1 + x / 100)
    throughput = min(300.0 * x, 40_000.0 / (1 + place))
    latency = {"50": half, "90": 2 * half, "99": most, "99.9": 2 * most, "100": 3 * most}
    shares = [100 - 100 / 10 ** (step / 20) for step in range(81)]
    return {
        "server": server,
        "reference": False,
        "x": x,
        "clients": x,
        "rate": None,
        "rounds": 3,
        "answers": 3 * throughput,
        "seconds": 3.0,
        "throughput": throughput,
        "latency": latency,
        "first_reply": latency,
        "threads": 1 + (x if place % 2 else 0),
        "memory": (10 + place * x / 100) * 2**20,
        "descriptors": 5 + x,
        "cpu": 2e-5 * 3 * throughput,
        "switches": 2.5 * 3 * throughput,
        "busy": 0.4,
        "lateness": 1e-4,
        "ranges": {
            "throughput": [0.9 * throughput, 1.1 * throughput],
            "50": [0.9 * half, 1.2 * half],
            "99": [0.8 * most, 1.3 * most],
            "cpu": [1.8e-5 * 3 * throughput, 2.2e-5 * 3 * throughput],
        },
        "curve": [[share, half * (100 / (100 - share)) ** 0.3] for share in shares] + [[100.0, 3 * most]],
        "over_time": [[tenth / 10, half, most, 2 * most, 100] for tenth in range(30)],
        "acts": {},
        "verdict": True,
        "why": "",
    } | fields


def sweep_rows(servers: list[str] = SERVERS, counts: list[int] = COUNTS) -> list[dict[str, Any]]:
    """Rows of servers of which some take few clients only, one is the reference, and one point has no verdict."""
    rows = [
        row(server, count, place, reference=server == "lab 6")
        for count in counts
        for place, server in enumerate(servers)
        if count <= FULL.get(server, count)
    ]
    for one in rows:
        if (one["server"], one["x"]) == NOT_SURE:
            one |= {"verdict": False, "why": WHY}
    return rows


def load_of(**fields: Any) -> dict[str, Any]:
    """What was measured, and how."""
    return {
        "scenario": "echo",
        "title": "All ask at once",
        "how": ["Every reply was compared byte by byte.", "Clients and server shared a machine."],
        "answer": "reply",
        "answers": "replies",
        "over": "clients",
        "unit": "requests",
        "closed": True,
        "rounds": 3,
        "seed": 1,
        "duration": 3.0,
        "warm_up": 0.5,
    } | fields


def talk_rows(servers: list[str]) -> dict[str, Any]:
    """Two clients, each of whom waits once."""
    spans = [
        {"client": client, "sent": 0.1 * client + 0.03 * turn, "replied": 0.1 * client + 0.03 * turn + wait}
        for client in (0, 1)
        for turn, wait in enumerate((0.001, 0.02, 0.001))
    ]
    return dict.fromkeys(servers, spans)


def outcome(server: str = "lab 1", **fields: Any) -> dict[str, Any]:
    """The results of a small run."""
    return {
        "kind": "demo",
        "title": f"Echo of {server}",
        "when": "2026-01-01 12:00",
        "command": f"lab bench {server}",
        "versions": {"kit": "1", "python": "3.11", "system": "Linux", "cores": "2"},
        "load": load_of(),
        "sentences": [f"{server} took its time."],
        "checked": [{"program": server, "held": 3, "made": 4, "points": 6, "max_points": 8, "seconds": 1.5}],
        "rows": sweep_rows([server, "lab 3"], [1, 10]),
        "points": [],
        "talks": talk_rows([server, "lab 3"]),
    } | fields


@pytest.fixture(scope="module")
def many() -> dict[str, str]:
    """The pictures of seven servers with up to 10,000 clients."""
    return plots.pictures(outcome(rows=sweep_rows(), talks=talk_rows(SERVERS[:2])))


def texts_of(svg: str) -> list[str]:
    """The texts of a picture: they are drawn as paths, and stand beside them as comments."""
    return re.findall(r"<!-- (.*?) -->", svg, flags=re.DOTALL)


# Figures in words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (12.3e-9, "12.3 ns"),
        (87e-6, "87 µs"),
        (0.00012345, "123 µs"),
        (0.0123, "12.3 ms"),
        (0.9996, "1 s"),
        (0.0009999, "1 ms"),
        (12345.0, "12,300 s"),
    ],
)
def test_a_time_has_its_unit(value: float, words: str) -> None:
    assert seconds(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.25, "0.25"), (1, "1"), (97.12, "97.1"), (1234.5, "1,234"), (1e4, "10,000")]
)
def test_a_number_is_written_as_people_write_it(value: float, words: str) -> None:
    assert number(value) == words


# Pictures


def test_a_picture_is_the_same_twice() -> None:
    small = outcome(rows=[row("lab 1", 1), row("lab 1", 10)])
    first = plots.pictures(small)
    assert set(first) == PICTURES
    assert plots.pictures(small) == first
    for svg in first.values():
        ElementTree.fromstring(svg)


def test_without_talks_there_is_no_picture_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for figure in ("load_figure", "tail_figure", "time_figure", "cost_figure"):
        monkeypatch.setattr(plots, figure, lambda rows, load: "<svg></svg>")
    assert set(plots.pictures(outcome(talks={}))) == PICTURES - {"talk.svg"}


def test_every_line_carries_its_name(many: dict[str, str]) -> None:
    for picture, panels in PANELS.items():
        names = Counter(re.sub(r" \([\d,]+ clients?\)$", "", text) for text in texts_of(many[picture]))
        assert {server: names[server] for server in SERVERS} == dict.fromkeys(SERVERS, panels), picture
    for server in SERVERS:
        assert any(text.startswith(f"{server}, ") for text in texts_of(many["time.svg"]))
    assert any(text.startswith("waits 20 ms") for text in texts_of(many["talk.svg"]))


def test_a_picture_stands_alone(many: dict[str, str]) -> None:
    for picture in PICTURES - {"talk.svg"}:
        assert any(text.startswith("All ask at once: ") for text in texts_of(many[picture])), picture
        assert re.search("<title>All ask at once: ", many[picture])
    assert texts_of(many["load.svg"]).count("clients at the same time") == 4


def test_no_name_covers_another_or_leaves_the_picture(many: dict[str, str]) -> None:
    for picture in PANELS:
        width = float(re.search(r'viewBox="0 0 ([\d.]+)', many[picture])[1])  # type: ignore[index]
        columns: dict[float, list[float]] = {}
        places = re.findall(r"<!-- (.*?) -->\s*<g transform=\"translate\(([\d.]+) ([\d.]+)\)", many[picture])
        for text, x, y in places:
            if text.startswith(tuple(SERVERS)):
                assert float(x) + 4 * len(text) < width, (picture, text)
                columns.setdefault(round(float(x)), []).append(float(y))
        assert len(columns) == {"load.svg": 2, "tail.svg": 1, "cost.svg": 3}[picture]
        for heights in columns.values():
            assert all(below - above > 10 for above, below in pairwise(sorted(heights))), picture


@given(st.lists(st.floats(-0.2, 1.2), max_size=9), st.floats(0.01, 0.1))
def test_names_are_spread_as_little_as_they_must(wanted: list[float], gap: float) -> None:
    heights = spread(wanted, gap)
    ordered = [height for _, height in sorted(zip(wanted, heights, strict=True))]
    assert all(after - before > gap * 0.999 for before, after in pairwise(ordered))
    assert all(-1e-9 <= height <= 1 + 1e-9 for height in heights)
    if all(0 <= height <= 1 for height in wanted) and all(b - a >= gap for a, b in pairwise(sorted(wanted))):
        assert heights == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("counts", "ticks", "no_ticks"),
    [
        ([100], ["100"], []),
        ([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"], []),
        ([1, 2, 3, 5, 10, 20, 50, 100, 500, 1000, 5000, 10_000], ["1", "10", "100", "1,000", "10,000"], ["2", "50"]),
        ([20, 22, 24, 26, 28, 30, 35, 40, 45, 50, 60, 70], ["20", "50"], ["22", "45"]),
        ([23, 24, 25], ["23", "25"], []),
    ],
)
def test_ticks_are_as_many_as_can_be_read(counts: list[int], ticks: list[str], no_ticks: list[str]) -> None:
    texts = Counter(texts_of(plots.load_figure([row("mine", count, verdict=True) for count in counts], load_of())))
    assert all(texts[tick] >= 4 for tick in ticks)
    assert not any(texts[tick] >= 4 for tick in no_ticks)


def test_eight_servers_look_different_with_colours_and_without() -> None:
    own = looks([row(f"server {place}", 1) for place in range(8)]).values()
    assert len({look.colour for look in own}) == len({look.marker for look in own}) == 8
    assert all(one.line != other.line for one, other in pairwise(own))
    assert len({(look.colour, look.marker) for look in looks([row(str(n), 1) for n in range(20)]).values()}) == 20


# What the eye of somebody without one kind of cones makes of linear RGB: Machado, Oliveira and Fernandes, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), severity 1.
EYES = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(colour: str) -> np.ndarray[Any, Any]:
    """Return a colour such as "#007aa3" in linear RGB (sRGB, IEC 61966-2-1)."""
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return linear RGB in a space in which distances are as people see them (Ottosson, "Oklab", 2020)."""
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    lab = [
        [0.2104542553, 0.793617785, -0.0040720468],
        [1.9779984951, -2.428592205, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.808675766],
    ]
    return np.array(lab) @ np.cbrt(np.array(cones) @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize("eye", EYES)
def test_colours_stay_apart_for_the_colour_blind(eye: str) -> None:
    seen = {colour: oklab(np.array(EYES[eye]) @ linear(colour)) for colour in COLOURS}
    for one, other in combinations(COLOURS, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 0.12, (one, other)
    for colour in COLOURS:
        luminance = float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour))
        assert 1.05 / (luminance + 0.05) > 2.3, f"{colour} is too pale on paper"


HOLLOW = f"fill: #ffffff; stroke: #{round(255 * float(GREY)):02x}"


def test_what_says_nothing_of_a_server_is_hollow_and_noted(many: dict[str, str]) -> None:
    note = "hollow and grey: the load itself was at its limit there, which says nothing of the server"
    for picture in ("load.svg", "cost.svg"):
        assert HOLLOW in many[picture]
        assert note in texts_of(many[picture])
    certain = plots.load_figure(sweep_rows(["lab 3"], [1, 10]), load_of())
    assert HOLLOW not in certain
    assert note not in texts_of(certain)


def test_the_tail_is_of_the_most_clients_with_a_verdict() -> None:
    rows = [row("mine", count, verdict=count < 1000, why=WHY) for count in (10, 100, 1000)] + [row("lab 1", 10, 1)]
    tail = plots.tail_figure(rows, load_of())
    assert {"mine (100 clients)", "lab 1 (10 clients)"} <= set(texts_of(tail))
    assert HOLLOW not in tail
    assert HOLLOW in plots.tail_figure([row("mine", 10, verdict=False, why=WHY)], load_of())


def test_the_tail_is_logarithmic_up_to_the_last_answer(many: dict[str, str]) -> None:
    texts = " ".join(texts_of(many["tail.svg"]))
    places = [texts.index(words) for words in ("50 %", "90 %", "99 %", "99.9 %", "99.99 %")]
    assert places == sorted(places)
    few = plots.tail_figure([row("mine", 1, answers=30, rounds=1)], load_of())
    assert not any("99 %" in text for text in texts_of(few))


def test_the_band_of_the_reference_is_the_stronger_one(many: dict[str, str]) -> None:
    opacities = Counter(re.findall(r"fill-opacity: (0\.[13]\d)", many["load.svg"]))
    assert opacities["0.32"] == 3  # median, p99 and throughput of lab 6
    assert opacities["0.13"] >= 3 * (len(SERVERS) - 1)
    assert any(text.startswith("band: ") and "darker: lab 6" in text for text in texts_of(many["load.svg"]))
    once = [one | {"rounds": 1} for one in sweep_rows(["lab 3"], [1, 10])]
    assert not any(text.startswith("band") for text in texts_of(plots.load_figure(once, load_of(rounds=1))))


@pytest.mark.parametrize(
    ("fields", "drawn"),
    [
        ({}, False),
        ({"over": "rate"}, True),
        ({"over": "rate", "unit": "lines", "answers_each": 99}, True),
    ],
)
def test_what_was_offered_is_drawn_where_a_rate_was(fields: dict[str, Any], drawn: bool) -> None:
    texts = texts_of(plots.load_figure([row("mine", rate) for rate in (100, 1000)], load_of(**fields)))
    assert ("as offered" in texts) is drawn
    where = f"{fields.get('unit', 'requests')} offered in a second" if fields else "clients at the same time"
    assert where in texts


def test_a_stall_is_seen_as_such() -> None:
    calm = row("mine", 10)
    silent = [[tenth / 10, 1e-4, 1e-3, 1e-3, 100] for tenth in range(30)]
    silent[10:15] = [[tenth / 10, 0.0, 0.0, 0.0, 0] for tenth in range(10, 15)]
    silent[15][3] = 0.512
    for moments in (silent, [moment for moment in silent if moment[4]]):  # empty tenths may be left out
        stalled = plots.time_figure([row("mine", 10, over_time=moments)], load_of())
        assert "<pattern" in stalled
        assert "mine, 10 clients: the longest wait was 512 ms" in texts_of(stalled)
    assert "<pattern" not in plots.time_figure([calm], load_of())


def test_a_server_without_an_answer_is_drawn_as_well() -> None:
    nothing = dict.fromkeys(("50", "90", "99", "99.9", "100"), 0.0)
    none = row("mute", 10, answers=0, throughput=0.0, cpu=0.0, latency=nothing, curve=[[100.0, 0.0]], over_time=[])
    drawn = plots.pictures(outcome(rows=[none, row("lab 3", 10)], talks={}))
    for svg in drawn.values():
        assert any("mute" in text for text in texts_of(svg))


def test_a_name_is_drawn_as_it_is_whatever_it_is() -> None:
    names = [r"$\frac$", "$x$ and $y$", "a_b^c{", "_hidden", "\x1b[31m\x00", EVIL, "a--b", "\u202ex"]
    for svg in plots.pictures(outcome(rows=sweep_rows(names, [1, 2]), talks=talk_rows(names))).values():
        ElementTree.fromstring(svg)
        assert "<script" not in svg
        assert "\u202e" not in svg
        for written in (r"$\frac$", "$x$ and $y$", "_hidden", r"\x1b[31m\x00", "&lt;script&gt;", r"\u202ex"):
            assert written in " ".join(texts_of(svg))


# The table in a terminal


def printed(rows: list[dict[str, Any]], load: dict[str, Any], width: int = 80) -> list[str]:
    """The lines of the table in a terminal."""
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(load_table(rows, load))
    return capture.get().splitlines()


def test_a_table_fits_a_terminal() -> None:
    lines = printed([one | {"throughput": 12_345_678.0} for one in sweep_rows()], load_of(answers="deliveries"))
    assert all(len(line.rstrip()) <= 80 for line in lines)
    text = "\n".join(lines)
    assert "…" not in text
    assert lines[0].split() == ["server", "clients", "deliveries/s", "p50", "p99", "longest", "note"]
    assert re.search(r"^yours \(lab 6\) +10,000 +12,345,678 +14\.7 ms +707 ms +2\.12 s *$", text, flags=re.MULTILINE)
    assert re.search(r"^lab 8 +5,000 .*see \(1\) *$", text, flags=re.MULTILINE)
    assert f"(1) {WHY}" in text


def test_a_table_says_rates_where_they_were_offered() -> None:
    lines = printed([row("mine", 2000, rate=2000.0)], load_of(over="rate", unit="lines"))
    assert lines[0].split() == ["server", "lines/s", "replies/s", "p50", "p99", "longest"]
    assert "2,000" in lines[2]


def test_a_name_in_a_table_is_text() -> None:
    text = "\n".join(printed([row("\x1b[31m[red]x", 1, verdict=False, why="\x1b[2J")], load_of()))
    assert "\x1b" not in text
    assert r"\x1b[31m[red]x" in text


# HTML


def words_of(results: dict[str, Any]) -> str:
    """The text of a report, without its pictures, which take their time; spaces and ends of lines are one space."""
    return " ".join(Page(html.render(results, dict.fromkeys(PICTURES, "<svg></svg>"))).text.split())


@pytest.fixture(scope="module")
def page() -> str:
    return html.render(outcome(EVIL))


def test_a_report_loads_nothing_and_runs_nothing(page: str) -> None:
    parsed = Page(page)
    assert not LEADING_OUT & set(parsed.tags)
    for name, value in parsed.links:
        if name == "style":
            assert "url(" not in value.replace("url(#", "")
        else:
            assert value.startswith("#"), (name, value)
    assert "url(" not in parsed.styles
    assert "@import" not in page
    assert not re.search(r"(?<!=\")https?://", page), "more than names of XML namespaces"
    assert re.findall(r"url\((?!#)", page) == []


def test_a_report_forbids_what_it_does_not_need(page: str) -> None:
    policy = dict(part.strip().split(" ", 1) for part in Page(page).policy.split(";"))
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert policy["style-src"] == "'unsafe-inline'"


def test_a_name_in_a_report_is_text(page: str) -> None:
    assert "<script" not in page
    assert Page(page).text.count(EVIL) >= 5  # the title, a sentence, the command, and the tables


@pytest.mark.parametrize("checked", [True, False])
def test_a_report_has_its_figures(checked: bool) -> None:
    text = words_of(outcome() if checked else outcome(checked=[]))
    for words in (
        "lab 1 took its time.",
        "lab 1 10 9,000 3,000 2,700 – 3,300 102 µs 91.8 µs – 122 µs 204 µs 1.1 ms 880 µs – 1.43 ms 2.2 ms 3.3 ms",
        "lab 3 10 11 10.1 15 6 % 20 µs 18 µs – 22 µs 2.5",
        "Every reply was compared byte by byte. Clients and server shared a machine.",
        "Command: lab bench lab 1",
        "Versions: kit 1, python 3.11, system Linux, cores 2.",
    ):
        assert words in text
    assert ("3 of 4" in text) is checked
    assert "By what was done" not in text
    assert "No verdict" not in text


def test_a_report_of_one_round_has_no_ranges() -> None:
    assert " – " not in words_of(outcome(load=load_of(rounds=1)))


def test_where_no_first_reply_was_timed_there_is_none() -> None:
    assert "3.3 ms – server" in words_of(outcome(rows=[row("lab 1", 10, first_reply={})])).replace(
        "All figures: what it takes ", ""
    )


def test_a_report_says_what_has_no_verdict_and_why() -> None:
    assert words_of(outcome(rows=sweep_rows())).count(f"No verdict on lab 8 with 5,000 clients: {WHY}") == 2  # tables


def test_a_report_tells_acts_apart() -> None:
    acts = {"say": {"50": 0.001, "99": 0.002, "100": 0.003, "count": 1234}}
    rows = [row("lab 6", rate, acts=acts) for rate in (100, 200)]
    text = words_of(outcome(rows=rows, load=load_of(over="rate", unit="lines")))
    assert "server lines a second act times p50 p99 longest lab 6 200 say 1,234 1 ms 2 ms 3 ms" in text


def test_marks_that_turn_text_around_are_written_out() -> None:
    text = words_of(outcome("a\u202eb"))
    assert "\u202e" not in text
    assert r"a\u202eb took its time." in text


@pytest.mark.parametrize("missing", ["sentences", "command", "checked"])
def test_a_field_that_is_missing_is_an_error(missing: str) -> None:
    without = outcome()
    del without[missing]
    with pytest.raises(UndefinedError):
        words_of(without)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_a_report_and_runs_nothing_in_it(page: str, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text(page.replace("</body>", "<script>document.title = 'it ran'</script></body>"), encoding="utf-8")
    loaded = in_a_browser(report, tmp_path / "profile")
    shown = Page(loaded)
    assert shown.tags.count("svg") == len(PICTURES)
    assert f"<title>Echo of {EVIL.replace('<', '&lt;').replace('>', '&gt;')}</title>" in loaded
    assert "it ran" not in loaded.replace("document.title = 'it ran'", "")
    assert "Refused" not in loaded
