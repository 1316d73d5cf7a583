"""Prices: what was published last holds, and gaps stay gaps."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.price import (
    PricePoint,
    PublishedPrice,
    holding,
    is_currency,
    is_plausible_price,
)


def said(start: int, end: int, per_kwh: float, at: int = 0, source: str = "m") -> PublishedPrice:
    return PublishedPrice(PricePoint(start, end, per_kwh, "EUR"), source, at)


def told(prices: list[PublishedPrice], start: int, end: int) -> list[tuple[int, int, float]]:
    points = [p.point for p in holding(prices, start, end)]
    return [(p.start_ms, p.end_ms, p.per_kwh) for p in points]


def test_what_is_said_later_holds_and_the_rest_stays() -> None:
    prices = [said(0, 10, 0.1), said(4, 6, -0.2, at=1)]
    assert told(prices, 0, 10) == [(0, 4, 0.1), (4, 6, -0.2), (6, 10, 0.1)]


def test_gaps_stay_gaps_and_points_are_cut_to_the_window() -> None:
    assert told([said(0, 4, 0.1), said(8, 12, 0.3)], 2, 10) == [(2, 4, 0.1), (8, 10, 0.3)]
    assert told([], 0, 10) == []
    assert told([said(0, 5, 0.1)], 5, 10) == []


def test_neighbours_of_one_price_and_publication_are_one() -> None:
    assert told([said(0, 5, 0.1), said(5, 9, 0.1)], 0, 9) == [(0, 9, 0.1)]
    assert len(told([said(0, 5, 0.1), said(5, 9, 0.1, at=1)], 0, 9)) == 2


def test_of_two_said_at_once_the_first_by_name_holds() -> None:
    assert told([said(0, 5, 2.0, source="b"), said(0, 5, 1.0, source="a")], 0, 5) == [(0, 5, 1.0)]


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 15), st.integers(-3, 3), st.integers(0, 5)),
        max_size=12,
    )
)
def test_at_every_moment_it_is_the_newest_that_covers_it(rows: list[tuple[int, ...]]) -> None:
    prices = [said(s, s + n, float(v), at, f"s{i:02}") for i, (s, n, v, at) in enumerate(rows)]
    held = holding(prices, 5, 45)
    assert all(a.point.end_ms <= b.point.start_ms for a, b in pairwise(held))
    for moment in range(5, 45):
        covering = [p for p in prices if p.point.start_ms <= moment < p.point.end_ms]
        want = min(covering, key=lambda p: (-p.published_ms, p.source), default=None)
        got = [p for p in held if p.point.start_ms <= moment < p.point.end_ms]
        assert [p.point.per_kwh for p in got] == ([want.point.per_kwh] if want else [])


@pytest.mark.parametrize(
    ("per_kwh", "is_sound"),
    [(0.0, True), (-0.5, True), (20.0, True), (20.1, False), (-10.1, False), (math.nan, False)],
)
def test_free_and_negative_prices_are_prices_and_another_unit_is_none(
    per_kwh: float, is_sound: bool
) -> None:
    assert is_plausible_price(per_kwh) is is_sound


@pytest.mark.parametrize("code", ["eur", "EU", "EURO", "E1R", "", "€€€"])
def test_a_currency_is_three_capitals(code: str) -> None:
    assert is_currency("EUR")
    assert not is_currency(code)
