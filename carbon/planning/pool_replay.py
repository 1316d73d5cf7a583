"""The replay of a pool of limited size: every whole hour the work that waits is planned anew.

Nothing is used before it is known: a plan made at a whole hour holds the jobs that had come by
then, and a job that comes within the hour takes only what the plan left free.
"""

from __future__ import annotations

import numpy as np

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.arrivals import Arrivals
from carbon.planning.capacity import PoolPlan, in_turn, plan_pool, slot_room
from carbon.planning.foresight import Foresight
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import LengthLearner, Lengths
from carbon.planning.pool_lengths import PoolLengths
from carbon.planning.pool_state import Pool
from carbon.planning.pool_work import PoolWork, openings, per_job
from carbon.planning.runs import Runs
from carbon.planning.series import FloatArray, IntArray, IntensitySeries
from carbon.planning.transport import Cells, cheapest_fill


def earliest_deadline_pool(jobs: JobHistory, actual: IntensitySeries, capacity_cpus: float) -> Runs:
    """All capacity is used at all times, the most urgent first: what savings are held against."""
    pool = Pool.empty(jobs, actual, capacity_cpus)
    _serve_by_deadline(pool, slot_room(actual, capacity_cpus), jobs.arrival_ms)
    return pool.runs()


def oracle_pool(jobs: JobHistory, actual: IntensitySeries, capacity_cpus: float) -> Runs:
    """Everything known from the start: no policy emits less while it keeps all deadlines.

    Work that has no place before its deadline runs after it, in what room is left.
    """
    pool = Pool.empty(jobs, actual, capacity_cpus)
    ones = np.ones(len(jobs))
    work = PoolWork(jobs.arrival_ms, jobs.latest_end_ms, jobs.cpus, pool.left_cpu_h.copy(), ones)
    plan = plan_pool(actual, work, capacity_cpus)
    room = slot_room(actual, capacity_cpus)
    running = np.flatnonzero(plan.run_cpu_h > 0)
    for some in _by_slot(plan.openings.slot, running):
        slot = int(plan.openings.slot[some[0]])
        ran = pool.run(plan.openings.job[some], slot, plan.run_cpu_h[some])
        room[slot] -= ran.sum()
    _serve_by_deadline(pool, np.maximum(room, 0), jobs.latest_end_ms)
    return pool.runs()


def _by_slot(slot: IntArray, some: IntArray) -> list[IntArray]:
    ordered = some[np.argsort(slot[some], kind="stable")]
    return np.split(ordered, np.flatnonzero(np.diff(slot[ordered])) + 1) if len(some) else []


def _serve_by_deadline(pool: Pool, room: FloatArray, from_ms: IntArray) -> None:
    """Runs what is left in the slots' `room`, each job from its `from_ms` (jobs,) on."""
    if pool.is_done:
        return
    slot = int(np.searchsorted(pool.actual.end_ms, from_ms[pool.left_cpu_h > 0].min(), "right"))
    while not pool.is_done:
        some = pool.waiting(slot)
        some = some[from_ms[some] < pool.actual.end_ms[slot]]
        some = some[np.argsort(pool.jobs.latest_end_ms[some], kind="stable")]
        pool.run(some, slot, in_turn(pool.in_slot(some, slot), float(room[slot])))
        slot += 1


def carbon_pool(
    jobs: JobHistory,
    foresight: Foresight,
    actual: IntensitySeries,
    capacity_cpus: float,
    lengths: Lengths,
    before: JobHistory | None = None,
) -> Runs:
    """The service's own policy. `before` are earlier jobs of the pool, at times below 0."""
    pool = Pool.empty(jobs, actual, capacity_cpus)
    known = PoolLengths(pool, LengthLearner(jobs, lengths))
    arrivals = Arrivals.of(jobs, before)
    slot = int(jobs.arrival_ms[0] // MS_PER_HOUR)
    while not pool.is_done:
        now_ms = int(actual.start_ms[slot])
        known.learn(now_ms)
        seen = foresight.seen_at(now_ms)
        _run_slot(pool, known, seen, arrivals.expected(now_ms, capacity_cpus), slot)
        slot += 1
    return pool.runs()


def _run_slot(
    pool: Pool, known: PoolLengths, seen: IntensitySeries, expected: PoolWork, slot: int
) -> None:
    now_ms = int(pool.actual.start_ms[slot])
    some = pool.waiting(slot)
    came = pool.jobs.arrival_ms[some] <= now_ms
    waiting, coming = some[came], some[~came]
    if not len(some):
        return
    work = known.work(waiting, now_ms)
    ahead = _ahead(seen, now_ms, known.work(some, now_ms).and_also(expected))
    plan = plan_pool(ahead, work.and_also(expected), pool.capacity_cpus)
    room = float(slot_room(pool.actual, pool.capacity_cpus)[slot])
    planned = _with_overdue(pool, waiting, plan, slot, room)
    room -= pool.run(waiting, slot, planned).sum()
    if len(coming):
        wanted = _worth_running_now(ahead, known.work(coming, now_ms), plan)
        pool.run(coming, slot, in_turn(wanted, max(room, 0.0)))


def _ahead(seen: IntensitySeries, now_ms: int, work: PoolWork) -> IntensitySeries:
    """The slots from now on in which any of the work may run."""
    first = int(np.searchsorted(seen.end_ms, now_ms, "right"))
    until = int(np.searchsorted(seen.start_ms, work.latest_end_ms.max()))
    part = slice(first, max(until, first + 1))
    return IntensitySeries(seen.start_ms[part], seen.end_ms[part], seen.g_per_kwh[part])


def _with_overdue(
    pool: Pool, waiting: IntArray, plan: PoolPlan, slot: int, room: float
) -> FloatArray:
    """What the plan has for the slot, and work without a place before its deadline besides it."""
    planned = plan.of_slot(0)[: len(waiting)]
    unplaced = plan.unplaced_cpu_h[: len(waiting)]
    more = np.minimum(unplaced, np.maximum(pool.in_slot(waiting, slot) - planned, 0))
    order = np.argsort(pool.jobs.latest_end_ms[waiting], kind="stable")
    planned[order] += in_turn(more[order], max(room - planned.sum(), 0.0))
    return planned


def _worth_running_now(ahead: IntensitySeries, work: PoolWork, plan: PoolPlan) -> FloatArray:
    """What each takes of the first slot when it buys its cheapest place at the plan's prices."""
    open_ = openings(work, ahead)
    cost = ahead.g_per_kwh[open_.slot] + plan.price_g_per_kwh[open_.slot]
    fill = cheapest_fill(
        Cells(open_.job, open_.slot, cost, open_.most_cpu_h), work.left_cpu_h, cost
    )
    here = open_.slot == 0
    return per_job(open_.job[here], fill[here], len(work))
