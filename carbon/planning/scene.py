"""What a replay is played on: jobs, the intensity that was, and what was known of it ahead."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from carbon.domain.intensity import PLAUSIBLE_G_PER_KWH
from carbon.domain.units import MS_PER_HOUR
from carbon.errors import InvalidInput
from carbon.planning.foresight import (
    Foresight,
    GivenForecast,
    OwnForecast,
    PerfectForesight,
    repeated,
)
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import LONGEST_MS
from carbon.planning.series import FloatArray, IntensitySeries


class Forecast(StrEnum):
    PERFECT = "perfect"  #: the record itself
    OWN = "own"  #: learned from the record up to each hour


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    jobs: JobHistory
    actual: IntensitySeries
    foresight: Foresight
    #: None where there is room for all.
    capacity_cpus: float | None = None
    before: JobHistory | None = None

    @classmethod
    def of(
        cls,
        jobs: JobHistory,
        g_per_kwh: npt.ArrayLike,
        start_hour: int,
        forecast: Forecast | npt.ArrayLike,
        capacity_cpus: float | None = None,
        before: JobHistory | None = None,
    ) -> Scene:
        record = _checked(g_per_kwh, "intensity")
        if not 0 <= start_hour < len(record):
            raise InvalidInput(
                "start_hour_outside",
                f"the intensity has rows 0 to {len(record) - 1}; choose a start hour among them",
            )
        if capacity_cpus is not None and not capacity_cpus > 0:
            raise InvalidInput("capacity_not_positive", "a pool has more than 0 cpus")
        ahead_h = int((jobs.wait_ms.max() + max(jobs.length_ms.max(), LONGEST_MS)) // MS_PER_HOUR)
        hours = int(jobs.latest_end_ms.max() // MS_PER_HOUR) + ahead_h + 2
        if capacity_cpus is not None:
            # Where the pool is too small for its jobs they end late, at worst one after another.
            hours += (
                int(
                    np.sum(jobs.length_ms * np.maximum(jobs.cpus / capacity_cpus, 1.0))
                    // MS_PER_HOUR
                )
                + 1
            )
        actual = repeated(record, start_hour, hours)
        series = IntensitySeries.hourly(actual)
        if forecast is Forecast.PERFECT:
            return cls(jobs, series, PerfectForesight(series), capacity_cpus, before)
        if forecast is Forecast.OWN:
            own = OwnForecast(actual, record[:start_hour], ahead_h + 2)
            return cls(jobs, series, own, capacity_cpus, before)
        given = _checked(forecast, "forecast")
        if len(given) != len(record):
            raise InvalidInput("forecast_differs", "the forecast needs as many rows as the record")
        told = GivenForecast(actual, repeated(given, start_hour, hours))
        return cls(jobs, series, told, capacity_cpus, before)


def _checked(g_per_kwh: npt.ArrayLike, name: str) -> FloatArray:
    values = np.asarray(g_per_kwh, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise InvalidInput("no_intensity", f"the {name} column has no row")
    lowest, highest = PLAUSIBLE_G_PER_KWH
    plausible = (values > lowest) & (values <= highest)
    if not plausible.all():
        row = int(np.argmin(plausible))
        raise InvalidInput(
            "intensity_not_plausible",
            f"row {row + 1} of the {name} is {values[row]:g} g/kWh: fill or remove it",
            row=row + 1,
        )
    return values
