"""A week of a grid, replayed: made, not downloaded, and the same every time."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, QUARTER_MS
from carbon.planning.series import FloatArray, IntensitySeries

#: 2026-03-02, a Monday, UTC.
START_MS: Final = 1_772_409_600_000
DAYS: Final = 16
_SLOTS: Final = DAYS * 96


def week() -> IntensitySeries:
    """Quarter-hours of a grid with sun and wind: 90 to 520 gCO2e/kWh, dirtiest in the evening.

    The shape follows Germany's in spring: a fall at noon of a strength that the weather of the
    day sets, and wind that takes days to change.
    """
    rng = np.random.default_rng(20260302)
    at = START_MS + np.arange(_SLOTS, dtype=np.int64) * QUARTER_MS
    hour = (at - START_MS) % MS_PER_DAY / MS_PER_HOUR
    day = ((at - START_MS) // MS_PER_DAY).astype(int)
    sun = np.clip(np.sin((hour - 6) / 12 * math.pi), 0, None) * rng.uniform(0.3, 1.0, DAYS)[day]
    wind = _slow(rng, _SLOTS)
    evening = np.exp(-(((hour - 19) / 2.5) ** 2))
    g_per_kwh = np.clip(390 - 230 * sun - 90 * wind + 70 * evening, 90, 520)
    return IntensitySeries(at, at + QUARTER_MS, g_per_kwh)


def _slow(rng: np.random.Generator, slots: int) -> FloatArray:
    """Noise with a memory of about a day, of spread 1."""
    keep = 1 - 1 / 96
    noise = rng.normal(0, math.sqrt(1 - keep * keep), slots)
    made = np.empty(slots)
    made[0] = rng.normal()
    for n in range(1, slots):
        made[n] = keep * made[n - 1] + noise[n]
    return made
