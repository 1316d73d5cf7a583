"""Columns of nanograms are those of the exact rule, and where a plain float would do is known."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from carbon.domain.emissions import operational_ng
from carbon.services.rollup.nanograms import nanograms, ng_per_mj

Row = tuple[int, float, float]

ENERGY_MJ = st.one_of(st.integers(0, 10**7), st.integers(0, 10**15))
PUE = st.one_of(st.just(1.0), st.floats(1.0, 3.0))


@st.composite
def near_half(draw: st.DrawFn) -> Row:
    """Whose product lies some bits beside n + 1/2."""
    energy_mj = draw(st.integers(1, 10**9))
    pue = draw(PUE)
    half = draw(st.integers(0, 10**7)) + 0.5
    g_per_kwh = half * 3.6 / energy_mj / pue
    towards = draw(st.sampled_from([-math.inf, math.inf]))
    for _ in range(draw(st.integers(0, 3))):
        g_per_kwh = math.nextafter(g_per_kwh, towards)
    return energy_mj, abs(g_per_kwh), pue


ROW = st.one_of(st.tuples(ENERGY_MJ, st.floats(0, 2000), PUE), near_half())


@given(st.lists(ROW, max_size=20))
@example([(18, 0.5, 1.0), (54, 0.5, 1.0)])  # 2.5 and 7.5: half to even
@example([(1, 1.8, 1.0)])  # whose float lies beyond the half
def test_they_are_the_rules_to_the_last_digit(rows: list[Row]) -> None:
    energy_mj = np.array([row[0] for row in rows], np.int64)
    g_per_kwh, pue = np.array([row[1:] for row in rows], np.float64).reshape(-1, 2).T
    ng, is_near_half = nanograms(energy_mj, g_per_kwh, pue)
    assert ng.tolist() == [operational_ng(*row) for row in rows]
    for (mj, intensity, overhead), own, close in zip(rows, ng.tolist(), is_near_half, strict=True):
        # What a database makes of it, in floats, where it is let.
        assert close or math.floor(mj * ng_per_mj(intensity, overhead) + 0.5) == own
