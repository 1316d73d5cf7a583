"""A job that may pause runs in the cheapest moments that exist."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from carbon.errors import InvalidInput
from carbon.planning.interruptible import (
    Segment,
    SegmentPlan,
    best_runs,
    best_segments,
    runs_in_first_slot,
)
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import best_windows

HOUR_MS = 3_600_000


def random_series(rng: np.random.Generator) -> IntensitySeries:
    count = int(rng.integers(1, 10))
    width = rng.integers(1, 10, count)
    gap = rng.integers(0, 3, count) * rng.integers(0, 2, count)
    start = np.cumsum(width + gap) - width
    return IntensitySeries(start, start + width, rng.integers(1, 8, count) * 50.0)


def rates(series: IntensitySeries) -> np.ndarray:
    rate = np.full(200, np.inf)
    for start, end, value in zip(series.start_ms, series.end_ms, series.g_per_kwh, strict=True):
        rate[start:end] = value
    return rate


def instances(seed: int, count: int):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        earliest, length = int(rng.integers(0, 40)), int(rng.integers(1, 25))
        yield random_series(rng), earliest, earliest + length + int(rng.integers(0, 40)), length


def plan_if_rated(
    series: IntensitySeries, earliest: int, latest_end: int, length: int
) -> SegmentPlan | None:
    try:
        return best_segments(series, earliest, latest_end, length)
    except InvalidInput:
        return None


def test_equals_the_cheapest_milliseconds_on_ten_thousand_instances():
    rng = np.random.default_rng(1)
    for _ in range(500):
        series = random_series(rng)
        earliest, length = rng.integers(0, 40, 20), rng.integers(1, 25, 20)
        latest_end = earliest + length + rng.integers(0, 40, 20)
        found = best_runs(series, earliest, latest_end, length)
        rate = rates(series)
        for job in range(20):
            cheapest = np.sort(rate[earliest[job] : latest_end[job]])[: length[job]].sum()
            mean = found.mean_g_per_kwh[job]
            if np.isinf(cheapest):
                assert np.isnan(mean)
            else:
                assert mean * length[job] == pytest.approx(cheapest, rel=1e-12)


def test_segments_lie_in_the_range_run_the_length_and_cost_what_is_said():
    for series, earliest, latest_end, length in instances(2, 1500):
        plan = plan_if_rated(series, earliest, latest_end, length)
        if plan is None:
            continue
        rate = rates(series)
        assert earliest <= plan.segments[0].start_ms
        assert plan.segments[-1].end_ms <= latest_end
        assert sum(s.end_ms - s.start_ms for s in plan.segments) == length
        cost = sum(rate[s.start_ms : s.end_ms].sum() for s in plan.segments)
        assert cost == pytest.approx(plan.mean_g_per_kwh * length, rel=1e-12)


def test_segments_never_touch():
    for series, earliest, latest_end, length in instances(3, 800):
        plan = plan_if_rated(series, earliest, latest_end, length)
        if plan is not None:
            assert all(a.end_ms < b.start_ms for a, b in pairwise(plan.segments))


def test_first_start_and_end_are_those_of_the_segments():
    for series, earliest, latest_end, length in instances(4, 500):
        runs = best_runs(series, [earliest], [latest_end], [length])
        if np.isnan(runs.mean_g_per_kwh[0]):
            continue
        segments = best_segments(series, earliest, latest_end, length).segments
        assert runs.first_start_ms[0] == segments[0].start_ms
        assert runs.end_ms[0] == segments[-1].end_ms


def test_a_part_of_a_slot_joins_the_slot_that_follows():
    series = IntensitySeries.hourly(np.array([300.0, 200.0, 100.0, 300.0]))
    plan = best_segments(series, 0, 4 * HOUR_MS, 3 * HOUR_MS // 2)
    assert plan.segments == (Segment(3 * HOUR_MS // 2, 3 * HOUR_MS),)


def test_two_clean_hours_are_run_with_a_pause_between():
    series = IntensitySeries.hourly(np.array([300.0, 100.0, 300.0, 100.0, 300.0]))
    plan = best_segments(series, 0, 5 * HOUR_MS, 2 * HOUR_MS)
    assert plan.segments == (Segment(HOUR_MS, 2 * HOUR_MS), Segment(3 * HOUR_MS, 4 * HOUR_MS))
    assert plan.mean_g_per_kwh == 100.0


def test_of_equal_hours_the_earliest_are_run():
    series = IntensitySeries.hourly(np.full(9, 100.0))
    plan = best_segments(series, HOUR_MS // 2, 9 * HOUR_MS, 2 * HOUR_MS)
    assert plan.segments == (Segment(HOUR_MS // 2, 5 * HOUR_MS // 2),)


def test_pausing_never_costs_more_than_not_pausing():
    rng = np.random.default_rng(5)
    series = IntensitySeries.hourly(rng.uniform(20, 600, 200))
    earliest = rng.integers(0, 50 * HOUR_MS, 500)
    length = rng.integers(1, 30 * HOUR_MS, 500)
    job = (earliest, earliest + length + 24 * HOUR_MS, length)
    with_pauses = best_runs(series, *job).mean_g_per_kwh
    assert (with_pauses <= best_windows(series, *job).mean_g_per_kwh * (1 + 1e-12)).all()


def test_the_first_slot_is_run_in_when_too_few_cleaner_ones_follow():
    series = IntensitySeries.hourly(np.array([200.0, 100.0, 300.0, 150.0]))
    end = np.array([4 * HOUR_MS])
    run = [
        runs_in_first_slot(series, np.array([0]), end, np.array([hours * HOUR_MS]))[0]
        for hours in (1, 2, 3, 4)
    ]
    assert run == [0, 0, HOUR_MS, HOUR_MS]


@pytest.mark.parametrize(
    ("length_ms", "code"),
    [(11, "length_exceeds_window"), (0, "length_not_positive"), (9, "window_not_rated")],
)
def test_what_cannot_be_planned_is_refused_with_a_code(length_ms, code):
    series = IntensitySeries(np.array([0, 6]), np.array([4, 10]), np.array([1.0, 2.0]))
    with pytest.raises(InvalidInput) as refused:
        best_segments(series, 0, 10, length_ms)
    assert refused.value.code == code
