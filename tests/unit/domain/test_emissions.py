"""Operational emissions: exact, monotone, and never rounded twice."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.emissions import implied_g_per_kwh, operational_ng
from carbon.domain.units import MJ_PER_KWH, NG_PER_G

energies = st.integers(min_value=0, max_value=1 << 53)
intensities = st.floats(min_value=0.001, max_value=2000)
overheads = st.floats(min_value=1, max_value=3)


@given(energies, intensities, overheads)
def test_the_result_is_the_exact_product_rounded_once(
    energy_mj: int, g_per_kwh: float, pue: float
) -> None:
    exact = Fraction(energy_mj) / MJ_PER_KWH * Fraction(g_per_kwh) * Fraction(pue) * NG_PER_G
    assert operational_ng(energy_mj, g_per_kwh, pue) == round(exact)


@given(energies, energies, intensities, overheads)
def test_more_energy_never_emits_less(one: int, other: int, g_per_kwh: float, pue: float) -> None:
    less, more = sorted((one, other))
    assert operational_ng(less, g_per_kwh, pue) <= operational_ng(more, g_per_kwh, pue)


@given(energies, intensities, intensities, overheads)
def test_a_cleaner_grid_never_emits_more(
    energy_mj: int, one: float, other: float, pue: float
) -> None:
    clean, dirty = sorted((one, other))
    assert operational_ng(energy_mj, clean, pue) <= operational_ng(energy_mj, dirty, pue)


@given(energies, intensities, overheads, overheads)
def test_a_better_pue_never_emits_more(
    energy_mj: int, g_per_kwh: float, one: float, other: float
) -> None:
    good, bad = sorted((one, other))
    assert operational_ng(energy_mj, g_per_kwh, good) <= operational_ng(energy_mj, g_per_kwh, bad)


@given(st.lists(energies, max_size=20), intensities)
def test_cutting_energy_into_pieces_costs_at_most_half_a_nanogram_each(
    pieces: list[int], g_per_kwh: float
) -> None:
    apart = sum(operational_ng(piece, g_per_kwh) for piece in pieces)
    assert abs(apart - operational_ng(sum(pieces), g_per_kwh)) <= (len(pieces) + 1) / 2


@pytest.mark.parametrize(
    ("energy_mj", "g_per_kwh", "pue", "ng"),
    [
        (MJ_PER_KWH, 400.0, 1.0, 400 * NG_PER_G),
        (MJ_PER_KWH, 400.0, 1.5, 600 * NG_PER_G),
        (5_000, 400.0, 1.0, 555_556),  # 1 s at 5 W: half a milligram, still six digits
        (0, 400.0, 1.0, 0),
    ],
)
def test_kilowatt_hours_times_intensity_times_pue(
    energy_mj: int, g_per_kwh: float, pue: float, ng: int
) -> None:
    assert operational_ng(energy_mj, g_per_kwh, pue) == ng


@pytest.mark.parametrize(("energy_mj", "ng"), [(9, 2), (27, 8), (45, 12)])
def test_a_half_goes_to_the_even_neighbour(energy_mj: int, ng: int) -> None:
    """9 mJ at 1 g/kWh are exactly 2.5 ng, 27 mJ 7.5, 45 mJ 12.5."""
    assert operational_ng(energy_mj, 1.0) == ng


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_intensity_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        operational_ng(1000, bad)


def test_stated_grams_and_energy_imply_an_intensity() -> None:
    assert implied_g_per_kwh(0.023, 0.00024) == pytest.approx(95.83, abs=0.01)
    assert implied_g_per_kwh(1.0, 0.0) is None
