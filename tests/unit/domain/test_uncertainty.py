"""Intervals: independent errors average out, shared ones do not."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.energy import Method
from carbon.domain.intensity import PointKind
from carbon.domain.uncertainty import (
    ENERGY_HALF_WIDTH,
    INTENSITY_HALF_WIDTH,
    Interval,
    Source,
    Term,
    energy_source,
    intensity_source,
    product,
    propagate,
)

values = st.floats(min_value=0.01, max_value=1e6)
widths = st.floats(min_value=0, max_value=0.9)


def term(value: float, **widths_by_key: float) -> Term:
    return Term(value, tuple(Source(key, width, width) for key, width in widths_by_key.items()))


@given(st.lists(values, min_size=1, max_size=10), widths)
def test_a_shared_error_keeps_its_relative_width_in_a_sum(summands: list[float], w: float) -> None:
    total = propagate(term(value, feed=w) for value in summands)
    assert total.high == pytest.approx(total.value * (1 + w))
    assert total.low == pytest.approx(total.value * (1 - w))


@given(st.integers(min_value=1, max_value=100), st.floats(min_value=0.01, max_value=0.9))
def test_independent_errors_shrink_with_the_root_of_their_number(n: int, w: float) -> None:
    total = propagate(term(1.0, **{f"card{i}": w}) for i in range(n))
    assert total.high - total.value == pytest.approx(w * math.sqrt(n))


@given(st.lists(st.tuples(values, widths), min_size=1, max_size=8))
def test_independence_never_claims_more_doubt_than_sharing(
    parts: list[tuple[float, float]],
) -> None:
    apart = propagate(term(v, **{f"s{i}": w}) for i, (v, w) in enumerate(parts))
    together = propagate(term(v, s=w) for v, w in parts)
    assert apart.high <= together.high * (1 + 1e-12)
    assert apart.low >= together.low - 1e-9 * together.value


@given(st.lists(st.tuples(values, widths, st.sampled_from("abc")), max_size=8), st.randoms())
def test_the_order_of_terms_does_not_matter(
    parts: list[tuple[float, float, str]], rng: random.Random
) -> None:
    terms = [term(value, **{key: width}) for value, width, key in parts]
    shuffled = rng.sample(terms, len(terms))
    one, other = propagate(terms), propagate(shuffled)
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


@given(values, values, widths)
def test_a_shared_error_cancels_in_a_difference(before: float, after: float, w: float) -> None:
    saving = propagate([term(before, feed=w), term(-after, feed=w)])
    assert saving.high - saving.low == pytest.approx(2 * w * abs(before - after), abs=1e-6)


def test_sides_change_places_for_a_negative_term() -> None:
    lopsided = Source("life", 0.1, 0.5)
    assert propagate([Term(-10.0, (lopsided,))]) == Interval(-10.0, -15.0, -9.0)
    assert propagate([Term(10.0, (lopsided,))]) == Interval(10.0, 9.0, 15.0)


def test_a_product_of_independent_quantities_adds_relative_widths_in_quadrature() -> None:
    priced = product(Interval.within(2.0, 0.03), Interval.within(100.0, 0.04))
    assert priced.value == 200
    assert priced.high == pytest.approx(200 * 1.05)


@pytest.mark.parametrize(("one", "other"), [(0.05, 0.10), (0.15, 0.02), (0.1, 0.1)])
def test_a_seeded_simulation_agrees_with_first_order(one: float, other: float) -> None:
    """Each half-width is 1.96 standard deviations of a normal error; small ones multiply."""
    rng = random.Random(20)
    draws = sorted(
        (1 + rng.gauss(0, one / 1.96)) * (1 + rng.gauss(0, other / 1.96)) for _ in range(20_000)
    )
    bounds = product(Interval.within(1.0, one), Interval.within(1.0, other))
    assert (bounds.high - bounds.low) == pytest.approx(draws[19_499] - draws[499], rel=0.03)


def test_the_long_life_gives_the_low_share() -> None:
    assert Interval(4.0, 3.0, 6.0).reciprocal() == Interval(0.25, 1 / 6, 1 / 3)


def test_bounds_that_do_not_hold_the_value_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="not within"):
        Interval(1.0, 2.0, 3.0)


def test_an_exact_figure_has_no_width_and_a_mass_no_negative_bound() -> None:
    assert Interval.exact(5.0) == Interval(5.0, 5.0, 5.0)
    assert Interval(1.0, -0.5, 2.0).not_below_zero() == Interval(1.0, 0.0, 2.0)
    assert propagate([]) == Interval(0.0, 0.0, 0.0)


def test_every_method_and_kind_of_point_states_a_width() -> None:
    assert set(ENERGY_HALF_WIDTH) == set(Method)
    assert set(INTENSITY_HALF_WIDTH) == set(PointKind)


def test_a_model_is_doubted_more_than_any_meter_and_a_year_more_than_its_hours() -> None:
    metered = max(ENERGY_HALF_WIDTH[method] for method in Method if method.is_measured)
    guessed = min(ENERGY_HALF_WIDTH[method] for method in Method if not method.is_measured)
    assert metered < guessed
    ordered = [INTENSITY_HALF_WIDTH[kind] for kind in sorted(PointKind, key=lambda k: k.rank)]
    assert ordered == sorted(ordered)


def test_a_sensor_errs_alone_and_a_model_with_all_its_devices() -> None:
    assert energy_source(Method.COUNTER, "a").key != energy_source(Method.COUNTER, "b").key
    assert energy_source(Method.MODELLED, "a").key == energy_source(Method.MODELLED, "b").key
    assert (
        intensity_source("DE", PointKind.ACTUAL).key != intensity_source("FR", PointKind.ACTUAL).key
    )
