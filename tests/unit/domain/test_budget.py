"""Where the use of a period leads, and how a budget stands."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.budget import FEWEST_DAYS, Standing, projected, standing
from carbon.domain.uncertainty import Interval

days = st.lists(st.floats(0, 1e6), min_size=FEWEST_DAYS, max_size=28)
some = st.floats(0, 1e7)
left = st.floats(0, 366)


@given(some, days, left)
def test_it_never_falls_below_what_is_used(used: float, daily: list[float], left: float) -> None:
    found = projected(used, daily, left)
    assert found is not None
    assert used <= found.low <= found.value <= found.high


@given(some, days)
def test_at_the_period_s_end_it_is_what_was_used(used: float, daily: list[float]) -> None:
    assert projected(used, daily, 0) == Interval.exact(used)


@given(st.floats(1, 1e4), some, left)
def test_even_days_are_certain(day: float, used: float, left: float) -> None:
    found = projected(used, [day] * 28, left)
    assert found is not None
    assert found.value == pytest.approx(used + day * left)
    assert found.high == pytest.approx(found.low)


@given(st.lists(st.floats(0, 1e6), max_size=FEWEST_DAYS - 1), st.floats(0.1, 300))
def test_of_too_few_days_nothing_is_foretold(daily: list[float], left: float) -> None:
    assert projected(10.0, daily, left) is None


def test_the_interval_holds_what_comes_19_times_in_20() -> None:
    draw, inside, rounds = random.Random(7), 0, 2_000
    for _ in range(rounds):
        daily = [draw.gauss(100, 15) for _ in range(28)]
        ahead = sum(draw.gauss(100, 15) for _ in range(20))
        found = projected(0.0, daily, 20)
        assert found is not None
        inside += found.low <= ahead <= found.high
    assert 0.92 <= inside / rounds <= 0.97


@pytest.mark.parametrize(
    ("used", "forecast", "stands"),
    [
        (10.0, Interval(80, 70, 100), Standing.KEPT),
        (10.0, Interval(98, 90, 101), Standing.AT_RISK),
        (10.0, Interval(120, 110, 130), Standing.MISSED),
        (101.0, Interval(120, 110, 130), Standing.EXCEEDED),
        (101.0, None, Standing.EXCEEDED),
        (10.0, None, Standing.UNKNOWN),
        (None, None, Standing.UNKNOWN),
        # A rate that is too high by now may still come down.
        (101.0, Interval(98, 90, 105), Standing.AT_RISK),
    ],
)
def test_how_it_stands(used: float | None, forecast: Interval | None, stands: Standing) -> None:
    assert standing(100.0, used, forecast) is stands
