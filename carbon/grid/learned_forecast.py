"""The forecast of many zones learned from their hourly history, with 90 % intervals.

Two ridge regressions, one of the logarithm and one of the value itself, joined by a weighted
geometric mean: the first is right about clean hours, the second about grams. The intervals
are quantiles of the errors that the same walk made in the weeks before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from carbon.grid.daily_profile import DailyProfile, Floats
from carbon.grid.forecast_features import LEVEL_HOURS, Features, FeatureSource
from carbon.grid.ridge import walk

#: Coefficients are learned anew this often, counted back from the last origin.
REFIT_H: Final = 168
#: What is learned from: three quarters of a year.
HISTORY_H: Final = 39 * 168
#: Errors of so many hours make an interval; of fewer than the second figure, none is stated.
ERROR_HOURS: Final = 8 * 168
FEWEST_ERRORS: Final = 2 * 168
#: Tails left out below and above. The grid of next week differs from the errors' weeks, so
#: that 4 % each leave out about 5 %.
TAIL: Final = 0.04
THREADS: Final = 2
#: Weight of the regression of logarithms in the joined forecast.
LOG_SHARE: Final = np.float32(0.8)
#: No zone counts as moving less, as a share of its size.
LEAST_SPREAD: Final = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class Foreseen:
    """g/kWh, each (horizons, zones, origins); bounds are NaN where too few errors are known."""

    #: Hour index of the first origin: the first hour that its forecast does not know.
    first_origin: int
    value: Features
    low: Features
    high: Features


def foresee(
    g_per_kwh: Floats,
    first_weekday: int,
    horizon_h: int,
    start: int,
    end: int | None = None,
    zones: Sequence[int] | None = None,
) -> Foreseen:
    """Forecasts made at each hour of [start, end), for 1 to `horizon_h` hours ahead.

    `g_per_kwh` (zones, hours) from hour 0 of a day (`first_weekday`, Monday 0), NaN where
    unknown; an origin may be at most the number of hours, which is also the default end - 1.
    What an origin says depends on earlier hours alone. `zones` restricts the answer; all are
    learned from.
    """
    last = g_per_kwh.shape[1] + 1 if end is None else end
    first = max(0, start - HISTORY_H) // 24 * 24
    scene = _Scene.of(
        g_per_kwh[:, first : last - 1], (first_weekday + first // 24) % 7, start - first
    )
    chosen = np.arange(len(g_per_kwh)) if zones is None else np.asarray(zones)
    shape = (horizon_h, len(chosen), last - start)
    made = Foreseen(start, *(np.full(shape, np.nan, np.float32) for _ in range(3)))

    def fill(horizon: int) -> None:
        parts = scene.at_horizon(horizon, last - first, chosen)
        made.value[horizon - 1], made.low[horizon - 1], made.high[horizon - 1] = parts

    # NumPy works outside of the interpreter's lock: a second thread makes use of a second core.
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(fill, range(1, horizon_h + 1)))
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Space:
    """The history as one regression sees it."""

    source: FeatureSource
    target: Features
    is_log: bool

    @classmethod
    def of(cls, values: Floats, weekday: int, known_to: int, is_log: bool) -> _Space:
        daily = DailyProfile.of(np.log(values) if is_log else values)
        size = 1.0 if is_log else daily.level[:, :known_to].mean(axis=1)
        least = LEAST_SPREAD * np.broadcast_to(size, len(values))
        source = FeatureSource(daily, weekday, known_to, least)
        target = (daily.level / source.scale[:, np.newaxis]).astype(np.float32)
        return cls(source, target, is_log)

    def walked(
        self,
        known: NDArray[np.bool_],
        horizon_h: int,
        refits: Sequence[int],
        end: int,
        asked_from: int,
    ) -> Iterator[tuple[int, int, Features]]:
        """Per refit (refit, next refit, logarithms of the forecast g/kWh)."""
        scale = self.source.scale[:, np.newaxis].astype(np.float32)
        parts = walk(self.source, self.target, known, horizon_h, refits, end, asked_from)
        for part in parts:
            values = part.values * scale
            log = values if self.is_log else np.log(np.maximum(values, np.float32(1e-3)))
            yield part.start, part.end, log


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """Some months of hours up to the last origin, in which `start` is the first origin asked."""

    start: int
    log: Features
    known: NDArray[np.bool_]
    #: Lowest and highest logarithm seen before each hour, (zones, hours + 1).
    floor: Features
    ceiling: Features
    spaces: tuple[_Space, _Space]

    @classmethod
    def of(cls, values: Floats, weekday: int, start: int) -> _Scene:
        log = np.log(values)
        before = np.full((len(log), 1), np.nan)
        floor = np.fmin.accumulate(np.concatenate((before, log), axis=1), axis=1)
        ceiling = np.fmax.accumulate(np.concatenate((before, log), axis=1), axis=1)
        return cls(
            start,
            log.astype(np.float32),
            np.isfinite(log),
            floor.astype(np.float32),
            ceiling.astype(np.float32),
            (_Space.of(values, weekday, start, True), _Space.of(values, weekday, start, False)),
        )

    def at_horizon(
        self, horizon_h: int, end: int, zones: NDArray[np.intp]
    ) -> tuple[Features, Features, Features]:
        """Value, low and high at the origins of [start, end)."""
        refits = self._refits(self.spaces[0].source.first_origin(horizon_h), end)
        asked_from = self.start - ERROR_HOURS
        in_log, plain = (
            space.walked(self.known, horizon_h, refits, end, asked_from) for space in self.spaces
        )
        shape = (len(zones), end - self.start)
        value, low, high = (np.full(shape, np.nan, np.float32) for _ in range(3))
        errors = np.full((len(zones), self.log.shape[1] + 1), np.nan, np.float32)
        for (refit, until, log), (_, _, other) in zip(in_log, plain, strict=True):
            joined = LOG_SHARE * log[zones] + (1 - LOG_SHARE) * other[zones]
            lowest, highest = self.floor[zones, refit, None], self.ceiling[zones, refit, None]
            joined = np.asarray(joined.clip(lowest, highest), np.float32)
            begin = max(refit, self.start)
            if until > begin:
                recent = slice(max(0, refit - ERROR_HOURS), refit - horizon_h + 1)
                columns = slice(begin - self.start, until - self.start)
                asked = joined[:, begin - refit :]
                below, above = _bounds(errors[:, recent])
                value[:, columns] = np.exp(asked)
                low[:, columns] = np.exp(asked + below[:, np.newaxis])
                high[:, columns] = np.exp(asked + above[:, np.newaxis])
            self._note(errors, joined, refit, horizon_h, zones)
        return value, low, high

    def _refits(self, first: int, end: int) -> list[int]:
        """Weekly up to the first origin asked, which is one itself, and weekly from there."""
        before = range(self.start, first, -REFIT_H)
        after = range(self.start + REFIT_H, end, REFIT_H)
        return sorted({max(first, LEVEL_HOURS), *before, *after} - set(range(first)))

    def _note(
        self,
        errors: Features,
        log: Features,
        refit: int,
        horizon_h: int,
        zones: NDArray[np.intp],
    ) -> None:
        """Files the errors of origins from `refit` on whose hour is in the history."""
        hours = slice(refit + horizon_h - 1, refit + horizon_h - 1 + log.shape[1])
        actual = self.log[zones, hours]
        errors[:, refit : refit + actual.shape[1]] = actual - log[:, : actual.shape[1]]


def _bounds(errors: Features) -> Features:
    """Lower and upper quantile (2, zones) of errors (zones, origins), NaN for unknown."""
    count = np.isfinite(errors).sum(axis=1)
    if not count.any():
        return np.full((2, len(errors)), np.nan, np.float32)
    ordered = np.sort(errors, axis=1)  # NaN at the end
    places = np.rint(np.array([[TAIL], [1 - TAIL]]) * np.maximum(count - 1, 0)).astype(np.int64)
    bounds = ordered[np.arange(len(errors)), places]
    return np.asarray(np.where(count >= FEWEST_ERRORS, bounds, np.float32(np.nan)))
