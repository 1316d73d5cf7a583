"""Job histories and hourly intensity that nobody on this project wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbon.planning.job_history import JobHistory
from carbon.planning.series import FloatArray

_S_PER_H = 3600
_H_PER_DAY = 24


@dataclass(frozen=True, slots=True, eq=False)
class Traces:
    #: 1 000 jobs of one week and 100 000 of one year, both of Alibaba's PAI cluster.
    week: FloatArray
    year: FloatArray
    #: g/kWh per hour of 2022, by zone.
    grid: dict[str, FloatArray]

    @classmethod
    def of(cls, folder: Path | None) -> Traces | None:
        """None where any file is absent."""
        if folder is None:
            return None
        paths = [folder / "jobs" / name for name in ("pai_1k.csv", "pai-100k.csv")]
        zones = folder / "carbon" / "zones_2022_hourly.csv"
        if not all(path.is_file() for path in (*paths, zones)):
            return None
        week, year = (np.loadtxt(path, delimiter=",", skiprows=1) for path in paths)
        year[:, :2] *= _S_PER_H
        return cls(week, year, _columns(zones))

    def gaia_week(self) -> JobHistory:
        return JobHistory.of(*self.week.T)

    def whole_year(self, first: int | None = None) -> JobHistory:
        return JobHistory.of(*self.year[:first].T)

    def days(self, first_day: int, days: int) -> JobHistory:
        """Jobs that arrive in `days` from `first_day` on, which is their time 0."""
        arrival = self.year[:, 0] - first_day * _H_PER_DAY * _S_PER_H
        inside = (arrival >= 0) & (arrival < days * _H_PER_DAY * _S_PER_H)
        return JobHistory.of(arrival[inside], *self.year[inside, 1:].T)


def _columns(path: Path) -> dict[str, FloatArray]:
    names = path.read_text().partition("\n")[0].split(",")[1:]
    values = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(1, len(names) + 1))
    return dict(zip(names, values.T, strict=True))
