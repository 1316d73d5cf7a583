"""What a zone usually does at an hour of the day, and how far off it is now.

Hour by hour and for many zones at once: a mean by hour of day in which newer days weigh more,
the distance of each hour from what the days before let expect, and a causal filling of gaps.
No number here depends on a later hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOURS_PER_DAY: Final = 24
#: Weight that a day keeps against the next one.
DAY_WEIGHT: Final = 0.87
#: Share of a distance from the profile that is left an hour later.
HOUR_DECAY: Final = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class DailyProfile:
    """All arrays have shape (zones, hours); the first hour is hour 0 of a day."""

    #: What was given, with gaps filled by what was to be expected.
    level: Floats
    #: The profile at each hour's time of day, that hour included.
    profile: Floats
    #: Distance of each hour from the profile of the days before it.
    residual: Floats

    @classmethod
    def of(cls, values: Floats) -> DailyProfile:
        """`values` (zones, hours), NaN where unknown; leading unknowns take the first known."""
        zones, hours = values.shape
        level, profile, residual = (np.empty((zones, hours)) for _ in range(3))
        first = _first_known(values)
        usual = np.repeat(first[:, np.newaxis], HOURS_PER_DAY, axis=1)
        weight = np.zeros((zones, HOURS_PER_DAY))
        off = np.zeros(zones)
        for hour in range(hours):
            slot = hour % HOURS_PER_DAY
            expected = np.where(weight[:, slot] > 0, usual[:, slot], first)
            known = np.isfinite(values[:, hour])
            value = np.where(known, values[:, hour], expected + HOUR_DECAY * off)
            off = value - expected
            weight[:, slot] = np.where(known, DAY_WEIGHT * weight[:, slot] + 1, weight[:, slot])
            step = np.divide(off, weight[:, slot], out=np.zeros(zones), where=known)
            usual[:, slot] = expected + step
            level[:, hour], residual[:, hour] = value, off
            profile[:, hour] = usual[:, slot]
        return cls(level, profile, residual)


def _first_known(values: Floats) -> Floats:
    """Per zone; 0 where nothing is known."""
    known = np.isfinite(values)
    at = known.argmax(axis=1)
    first = values[np.arange(len(values)), at]
    return np.where(known.any(axis=1), first, 0.0)
