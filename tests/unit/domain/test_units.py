"""Units, and the only conversions between them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.units import (
    BUCKET_MS,
    MJ_PER_KWH,
    MS_PER_DAY,
    MS_PER_HOUR,
    MS_PER_LIFESPAN_YEAR,
    QUARTER_MS,
    ceil_to,
    energy_mj,
    floor_to,
    grams,
    kwh,
    watts,
)

moments = st.integers(-(1 << 45), 1 << 53)
widths = st.integers(1, 1 << 40)


def test_a_kilowatt_hour_is_exactly_3_6_megajoules() -> None:
    assert kwh(3_600_000_000) == 1.0
    assert Fraction(1, 3_600_000) == Fraction(1000, MJ_PER_KWH)
    assert grams(1_000_000_000) == 1.0


def test_a_lifespan_year_has_365_days() -> None:
    assert 4 * MS_PER_LIFESPAN_YEAR == 35_040 * MS_PER_HOUR


def test_roll_ups_nest() -> None:
    assert QUARTER_MS % BUCKET_MS == MS_PER_HOUR % QUARTER_MS == MS_PER_DAY % MS_PER_HOUR == 0


@given(moments, widths)
def test_floor_and_ceil_enclose_a_moment_by_marks(at_ms: int, width_ms: int) -> None:
    lo, hi = floor_to(at_ms, width_ms), ceil_to(at_ms, width_ms)
    assert lo <= at_ms <= hi
    assert lo % width_ms == hi % width_ms == 0
    assert hi - lo == (0 if at_ms % width_ms == 0 else width_ms)


@given(st.integers(0, 1 << 50))
def test_energy_survives_the_way_to_kilowatt_hours_and_back(mj: int) -> None:
    assert energy_mj(kwh(mj)) == pytest.approx(mj, abs=1)


def test_a_millijoule_in_a_millisecond_is_a_watt() -> None:
    assert watts(300_000, 1_000) == 300.0
