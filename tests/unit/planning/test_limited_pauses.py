"""Pauses that cost something: the best of all plans that keep the limits."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from carbon.errors import InvalidInput
from carbon.planning.interruptible import Segment, SegmentPlan, best_segments
from carbon.planning.limited_pauses import PauseLimits, best_limited_segments
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import best_window

CELL_MS = 10
HOUR_MS = 3_600_000


@cache
def every_plan(cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All choices of cells: (chosen, segments, shortest segment, ends of all but the last)."""
    chosen = (np.arange(1, 1 << cells)[:, None] >> np.arange(cells)) & 1
    ends = chosen & ~np.pad(chosen[:, 1:], ((0, 0), (0, 1))) & 1
    shortest = np.empty(len(chosen), dtype=int)
    for index, row in enumerate(chosen):
        runs = "".join(map(str, row)).split("0")
        shortest[index] = min(len(run) for run in runs if run)
    last = cells - 1 - ends[:, ::-1].argmax(axis=1)
    paused = ends.copy()
    paused[np.arange(len(ends)), last] = 0
    return chosen, ends.sum(axis=1), shortest, paused


def least_by_trying(grid: np.ndarray, length: int, limits: PauseLimits) -> float:
    chosen, segments, shortest, paused = every_plan(len(grid))
    may = (chosen.sum(axis=1) == length) & (shortest >= min(limits.min_segment_ms, length))
    if limits.max_pauses is not None:
        may &= segments - 1 <= limits.max_pauses
    cost = chosen @ grid + limits.checkpoint_ms * (paused @ grid)
    return float(cost[may].min())


def test_equals_brute_force_on_ten_thousand_instances():
    rng = np.random.default_rng(1)
    for _ in range(10_000):
        cells = int(rng.integers(1, 8))
        grid = rng.integers(1, 8, cells) * 50.0
        length = int(rng.integers(1, cells + 1))
        pauses = [None, 0, 1, 2][rng.integers(0, 4)]
        limits = PauseLimits(int(rng.integers(0, 4)), pauses, int(rng.integers(0, 3)))
        marks = np.arange(cells + 1)
        series = IntensitySeries(marks[:-1], marks[1:], grid)
        plan = best_limited_segments(series, 0, cells, length, limits, cell_ms=1)
        best = least_by_trying(grid, length, limits)
        assert plan.mean_g_per_kwh * length == pytest.approx(best)
        check(plan, series, length, limits)


def check(plan: SegmentPlan, series: IntensitySeries, length: int, limits: PauseLimits) -> None:
    """What the plan says it costs is what its segments cost, and they keep the limits."""
    spans = [segment.end_ms - segment.start_ms for segment in plan.segments]
    assert sum(spans) == length
    assert min(spans) >= min(limits.min_segment_ms, length)
    assert limits.max_pauses is None or len(spans) - 1 <= limits.max_pauses
    assert all(a.end_ms < b.start_ms for a, b in pairwise(plan.segments))
    cost = sum(series.area(s.end_ms) - series.area(s.start_ms) for s in plan.segments)
    for segment in plan.segments[:-1]:
        cost += limits.checkpoint_ms * series.g_per_kwh[segment.end_ms - 1]
    assert plan.mean_g_per_kwh * length == pytest.approx(cost)


@pytest.mark.parametrize("seed", range(20))
def test_without_limits_it_is_the_plan_of_the_cheapest_slots(seed):
    rng = np.random.default_rng(seed)
    series = IntensitySeries.hourly(rng.uniform(20, 600, 30))
    length = int(rng.integers(1, 12)) * HOUR_MS
    free = best_segments(series, 0, 30 * HOUR_MS, length)
    none = PauseLimits()
    limited = best_limited_segments(series, 0, 30 * HOUR_MS, length, none, HOUR_MS)
    assert none.are_none
    assert limited.mean_g_per_kwh == pytest.approx(free.mean_g_per_kwh)


@pytest.mark.parametrize("seed", range(20))
def test_without_a_pause_it_is_the_best_window(seed):
    rng = np.random.default_rng(seed)
    series = IntensitySeries.hourly(rng.uniform(20, 600, 30))
    length = int(rng.integers(1, 12)) * HOUR_MS
    window = best_window(series, 0, 30 * HOUR_MS, length)
    limited = best_limited_segments(
        series, 0, 30 * HOUR_MS, length, PauseLimits(max_pauses=0), HOUR_MS
    )
    assert limited.segments == (Segment(window.start_ms, window.end_ms),)


def test_a_pause_is_made_only_where_it_saves_more_than_its_checkpoint():
    series = IntensitySeries.hourly(np.array([100.0, 400.0, 100.0, 400.0]))
    plans = [
        best_limited_segments(
            series, 0, 4 * HOUR_MS, 2 * HOUR_MS, PauseLimits(checkpoint_ms=ms), HOUR_MS
        )
        for ms in (2 * HOUR_MS, 4 * HOUR_MS)
    ]
    assert [len(plan.segments) for plan in plans] == [2, 1]
    assert plans[0].mean_g_per_kwh == pytest.approx((100 + 100 + 2 * 100) / 2)


def test_a_length_between_cells_ends_within_its_last_cell():
    series = IntensitySeries.hourly(np.full(3, 100.0))
    plan = best_limited_segments(series, 0, 3 * HOUR_MS, 1_000_000, PauseLimits(600_000))
    assert plan.segments == (Segment(0, 1_000_000),)


def test_a_gap_is_not_run_in():
    series = IntensitySeries(np.array([0, 2]), np.array([1, 4]), np.array([9.0, 9.0]))
    plan = best_limited_segments(series, 0, 4, 2, PauseLimits(min_segment_ms=2), 1)
    assert plan.segments == (Segment(2, 4),)


@pytest.mark.parametrize(
    ("length", "cell_ms", "code"),
    [
        (5, 1, "length_exceeds_window"),
        (0, 1, "length_not_positive"),
        (3, 1, "window_not_rated"),
        (4, 3, "window_not_rated"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_a_code(length, cell_ms, code):
    series = IntensitySeries(np.array([0, 2]), np.array([1, 4]), np.array([9.0, 9.0]))
    with pytest.raises(InvalidInput) as refused:
        best_limited_segments(series, 0, 4, length, PauseLimits(min_segment_ms=3), cell_ms)
    assert refused.value.code == code


def test_a_window_of_fewer_cells_than_the_shortest_segment_is_refused_with_a_code():
    series = IntensitySeries.hourly(np.ones(1))
    with pytest.raises(InvalidInput) as refused:
        best_limited_segments(series, 0, 9, 6, PauseLimits(min_segment_ms=6), 5)
    assert refused.value.code == "window_not_rated"


def test_a_plan_of_too_many_cells_is_refused_and_by_itself_never_made():
    month = IntensitySeries.hourly(np.random.default_rng(1).uniform(20, 600, 720))
    length, limits = 240 * HOUR_MS, PauseLimits(HOUR_MS, None, 1000)
    with pytest.raises(InvalidInput) as refused:
        best_limited_segments(month, 0, 720 * HOUR_MS, length, limits, 60_000)
    assert refused.value.code == "too_many_cells"
    plan = best_limited_segments(month, 0, 720 * HOUR_MS, length, limits)
    assert sum(s.end_ms - s.start_ms for s in plan.segments) == length


@pytest.mark.parametrize("limits", [(-1, None, 0), (0, -1, 0), (0, None, -1)])
def test_limits_below_0_cannot_be_built(limits):
    with pytest.raises(InvalidInput):
        PauseLimits(*limits)
