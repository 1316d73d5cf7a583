"""From tomorrow's wind, sun and total generation to tomorrow's intensity."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from grid_double import GridDouble
from grid_double.entsoe_shape import TOKEN
from hypothesis import given
from hypothesis import strategies as st

from carbon.clock import FakeClock
from carbon.domain.intensity import PointKind
from carbon.domain.units import MS_PER_HOUR
from carbon.grid.entsoe import FUELS, Entsoe
from carbon.grid.generation_forecast import forecast_points
from carbon.grid.generation_mix import Output
from carbon.grid.source_factors import IPCC_AR5

HOUR = MS_PER_HOUR
NOW = 100 * HOUR
GAS, COAL, WIND, NUCLEAR = "B04", "B02", "B19", "B14"


def hours(first: int, *mw: float) -> list[Output]:
    return [Output((first + i) * HOUR, (first + i + 1) * HOUR, value) for i, value in enumerate(mw)]


def past(count: int = 96) -> dict[str, list[Output]]:
    """Nuclear runs level, gas follows: the rest is the dirtier the more there is of it."""
    gas = [1000.0 + 500 * (i % 5) for i in range(count)]
    first = 100 - count
    return {
        NUCLEAR: hours(first, *[2000.0] * count),
        GAS: hours(first, *gas),
        WIND: hours(first, *[float(100 * (i % 7)) for i in range(count)]),
    }


def foretold(wind: list[float], total: list[float], **known: list[Output]) -> list[float]:
    points = forecast_points(
        known or past(), {WIND: hours(100, *wind)}, hours(100, *total), FUELS, IPCC_AR5, NOW
    )
    assert {p.kind for p in points} <= {PointKind.FORECAST}
    return [p.g_per_kwh for p in points]


def test_the_rest_is_priced_by_a_line_over_what_it_was() -> None:
    [told] = foretold([1000.0], [5000.0])  # 4000 MW left: 2000 of nuclear and 2000 of gas
    rest = (2000 * 12 + 2000 * 490) / 4000
    assert told == pytest.approx((4000 * rest + 1000 * 11) / 5000, rel=0.05)


def test_more_wind_is_cleaner_and_more_demand_is_dirtier() -> None:
    calm, windy = foretold([0.0, 2000.0], [5000.0, 5000.0])
    little, much = foretold([500.0, 500.0], [4000.0, 5500.0])
    assert windy < calm
    assert little < much


def test_it_never_leaves_what_the_rest_has_been() -> None:
    [told] = foretold([0.0], [90_000.0])
    assert told <= (2000 * 12 + 3000 * 490) / 5000 + 1e-9


@given(
    st.lists(st.floats(0, 5000), min_size=1, max_size=24),
    st.floats(1, 50_000),
)
def test_every_moment_that_is_told_lies_between_wind_and_coal(
    wind: list[float], total: float
) -> None:
    for told in foretold(wind, [total] * len(wind)):
        assert 11 - 1e-9 <= told <= 820


def test_moments_of_which_one_side_says_nothing_are_left_out() -> None:
    assert len(foretold([100.0, 100.0], [5000.0])) == 1
    assert foretold([100.0], []) == []
    assert foretold([], [5000.0]) == []
    assert foretold([100.0], [0.0]) == []


def test_of_too_few_days_nothing_is_learned() -> None:
    assert foretold([100.0], [5000.0], **past(20)) == []


def test_a_rest_that_never_moved_keeps_its_mean() -> None:
    level = {NUCLEAR: hours(4, *[1000.0] * 96), COAL: hours(4, *[1000.0] * 96)}
    [told] = foretold([0.0], [500.0], **level)
    assert told == pytest.approx((12 + 820) / 2)


def test_entsoe_says_what_was_and_what_is_to_come(now_ms: int, tmp_path: Path) -> None:
    with GridDouble(now_ms) as double, httpx2.Client(timeout=5) as http:
        clock = FakeClock(now_ms)
        feed = Entsoe(http, clock, TOKEN, f"{double.url}/api")
        measured, ahead = feed.fetch("DE", now_ms - 48 * HOUR, now_ms + 96 * HOUR)
        assert {p.kind for p in measured.points} == {PointKind.ACTUAL}
        assert {p.kind for p in ahead.points} == {PointKind.FORECAST}
        assert "from_generation_forecast" in ahead.flags
        assert ahead.points[0].end_ms > now_ms
        rest = (3000 * 12 + 2000 * 490 + 1000 * 820) / 6000
        assert ahead.points[0].g_per_kwh == pytest.approx((6000 * rest + 1500 * 48) / 7500)
        [only] = feed.fetch("DE", now_ms - 48 * HOUR, now_ms)
        assert {p.kind for p in only.points} == {PointKind.ACTUAL}


def test_without_its_forecast_the_measured_hours_still_count(now_ms: int) -> None:
    with GridDouble(now_ms) as double, httpx2.Client(timeout=5) as http:
        feed = Entsoe(http, FakeClock(now_ms), TOKEN, f"{double.url}/api")
        whole = double.answer

        def silent(target: str, *headers: object) -> object:
            return (503, "busy") if "A71" in target else whole(target, *headers)  # type: ignore[arg-type]

        double.answer = silent  # type: ignore[assignment, method-assign]
        [measured] = feed.fetch("DE", now_ms - 48 * HOUR, now_ms + 96 * HOUR)
        assert {p.kind for p in measured.points} == {PointKind.ACTUAL}
