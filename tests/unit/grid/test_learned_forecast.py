"""The learned forecast: no look ahead, better than its yardstick, and honest about its doubt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.errors import InvalidInput
from carbon.grid.backtest import FIRST_ORIGIN, score, yardstick
from carbon.grid.daily_profile import DailyProfile
from carbon.grid.forecast_features import tellers
from carbon.grid.learned_forecast import foresee

WEEK_H = 168


def grid(zones: int = 2, weeks: int = 6, seed: int = 0) -> np.ndarray:
    """Solar days and a wind that comes and goes, g/kWh, (zones, hours)."""
    draw = np.random.default_rng(seed)
    hours = np.arange(weeks * WEEK_H)
    wind = np.zeros((zones, len(hours)))
    for hour in hours[1:]:
        wind[:, hour] = 0.97 * wind[:, hour - 1] + draw.normal(0, 0.05, zones)
    sun = 0.4 * np.maximum(np.sin(2 * np.pi * (hours % 24 - 6) / 24), 0)
    return np.asarray(300 * np.exp(wind - sun))


SERIES = grid()


@settings(max_examples=10, deadline=None)
@given(
    origin=st.integers(FIRST_ORIGIN, 5 * WEEK_H),
    later=st.integers(0, 80),
    factor=st.floats(0.1, 5.0),
)
def test_what_comes_later_changes_nothing(origin: int, later: int, factor: float) -> None:
    changed = SERIES.copy()
    changed[:, origin + later :] *= factor
    for series in (changed, SERIES[:, : origin + later]):
        told = foresee(series, 0, 3, origin, origin + 1)
        before = foresee(SERIES, 0, 3, origin, origin + 1)
        for name in ("value", "low", "high"):
            np.testing.assert_array_equal(getattr(told, name), getattr(before, name))


def test_forecasts_of_a_stretch_know_nothing_of_its_later_hours() -> None:
    start, end = 3 * WEEK_H, 5 * WEEK_H
    changed = SERIES.copy()
    changed[:, end - 48 :] *= 3
    whole = foresee(SERIES, 0, 6, start, end).value
    told = foresee(changed, 0, 6, start, end).value
    np.testing.assert_array_equal(told[..., :-48], whole[..., :-48])
    assert (told[..., -1] != whole[..., -1]).any()


def test_the_hour_after_the_last_known_can_be_asked_for() -> None:
    told = foresee(SERIES, 0, 96, SERIES.shape[1])
    assert told.value.shape == (96, 2, 1)
    assert np.isfinite(told.value).all()


def test_a_forecast_never_leaves_what_was_seen() -> None:
    told = foresee(SERIES, 0, 24, 4 * WEEK_H).value
    assert told.min() >= SERIES.min() * 0.999
    assert told.max() <= SERIES.max() * 1.001


def test_bounds_lie_on_both_sides_and_widen_with_the_hours() -> None:
    told = foresee(SERIES, 0, 24, 5 * WEEK_H, 5 * WEEK_H + 24)
    assert (told.low <= told.high).all()
    width = np.log(told.high / told.low).mean(axis=(1, 2))
    assert width[23] > width[0] > 0


def test_no_bounds_are_stated_before_errors_are_known() -> None:
    told = foresee(SERIES, 0, 2, FIRST_ORIGIN, FIRST_ORIGIN + 10)
    assert np.isfinite(told.value).all()
    assert np.isnan(told.low).all()


def test_zones_asked_for_are_forecast_as_among_all() -> None:
    every = foresee(SERIES, 0, 4, 4 * WEEK_H).value
    second = foresee(SERIES, 0, 4, 4 * WEEK_H, zones=[1]).value
    np.testing.assert_array_equal(second[:, 0], every[:, 1])


def test_a_grid_that_never_moves_stays_where_it_is() -> None:
    still = np.full((2, 4 * WEEK_H), 250.0)
    told = foresee(still, 0, 24, 4 * WEEK_H).value
    np.testing.assert_allclose(told, 250.0, rtol=1e-3)


def test_missing_hours_are_neither_learned_nor_fatal() -> None:
    gappy = SERIES.copy()
    gappy[:, np.random.default_rng(1).random(gappy.shape[1]) < 0.13] = np.nan
    told = foresee(gappy, 0, 24, 5 * WEEK_H).value
    whole = foresee(SERIES, 0, 24, 5 * WEEK_H).value
    assert np.isfinite(told).all()
    assert np.abs(np.log(told / whole)).mean() < 0.1


def test_three_days_of_silence_leave_the_usual_day() -> None:
    silent = SERIES.copy()
    silent[:, -72:] = np.nan
    told = foresee(silent, 0, 24, silent.shape[1]).value
    assert np.isfinite(told).all()
    assert 0.3 < told.mean() / SERIES.mean() < 3


def test_the_profile_of_an_hour_ignores_what_follows_it() -> None:
    whole = DailyProfile.of(SERIES)
    part = DailyProfile.of(SERIES[:, :100])
    for name in ("level", "profile", "residual"):
        np.testing.assert_array_equal(getattr(whole, name)[:, :100], getattr(part, name))


def test_a_zone_listens_to_the_one_that_goes_before_it() -> None:
    draw = np.random.default_rng(2).normal(size=(7, 2000)).cumsum(axis=1)
    moves = np.diff(draw, axis=1, prepend=0)
    moves[3, 6:] = moves[5, :-6]
    assert tellers(moves.astype(np.float32))[0][3] == 5


def test_a_zone_never_listens_to_itself() -> None:
    alike = np.tile(np.random.default_rng(3).normal(size=400), (7, 1)).astype(np.float32)
    for rank in tellers(alike):
        assert (rank != np.arange(7)).all()


def test_few_zones_or_hours_listen_to_nobody() -> None:
    assert tellers(np.zeros((2, 1000), np.float32)) == []
    assert tellers(np.zeros((9, 24), np.float32)) == []


def test_on_wind_and_sun_it_beats_the_yardstick() -> None:
    [one, two] = score(grid(weeks=12), 0, [0, 1], 6 * WEEK_H)
    assert one.ratio < 0.97
    assert two.ratio < 0.97
    assert len(one.mape) == len(one.coverage) == 24
    assert one.mape[0] < one.mape[-1]


def test_the_yardstick_is_the_week_s_mean_and_the_fading_last_distance() -> None:
    series = SERIES[:1]
    told = yardstick(series, 300, 301, 30)[:, 0, 0]
    week = [series[0, 300 + 24 * 0 - 24 * day] for day in range(1, 8)]
    off = series[0, 299] - np.mean([series[0, 299 - 24 * day] for day in range(1, 8)])
    assert told[0] == pytest.approx(np.mean(week) + 0.95 * off)
    later = [series[0, 300 + 25 - 24 * day] for day in range(2, 9)]
    assert told[25] == pytest.approx(np.mean(later) + 0.95**26 * off)


@pytest.mark.parametrize("first", [0, FIRST_ORIGIN - 1, 6 * WEEK_H - 10])
def test_a_record_too_short_for_its_first_origin_is_refused(first: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        score(SERIES, 0, [0], first)
    assert refused.value.code == "history_too_short"
