"""The knob of a pool moves along the front between carbon, delay and cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.errors import InvalidInput
from carbon.planning.interruptible import best_segments
from carbon.planning.preference import (
    Preference,
    preferred_segments,
    preferred_window,
    priced,
)
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import best_window

HOUR_MS = 3_600_000
seeds = st.integers(0, 10**6)


def instance(seed: int) -> tuple[IntensitySeries, int, int, int]:
    rng = np.random.default_rng(seed)
    series = IntensitySeries.hourly(rng.uniform(20, 600, 60))
    earliest = int(rng.integers(0, 5 * HOUR_MS))
    length = int(rng.integers(1, 10 * HOUR_MS))
    return series, earliest, earliest + length + int(rng.integers(0, 40 * HOUR_MS)), length


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_with_no_weight_the_cleanest_plan_is_taken(seed):
    job = instance(seed)
    preferred, best = preferred_window(*job, Preference()), best_window(*job)
    assert preferred.start_ms == best.start_ms
    assert preferred.mean_g_per_kwh == pytest.approx(best.mean_g_per_kwh)
    assert preferred_segments(*job, Preference()).segments == best_segments(*job).segments


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0, 0.2), st.floats(0, 0.2))
def test_a_higher_weight_of_delay_never_delays_more_nor_emits_less(seed, one, other):
    job = instance(seed)
    patient, hasty = (preferred_window(*job, Preference(weight)) for weight in sorted((one, other)))
    assert hasty.start_ms <= patient.start_ms
    assert hasty.mean_g_per_kwh >= patient.mean_g_per_kwh * (1 - 1e-9)


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0.001, 0.2))
def test_an_hour_of_delay_saves_at_least_its_share(seed, weight):
    series, earliest, latest_end, length = instance(seed)
    window = preferred_window(series, earliest, latest_end, length, Preference(weight))
    at_once = float(series.area(earliest + length) - series.area(earliest)) / length
    saved = 1 - window.mean_g_per_kwh / at_once
    assert saved >= weight * (window.start_ms - earliest) / HOUR_MS - 1e-9


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0, 0.2), st.floats(0, 0.2))
def test_with_pauses_too_a_higher_weight_never_emits_less(seed, one, other):
    job = instance(seed)
    patient, hasty = (
        preferred_segments(*job, Preference(weight)) for weight in sorted((one, other))
    )
    assert hasty.mean_g_per_kwh >= patient.mean_g_per_kwh * (1 - 1e-9)


@pytest.mark.parametrize("choose", [preferred_window, preferred_segments])
def test_with_all_weight_on_delay_nobody_waits(choose):
    for seed in range(20):
        series, earliest, latest_end, length = instance(seed)
        plan = choose(series, earliest, latest_end, length, Preference(1e6))
        start = plan.start_ms if hasattr(plan, "start_ms") else plan.segments[0].start_ms
        assert start == earliest


def test_a_cheap_hour_is_worth_some_carbon():
    series = IntensitySeries.hourly(np.array([100.0, 120.0, 300.0]))
    money = [0.30, 0.10, 0.30]
    hours = []
    for g_per_money in (0.0, 50.0, 150.0):
        preference = Preference(g_per_money=g_per_money)
        against = priced(series, money, preference)
        window = preferred_window(against, 0, 3 * HOUR_MS, HOUR_MS, preference)
        hours.append(window.start_ms // HOUR_MS)
    assert hours == [0, 0, 1]


@pytest.mark.parametrize("weights", [(-0.1, 0), (0, -1), (float("nan"), 0), (0, float("inf"))])
def test_weights_that_mean_nothing_cannot_be_built(weights):
    with pytest.raises(InvalidInput):
        Preference(*weights)


def test_what_has_no_intensity_is_refused():
    series = IntensitySeries(np.array([0, 6]), np.array([4, 10]), np.array([1.0, 2.0]))
    with pytest.raises(InvalidInput) as refused:
        preferred_window(series, 0, 10, 5, Preference())
    assert refused.value.code == "window_not_rated"
