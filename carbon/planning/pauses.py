"""When to run and when to pause a job whose length is only known as a distribution.

Time is cut into cells from the moment of planning on. The state is (cells run r, cells waited
w), so the time is r + w. Running costs the intensity of that cell times the chance to be in it:

    V(r, w) = min( e[r + w] * (1 + p_r) / 2 + p_r * V(r + 1, w),   V(r, w + 1) )

with p_r the chance to run on after cell r. Once the budget of waiting is spent the job runs on:
the deadline is kept by construction, whatever the length turns out to be.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from carbon.planning.series import FloatArray, IntArray
from carbon.planning.ties import NEGLIGIBLE

#: Marks a state that lies beyond the budget.
_NEVER: Final = np.iinfo(np.int16).max


def next_runs(cell_area: FloatArray, alive: FloatArray, budget: IntArray) -> IntArray:
    """For each state how many cells are waited in all when the next one is run.

    `cell_area` (jobs, cells + most budget) is the integral of the intensity per cell, `alive`
    (jobs, cells + 1) the chance to be running still at the start of each, `budget` (jobs,) the
    cells each job may wait. Answers int16 of shape (cells run, jobs, cells waited).
    """
    jobs, cells = len(alive), alive.shape[1] - 1
    waited = np.arange(int(budget.max()) + 1, dtype=np.int16)
    over_budget = waited > budget[:, None]
    run_on = _run_on(alive)
    negligible = NEGLIGIBLE * cell_area.max(axis=1, keepdims=True)
    cost_ahead = np.zeros(over_budget.shape)
    runs = np.empty((cells, jobs, len(waited)), dtype=np.int16)
    for run in range(cells - 1, -1, -1):
        going_on = run_on[:, run, None]
        cost = cell_area[:, run : run + len(waited)] * (0.5 + 0.5 * going_on)
        cost += going_on * cost_ahead
        cost[over_budget] = np.inf
        cost_ahead = _least_from_here(cost)
        runs[run] = _least_from_here(np.where(cost <= cost_ahead + negligible, waited, _NEVER))
        cost_ahead[over_budget] = 0
    return runs


def _run_on(alive: FloatArray) -> FloatArray:
    before = alive[:, :-1]
    return np.divide(alive[:, 1:], before, out=np.zeros_like(before), where=before > 0)


def _least_from_here(values: FloatArray) -> FloatArray:
    return np.minimum.accumulate(values[:, ::-1], axis=1)[:, ::-1]
