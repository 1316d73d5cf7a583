"""The work that waits for a pool of cpus, and the slots in which each part of it may run.

Within a slot the pool counts work, not cores: a job may take any part of what its width and its
own limits allow, all jobs together what the pool has. That is how bounds are stated for pools
whose jobs may pause, and an hour of work fits its hour but for the order inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.series import BoolArray, FloatArray, IntArray, IntensitySeries


@dataclass(frozen=True, slots=True, eq=False)
class PoolWork:
    """Jobs that may pause and whose length is known; every array has shape (jobs,)."""

    earliest_ms: IntArray
    latest_end_ms: IntArray
    cpus: FloatArray
    left_cpu_h: FloatArray
    #: 1 for a job that has come; the chance that it comes for work that is only expected.
    chance: FloatArray

    def __len__(self) -> int:
        return len(self.earliest_ms)

    @property
    def is_real(self) -> BoolArray:
        return np.asarray(self.chance == 1)

    def only(self, jobs: IntArray) -> PoolWork:
        return PoolWork(
            self.earliest_ms[jobs],
            self.latest_end_ms[jobs],
            self.cpus[jobs],
            self.left_cpu_h[jobs],
            self.chance[jobs],
        )

    def and_also(self, other: PoolWork) -> PoolWork:
        return PoolWork(
            np.append(self.earliest_ms, other.earliest_ms),
            np.append(self.latest_end_ms, other.latest_end_ms),
            np.append(self.cpus, other.cpus),
            np.append(self.left_cpu_h, other.left_cpu_h),
            np.append(self.chance, other.chance),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Openings:
    """Where work may run: one entry per job and slot in its reach, in order of job and slot."""

    job: IntArray
    slot: IntArray
    most_cpu_h: FloatArray


def openings(work: PoolWork, slots: IntensitySeries) -> Openings:
    """Slots count from 0 as in `slots`; what lies outside of it is not offered."""
    first = np.searchsorted(slots.end_ms, work.earliest_ms, "right")
    until = np.searchsorted(slots.start_ms, work.latest_end_ms, "left")
    count = np.maximum(until - first, 0)
    job = np.repeat(np.arange(len(work)), count)
    slot = np.arange(len(job)) - np.repeat(np.cumsum(count) - count, count) + first[job]
    begin = np.maximum(slots.start_ms[slot], work.earliest_ms[job])
    end = np.minimum(slots.end_ms[slot], work.latest_end_ms[job])
    return Openings(job, slot, (end - begin) / MS_PER_HOUR * work.cpus[job])


def per_job(job: IntArray, amount: FloatArray, jobs: int) -> FloatArray:
    """The sum of `amount` per job, shape (jobs,); `job` names the job of each."""
    return np.asarray(np.bincount(job, amount, minlength=jobs), dtype=np.float64)
