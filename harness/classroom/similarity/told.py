"""A comparison as it stands in results.json, from which the report is made, and as rows for a spreadsheet."""

from dataclasses import asdict
from typing import Any

from harness.classroom.exports.cells import guarded, table
from harness.classroom.similarity.compare import Comparison, Pair, Part, Shared, Taken
from harness.classroom.similarity.winnow import GRAM, GUARANTEED, WINDOW

COLUMNS = ("first", "second", "why", "score", "of_first", "of_second", "lines_of_first", "lines_of_second", "longest")


def as_results(comparison: Comparison) -> dict[str, Any]:
    """Return all that a report needs; places in texts are characters from 0 on, lines are counted from 1 on."""
    works = comparison.works
    shown = sorted({number for pair in comparison.pairs for number in (pair.first, pair.second)})
    return {
        "settings": {"gram": GRAM, "window": WINDOW, "guaranteed": GUARANTEED},
        "noise": asdict(comparison.noise),
        "of_references": asdict(comparison.of_references) if comparison.of_references else None,
        "works": [_work(work) for work in works],
        "pairs": [_pair(pair, works[pair.first], works[pair.second]) for pair in comparison.pairs],
        "left_out": comparison.left_out,
        "clusters": [[works[number].work.key for number in cluster] for cluster in comparison.clusters],
        "texts": {works[number].work.key: [_text(part) for part in works[number].parts] for number in shown},
    }


def _work(work: Taken) -> dict[str, Any]:
    return {
        "key": work.work.key,
        "name": work.work.name,
        "is_reference": work.is_reference,
        "files": len(work.parts),
        "own": work.own,
        "notes": list(work.notes),
    }


def _text(part: Part) -> dict[str, Any]:
    tokens, given, at = part.source.tokens, [], 0
    for start, stop in [*part.own, (len(tokens), len(tokens))]:
        if start > at:
            given.append((tokens.starts[at], tokens.ends[start - 1]))
        at = stop
    return {"path": part.source.path, "text": part.source.text, "given": given}


def _pair(pair: Pair, first: Taken, second: Taken) -> dict[str, Any]:
    rows = [_passage(shared, first, second) for shared in pair.passages]
    return {
        "first": first.work.key,
        "second": second.work.key,
        "why": "alike" if pair.is_alike else "passage",
        "score": round(pair.score, 4),
        "of_first": round(pair.of_first, 4),
        "of_second": round(pair.of_second, 4),
        "lines": [sum(row[side]["lines"] for row in rows) for side in ("first", "second")],
        "longest": max((row["symbols"] for row in rows), default=0),
        "passages": rows,
    }


def _passage(shared: Shared, first: Taken, second: Taken) -> dict[str, Any]:
    passage = shared.passage
    return {
        "symbols": passage.length,
        "rare": shared.rare,
        "others": shared.others,
        "common": shared.is_common,
        "first": _place(first.parts[passage.first_file], passage.first, passage.length),
        "second": _place(second.parts[passage.second_file], passage.second, passage.length),
    }


def _place(part: Part, begin: int, length: int) -> dict[str, Any]:
    text, tokens = part.source.text, part.source.tokens
    start, end = tokens.starts[begin], tokens.ends[begin + length - 1]
    line = text.count("\n", 0, start) + 1
    return {
        "path": part.source.path,
        "start": start,
        "end": end,
        "line": line,
        "lines": text.count("\n", start, end) + 1,
    }


def as_csv(results: dict[str, Any]) -> str:
    """Return the pairs as comma-separated values, names written so that no spreadsheet takes them for a formula."""
    names = {work["key"]: guarded(work["name"]) for work in results["works"]}
    return table([COLUMNS, *(_cells(pair, names) for pair in results["pairs"])])


def _cells(pair: dict[str, Any], names: dict[str, str]) -> list[str]:
    figures = (pair["score"], pair["of_first"], pair["of_second"], *pair["lines"], pair["longest"])
    return [names[pair["first"]], names[pair["second"]], pair["why"], *map(str, figures)]
