"""Figures in words, the same in pictures, tables and sentences."""

import re


def seconds(value: float) -> str:
    """Return a time of so many seconds with its unit, to three digits: 0.0123 is "12.3 ms"."""
    value = float(f"{value:.3g}")
    if value == 0:
        return "0"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:,.10g} {unit}"
    return f"{value * 1e9:,.10g} ns"


def points(value: float) -> str:
    """Return points as they stand in a mark, to two digits after the point: "8", "7.5", "6.67"."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def number(value: float) -> str:
    """Return a number as people write it, to three digits where it is small: "10,000", "0.25"."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def moment(iso: str) -> str:
    """Return a moment (ISO 8601) as people write it, to the minute: "2026-12-01 23:59"; any other text as it is."""
    return f"{iso[:10]} {iso[11:16]}" if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d", iso) else iso
