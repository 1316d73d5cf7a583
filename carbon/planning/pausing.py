"""The state of replayed jobs that may pause, and how it moves on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbon.planning.interruptible import runs_in_first_slot
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import UNFINISHED_MS
from carbon.planning.pauses import next_runs
from carbon.planning.series import FloatArray, IntArray, IntensitySeries


@dataclass(frozen=True, slots=True, eq=False)
class PausableJobs:
    """All arrays have shape (jobs,) and are written in place."""

    jobs: JobHistory
    #: When the next cell or slot of a job may begin.
    now_ms: IntArray
    left_ms: IntArray
    paused_ms: IntArray
    #: Integral of the intensity while running, g/kWh x ms.
    area: FloatArray
    end_ms: IntArray

    @classmethod
    def arriving(cls, jobs: JobHistory) -> PausableJobs:
        count = len(jobs)
        return cls(
            jobs,
            jobs.arrival_ms.copy(),
            jobs.length_ms.copy(),
            np.zeros(count, dtype=np.int64),
            np.zeros(count),
            np.full(count, UNFINISHED_MS),
        )

    def run(
        self, some: IntArray, start_ms: IntArray, run_ms: IntArray, actual: IntensitySeries
    ) -> None:
        """Runs each of `some` for `run_ms` from `start_ms` on; it paused until then."""
        end = start_ms + run_ms
        self.area[some] += actual.area(end) - actual.area(start_ms)
        self.paused_ms[some] += start_ms - self.now_ms[some]
        self.left_ms[some] -= run_ms
        self.now_ms[some] = end
        done = self.left_ms[some] == 0
        self.end_ms[some[done]] = end[done]

    def run_cheapest(
        self, some: IntArray, seen: IntensitySeries, actual: IntensitySeries, now_ms: int
    ) -> None:
        """With lengths known: does what the cheapest plan has for the slot of `now_ms`."""
        now = np.maximum(self.now_ms[some], now_ms)
        latest_end = self.jobs.latest_end_ms[some]
        run = runs_in_first_slot(seen, now, latest_end, self.left_ms[some])
        self.run(some, now, run, actual)

    def run_expected(
        self,
        some: IntArray,
        alive: FloatArray,
        cell_ms: int,
        seen: IntensitySeries,
        actual: IntensitySeries,
        until_ms: int,
    ) -> None:
        """With lengths unknown: plans anew and follows the plan until `until_ms`.

        `alive` (some, cells + 1) is the chance at arrival to reach each age.
        """
        age = (self.jobs.length_ms[some] - self.left_ms[some]) // cell_ms
        alive = _from_age(alive, age)
        budget = (self.jobs.wait_ms[some] - self.paused_ms[some]) // cell_ms
        cells = np.arange(alive.shape[1] + int(budget.max()))
        planned_ms = self.now_ms[some].copy()
        marks = planned_ms[:, None] + cells * cell_ms
        runs = next_runs(np.diff(seen.area(marks), axis=1), alive, budget)
        self._follow(some, runs, planned_ms, cell_ms, actual, until_ms)

    def _follow(
        self,
        some: IntArray,
        runs: IntArray,
        planned_ms: IntArray,
        cell_ms: int,
        actual: IntensitySeries,
        until_ms: int,
    ) -> None:
        row = np.arange(len(some))
        waited = np.zeros(len(some), dtype=np.int64)
        for cell, waits in enumerate(runs):
            waited = waits[row, waited].astype(np.int64)
            start = planned_ms[row] + (cell + waited) * cell_ms
            begins = start < until_ms
            self._pause_to(some[row[~begins]], cell_ms, until_ms)
            row, waited, start = row[begins], waited[begins], start[begins]
            left = self.left_ms[some[row]]
            # One that outlives the last cell has spent its budget or gains nothing by waiting.
            length = left if cell == len(runs) - 1 else np.minimum(left, cell_ms)
            self.run(some[row], start, length, actual)
            going = length < left
            row, waited = row[going], waited[going]
            if not len(row):
                return

    def _pause_to(self, some: IntArray, cell_ms: int, until_ms: int) -> None:
        """Pauses by whole cells up to or just past `until_ms`."""
        cells = np.maximum(-((self.now_ms[some] - until_ms) // cell_ms), 0)
        self.paused_ms[some] += cells * cell_ms
        self.now_ms[some] += cells * cell_ms


def _from_age(alive: FloatArray, age: IntArray) -> FloatArray:
    """The chances of jobs that have reached `age` cells (jobs,), counted from there on."""
    last = alive.shape[1] - 1
    ahead = np.minimum(age[:, None] + np.arange(last + 1), last)
    chance = np.take_along_axis(alive, ahead, axis=1)
    now = chance[:, :1]
    return np.divide(chance, now, out=np.zeros_like(chance), where=now > 0)
