"""What has run so far in a replayed pool of cpus. Slots are whole hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import UNFINISHED_MS
from carbon.planning.runs import Runs
from carbon.planning.series import KWH_PER_W_MS, FloatArray, IntArray, IntensitySeries

#: Cpu-hours below which a job has nothing left but rounding.
_NOTHING_LEFT: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Arrays of shape (jobs,), written in place."""

    jobs: JobHistory
    actual: IntensitySeries
    capacity_cpus: float
    left_cpu_h: FloatArray
    grams: FloatArray
    end_ms: IntArray
    late_cpu_h: FloatArray

    @classmethod
    def empty(cls, jobs: JobHistory, actual: IntensitySeries, capacity_cpus: float) -> Pool:
        count = len(jobs)
        work = jobs.length_ms / MS_PER_HOUR * jobs.cpus
        end = np.full(count, UNFINISHED_MS)
        return cls(jobs, actual, capacity_cpus, work, np.zeros(count), end, np.zeros(count))

    def run(self, some: IntArray, slot: int, cpu_h: FloatArray) -> FloatArray:
        """Runs up to `cpu_h` of each of `some` in one slot, and answers what was run.

        A job begins with the slot, or at its arrival, and takes its whole width.
        """
        left = self.left_cpu_h[some]
        done = cpu_h >= left - _NOTHING_LEFT
        ran = np.where(done, left, cpu_h)
        self.left_cpu_h[some] = left - ran
        self.grams[some] += ran * self.actual.g_per_kwh[slot] * KWH_PER_W_MS * MS_PER_HOUR
        begin = np.maximum(self.actual.start_ms[slot], self.jobs.arrival_ms[some])
        width = np.minimum(self.jobs.cpus[some], self.capacity_cpus)
        took = np.floor(ran / width * MS_PER_HOUR).astype(np.int64)
        self.end_ms[some[done]] = (begin + took)[done]
        late = np.clip(begin + took - self.jobs.latest_end_ms[some], 0, took)
        self.late_cpu_h[some] += ran * late / np.maximum(took, 1)
        return ran

    def ran_ms(self, some: IntArray) -> IntArray:
        """For how long each has run, at its whole width."""
        left = self.left_cpu_h[some] / self.jobs.cpus[some] * MS_PER_HOUR
        return np.asarray(self.jobs.length_ms[some] - np.rint(left).astype(np.int64))

    def in_slot(self, some: IntArray, slot: int) -> FloatArray:
        """The most that each may still run in one slot, cpu-hours."""
        begin = np.maximum(self.actual.start_ms[slot], self.jobs.arrival_ms[some])
        most = (self.actual.end_ms[slot] - begin) / MS_PER_HOUR * self.jobs.cpus[some]
        return np.asarray(np.minimum(most, self.left_cpu_h[some]))

    def waiting(self, slot: int) -> IntArray:
        """Jobs that have come before the end of a slot and have not ended."""
        come = np.searchsorted(self.jobs.arrival_ms, self.actual.end_ms[slot])
        return np.flatnonzero(self.left_cpu_h[:come] > 0)

    @property
    def is_done(self) -> bool:
        return not self.left_cpu_h.any()

    def runs(self) -> Runs:
        late_ms = np.rint(self.late_cpu_h / self.jobs.cpus * MS_PER_HOUR).astype(np.int64)
        return Runs(self.grams, self.end_ms, late_ms)
