"""What a forecast from history alone is worth to a scheduler: its share of the oracle's saving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from carbon.domain.typical import has_typical, typical_points
from carbon.domain.units import MS_PER_HOUR, MS_PER_S
from carbon.errors import InvalidInput, NotFound
from carbon.grid.backtest import FIRST_ORIGIN, Each, rolling, score, yardstick
from carbon.grid.forecast import FEWEST_HOURS, predict
from carbon.grid.hourly_table import HourlyTable
from carbon.planning.foresight import Foresight
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import Lengths
from carbon.planning.own_policy import carbon_interruptible, cheapest
from carbon.planning.runs import Runs
from carbon.planning.series import FloatArray, IntensitySeries

_S_PER_HOUR: Final = MS_PER_HOUR // MS_PER_S
_HOURS_PER_DAY: Final = 24
_SHORT_WAIT_H: Final = 6.0
_LONG_WAIT_H: Final = 24.0
#: Hours of the shape that are looked at, for jobs that run and wait for days.
_BEYOND_H: Final = 7 * _HOURS_PER_DAY
#: Below this a forecast in g/kWh is rounding; it must not make one hour look cleaner.
_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Share:
    """Share of the clairvoyant optimum's saving, and that of the yardstick forecast."""

    own: float
    yardstick: float


class Backtest(Struct, frozen=True):
    """What `carbon intensity backtest --json` prints; lists have one value per hour ahead."""

    zone: str
    origins: int
    #: Mean absolute error over the actual value, mean over the hours ahead.
    mape: float
    yardstick_mape: float
    #: Share of hours inside the 90 % interval; null where none could be stated.
    coverage: float | None
    mape_by_hour: list[float]
    yardstick_mape_by_hour: list[float]
    coverage_by_hour: list[float | None]
    #: Saving / saving of the oracle, jobs that may pause; null where no jobs were given.
    share_of_oracle: float | None = None
    yardstick_share: float | None = None
    #: The same, planned by the typical hours that stand in where nothing at all is known.
    typical_share: float | None = None


def backtest_zone(
    table: HourlyTable,
    zone: str,
    first_origin: int,
    horizon_h: int = 24,
    lengths_h: Sequence[float] | None = None,
    draw: int = 20_000,
    each: Each = map,
) -> Backtest:
    """Raises InvalidInput `column_missing`, `history_too_short`, `hours_missing`."""
    place, weekday = table.place(zone), table.first_weekday
    if np.isnan(table.g_per_kwh[place]).any():
        raise InvalidInput(
            "hours_missing", f"{zone} lacks hours: a backtest scores against each of them"
        )
    [scored] = score(table.g_per_kwh, weekday, [place], first_origin, horizon_h, each)
    shares: list[Share] = []
    typical: float | None = None
    if lengths_h is not None:
        jobs = drawn_jobs(lengths_h, draw, 0, first_origin, table.g_per_kwh.shape[1])
        [shares] = shares_of_oracle(table.g_per_kwh, weekday, [place], [jobs], each)
        typical = share_without_key(table, zone, jobs) if has_typical(zone) else None
    stated = [share for share in scored.coverage if share is not None]
    return Backtest(
        zone,
        scored.origins,
        float(np.mean(scored.mape)),
        float(np.mean(scored.yardstick_mape)),
        float(np.mean(stated)) if stated else None,
        scored.mape,
        scored.yardstick_mape,
        scored.coverage,
        shares[0].own if shares else None,
        shares[0].yardstick if shares else None,
        typical,
    )


class RecordedForecast:
    """Forecasts as they stood at each hour; the present hour is known.

    `ahead` has shape (hours ahead, origins); origin 0 is hour `first_origin`. Before it, and
    where a forecast ends, the daily profile of the known hours stands in, and with under two
    days of history the present hour, which moves no job.
    """

    is_perfect = False

    def __init__(self, actual: FloatArray, ahead: npt.NDArray[np.floating], first_origin: int):
        self._actual, self._ahead, self._first = actual, ahead, first_origin

    def seen_at(self, now_ms: int) -> IntensitySeries:
        hour = now_ms // MS_PER_HOUR
        known = self._actual[: hour + 1]
        believed = np.concatenate((known[-1:], self._believed(hour + 1, known)))
        return IntensitySeries.hourly(believed.round(_DECIMALS), hour * MS_PER_HOUR)

    def _believed(self, origin: int, known: FloatArray) -> FloatArray:
        at = origin - self._first
        if 0 <= at < self._ahead.shape[1]:
            return np.asarray(self._ahead[:, at], np.float64)
        hours = len(self._ahead)
        if len(known) < FEWEST_HOURS:
            return np.full(hours, known[-1])
        recent = known[-28 * _HOURS_PER_DAY :]
        unknown = np.full(-len(recent) % _HOURS_PER_DAY, np.nan)
        return predict(np.concatenate((unknown, recent)), hours)


def drawn_jobs(
    length_h: Sequence[float], count: int, seed: int, first_h: int, hours: int
) -> JobHistory:
    """`count` of the jobs, arriving at any moment of [first_h, hours); equal in power.

    Those that might run past the record are left out.
    """
    draw = np.random.default_rng(seed)
    lengths = np.asarray(length_h)[draw.choice(len(length_h), min(count, len(length_h)), False)]
    arrival = draw.uniform(first_h, hours, len(lengths))
    inside = arrival + lengths + _LONG_WAIT_H < hours
    arrival_s, length_s = arrival[inside] * _S_PER_HOUR, lengths[inside] * _S_PER_HOUR
    return JobHistory.of(arrival_s, length_s, np.ones(len(length_s)), _SHORT_WAIT_H, _LONG_WAIT_H)


def shares_of_oracle(
    g_per_kwh: FloatArray,
    first_weekday: int,
    zones: Sequence[int],
    drawings: Sequence[JobHistory],
    each: Each = map,
) -> list[list[Share]]:
    """Per drawing of jobs, per zone of `g_per_kwh` (zones, hours): jobs that may pause, of known
    length, planned anew each hour by what was known then. All share the same forecasts."""
    longest_ms = max(int((jobs.wait_ms + jobs.length_ms).max()) for jobs in drawings)
    horizon_h = longest_ms // MS_PER_HOUR + 2
    end = g_per_kwh.shape[1] + 1
    parts = rolling(g_per_kwh, first_weekday, horizon_h, FIRST_ORIGIN, end, zones, each)
    own = np.concatenate([part.value for part in parts], axis=2)
    plain = yardstick(g_per_kwh[list(zones)], FIRST_ORIGIN, end, horizon_h)
    return [
        [
            Share(
                _share(g_per_kwh[zone], _recorded(g_per_kwh[zone], own[:, place]), jobs),
                _share(g_per_kwh[zone], _recorded(g_per_kwh[zone], plain[:, place]), jobs),
            )
            for place, zone in enumerate(zones)
        ]
        for jobs in drawings
    ]


def _recorded(actual: FloatArray, ahead: npt.NDArray[np.floating]) -> RecordedForecast:
    return RecordedForecast(actual, ahead, FIRST_ORIGIN)


class TypicalForesight:
    """What is known without any feed: the typical hours of the zone, of the past as of the hours
    ahead; not even the present one is known."""

    is_perfect = False

    def __init__(self, zone: str, start_ms: int, hours: int) -> None:
        """`hours` from `start_ms` on, counted from 0 as the record is.

        Raises NotFound(`no_forecast`).
        """
        points = typical_points(zone, start_ms, start_ms + hours * MS_PER_HOUR)
        if not points:
            raise NotFound("no_forecast", f"nothing is known of the mix of {zone}")
        self._typical = np.array([point.g_per_kwh for point in points])

    def seen_at(self, now_ms: int) -> IntensitySeries:
        hour = now_ms // MS_PER_HOUR
        ahead = self._typical[hour : hour + _BEYOND_H]
        return IntensitySeries.hourly(ahead, hour * MS_PER_HOUR)


def share_without_key(table: HourlyTable, zone: str, jobs: JobHistory) -> float:
    """Share of the oracle's saving, planned by typical hours alone, credited by what came."""
    actual = table.g_per_kwh[table.place(zone)]
    foresight = TypicalForesight(zone, table.start_ms, len(actual) + _BEYOND_H)
    return _share(actual, foresight, jobs)


def _share(actual: FloatArray, foresight: Foresight, jobs: JobHistory) -> float:
    series = IntensitySeries.hourly(actual)
    agnostic_g = Runs.started(jobs.arrival_ms, series, jobs).carbon_g()
    oracle_g = cheapest(jobs, series).carbon_g()
    carbon_g = carbon_interruptible(jobs, foresight, series, Lengths.KNOWN).carbon_g()
    return float((agnostic_g - carbon_g) / (agnostic_g - oracle_g))
