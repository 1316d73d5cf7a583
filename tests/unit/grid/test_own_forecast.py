"""The forecast that needs no feed: it knows the past alone and never leaves what it has seen."""

from __future__ import annotations

import csv
import os
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.domain.intensity import (
    EmissionScope,
    IntensityPoint,
    PointKind,
    RatedPoint,
    Signal,
)
from carbon.grid.forecast import PROFILE_DAYS, forecast, hourly_means, own_vintage, predict

HOUR_MS = 3_600_000
DAY_H = 24
NOW_MS = 1_777_140_000_000 // HOUR_MS * HOUR_MS

LEVELS = st.floats(10.0, 900.0)

#: Each example has hundreds of hours: a hundred of them would only take time.
FEW = settings(max_examples=20)


def past(*values: float, step_ms: int = HOUR_MS, now_ms: int = NOW_MS) -> list[IntensityPoint]:
    """Measured points, the last of which ends now."""
    first_ms = now_ms - len(values) * step_ms
    return [
        IntensityPoint(first_ms + i * step_ms, first_ms + (i + 1) * step_ms, value)
        for i, value in enumerate(values)
    ]


def solar(hours: int) -> list[float]:
    """A day that is clean at noon, repeated up to NOW_MS."""
    last_hour = NOW_MS // HOUR_MS
    return [
        300.0 - 200.0 * max(0.0, np.sin((h % DAY_H - 6) / 12 * np.pi))
        for h in range(last_hour - hours, last_hour)
    ]


@FEW
@given(
    st.lists(LEVELS, min_size=7 * DAY_H, max_size=9 * DAY_H),
    st.lists(LEVELS | st.just(0.0), max_size=48),
    st.integers(0, HOUR_MS - 1),
)
def test_changing_the_future_changes_nothing(
    values: list[float], future: list[float], into_the_hour_ms: int
) -> None:
    now_ms = NOW_MS + into_the_hour_ms
    after = [
        IntensityPoint(NOW_MS + i * HOUR_MS, NOW_MS + (i + 1) * HOUR_MS, value)
        for i, value in enumerate(future)
    ]
    assert forecast(past(*values), now_ms) == forecast([*after, *past(*values)], now_ms)


@FEW
@given(st.lists(LEVELS, min_size=2 * DAY_H, max_size=9 * DAY_H), st.integers(1, 120))
def test_it_is_whole_hours_from_now_without_a_gap_and_within_what_was_seen(
    values: list[float], horizon_h: int
) -> None:
    points = forecast(past(*values), NOW_MS, horizon_h)
    assert len(points) == horizon_h
    assert points[0].start_ms == NOW_MS
    assert all(a.end_ms == b.start_ms for a, b in pairwise(points))
    # The logarithm and back may cost the last digit.
    assert all(min(values) * (1 - 1e-9) <= p.g_per_kwh <= max(values) * (1 + 1e-9) for p in points)


@FEW
@given(st.lists(LEVELS, min_size=7 * DAY_H, max_size=8 * DAY_H), st.randoms())
def test_the_order_of_the_history_does_not_matter(values: list[float], random: Random) -> None:
    shuffled = past(*values)
    random.shuffle(shuffled)
    assert forecast(shuffled, NOW_MS) == forecast(past(*values), NOW_MS)


@given(LEVELS)
def test_a_constant_grid_stays_what_it_is(level: float) -> None:
    points = forecast(past(*[level] * 7 * DAY_H), NOW_MS)
    assert [p.g_per_kwh for p in points] == pytest.approx([level] * 96)


def test_a_daily_shape_is_learned() -> None:
    week = solar(7 * DAY_H)
    points = forecast(past(*week), NOW_MS, horizon_h=DAY_H)
    assert [p.g_per_kwh for p in points] == pytest.approx(week[:DAY_H])


def test_a_dirty_last_hour_raises_the_next_ones_and_fades() -> None:
    week = solar(7 * DAY_H)
    dirty = [*week[:-1], week[-1] * 1.5]
    raised = [p.g_per_kwh for p in forecast(past(*dirty), NOW_MS, 20)]
    calm = [p.g_per_kwh for p in forecast(past(*week), NOW_MS, 20)]
    ratios = [a / b for a, b in zip(raised, calm, strict=True)]
    assert ratios[0] > 1.05
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(ratios))


@pytest.mark.parametrize(
    ("hours", "kind"),
    [
        (7 * DAY_H, PointKind.FORECAST),
        (6 * DAY_H, PointKind.FORECAST),  # seven days with one missing are a full history
        (5 * DAY_H, PointKind.TYPICAL),
        (2 * DAY_H, PointKind.TYPICAL),
    ],
)
def test_a_short_history_says_so_by_its_kind(hours: int, kind: PointKind) -> None:
    assert {p.kind for p in forecast(past(*solar(hours)), NOW_MS)} == {kind}


@pytest.mark.parametrize("hours", [0, 1, DAY_H])
def test_less_than_two_days_give_nothing(hours: int) -> None:
    assert forecast(past(*solar(hours)), NOW_MS) == []


def test_forecasts_and_impossible_values_are_no_history() -> None:
    good = past(*solar(7 * DAY_H))
    spoiled = [
        IntensityPoint(p.start_ms, p.end_ms, value, kind)
        for p in good
        for value, kind in [
            (0.0, PointKind.ACTUAL),
            (9e9, PointKind.ACTUAL),
            (1.0, PointKind.FORECAST),
        ]
    ]
    assert forecast(spoiled, NOW_MS) == []
    assert forecast([*good, *spoiled], NOW_MS) == forecast(good, NOW_MS)


def test_quarter_hours_count_as_their_hours_mean() -> None:
    quarters = [v + d for v in solar(7 * DAY_H) for d in (-6.0, -2.0, 2.0, 6.0)]
    fine = forecast(past(*quarters, step_ms=HOUR_MS // 4), NOW_MS)
    coarse = forecast(past(*solar(7 * DAY_H)), NOW_MS)
    assert [p.g_per_kwh for p in fine] == pytest.approx([p.g_per_kwh for p in coarse])


def test_one_hour_in_seven_missing_still_gives_a_forecast_near_the_whole() -> None:
    whole = past(*solar(10 * DAY_H))
    gappy = [p for i, p in enumerate(whole) if i % 7]
    pairs = zip(forecast(gappy, NOW_MS), forecast(whole, NOW_MS), strict=True)
    assert all(a.g_per_kwh == pytest.approx(b.g_per_kwh, rel=0.05) for a, b in pairs)


def test_points_as_the_store_rates_them_are_history_too() -> None:
    bare = past(*solar(7 * DAY_H))
    rated = [
        RatedPoint(
            p.start_ms,
            p.end_ms,
            p.g_per_kwh,
            p.kind,
            "a-feed",
            Signal.AVERAGE,
            EmissionScope.LIFECYCLE,
        )
        for p in bare
    ]
    assert forecast(rated, NOW_MS) == forecast(bare, NOW_MS)


def test_hours_lie_in_their_cells() -> None:
    cells = hourly_means(past(100.0, 200.0, 300.0), NOW_MS)
    assert cells.size == PROFILE_DAYS * DAY_H
    assert cells[-3:].tolist() == [100.0, 200.0, 300.0]
    assert np.isnan(cells[:-3]).all()


def test_a_feed_down_for_three_days_leaves_the_shape() -> None:
    week = past(*solar(10 * DAY_H))
    points = forecast([p for p in week if p.end_ms <= NOW_MS - 72 * HOUR_MS], NOW_MS, DAY_H)
    assert [p.g_per_kwh for p in points] == pytest.approx(solar(DAY_H))


def test_the_vintage_carries_signal_scope_and_how_sure_it_is() -> None:
    args = (NOW_MS, Signal.MARGINAL, EmissionScope.DIRECT)
    full = own_vintage("DE", past(*solar(7 * DAY_H)), *args)
    assert full is not None
    assert (full.source, full.signal, full.scope) == ("own", *args[1:])
    assert full.flags == ("own_forecast",)
    short = own_vintage("DE", past(*solar(3 * DAY_H)), *args)
    assert short is not None
    assert short.flags == ("own_forecast", "short_history")
    assert own_vintage("DE", [], *args) is None


DATA = Path(os.environ.get("CARBON_BENCH_DATA", Path(__file__).parents[4] / "shared" / "data"))
ZONES_2022 = DATA / "carbon" / "zones_2022_hourly.csv"


@pytest.mark.skipif(not ZONES_2022.exists(), reason=f"no {ZONES_2022}; set CARBON_BENCH_DATA")
def test_on_real_zones_it_beats_the_seven_day_mean_with_a_residual() -> None:
    with ZONES_2022.open(newline="") as file:
        rows = list(csv.reader(file))
    hourly = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]])
    varying = hourly[:, hourly.std(axis=0) > 1e-6]
    origins = range(1000, len(hourly) - DAY_H, 331)
    ours = [
        _error(v, t, predict(v[t - PROFILE_DAYS * DAY_H : t], DAY_H))
        for v in varying.T
        for t in origins
    ]
    mean = [_error(v, t, _seven_day_mean(v, t)) for v in varying.T for t in origins]
    assert np.mean(ours) < 0.96 * np.mean(mean)


def _error(values: np.ndarray, at: int, predicted: np.ndarray) -> float:
    actual = values[at : at + DAY_H]
    return float(np.mean(abs(predicted - actual) / actual))


def _seven_day_mean(values: np.ndarray, at: int) -> np.ndarray:
    profile = values[at - 7 * DAY_H : at].reshape(7, DAY_H).mean(axis=0)
    return profile + 0.95 ** np.arange(1, DAY_H + 1) * (values[at - 1] - profile[-1])
