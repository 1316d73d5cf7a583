"""Drawn intervals: seeded, checked against first order, and shared where errors are shared."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.domain.energy import Method
from carbon.domain.intensity import PointKind
from carbon.domain.uncertainty import Source, Term, energy_source, intensity_source, propagate
from carbon.services.sci.simulation import drawn, simulate

small = st.floats(min_value=0.0, max_value=0.15)
values = st.floats(min_value=0.1, max_value=1e6)


def term(value: float, **widths: float) -> Term:
    return Term(value, tuple(Source(key, width, width) for key, width in widths.items()))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(values, small, small), min_size=1, max_size=5))
def test_small_errors_give_the_first_order_bounds(parts: list[tuple[float, float, float]]) -> None:
    terms = [term(v, **{f"s{i}": own, "feed": shared}) for i, (v, own, shared) in enumerate(parts)]
    exact, sampled = propagate(terms), simulate(terms, "seed")
    assert sampled.value == pytest.approx(exact.value)
    width = exact.high - exact.low
    assert sampled.high - sampled.low == pytest.approx(width, rel=0.06, abs=1e-9 * exact.value)


def test_one_seed_gives_one_result_and_another_seed_another() -> None:
    terms = [term(3.0, a=0.1), term(4.0, b=0.2)]
    assert simulate(terms, "x") == simulate(terms, "x")
    assert simulate(terms, "x") != simulate(terms, "y")


@given(st.lists(st.tuples(values, st.sampled_from("abc")), max_size=12), st.randoms())
@settings(max_examples=20, deadline=None)
def test_how_terms_are_split_and_ordered_changes_nothing(
    parts: list[tuple[float, str]], rng: object
) -> None:
    terms = [term(value, **{key: 0.3}) for value, key in parts]
    halves = [term(value / 2, **{key: 0.3}) for value, key in parts for _ in range(2)]
    one, other = simulate(terms, "s", 500), simulate(halves[::-1], "s", 500)
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_what_two_figures_share_cancels_in_their_difference() -> None:
    before, after = term(100.0, feed=0.5), term(-90.0, feed=0.5)
    saving = simulate([before, after], "s")
    assert saving.high - saving.low == pytest.approx(2 * 0.5 * 10, rel=0.06)


def test_a_lopsided_bound_is_reached_on_its_side() -> None:
    life = simulate([Term(10.0, (Source("life", 0.1, 0.5),))], "s")
    assert life.low == pytest.approx(9.0, rel=0.02)
    assert life.high == pytest.approx(15.0, rel=0.04)


def test_a_mass_is_never_drawn_below_zero() -> None:
    assert simulate([term(1.0, model=1.5)], "s").low >= 0


def test_what_is_certain_has_no_width() -> None:
    sure = simulate([Term(5.0, ())], "s")
    assert (sure.low, sure.value, sure.high) == (5.0, 5.0, 5.0)
    assert simulate([], "s").value == 0


def test_a_fleet_of_sensors_errs_as_its_parts_do() -> None:
    """Merged or drawn one by one, the width is the same."""
    fleet = [
        Term(
            1.0,
            (energy_source(Method.COUNTER, f"gpu-{i}"), intensity_source("DE", PointKind.ACTUAL)),
        )
        for i in range(500)
    ]
    exact, sampled = propagate(fleet), simulate(fleet, "s")
    assert sampled.high - sampled.low == pytest.approx(exact.high - exact.low, rel=0.04)


def test_no_draw_loses_a_term() -> None:
    totals = drawn({(Source("a", 0.0, 0.0),): 7.0, (): 3.0}, "s", 10)
    assert list(totals) == [10.0] * 10
