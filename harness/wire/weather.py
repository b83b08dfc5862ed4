"""What a connection goes through on its way: delay, small segments, a slow line, a reset."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

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
    seed: of what is random.
    """

    delay: float = 0.0
    jitter: float = 0.0
    chunk: int = 0
    pause: float = 0.0
    rate: float = 0.0
    reset_after: int | None = None
    reset_chance: float = 0.0
    seed: int = 0

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
