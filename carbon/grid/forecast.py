"""The service's own forecast of a zone, from its history alone.

A profile by hour of day, in the logarithm, the newer days weighing more (.8 a day), plus the
distance of the last known hour from that profile, fading by .95 an hour. Working in the
logarithm keeps every forecast positive and weighs clean hours like dirty ones.

It looks only at points that ended by `now_ms`: what lies ahead cannot change it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from carbon.domain.intensity import (
    EmissionScope,
    IntensityPoint,
    PointKind,
    Signal,
    Vintage,
    is_plausible,
)
from carbon.domain.units import MS_PER_HOUR, floor_to
from carbon.grid.feed import OWN_FORECAST

LICENCE: Final = "derived from the zone's own history"

DAY_WEIGHT: Final = 0.8
RESIDUAL_DECAY: Final = 0.95
#: Days that the profile looks back; the oldest then weighs .8^27, a quarter of a percent.
PROFILE_DAYS: Final = 28
HOURS_PER_DAY: Final = 24
#: History is full at seven days and usable at two; a fifth of the hours may be missing.
FULL_HOURS: Final = 7 * HOURS_PER_DAY * 4 // 5
FEWEST_HOURS: Final = 2 * HOURS_PER_DAY * 4 // 5


class KnownPoint(Protocol):
    """What history is made of: IntensityPoint and RatedPoint both are."""

    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...
    @property
    def g_per_kwh(self) -> float: ...
    @property
    def kind(self) -> PointKind: ...


def forecast(
    history: Iterable[KnownPoint], now_ms: int, horizon_h: int = 96
) -> list[IntensityPoint]:
    """Hourly points from the hour of `now_ms` on, `horizon_h` of them, g/kWh.

    `history` may come in any step and order, with gaps; only plausible ACTUAL and ESTIMATED
    points count. FORECAST from seven days of history (or 80 % of their hours) on, TYPICAL from
    two, and nothing below that.
    """
    known = hourly_means(history, now_ms)
    filled = int(np.isfinite(known).sum())
    if filled < FEWEST_HOURS:
        return []
    kind = PointKind.FORECAST if filled >= FULL_HOURS else PointKind.TYPICAL
    first_ms = floor_to(now_ms, MS_PER_HOUR)
    return [
        IntensityPoint(at_ms, at_ms + MS_PER_HOUR, float(g_per_kwh), kind)
        for at_ms, g_per_kwh in zip(
            range(first_ms, first_ms + horizon_h * MS_PER_HOUR, MS_PER_HOUR),
            predict(known, horizon_h),
            strict=True,
        )
    ]


def own_vintage(
    zone: str,
    history: Iterable[KnownPoint],
    now_ms: int,
    signal: Signal,
    scope: EmissionScope,
    horizon_h: int = 96,
) -> Vintage | None:
    """`forecast` as a vintage of the source `own`; None where the history is too short.

    `signal` and `scope` are those of the history. Flags: `own_forecast`, and `short_history`
    where under seven days make it uncertain.
    """
    points = tuple(forecast(history, now_ms, horizon_h))
    if not points:
        return None
    short = points[0].kind is PointKind.TYPICAL
    flags = ("own_forecast", "short_history") if short else ("own_forecast",)
    return Vintage(zone, OWN_FORECAST, signal, scope, now_ms, points, LICENCE, flags)


def hourly_means(history: Iterable[KnownPoint], now_ms: int) -> NDArray[np.float64]:
    """Mean g/kWh of each of the last `PROFILE_DAYS` days' hours, oldest first; NaN where unknown.

    The last cell is the hour before the one of `now_ms`.
    """
    end_ms = floor_to(now_ms, MS_PER_HOUR)
    start_ms = end_ms - PROFILE_DAYS * HOURS_PER_DAY * MS_PER_HOUR
    return hourly_between((p for p in history if p.end_ms <= now_ms), start_ms, end_ms)


def hourly_between(
    history: Iterable[KnownPoint], start_ms: int, end_ms: int
) -> NDArray[np.float64]:
    """Mean g/kWh of each hour of [start, end), both whole hours; NaN where unknown.

    A point weighs by its overlap; of an hour that is known in part the known part speaks. Only
    plausible ACTUAL and ESTIMATED points count.
    """
    cells = (end_ms - start_ms) // MS_PER_HOUR
    weighted, weight = np.zeros(cells), np.zeros(cells)
    for point in history:
        if not _usable(point):
            continue
        at_ms = max(point.start_ms, start_ms)
        while at_ms < min(point.end_ms, end_ms):
            mark_ms = min(floor_to(at_ms, MS_PER_HOUR) + MS_PER_HOUR, point.end_ms)
            cell = (at_ms - start_ms) // MS_PER_HOUR
            weighted[cell] += point.g_per_kwh * (mark_ms - at_ms)
            weight[cell] += mark_ms - at_ms
            at_ms = mark_ms
    known = np.full(cells, np.nan)
    np.divide(weighted, weight, out=known, where=weight > 0)
    return known


def _usable(point: KnownPoint) -> bool:
    return point.kind.may_credit and is_plausible(point.g_per_kwh)


def predict(known: NDArray[np.float64], horizon_h: int) -> NDArray[np.float64]:
    """The `horizon_h` hours after `known`: hourly g/kWh, whole days, at least one not NaN.

    Never outside of what was seen: an extreme last hour must not carry over to another's level.
    """
    days = np.log(known).reshape(-1, HOURS_PER_DAY)
    profile = _profile(days)
    last = int(np.flatnonzero(np.isfinite(known))[-1])
    residual = float(np.log(known[last]) - profile[last % HOURS_PER_DAY])
    ahead = np.arange(known.size, known.size + horizon_h)
    decayed = residual * RESIDUAL_DECAY ** (ahead - last)
    predicted = np.exp(profile[ahead % HOURS_PER_DAY] + decayed)
    return np.asarray(predicted.clip(np.nanmin(known), np.nanmax(known)), np.float64)


def _profile(days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean by hour over days x 24; an hour never seen takes the mean of the others."""
    weights = DAY_WEIGHT ** np.arange(len(days) - 1, -1, -1, dtype=np.float64)[:, np.newaxis]
    weights = np.where(np.isfinite(days), weights, 0.0)
    total = weights.sum(axis=0)
    summed = (np.nan_to_num(days) * weights).sum(axis=0)
    profile = np.full(HOURS_PER_DAY, np.nan)
    np.divide(summed, total, out=profile, where=total > 0)
    profile[np.isnan(profile)] = np.nanmean(profile)
    return profile
