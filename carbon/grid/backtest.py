"""How good the learned forecast would have been: each origin with what was known then.

The yardstick is a forecast that anyone can make: the mean by hour of day of the seven days
before, plus the distance of the last hour from its own such mean, fading by .95 an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from carbon.errors import InvalidInput
from carbon.grid.daily_profile import HOUR_DECAY, HOURS_PER_DAY, Floats
from carbon.grid.forecast_features import Features
from carbon.grid.learned_forecast import Foreseen, foresee

#: Applies a function to each of some tasks, in order, here or elsewhere.
Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]

#: Origins of one stretch share their choice of zones to listen to.
LONGEST_STRETCH_H: Final = 13 * 168
YARDSTICK_DAYS: Final = 7
#: The first origin that the learned forecast can answer for, whatever the horizon.
FIRST_ORIGIN: Final = 8 * HOURS_PER_DAY


@dataclass(frozen=True, slots=True)
class Score:
    """One zone's errors over all origins; lists have one value per hour ahead."""

    mape: list[float]
    yardstick_mape: list[float]
    #: Share of hours inside the 90 % interval; None where no interval could be stated.
    coverage: list[float | None]
    origins: int

    @property
    def ratio(self) -> float:
        """Mean error over that of the yardstick; under 1 is better."""
        return sum(self.mape) / sum(self.yardstick_mape)


def score(
    g_per_kwh: Floats,
    first_weekday: int,
    zones: Sequence[int],
    first_origin: int,
    horizon_h: int = 24,
    each: Each = map,
) -> list[Score]:
    """Of each of `zones`, over every origin from `first_origin` on whose hours are all there.

    `g_per_kwh` (all zones, hours) from hour 0 of a day on. Raises InvalidInput
    `history_too_short`.
    """
    end = g_per_kwh.shape[1] - horizon_h + 1
    if not FIRST_ORIGIN <= first_origin < end:
        raise InvalidInput(
            "history_too_short",
            f"a backtest needs {FIRST_ORIGIN} hours before its first origin and {horizon_h} "
            f"after it; the record has {g_per_kwh.shape[1]}",
        )
    rows = list(zones)
    parts = rolling(g_per_kwh, first_weekday, horizon_h, first_origin, end, rows, each)
    value, low, high = (
        np.concatenate([getattr(part, name) for part in parts], axis=2)
        for name in ("value", "low", "high")
    )
    actual = _ahead(g_per_kwh[rows], first_origin, end, horizon_h)
    error = np.abs(value - actual) / actual
    plain = np.abs(yardstick(g_per_kwh[rows], first_origin, end, horizon_h) - actual) / actual
    inside = np.where(np.isfinite(low), (actual >= low) & (actual <= high), np.nan)
    return [
        Score(
            _means(error[:, zone]),
            _means(plain[:, zone]),
            [_mean(hours) for hours in inside[:, zone]],
            end - first_origin,
        )
        for zone in range(len(rows))
    ]


def rolling(
    g_per_kwh: Floats,
    first_weekday: int,
    horizon_h: int,
    start: int,
    end: int,
    zones: Sequence[int] | None = None,
    each: Each = map,
) -> list[Foreseen]:
    """Forecasts of every origin of [start, end), stretch by stretch in order of time."""
    stretches = []
    while start < end:
        until = min(end, start + min(start, LONGEST_STRETCH_H))
        stretches.append((start, until))
        start = until
    return list(each(partial(_foreseen, g_per_kwh, first_weekday, horizon_h, zones), stretches))


def _foreseen(
    g_per_kwh: Floats,
    first_weekday: int,
    horizon_h: int,
    zones: Sequence[int] | None,
    stretch: tuple[int, int],
) -> Foreseen:
    return foresee(g_per_kwh, first_weekday, horizon_h, *stretch, zones)


def yardstick(g_per_kwh: Floats, start: int, end: int, horizon_h: int) -> Floats:
    """(horizons, zones, origins) of [start, end); needs eight days before `start`."""
    origins = np.arange(start, end)
    ahead = np.arange(horizon_h)[:, np.newaxis]
    days_back = HOURS_PER_DAY * (1 + ahead // HOURS_PER_DAY)
    last = origins - 1
    off = g_per_kwh[:, last] - _week_mean(g_per_kwh, last - HOURS_PER_DAY)
    usual = _week_mean(g_per_kwh, origins + ahead - days_back).transpose(1, 0, 2)
    return np.asarray(usual + HOUR_DECAY ** (ahead + 1)[:, :, np.newaxis] * off)


def _week_mean(g_per_kwh: Floats, hours: NDArray[np.int64]) -> Floats:
    """Mean of `hours` and the same hour of the six days before: (zones, *hours)."""
    days = [g_per_kwh[:, hours - day * HOURS_PER_DAY] for day in range(YARDSTICK_DAYS)]
    return np.asarray(np.mean(days, axis=0))


def _ahead(g_per_kwh: Floats, start: int, end: int, horizon_h: int) -> Floats:
    """What came: (horizons, zones, origins)."""
    shifted = range(horizon_h)
    return np.stack([g_per_kwh[:, start + ahead : end + ahead] for ahead in shifted])


def _means(values: Floats | Features) -> list[float]:
    return [float(mean) for mean in np.nanmean(values, axis=-1)]


def _mean(values: Floats) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None
