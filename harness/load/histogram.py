"""A log-linear histogram in the manner of HdrHistogram (Gil Tene): whole numbers, a bounded relative error.

Values below 2**PRECISION are kept exactly; above that each power of two is divided into 2**(PRECISION - 1) equal
slots, so that a value is known to within 1 part in 128. Nothing is ever dropped, whatever its size, and
histograms of several clients, processes or machines can be added.
"""

from collections import Counter
from dataclasses import dataclass, field

PRECISION = 8  # bits
HALF = 1 << (PRECISION - 1)


def slot_of(value: int) -> int:
    """Return the slot of a value of 0 or more."""
    shift = max(0, value.bit_length() - PRECISION)
    return shift * HALF + (value >> shift)


def highest_of(slot: int) -> int:
    """Return the highest value that belongs to a slot."""
    shift = max(0, slot // HALF - 1)
    return ((slot - shift * HALF + 1) << shift) - 1


@dataclass
class Histogram:
    """How often each value was recorded; values are whole numbers, here nanoseconds."""

    slots: Counter[int] = field(default_factory=Counter)
    count: int = 0
    lowest: int | None = None
    highest: int | None = None

    def record(self, value: int) -> None:
        """Add one value; a negative one is an error of the caller's clock and raises ValueError."""
        if value < 0:
            raise ValueError(f"{value} is negative")
        self.slots[slot_of(value)] += 1
        self.count += 1
        self.lowest = value if self.lowest is None else min(self.lowest, value)
        self.highest = value if self.highest is None else max(self.highest, value)

    def add(self, other: "Histogram") -> None:
        """Add all values of another histogram."""
        self.slots.update(other.slots)
        self.count += other.count
        lowest = [value for value in (self.lowest, other.lowest) if value is not None]
        highest = [value for value in (self.highest, other.highest) if value is not None]
        self.lowest, self.highest = min(lowest, default=None), max(highest, default=None)

    def percentile(self, percent: float) -> int:
        """Return the value that `percent` % of all values do not exceed (the highest of its slot).

        Raises ValueError when nothing was recorded, or for a percentage outside 0 to 100.
        """
        if not 0 <= percent <= 100:
            raise ValueError(f"{percent} is no percentage")
        if self.highest is None:
            raise ValueError("nothing was recorded")
        wanted = max(1, -(-self.count * percent // 100))
        seen = 0
        for slot in sorted(self.slots):
            seen += self.slots[slot]
            if seen >= wanted:
                return min(highest_of(slot), self.highest)
        return self.highest
