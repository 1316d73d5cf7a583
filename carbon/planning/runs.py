"""How replayed jobs ran: what they emitted and when they ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbon.planning.job_history import JobHistory
from carbon.planning.series import KWH_PER_W_MS, FloatArray, IntArray, IntensitySeries


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """All arrays have shape (jobs,)."""

    grams: FloatArray
    end_ms: IntArray
    #: How long each ran after its latest end; None where no job is paused after it.
    ran_late_ms: IntArray | None = None

    @classmethod
    def of(cls, area: FloatArray, end_ms: IntArray, jobs: JobHistory) -> Runs:
        """From each job's integral of the intensity, g/kWh x ms."""
        return cls(area * jobs.cpus * KWH_PER_W_MS, end_ms)

    @classmethod
    def started(cls, start_ms: IntArray, actual: IntensitySeries, jobs: JobHistory) -> Runs:
        """Without pauses from `start_ms` on."""
        end_ms = start_ms + jobs.length_ms
        return cls.of(actual.area(end_ms) - actual.area(start_ms), end_ms, jobs)

    def carbon_g(self) -> float:
        return float(np.sum(self.grams))

    def delay_ms(self, jobs: JobHistory) -> IntArray:
        """Time from arrival to end that was not spent running."""
        return np.asarray(self.end_ms - jobs.arrival_ms - jobs.length_ms)

    def late_ms(self, jobs: JobHistory) -> IntArray:
        """How much of each job ran after its latest end."""
        if self.ran_late_ms is not None:
            return self.ran_late_ms
        return np.asarray(np.clip(self.end_ms - jobs.latest_end_ms, 0, jobs.length_ms))
