"""What a pool asks of its plans beside carbon: not to wait for little, not to pay for much.

The weights state exchange rates, as GAIA's Carbon-Time (Hanafy et al., ASPLOS 2024) trades
saving against time to completion. Here the trade is a sum, so that the best start is still among
the few that `windows` tries, and each step of a weight moves along the Pareto front.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carbon.domain.units import MS_PER_HOUR
from carbon.errors import InvalidInput
from carbon.planning.interruptible import SegmentPlan, best_segments
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import Window, candidate_starts, check_fits


@dataclass(frozen=True, slots=True)
class Preference:
    """0 and 0 is carbon alone. Raises InvalidInput (`bad_preference`)."""

    #: An hour of delay must save at least this share of what starting at once would emit.
    saving_per_hour: float = 0.0
    #: A unit of money weighs as much as this many gCO2e.
    g_per_money: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.saving_per_hour < np.inf and 0 <= self.g_per_money < np.inf):
            raise InvalidInput("bad_preference", "a weight is 0 or more")


def priced(
    series: IntensitySeries, money_per_kwh: npt.ArrayLike, preference: Preference
) -> IntensitySeries:
    """The intensity with the price of energy laid on it; prices have the shape of its slots."""
    price = np.asarray(money_per_kwh, dtype=np.float64) * preference.g_per_money
    together = series.g_per_kwh + price
    return IntensitySeries(series.start_ms, series.end_ms, together, series.may_shift)


def preferred_window(
    series: IntensitySeries,
    earliest_ms: int,
    latest_end_ms: int,
    length_ms: int,
    preference: Preference,
) -> Window:
    """The window of least emission plus delay at its weight; of equals the earliest.

    Give the series through `priced` where money counts. Raises InvalidInput as `best_window`.
    """
    earliest, latest_start, length = (
        np.array([v], dtype=np.int64) for v in (earliest_ms, latest_end_ms - length_ms, length_ms)
    )
    check_fits(earliest, latest_start, length)
    _, starts = next(candidate_starts(series, earliest, latest_start, length))
    start = np.unique(starts)
    area = series.area(start + length_ms) - series.area(start)
    area = np.where(series.covers(start, start + length_ms), area, np.inf)
    if not np.isfinite(area).any():
        raise InvalidInput(
            "window_not_rated",
            "no window of that length has an intensity throughout; widen it or add a forecast",
        )
    at_once = area[0] if np.isfinite(area[0]) else area[np.isfinite(area)][0]
    delay_h = (start - earliest_ms) / MS_PER_HOUR
    weighed = area + at_once * preference.saving_per_hour * delay_h
    best = int(np.argmax(weighed <= weighed.min() + series.rounding))
    return Window(int(start[best]), int(start[best]) + length_ms, float(area[best]) / length_ms)


def preferred_segments(
    series: IntensitySeries,
    earliest_ms: int,
    latest_end_ms: int,
    length_ms: int,
    preference: Preference,
) -> SegmentPlan:
    """The same for a job that may pause: each slot of work weighs its own delay.

    The mean that is answered is that of the intensity alone.
    """
    against = tilted(series, earliest_ms, preference)
    plan = best_segments(against, earliest_ms, latest_end_ms, length_ms)
    area = sum(float(series.area(s.end_ms) - series.area(s.start_ms)) for s in plan.segments)
    return SegmentPlan(plan.segments, area / length_ms)


def tilted(series: IntensitySeries, earliest_ms: int, preference: Preference) -> IntensitySeries:
    """Each slot dearer by the weight of the delay that running in it means."""
    ahead = series.end_ms > earliest_ms
    if preference.saving_per_hour == 0 or not ahead.any():
        return series
    per_hour = preference.saving_per_hour * series.g_per_kwh[int(np.argmax(ahead))]
    delay_h = np.maximum(series.start_ms - earliest_ms, 0) / MS_PER_HOUR
    dearer = series.g_per_kwh + per_hour * delay_h
    return IntensitySeries(series.start_ms, series.end_ms, dearer, series.may_shift)
