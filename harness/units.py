"""Figures in words, the same in pictures, tables and sentences."""


def seconds(value: float) -> str:
    """Return a time of so many seconds with its unit, to three digits: 0.0123 is "12.3 ms"."""
    value = float(f"{value:.3g}")
    if value == 0:
        return "0"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:,.10g} {unit}"
    return f"{value * 1e9:,.10g} ns"


def number(value: float) -> str:
    """Return a number as people write it, to three digits where it is small: "10,000", "0.25"."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
