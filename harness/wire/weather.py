"""What a connection goes through on its way: delay, small segments, a slow line, a reset."""

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from harness.units import number
from harness.units import seconds as in_words

MOST_HELD = 256 << 10  # bytes under way in one direction; more waits where it came from
SLICE = 0.02  # seconds that a segment takes at most on a slow line: it shall flow, not come in lumps
BUFFERED = 0.25  # seconds of traffic that wait in front of a slow line


@dataclass(frozen=True)
class Weather:
    """What happens to the bytes of either direction; without values, nothing does. Their order always stays.

    delay, jitter: seconds that each segment is late, and that it is later still, at random.
    chunk: bytes of the largest segment, 0 as they come; pause: seconds between two segments.
    rate: bytes a second, 0 as many as there are.
    reset_after: bytes of one direction after which the connection is reset; reset_chance: that it is, at each segment.
    seed: of what is random; only: the direction in which all this happens ("there" or "back"), "" both.
    """

    delay: float = 0.0
    jitter: float = 0.0
    chunk: int = 0
    pause: float = 0.0
    rate: float = 0.0
    reset_after: int | None = None
    reset_chance: float = 0.0
    seed: int = 0
    only: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be meant."""
        for name, value in asdict(self).items():
            if name not in ("seed", "only") and value is not None and value < 0:
                raise ValueError(f"{name.replace('_', '-')} is 0 or more, not {value}")
        if self.reset_chance > 1:
            raise ValueError(f"reset-chance is a probability, from 0 to 1, not {self.reset_chance}")

    def __str__(self) -> str:
        """Say it in words."""
        told = [
            f"{in_words(self.delay)} late" * bool(self.delay),
            f"up to {in_words(self.jitter)} later at random" * bool(self.jitter),
            f"in segments of {self.chunk} bytes".replace(" 1 bytes", " 1 byte") * bool(self.chunk),
            f"{in_words(self.pause)} apart" * bool(self.pause),
            f"{number(self.rate)} bytes a second" * bool(self.rate),
            f"reset after {self.reset_after} bytes" if self.reset_after is not None else "",
            f"reset with a chance of {self.reset_chance} at each segment" * bool(self.reset_chance),
        ]
        words = ", ".join(filter(None, told)) or "as it comes"
        return words + f" (on the way {self.only} only)" * bool(self.only)

    def on_the_way(self, direction: str) -> "Weather":
        """Return what happens in one direction."""
        return self if self.only in ("", direction) else FAIR

    @property
    def most_held(self) -> int:
        """How many bytes of one direction may be under way."""
        if not self.rate:
            return MOST_HELD
        return max(1, min(MOST_HELD, int(self.rate * (self.delay + self.jitter + BUFFERED))))


FAIR = Weather()


class Course:
    """When the segments of one direction arrive."""

    def __init__(self, weather: Weather, salt: str) -> None:
        """Begin; `salt` tells what is random here from what is random elsewhere."""
        self._weather = weather
        self._chance = random.Random(f"{weather.seed} {salt}")
        self._line_free = self._latest = 0.0
        self._left = weather.reset_after

    def segments(self, data: bytes, now: float) -> Iterator[tuple[float, bytes | None]]:
        """Yield when, on the clock of `now` (seconds), which segment of `data` arrives; None is a reset."""
        for piece in self._pieces(data):
            if self._left is not None and len(piece) >= self._left:
                yield self.arrival(now, self._left), piece[: self._left]
                yield self._latest, None
                return
            if self._weather.reset_chance and self._chance.random() < self._weather.reset_chance:
                yield self.arrival(now), None
                return
            if self._left is not None:
                self._left -= len(piece)
            yield self.arrival(now, len(piece)), piece

    def arrival(self, now: float, size: int = 0) -> float:
        """Return when so many bytes arrive that leave now: never before those that left earlier."""
        weather = self._weather
        sent = max(now, self._line_free) + (size / weather.rate if weather.rate else 0.0)
        self._line_free = sent + (weather.pause if size else 0.0)
        late = weather.delay + (self._chance.uniform(0, weather.jitter) if weather.jitter else 0.0)
        self._latest = max(self._latest, sent + late)
        return self._latest

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        step = self._weather.chunk or len(data)
        if self._weather.rate:
            step = min(step, max(1, int(self._weather.rate * SLICE)))
        for start in range(0, len(data), max(1, step)):
            yield data[start : start + step]
