"""What a pool's plan takes the lengths of its jobs to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.learning import LengthLearner, Lengths
from carbon.planning.pool_state import Pool
from carbon.planning.pool_work import PoolWork
from carbon.planning.series import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class PoolLengths:
    """A programme over a whole pool takes one length per job, not a distribution: the mean of
    what is left given the age. The error is made good by planning anew every hour, and the
    budget of pauses is counted exactly, so that a wrong length makes no job late by itself.
    """

    pool: Pool
    learner: LengthLearner

    def learn(self, now_ms: int) -> None:
        if self.learner.lengths is not Lengths.KNOWN:
            self.learner.learn(now_ms, self.pool.end_ms)

    def work(self, some: IntArray, now_ms: int) -> PoolWork:
        """`some` jobs as seen at `now_ms`; those still to arrive begin then."""
        jobs = self.pool.jobs
        earliest = np.maximum(jobs.arrival_ms[some], now_ms)
        one = np.ones(len(some))
        if self.learner.lengths is Lengths.KNOWN:
            left = self.pool.left_cpu_h[some]
            return PoolWork(earliest, jobs.latest_end_ms[some], jobs.cpus[some], left, one)
        left_ms = self._left_ms(some)
        budget_end = jobs.latest_start_ms[some] + self.pool.ran_ms(some)
        latest_end = np.maximum(earliest, budget_end) + left_ms
        left = left_ms / MS_PER_HOUR * jobs.cpus[some]
        return PoolWork(earliest, latest_end, jobs.cpus[some], left, one)

    def _left_ms(self, some: IntArray) -> IntArray:
        left = np.zeros(len(some), dtype=np.int64)
        short = self.pool.jobs.is_short[some]
        for is_short in (True, False):
            members = np.flatnonzero(short == is_short)
            if len(members):
                left[members] = self._mean_left_ms(some[members], is_short)
        return left

    def _mean_left_ms(self, some: IntArray, is_short: bool) -> IntArray:
        alive = self.learner.alive(some, is_short)
        cell_ms = self.learner.cell_ms(is_short)
        busy = 0.5 * (alive[:, :-1] + alive[:, 1:])
        ahead = np.cumsum(busy[:, ::-1], axis=1)[:, ::-1]
        age = np.minimum(self.pool.ran_ms(some) // cell_ms, busy.shape[1] - 1)
        row = np.arange(len(some))
        mean_ms = ahead[row, age] / np.maximum(alive[row, age], 1e-12) * cell_ms
        # Less than a slot is not planned for: a job that outlives its plan would be paused.
        return np.asarray(np.maximum(np.rint(mean_ms), MS_PER_HOUR), dtype=np.int64)
