"""What the forecaster looks at, for one hour ahead and many origins at once.

An origin `t` is the first hour not yet known; a horizon of 1 is that hour itself. Everything is
a distance from the zone's level of the last week or from its daily profile, divided by how
much the zone moves, so that zones can learn from one another.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from carbon.grid.daily_profile import HOUR_DECAY, HOURS_PER_DAY, DailyProfile, Floats

Features = NDArray[np.float32]

#: Days back of which the same hour is looked at.
SAME_HOUR_DAYS: Final = 4
RESIDUAL_LAGS: Final = (1, 2, 3, 4, 6, 9, 12, 18, 24)
RESIDUAL_MEANS: Final = (6, 24, 72)
LEVEL_HOURS: Final = 7 * HOURS_PER_DAY
#: Other zones that a zone listens to, and how far ahead they must tell of it.
TELLERS: Final = 5
TELLER_LEAD_H: Final = 6
_SATURDAY: Final = 5


class FeatureSource:
    """The history of some zones, ready to be looked at from any origin."""

    def __init__(
        self, daily: DailyProfile, first_weekday: int, known_to: int, least_scale: Floats
    ) -> None:
        """`first_weekday` of hour 0, Monday 0. How much each zone moves, and which zones tell of
        others, is taken from the hours before `known_to`; none moves less than `least_scale`."""
        #: How much each zone moves, (zones,): what the features are divided by.
        self.scale = _scale(daily, known_to, least_scale)
        self._weekday = first_weekday
        self._hours = daily.level.shape[1]
        by_scale = 1 / self.scale[:, np.newaxis]
        self._level = (daily.level * by_scale).astype(np.float32)
        self._profile = (daily.profile * by_scale).astype(np.float32)
        self._residual = (daily.residual * by_scale).astype(np.float32)
        self._week = _mean_before(daily.level * by_scale, LEVEL_HOURS)
        self._means = [_mean_before(daily.residual * by_scale, hours) for hours in RESIDUAL_MEANS]
        self._tellers = tellers(self._residual[:, HOURS_PER_DAY:known_to])

    @property
    def told_features(self) -> int:
        """How many of the features, the last ones, speak of other zones."""
        return 2 * len(self._tellers)

    def first_origin(self, horizon_h: int) -> int:
        """Before it some feature would reach behind the history."""
        return max(LEVEL_HOURS, (_days(horizon_h) + SAME_HOUR_DAYS) * HOURS_PER_DAY)

    def simple(self, horizon_h: int, start: int, end: int, step: int = 1) -> Features:
        """Profile plus the fading distance from it, per origin of [start, end): (zones, origins).

        The forecast to which the learned part is added.
        """
        back = _days(horizon_h) * HOURS_PER_DAY - horizon_h + 1
        fading = self._residual[:, start - 1 : end - 1 : step] * np.float32(HOUR_DECAY**horizon_h)
        return np.asarray(self._profile[:, start - back : end - back : step] + fading)

    def at(self, horizon_h: int, start: int, end: int, step: int = 1) -> Features:
        """(zones, features, origins) of each `step`-th origin of [start, end)."""
        scaled = self._scaled(horizon_h, start, end, step)
        flags = self._flags(horizon_h, np.arange(start, end, step))
        told = self._told(start, end, step)
        rows = [*scaled, *flags, *told]
        made = np.empty((len(self._level), len(rows), len(flags[0])), np.float32)
        for row, values in enumerate(rows):
            made[:, row] = values
        return made

    def _scaled(self, horizon_h: int, start: int, end: int, step: int) -> list[Features]:
        back = _days(horizon_h) * HOURS_PER_DAY - horizon_h + 1
        week = self._week[:, start:end:step]
        days = range(0, SAME_HOUR_DAYS * HOURS_PER_DAY, HOURS_PER_DAY)
        same = [self._level[:, start - back - d : end - back - d : step] - week for d in days]
        usual = self._profile[:, start - back : end - back : step] - week
        lags = [self._residual[:, start - lag : end - lag : step] for lag in RESIDUAL_LAGS]
        means = [mean[:, start:end:step] for mean in self._means]
        waves = _waves(np.arange(start, end, step) + horizon_h - 1)
        turned = [lags[0] * wave for wave in waves] + [means[1] * wave for wave in waves[:2]]
        return [*same, usual, *lags, *means, *turned]

    def _told(self, start: int, end: int, step: int) -> list[Features]:
        """What the zones that are listened to do now."""
        now = self._residual[:, start - 1 : end - 1 : step]
        lately = self._means[0][:, start:end:step]
        return [near[zones] for zones in self._tellers for near in (now, lately)]

    def _flags(self, horizon_h: int, origin: NDArray[np.int64]) -> list[Features]:
        """What the calendar says of origin and target; the same for all zones."""
        target = origin + horizon_h - 1
        weekday = self._weekday_of(target)
        weekend = (weekday >= _SATURDAY).astype(np.float32)
        waves = [weekend * wave for wave in _waves(target)[:2]]
        origin_weekend = (self._weekday_of(origin) >= _SATURDAY).astype(np.float32)
        saturday = (weekday == _SATURDAY).astype(np.float32)
        monday = (weekday == 0).astype(np.float32)
        return [np.ones_like(weekend), weekend, origin_weekend, monday, saturday, *waves]

    def _weekday_of(self, hours: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray((hours // HOURS_PER_DAY + self._weekday) % 7)


def tellers(residual: Features) -> list[NDArray[np.intp]]:
    """For each rank of closeness the zone, (zones,), that tells most of each zone's near future.

    By the correlation of one zone's `residual` (zones, hours) now with the other's
    `TELLER_LEAD_H` later. Empty where there are too few zones, or too few hours to tell.
    """
    zones, hours = residual.shape
    if zones <= TELLERS or hours < LEVEL_HOURS:
        return []
    spread = residual.std(axis=1, keepdims=True)
    unit = (residual - residual.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    told = unit[:, :-TELLER_LEAD_H] @ unit[:, TELLER_LEAD_H:].T
    np.fill_diagonal(told, -np.inf)
    return list(np.argsort(-told, axis=0, kind="stable")[:TELLERS])


def _scale(daily: DailyProfile, known_to: int, least: Floats) -> Floats:
    """Spread of the residual; a zone that hardly moved is taken to move a little."""
    return np.asarray(np.maximum(daily.residual[:, HOURS_PER_DAY:known_to].std(axis=1), least))


def _days(horizon_h: int) -> int:
    """Whole days back to a known hour of the same time of day."""
    return -(-horizon_h // HOURS_PER_DAY)


def _waves(hours: NDArray[np.int64]) -> list[Features]:
    """Once and twice a day, sine and cosine."""
    angle = 2 * np.pi * (hours % HOURS_PER_DAY) / HOURS_PER_DAY
    waves = (np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle))
    return [wave.astype(np.float32) for wave in waves]


def _mean_before(values: Floats, hours: int) -> Features:
    """Mean of the `hours` before each hour; over what there is in the first ones."""
    total = np.concatenate((np.zeros((len(values), 1)), np.cumsum(values, axis=1)), axis=1)
    at = np.arange(values.shape[1] + 1)
    first = np.maximum(at - hours, 0)
    mean = (total[:, at] - total[:, first]) / np.maximum(at - first, 1)
    return np.asarray(mean.astype(np.float32))
