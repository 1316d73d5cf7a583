"""Intensity as arrays: integrals are exact, gaps stay gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.intensity import EmissionScope, PointKind, RatedPoint, Signal
from carbon.errors import InvalidInput
from carbon.planning.series import IntensitySeries

HOUR_MS = 3_600_000

#: Slots as (gap before, width, g/kWh), all in whole numbers so that sums are exact.
slots = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 900)), min_size=1, max_size=8
)


def series_of(parts: list[tuple[int, int, int]], origin_ms: int = 0) -> IntensitySeries:
    at, starts, ends, values = origin_ms, [], [], []
    for gap, width, g_per_kwh in parts:
        at += gap
        starts.append(at)
        at += width
        ends.append(at)
        values.append(float(g_per_kwh))
    return IntensitySeries(np.array(starts), np.array(ends), np.array(values))


def by_ms(series: IntensitySeries, until_ms: int) -> np.ndarray:
    """The intensity of each millisecond before `until_ms`; NaN in gaps."""
    rate = np.full(until_ms, np.nan)
    for start, end, value in zip(series.start_ms, series.end_ms, series.g_per_kwh, strict=True):
        rate[start:end] = value
    return rate


def point(start_ms: int, end_ms: int, g_per_kwh: float, kind: PointKind) -> RatedPoint:
    return RatedPoint(
        start_ms, end_ms, g_per_kwh, kind, "test", Signal.AVERAGE, EmissionScope.LIFECYCLE
    )


@given(slots, st.integers(0, 120), st.integers(0, 120))
def test_the_area_between_two_moments_is_the_sum_of_its_milliseconds(parts, one, other):
    series, (lo, hi) = series_of(parts), sorted((one, other))
    assert series.area(hi) - series.area(lo) == np.nansum(by_ms(series, 120)[lo:hi])


@given(slots, st.integers(0, 120), st.integers(0, 120))
def test_a_period_is_covered_when_no_millisecond_of_it_lies_in_a_gap(parts, one, other):
    series, (lo, hi) = series_of(parts), sorted((one, other))
    if lo < hi:
        assert bool(series.covers(lo, hi)) == bool(~np.isnan(by_ms(series, 120)[lo:hi]).any())


@given(slots)
def test_epoch_milliseconds_lose_nothing(parts):
    origin = 1_780_000_000_000
    here, there = series_of(parts), series_of(parts, origin)
    span = np.arange(0, 100)
    assert (there.area(origin + span) == here.area(span)).all()


def test_one_kilowatt_for_one_hour_emits_the_intensity():
    series = IntensitySeries.hourly(np.array([250.0, 100.0]))
    assert series.grams(0, HOUR_MS, 1000.0) == pytest.approx(250.0)
    assert series.grams(HOUR_MS // 2, HOUR_MS * 3 // 2, 1000.0) == pytest.approx(175.0)


def test_what_runs_in_a_gap_has_no_grams():
    series = series_of([(0, 5, 100), (2, 5, 100)])
    assert np.isnan(series.grams(3, 8, 1000.0))
    assert np.isnan(series.grams(8, 20, 1000.0))


def test_an_empty_series_covers_nothing():
    series = IntensitySeries.of([])
    assert series.is_empty
    assert not series.covers(0, 10)
    assert series.area([0, 10]).tolist() == [0.0, 0.0]


def test_points_of_a_whole_year_do_not_move_jobs():
    series = IntensitySeries.of(
        [point(0, 10, 300.0, PointKind.ACTUAL), point(10, 90, 100.0, PointKind.YEARLY)]
    )
    assert series.covers(0, 90)
    assert series.shiftable().covers(0, 10)
    assert not series.shiftable().covers(0, 11)


def test_a_series_of_actual_points_moves_jobs_throughout():
    series = IntensitySeries.of([point(0, 10, 300.0, PointKind.FORECAST)])
    assert series.shiftable() is series


@pytest.mark.parametrize(("starts", "ends"), [([0, 5], [6, 9]), ([5, 0], [9, 4]), ([0], [0])])
def test_slots_that_overlap_or_run_backwards_are_refused(starts, ends):
    with pytest.raises(InvalidInput) as refused:
        IntensitySeries(np.array(starts), np.array(ends), np.ones(len(starts)))
    assert refused.value.code == "intensity_unordered"
