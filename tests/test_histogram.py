"""Histograms: against their definition, and against another implementation."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.load.histogram import Histogram, highest_of, slot_of

# A busy machine is slow, and that is no fault of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def of(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def exact(values: list[int], percent: float) -> int:
    """The percentile by its definition: the smallest value that so many of all do not exceed."""
    rank = max(1, math.ceil(len(values) * Fraction(str(percent)) / 100))
    return sorted(values)[rank - 1]


# Histograms

nanoseconds = st.one_of(st.integers(0, 600), st.integers(0, 10**6), st.integers(0, 10**13))
lists = st.lists(nanoseconds, min_size=1, max_size=200)
percents = st.sampled_from([0, 0.1, 1, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100])


@given(nanoseconds)
def test_a_slot_holds_its_value_and_is_narrow(value: int) -> None:
    slot = slot_of(value)
    assert slot_of(highest_of(slot)) == slot
    assert slot_of(highest_of(slot) + 1) == slot + 1
    assert 0 <= highest_of(slot) - value <= value / 128
    if value < 256:
        assert highest_of(slot) == value


@settings(max_examples=200)
@given(lists, percents)
def test_a_percentile_is_at_most_a_128th_above_the_exact_one(values: list[int], percent: float) -> None:
    true, told = exact(values, percent), of(values).percentile(percent)
    assert true <= told <= true + true / 128


@given(lists)
def test_the_extremes_are_exact(values: list[int]) -> None:
    histogram = of(values)
    assert (histogram.lowest, histogram.highest) == (min(values), max(values))
    assert histogram.percentile(100) == max(values)
    assert histogram.count == len(values) == sum(histogram.slots.values())


@given(lists)
def test_percentiles_never_fall(values: list[int]) -> None:
    told = [of(values).percentile(percent) for percent in range(101)]
    assert told == sorted(told)


@given(st.lists(nanoseconds, max_size=50), st.lists(nanoseconds, max_size=50))
def test_adding_is_recording_all(one: list[int], other: list[int]) -> None:
    total = of(one)
    total.add(of(other))
    assert total == of(one + other)
    total.add(total)
    assert total == of((one + other) * 2)


@pytest.mark.parametrize("seed", range(10))
def test_another_implementation_agrees(seed: int) -> None:
    chance = random.Random(seed)
    values = [int(10 ** chance.uniform(0, 12)) for _ in range(1000)]
    hdrh = pytest.importorskip("hdrh.histogram", reason="no wheels of hdrhistogram for this machine")
    oracle = hdrh.HdrHistogram(1, 10**13, 3)
    for value in values:
        oracle.record_value(value)
    ours = of(values)
    for percent in (10, 50, 90, 99, 99.9, 100):  # of 1,000 values: whole ranks, about which nobody disagrees
        theirs = oracle.get_value_at_percentile(percent)
        assert ours.percentile(percent) == pytest.approx(theirs, rel=1 / 128 + 1 / 1000)


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing was recorded"):
        Histogram().percentile(50)


@pytest.mark.parametrize("percent", [-0.1, 100.1, math.nan, math.inf])
def test_a_percentage_has_its_limits(percent: float) -> None:
    with pytest.raises(ValueError, match="is no percentage"):
        of([1]).percentile(percent)


def test_a_negative_value_is_an_error_and_changes_nothing() -> None:
    histogram = of([1])
    with pytest.raises(ValueError, match="-1 is negative"):
        histogram.record(-1)
    assert histogram == of([1])


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_one_value_is_every_percentile(percent: float) -> None:
    assert of([123_456_789]).percentile(percent) == 123_456_789


@given(st.lists(nanoseconds, max_size=200))
def test_many_at_once_are_recorded_as_one_after_another(values: list[int]) -> None:
    together = Histogram()
    together.record_all(values)
    assert together == of(values)


@given(lists)
def test_a_curve_goes_through_all_percentiles(values: list[int]) -> None:
    curve = of(values).curve()
    assert curve[-1] == (100, max(values))
    assert curve == sorted(curve)
    for percent, value in curve:
        at_most = sum(one <= value for one in values)
        assert percent == pytest.approx(100 * at_most / len(values))
