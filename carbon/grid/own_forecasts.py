"""The learned forecast as vintages: every zone whose history suffices, all learning together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.grid.daily_profile import HOURS_PER_DAY
from carbon.grid.feed import OWN_FORECAST
from carbon.grid.forecast import LICENCE, KnownPoint, hourly_between
from carbon.grid.learned_forecast import HISTORY_H, foresee

#: Below four weeks of hours the plain profile of `forecast` is as good.
FEWEST_HOURS: Final = 4 * 168
HORIZON_H: Final = 96
HISTORY_MS: Final = HISTORY_H * MS_PER_HOUR
#: 1970-01-01 was a Thursday.
_FIRST_WEEKDAY: Final = 3


@dataclass(frozen=True, slots=True)
class ZoneHistory:
    """What is known of one zone, of one signal and scope."""

    zone: str
    signal: Signal
    scope: EmissionScope
    points: Iterable[KnownPoint]


@dataclass(frozen=True, slots=True)
class OwnForecast:
    vintage: Vintage
    #: 90 % interval of each point, g/kWh; None where too few errors are known.
    bounds: tuple[tuple[float, float] | None, ...]


def learned_forecasts(
    histories: Iterable[ZoneHistory], now_ms: int, horizon_h: int = HORIZON_H
) -> Mapping[str, OwnForecast]:
    """By zone, from the hour of `now_ms` on; zones with too little history are left out."""
    end_ms = floor_to(now_ms, MS_PER_HOUR)
    start_ms = floor_to(end_ms - HISTORY_MS, MS_PER_DAY)
    kept, rows = [], []
    for history in histories:
        known = hourly_between(history.points, start_ms, end_ms)
        if np.isfinite(known).sum() >= FEWEST_HOURS:
            kept.append(history)
            rows.append(known)
    if not kept:
        return {}
    start_ms, g_per_kwh = _from_first_known(np.stack(rows), start_ms)
    weekday = (start_ms // MS_PER_DAY + _FIRST_WEEKDAY) % 7
    told = foresee(g_per_kwh, weekday, horizon_h, g_per_kwh.shape[1])
    return {
        history.zone: _own(
            history, end_ms, now_ms, *(a[:, i, 0] for a in (told.value, told.low, told.high))
        )
        for i, history in enumerate(kept)
    }


def _from_first_known(
    g_per_kwh: np.ndarray[tuple[int, int], np.dtype[np.float64]], start_ms: int
) -> tuple[int, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Without the days in front of which nothing is known of any zone."""
    hour = int(np.isfinite(g_per_kwh).any(axis=0).argmax()) // HOURS_PER_DAY * HOURS_PER_DAY
    return start_ms + hour * MS_PER_HOUR, g_per_kwh[:, hour:]


def _own(
    history: ZoneHistory,
    first_ms: int,
    now_ms: int,
    value: np.ndarray[tuple[int], np.dtype[np.float32]],
    low: np.ndarray[tuple[int], np.dtype[np.float32]],
    high: np.ndarray[tuple[int], np.dtype[np.float32]],
) -> OwnForecast:
    points = tuple(
        IntensityPoint(at_ms, at_ms + MS_PER_HOUR, round(float(g), 3), PointKind.FORECAST)
        for at_ms, g in zip(
            range(first_ms, first_ms + len(value) * MS_PER_HOUR, MS_PER_HOUR), value, strict=True
        )
    )
    bounds = tuple(
        (float(lowest), float(highest)) if np.isfinite(lowest) else None
        for lowest, highest in zip(low, high, strict=True)
    )
    vintage = Vintage(
        history.zone,
        OWN_FORECAST,
        history.signal,
        history.scope,
        now_ms,
        points,
        LICENCE,
        ("own_forecast", "learned"),
    )
    return OwnForecast(vintage, bounds)
