"""When the jobs of one pool run where they cannot all run in the cleanest hours.

A plan is the optimum of a linear programme over the jobs that have come and the work that is
expected to come, and carries a bound that proves how near it is. Where no solver is at hand, or
it fails, the jobs go earliest deadline first, which is also what savings are measured against.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.pool_work import Openings, PoolWork, openings, per_job
from carbon.planning.series import FloatArray, IntensitySeries
from carbon.planning.transport import Cells, cheapest_flow, lower_bound

#: What it counts to leave work of a real job without a place, in units of the worst intensity:
#: far above any gain, so that a job is late only where it must be.
REAL_UNPLACED: Final = 100.0
#: The same for work that is only expected: it yields to real jobs.
_EXPECTED_UNPLACED: Final = 2.0


class PoolMethod(StrEnum):
    OPTIMUM = "optimum"  #: of the linear programme
    EARLIEST_DEADLINE = "earliest_deadline"


@dataclass(frozen=True, slots=True, eq=False)
class PoolPlan:
    """How much of each job runs in which slot; entries as in `openings`."""

    method: PoolMethod
    openings: Openings
    run_cpu_h: FloatArray
    #: Work without a place before its deadline, shape (jobs,).
    unplaced_cpu_h: FloatArray
    #: What one cpu-hour more would save in each slot, in g/kWh; shape (slots,).
    price_g_per_kwh: FloatArray
    #: Cost of the plan and what no plan can go below, in cpu-hours x g/kWh, unplaced work at
    #: its penalty.
    cost: float
    bound: float

    @property
    def gap(self) -> float:
        """How far above the bound the plan is at most, as a share of the bound."""
        return max(self.cost - self.bound, 0.0) / self.bound if self.bound > 0 else 0.0

    def of_slot(self, slot: int) -> FloatArray:
        """What each job runs in one slot, cpu-hours, shape (jobs,)."""
        here = self.openings.slot == slot
        jobs = self.openings.job[here]
        return per_job(jobs, self.run_cpu_h[here], len(self.unplaced_cpu_h))


def plan_pool(
    seen: IntensitySeries,
    work: PoolWork,
    capacity_cpus: float,
    room: FloatArray | None = None,
) -> PoolPlan:
    """The cleanest plan that keeps all deadlines that can be kept.

    `room` (slots,) are the cpu-hours of each slot where others have taken some of the capacity.
    """
    room = slot_room(seen, capacity_cpus) if room is None else room
    try:
        return _optimum(seen, work, room)
    except (ImportError, _NoOptimum):
        return earliest_deadline_first(seen, work, room)


class _NoOptimum(Exception):
    """The solver gave up."""


def _optimum(seen: IntensitySeries, work: PoolWork, room: FloatArray) -> PoolPlan:
    open_ = openings(work, seen)
    cells = _cells(seen, work, open_)
    with_end = np.append(room, np.inf)
    flow = cheapest_flow(cells, work.left_cpu_h, with_end)
    if not flow.is_optimal:
        raise _NoOptimum
    placed = len(open_.job)
    return PoolPlan(
        PoolMethod.OPTIMUM,
        open_,
        flow.amount[:placed],
        flow.amount[placed:],
        flow.price[:-1],
        cost=float(np.sum(flow.amount * cells.cost)),
        bound=lower_bound(cells, work.left_cpu_h, with_end, flow.price),
    )


def slot_room(seen: IntensitySeries, capacity_cpus: float) -> FloatArray:
    """Cpu-hours that each slot has, shape (slots,)."""
    return np.asarray((seen.end_ms - seen.start_ms) / MS_PER_HOUR * capacity_cpus)


def _cells(seen: IntensitySeries, work: PoolWork, open_: Openings) -> Cells:
    """The openings, and behind them for each job one cell in a last slot: no place."""
    jobs = np.arange(len(work))
    worst = float(seen.g_per_kwh.max(initial=1.0))
    penalty = np.where(work.is_real, REAL_UNPLACED, _EXPECTED_UNPLACED) * worst * work.chance
    return Cells(
        np.append(open_.job, jobs),
        np.append(open_.slot, np.full(len(jobs), len(seen.start_ms))),
        np.append(seen.g_per_kwh[open_.slot] * work.chance[open_.job], penalty),
        np.append(open_.most_cpu_h, work.left_cpu_h),
    )


def earliest_deadline_first(seen: IntensitySeries, work: PoolWork, room: FloatArray) -> PoolPlan:
    """All capacity is used from the first slot on; of those waiting the most urgent go first."""
    open_ = openings(work, seen)
    left, run = work.left_cpu_h.copy(), np.zeros(len(open_.job))
    by_slot = np.lexsort((work.latest_end_ms[open_.job], open_.slot))
    cuts = np.flatnonzero(np.diff(open_.slot[by_slot])) + 1
    for some in np.split(by_slot, cuts) if len(by_slot) else []:
        jobs = open_.job[some]
        wanted = np.minimum(left[jobs], open_.most_cpu_h[some])
        run[some] = in_turn(wanted, room[open_.slot[some[0]]])
        left[jobs] -= run[some]
    cells, free = _cells(seen, work, open_), np.append(np.zeros(len(room)), 0.0)
    return PoolPlan(
        PoolMethod.EARLIEST_DEADLINE,
        open_,
        run,
        left,
        free[:-1],
        cost=float(np.sum(np.append(run, left) * cells.cost)),
        bound=lower_bound(cells, work.left_cpu_h, np.append(room, np.inf), free),
    )


def in_turn(wanted: FloatArray, room: float) -> FloatArray:
    """What each gets when the first are served first, shape (jobs,)."""
    before = np.cumsum(wanted) - wanted
    return np.asarray(np.clip(room - before, 0, wanted))
