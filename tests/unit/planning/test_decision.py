"""Why one job starts when it does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.intensity import EmissionScope, PointKind, RatedPoint, Signal
from carbon.domain.jobs import PlacementReason
from carbon.errors import InvalidInput
from carbon.planning.decision import (
    DISPATCH_MARGIN_MS,
    Placement,
    latest_safe_start_ms,
    plan,
)
from carbon.planning.interruptible import Segment
from carbon.planning.limited_pauses import PauseLimits
from carbon.planning.preference import Preference
from carbon.planning.series import IntensitySeries

HOUR_MS = 3_600_000
NOW_MS = 1_780_000_000_000 // HOUR_MS * HOUR_MS


def forecast(*g_per_kwh: float) -> IntensitySeries:
    return IntensitySeries.hourly(np.array(g_per_kwh), NOW_MS)


def planned(series: IntensitySeries | None, hours: float = 1, **changes: object) -> Placement:
    """A 1 kW job of one hour due in six, unless changed."""
    job: dict = {
        "now_ms": NOW_MS,
        "earliest_ms": NOW_MS,
        "deadline_ms": NOW_MS + 6 * HOUR_MS,
        "length_ms": int(hours * HOUR_MS),
        "power_w": 1000.0,
    }
    return plan(series, **(job | changes))


def test_a_job_waits_for_the_clean_hour():
    assert planned(forecast(300, 300, 100, 300, 300, 300)) == Placement(
        start_ms=NOW_MS + 2 * HOUR_MS,
        end_ms=NOW_MS + 3 * HOUR_MS,
        expected_g=pytest.approx(100.0),
        start_now_g=pytest.approx(300.0),
        reason=PlacementReason.CLEAN_WINDOW,
        segments=(Segment(NOW_MS + 2 * HOUR_MS, NOW_MS + 3 * HOUR_MS),),
    )


def test_a_job_starts_at_once_when_nothing_is_cleaner():
    placement = planned(forecast(100, 100, 300, 100, 300, 300))
    assert (placement.start_ms, placement.reason) == (NOW_MS, PlacementReason.NOW_IS_CLEANEST)


def test_a_job_of_unknown_length_starts_at_once():
    placement = planned(forecast(300, 100, 100), length_ms=None)
    assert placement == Placement(NOW_MS, None, None, None, PlacementReason.LENGTH_UNKNOWN)


@pytest.mark.parametrize("series", [None, IntensitySeries.of([])])
def test_without_a_forecast_a_job_starts_at_once_and_its_grams_are_unknown(series):
    placement = planned(series)
    assert (placement.start_ms, placement.reason) == (NOW_MS, PlacementReason.NO_FORECAST)
    assert placement.expected_g is None
    assert placement.start_now_g is None


def test_a_yearly_figure_rates_a_job_and_never_moves_it():
    yearly = RatedPoint(
        NOW_MS - HOUR_MS,
        NOW_MS + 99 * HOUR_MS,
        380.0,
        PointKind.YEARLY,
        "table",
        Signal.AVERAGE,
        EmissionScope.LIFECYCLE,
    )
    placement = planned(IntensitySeries.of([yearly]))
    assert placement.reason is PlacementReason.NO_FORECAST
    assert placement.expected_g == pytest.approx(380.0)


def test_a_job_longer_than_the_forecast_starts_at_once():
    placement = planned(forecast(300, 100), hours=3)
    assert (placement.start_ms, placement.reason) == (NOW_MS, PlacementReason.NO_FORECAST)
    assert placement.expected_g is None


def test_a_forecast_that_ends_before_the_deadline_is_used_as_far_as_it_goes():
    placement = planned(forecast(300, 200, 100))
    assert placement.start_ms == NOW_MS + 2 * HOUR_MS


def test_a_job_whose_deadline_is_near_starts_at_once():
    late = planned(forecast(300, 100, 100), deadline_ms=NOW_MS + HOUR_MS + DISPATCH_MARGIN_MS - 1)
    assert (late.start_ms, late.reason) == (NOW_MS, PlacementReason.DEADLINE_GUARD)
    assert late.expected_g == pytest.approx(300.0)


def test_a_job_does_not_start_before_its_earliest_start():
    placement = planned(forecast(50, 300, 300, 200), earliest_ms=NOW_MS + HOUR_MS)
    assert placement.start_ms == NOW_MS + 3 * HOUR_MS
    assert placement.start_now_g == pytest.approx(300.0)


def test_a_job_that_may_pause_runs_the_clean_hours_alone():
    series = forecast(300, 100, 300, 100, 300, 300)
    placement = planned(series, hours=2, interruptible=True)
    assert [s.start_ms for s in placement.segments] == [NOW_MS + HOUR_MS, NOW_MS + 3 * HOUR_MS]
    assert placement.expected_g == pytest.approx(200.0)
    assert (placement.start_ms, placement.end_ms) == (NOW_MS + HOUR_MS, NOW_MS + 4 * HOUR_MS)


def test_a_length_of_nothing_is_refused():
    with pytest.raises(InvalidInput) as refused:
        planned(forecast(300), length_ms=0)
    assert refused.value.code == "length_not_positive"


@given(
    values=st.lists(st.floats(1, 2000), min_size=0, max_size=30),
    now=st.integers(0, 10 * HOUR_MS),
    earliest=st.integers(0, 20 * HOUR_MS),
    length=st.integers(1, 15 * HOUR_MS),
    slack=st.integers(-5 * HOUR_MS, 40 * HOUR_MS),
    may_pause=st.booleans(),
)
def test_whatever_the_forecast_says_the_deadline_is_kept_where_it_can_be(
    values, now, earliest, length, slack, may_pause
):
    at_once = max(now, earliest) + NOW_MS
    deadline = at_once + length + slack
    placement = plan(
        forecast(*values), now + NOW_MS, earliest + NOW_MS, deadline, length, 200.0, may_pause
    )
    assert placement.start_ms >= at_once
    if slack >= DISPATCH_MARGIN_MS:
        assert placement.end_ms + DISPATCH_MARGIN_MS <= deadline
    else:
        assert placement.start_ms == at_once
        assert placement.reason is PlacementReason.DEADLINE_GUARD
    assert sum(s.end_ms - s.start_ms for s in placement.segments) == length
    if placement.reason is PlacementReason.CLEAN_WINDOW:
        assert placement.expected_g <= placement.start_now_g * (1 + 1e-9)
    elif placement.start_now_g is not None:
        assert placement.expected_g == placement.start_now_g


def test_the_guard_looks_at_the_clock_alone():
    assert latest_safe_start_ms(10_000_000, 3_600_000, 60_000) == 6_340_000


def test_a_pool_that_dislikes_waiting_takes_a_smaller_saving_sooner():
    series = forecast(300, 150, 300, 300, 100, 300)
    starts = [
        planned(series, preference=Preference(weight)).start_ms - NOW_MS
        for weight in (0.0, 0.1, 1.0)
    ]
    assert starts == [4 * HOUR_MS, HOUR_MS, 0]


def test_a_pause_that_costs_more_than_it_saves_is_not_made():
    series = forecast(100, 130, 100, 300, 300, 300, 300)
    job = {"interruptible": True, "hours": 2, "deadline_ms": NOW_MS + 7 * HOUR_MS}
    free = planned(series, **job)
    dear = planned(series, **job, limits=PauseLimits(checkpoint_ms=HOUR_MS))
    assert (len(free.segments), len(dear.segments)) == (2, 1)
    assert dear.expected_g == pytest.approx(230.0)


def test_what_is_expected_counts_the_checkpoints():
    series = forecast(100, 900, 100, 900, 900, 900, 900)
    limits = PauseLimits(checkpoint_ms=HOUR_MS // 10)
    placement = planned(
        series, 2, interruptible=True, deadline_ms=NOW_MS + 7 * HOUR_MS, limits=limits
    )
    assert len(placement.segments) == 2
    assert placement.expected_g == pytest.approx(200.0 + 10.0)


def test_a_window_too_tight_for_cells_is_run_without_a_pause():
    placement = planned(
        forecast(300, 100, 300),
        length_ms=HOUR_MS + 1,
        interruptible=True,
        deadline_ms=NOW_MS + HOUR_MS + 1 + DISPATCH_MARGIN_MS + 1000,
        limits=PauseLimits(min_segment_ms=HOUR_MS),
    )
    assert placement.segments == (Segment(NOW_MS + 1000, NOW_MS + HOUR_MS + 1001),)
