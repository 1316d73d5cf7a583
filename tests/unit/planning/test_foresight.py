"""What a replay may know of the hours ahead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.planning.foresight import (
    GivenForecast,
    OwnForecast,
    PerfectForesight,
    repeated,
)
from carbon.planning.series import IntensitySeries

HOUR_MS = 3_600_000
values = st.integers(0, 10**6).map(
    lambda seed: np.random.default_rng(seed).uniform(20, 600, 24 * 12)
)


@given(values, st.integers(0, 200), st.integers(0, 60))
def test_the_own_forecast_is_blind_to_the_future(actual, hour, past_h):
    past, rest = actual[:past_h], actual[past_h:].copy()
    before = OwnForecast(rest, past, 30).seen_at(hour * HOUR_MS)
    rest[hour + 1 :] = 1999.0
    after = OwnForecast(rest, past, 30).seen_at(hour * HOUR_MS)
    assert (before.g_per_kwh == after.g_per_kwh).all()


@given(values, st.integers(0, 200))
def test_every_foresight_knows_the_present_hour(actual, hour):
    for foresight in (
        PerfectForesight(IntensitySeries.hourly(actual)),
        OwnForecast(actual, actual[:0], 30),
        GivenForecast(actual, actual[::-1]),
    ):
        seen = foresight.seen_at(hour * HOUR_MS)
        area = seen.area((hour + 1) * HOUR_MS) - seen.area(hour * HOUR_MS)
        assert area == pytest.approx(actual[hour] * HOUR_MS)


def test_a_day_that_repeats_is_forecast_without_error():
    day = np.random.default_rng(3).uniform(20, 600, 24)
    seen = OwnForecast(np.tile(day, 6), np.empty(0), 48).seen_at(30 * HOUR_MS)
    assert seen.g_per_kwh == pytest.approx(np.tile(day, 6)[30:78])


def test_in_the_first_hour_tomorrow_is_taken_to_be_like_now():
    seen = OwnForecast(np.array([240.0, 100.0]), np.empty(0), 10).seen_at(0)
    assert seen.g_per_kwh == pytest.approx(np.full(10, 240.0))


def test_the_hours_before_the_replay_are_learned_from():
    day = np.random.default_rng(4).uniform(20, 600, 24)
    seen = OwnForecast(np.tile(day, 2), np.tile(day, 3), 24).seen_at(0)
    assert seen.g_per_kwh == pytest.approx(day)


def test_a_day_above_its_profile_stays_above_and_comes_back():
    day = np.full(24, 100.0)
    actual = np.concatenate((np.tile(day, 5), [200.0] * 48))
    seen = OwnForecast(actual, np.empty(0), 40).seen_at(120 * HOUR_MS).g_per_kwh
    assert (np.diff(seen[:24]) < 0).all()
    assert seen[0] == pytest.approx(200.0)


def test_a_given_forecast_that_is_right_is_left_alone():
    actual = np.random.default_rng(5).uniform(20, 600, 50)
    seen = GivenForecast(actual, actual).seen_at(7 * HOUR_MS)
    assert seen.g_per_kwh == pytest.approx(actual[7:])
    assert seen.start_ms[0] == 7 * HOUR_MS


def test_a_given_forecast_off_in_level_is_drawn_to_the_present_one():
    actual = np.full(100, 300.0)
    seen = GivenForecast(actual, actual / 2).seen_at(0).g_per_kwh
    assert seen[0] == pytest.approx(300.0)
    assert (np.diff(seen) < 0).all()
    assert seen[-1] == pytest.approx(150.0, rel=0.01)


def test_the_record_begins_again_after_its_last_row():
    assert repeated([1.0, 2.0, 3.0], 2, 5).tolist() == [3.0, 1.0, 2.0, 3.0, 1.0]
