"""What a class has in common anyway, so that only what stands out from it is told.

A small task has few solutions. Whatever many have written counts for less, and how alike two hand-ins have to be is
found from all pairs of the class. Measured with a class of which everybody chose by chance among two to five ways at
each place of lab 6 (tests/hand_ins.py), 8 to 300 hand-ins of them:

- Dropping what more than a tenth shares, instead of letting it count for less, leaves next to nothing to compare: 7 of
  97 fingerprints in a class of 60. It would also hide ten who have the same from one source.
- Two independent hand-ins had 0.12 in common at the median; the most alike of 44,850 pairs, 0.58, was 6.4 deviations
  above it. A copy that was renamed, reordered and split had 0.72 or more: 9 deviations.
- The smaller a task, the more who have worked alone have the same: of one file of 270 symbols, pairs had up to 1.00 in
  common. They shared 75 fingerprints of full weight at most, copies of the whole lab 106 or more. Of what takes ten
  lines, many pairs had all, 10 fingerprints at most.
- A passage of which only some have the like is no evidence in a small class: of 20 who choose among five ways, two or
  three often take the same one. Of fingerprints that a twentieth has at most, two independent hand-ins shared 52 in
  classes below CLASS, 15 in larger ones, and there never 40 symbols in a row; a copied function of 60 symbols has 16.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WHOLE = 1000  # what a fingerprint counts that few have; integers, so that sums are the same in any order
SHARE, AT_LEAST = 0.10, 5  # of a class, and hand-ins: what more of them have counts for less

DEVIATIONS = 7  # above the median of the class
FLOOR = 0.30  # of a score: what is below is never told
LEAST = 20 * WHOLE  # what a pair must share to be told, whatever part of it that is
CEILING, MUCH = 0.80, 80 * WHOLE  # a score, and what a pair shares: both together are always told
FEW_HAND_INS, FLOOR_FOR_FEW = 5, 0.50  # fewer say nothing about what is usual
RARE_SHARE, RARE_AT_LEAST = 0.05, 2  # of a class, and hand-ins: what more of them have is not rare
CLASS = 40  # hand-ins
RARE_FLOOR, RARE_FLOOR_BELOW = 10, 60  # rare fingerprints that a pair must share, in a CLASS and in a smaller one
RARE_USUAL, RARE_TIMES = 0.95, 2  # and so many times what is shared by this part of all pairs at most
NORMAL = 1.4826  # times the median absolute deviation is the standard deviation of what is normally distributed


def weights(holders: Mapping[bytes, int], hand_ins: int) -> dict[bytes, int]:
    """Return what each fingerprint counts: WHOLE if few have it, nothing if all have; `holders` is how many do.

    In between it is the logarithm of how rare it is, as in the inverse document frequency.
    """
    few = few_of(hand_ins)
    scale = math.log(hand_ins / few) if hand_ins > few else 1.0
    return {
        one: WHOLE if number <= few else round(WHOLE * math.log(hand_ins / number) / scale)
        for one, number in holders.items()
    }


def few_of(hand_ins: int) -> float:
    """Return how many of so many hand-ins are few; what few have counts in full."""
    return max(AT_LEAST, SHARE * hand_ins)


def rare_of(hand_ins: int) -> float:
    """Return how many of so many hand-ins are so few that what they have is rare."""
    return max(RARE_AT_LEAST, RARE_SHARE * hand_ins)


@dataclass(frozen=True)
class Noise:
    """How much independent hand-ins of this class have in common, and from where on a pair is told."""

    pairs: int
    median: float
    deviation: float
    threshold: float  # of the score
    rare_threshold: int | None  # of the number of rare fingerprints in common; None: that is not looked at
    why: str
    ceiling: float | None = CEILING  # of the score of pairs that share MUCH; None: that is not looked at

    def is_exceeded(self, score: float, common: int) -> bool:
        """Whether a pair stands out that has this score, and shares fingerprints of this weight."""
        is_much = self.ceiling is not None and score >= self.ceiling and common >= MUCH
        return common >= LEAST and (score >= self.threshold or is_much)


def noise_of(scores: Sequence[float], rare: Sequence[int], hand_ins: int, wanted: float | None) -> Noise:
    """Find the thresholds from all pairs of a class: robust, so that the copies among them do not move them."""
    median, deviation = _spread(scores)
    usual = sorted(rare)[int(RARE_USUAL * len(rare))] if rare else 0
    rare_threshold = max(RARE_FLOOR if hand_ins >= CLASS else RARE_FLOOR_BELOW, RARE_TIMES * usual)
    if wanted is not None:
        return Noise(len(scores), median, deviation, wanted, None, f"{wanted:.2f}, as it was asked for", None)
    if hand_ins < FEW_HAND_INS:
        why = f"{FLOOR_FOR_FEW:.2f}: fewer than {FEW_HAND_INS} hand-ins do not tell what is usual"
        return Noise(len(scores), median, deviation, FLOOR_FOR_FEW, rare_threshold, why)
    found = median + DEVIATIONS * deviation
    threshold = min(max(found, FLOOR), 1.0)
    why = (
        f"{threshold:.2f}: the median of the {len(scores):,} pairs of this class is {median:.3f}, and {DEVIATIONS} "
        f"robust standard deviations of {deviation:.3f} above it is {found:.2f}"
    )
    if threshold != found:
        why += f"; it is never {'less' if found < FLOOR else 'more'} than {threshold:.2f}"
    if threshold > CEILING:
        why += f"; where so much is usual, pairs from {CEILING:.2f} on are told as well that share much code"
    return Noise(len(scores), median, deviation, threshold, rare_threshold, why)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the median, and the standard deviation as the median absolute deviation tells it."""
    if not values:
        return 0.0, 0.0
    median = statistics.median(values)
    return median, NORMAL * statistics.median(abs(value - median) for value in values)
