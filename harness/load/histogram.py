"""A log-linear histogram in the manner of HdrHistogram (Gil Tene): whole numbers, a bounded relative error.

Values below 2**PRECISION are kept exactly; above that each power of two is divided into 2**(PRECISION - 1) equal
slots, so that a value is known to within 1 part in 128. Nothing is ever dropped, whatever its size, and
histograms of several clients, processes or machines can be added.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
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

    slots: dict[int, int] = field(default_factory=dict)
    lowest: int | None = None
    highest: int | None = None

    def record(self, value: int) -> None:
        """Add one value; a negative one is an error of the caller's clock and raises ValueError."""
        self.record_all([value])

    def record_all(self, values: Sequence[int]) -> None:
        """Add many values, in half the time that it takes to add one after another."""
        if not values:
            return
        lowest, highest = min(values), max(values)
        if lowest < 0:
            raise ValueError(f"{lowest} is negative")
        slots = [  # slot_of() of each, without the calls
            shift * HALF + (value >> shift) if (shift := value.bit_length() - PRECISION) > 0 else value
            for value in values
        ]
        self._add(Counter(slots), lowest, highest)

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return sum(self.slots.values())

    def add(self, other: "Histogram") -> None:
        """Add all values of another histogram."""
        if other.lowest is not None and other.highest is not None:
            self._add(other.slots, other.lowest, other.highest)

    def _add(self, slots: Mapping[int, int], lowest: int, highest: int) -> None:
        for slot, count in slots.items():
            self.slots[slot] = self.slots.get(slot, 0) + count
        self.lowest = lowest if self.lowest is None else min(self.lowest, lowest)
        self.highest = highest if self.highest is None else max(self.highest, highest)

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

    def curve(self) -> list[tuple[float, int]]:
        """Return, for each slot that is not empty, the percentage of values that do not exceed its highest one."""
        count, seen, points = self.count, 0, []
        for slot in sorted(self.slots):
            seen += self.slots[slot]
            points.append((100 * seen / count, min(highest_of(slot), self.highest or 0)))
        return points
