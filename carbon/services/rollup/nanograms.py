"""`domain.emissions` over columns: the same figures to the last digit, without a loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from carbon.domain.emissions import operational_ng
from carbon.storage.columns import Ints

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

#: A float product of three is off by less.
_FLOAT_ERROR = 1e-15
_MJ_PER_NG = 3.6


def ng_per_mj(g_per_kwh: float, pue: float) -> float:
    return g_per_kwh * pue / _MJ_PER_NG


def nanograms(energy_mj: Ints, g_per_kwh: Floats, pue: Floats) -> tuple[Ints, Flags]:
    """(ng, where energy times `ng_per_mj`, rounded as a float, might be off by one)."""
    product = energy_mj * (g_per_kwh * pue / _MJ_PER_NG)
    off = np.maximum(product * _FLOAT_ERROR, 1e-6)
    is_near_half = np.abs(product - np.floor(product) - 0.5) <= off
    ng = np.floor(product + 0.5).astype(np.int64)
    for at in np.flatnonzero(is_near_half).tolist():
        ng[at] = operational_ng(int(energy_mj[at]), float(g_per_kwh[at]), float(pue[at]))
    return ng, is_near_half
