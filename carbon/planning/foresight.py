"""What a replayed scheduler knew of the intensity ahead at a given moment.

Time is counted in ms from the replay's first hour. Hour by hour all three know the intensity of
the hour that runs; they differ in the hours after it.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.series import FloatArray, IntArray, IntensitySeries

_HOURS_PER_DAY: Final = 24
#: Of a forecast in g/kWh; what lies beyond is rounding and must not make one hour look cleaner.
_DECIMALS: Final = 6


class Foresight(Protocol):
    #: The same at every moment, so that nothing is gained by planning again.
    is_perfect: bool

    def seen_at(self, now_ms: int) -> IntensitySeries:
        """The intensity as believed in the hour of `now_ms`, from that hour's start on."""
        ...


class PerfectForesight:
    is_perfect = True

    def __init__(self, actual: IntensitySeries) -> None:
        self._actual = actual

    def seen_at(self, now_ms: int) -> IntensitySeries:
        return self._actual


class GivenForecast:
    """One published value per hour, drawn towards what is seen now.

    A forecast that is off in level makes every later hour look better or worse than now. The
    present ratio of actual to forecast is therefore carried on, fading by the hour.
    """

    is_perfect = False
    #: Share of the present ratio (in logarithms) left after each hour.
    FADE: Final = 0.9

    def __init__(self, actual: FloatArray, forecast: FloatArray) -> None:
        """Both of shape (hours,), from the replay's first hour on."""
        self._actual, self._forecast = actual, forecast

    def seen_at(self, now_ms: int) -> IntensitySeries:
        hour = now_ms // MS_PER_HOUR
        ahead = self._forecast[hour:]
        ratio = self._actual[hour] / ahead[0]
        believed = ahead * ratio ** (self.FADE ** np.arange(len(ahead)))
        return IntensitySeries.hourly(believed.round(_DECIMALS), hour * MS_PER_HOUR)


class OwnForecast:
    """Learned from the past alone: a daily profile and what is left over now, fading.

    The profile is an exponentially weighted mean per hour of the day, in logarithms, since
    intensity is positive and its errors are proportional.
    """

    is_perfect = False
    #: Weight that yesterday's profile keeps against today's value.
    KEEP: Final = 0.8
    FADE: Final = 0.95

    def __init__(self, actual: FloatArray, past: FloatArray, horizon_h: int) -> None:
        """`past` are the hours known before the replay's first one, `actual` those from it on."""
        log = np.log(np.concatenate((past, actual)))
        self._first, self._horizon_h, self._log = len(past), horizon_h, log
        self._profile = _daily_profiles(log, self.KEEP)

    def seen_at(self, now_ms: int) -> IntensitySeries:
        hour = now_ms // MS_PER_HOUR
        at = self._first + hour
        ahead = np.arange(self._horizon_h)
        profile = self._profile_ahead(at, at + ahead)
        left_over = self._log[at] - profile[0]
        believed = np.exp(profile + left_over * self.FADE**ahead)
        return IntensitySeries.hourly(believed.round(_DECIMALS), hour * MS_PER_HOUR)

    def _profile_ahead(self, at: int, hours: IntArray) -> FloatArray:
        """The profile of each hour's time of day; that of hour `at` from earlier days alone."""
        days_back = -(-np.maximum(hours - at, 1) // _HOURS_PER_DAY)
        last_seen = hours - days_back * _HOURS_PER_DAY
        # In the first day an hour of the day may not have been seen: today's value stands in.
        unseen = last_seen < 0
        known = self._profile[np.maximum(last_seen, 0)]
        return np.asarray(np.where(unseen, self._log[at], known))


def _daily_profiles(log: FloatArray, keep: float) -> FloatArray:
    """For each hour the weighted mean of that time of day up to and with this hour.

    The weights of the days seen are normed to 1, so that a short past is no bias to zero.
    """
    days = -(-len(log) // _HOURS_PER_DAY)
    by_hour = np.full(days * _HOURS_PER_DAY, np.nan)
    by_hour[: len(log)] = log
    by_day = by_hour.reshape(days, _HOURS_PER_DAY)
    profile = np.empty_like(by_day)
    summed, weight = np.zeros(_HOURS_PER_DAY), 0.0
    for day, values in enumerate(by_day):
        summed, weight = keep * summed + values, keep * weight + 1
        profile[day] = summed / weight
    return np.asarray(profile.ravel()[: len(log)])


def repeated(g_per_kwh: npt.ArrayLike, first_hour: int, hours: int) -> FloatArray:
    """`hours` values from `first_hour` on; after the last row the record begins again."""
    values = np.asarray(g_per_kwh, dtype=np.float64)
    return np.asarray(values[(first_hour + np.arange(hours)) % len(values)])
