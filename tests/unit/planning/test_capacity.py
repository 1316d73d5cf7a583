"""Jobs that share a pool: clean first, deadlines before that, and a bound that proves it."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.planning.capacity import (
    PoolMethod,
    PoolPlan,
    earliest_deadline_first,
    plan_pool,
    slot_room,
)
from carbon.planning.interruptible import best_runs
from carbon.planning.pool_work import PoolWork, openings
from carbon.planning.series import IntensitySeries

HOUR_MS = 3_600_000


def some_work(seed: int, jobs: int = 12) -> PoolWork:
    rng = np.random.default_rng(seed)
    earliest = rng.integers(0, 20 * HOUR_MS, jobs)
    length = rng.integers(1, 8 * HOUR_MS, jobs)
    cpus = rng.integers(1, 5, jobs).astype(float)
    latest_end = earliest + length + rng.integers(0, 12 * HOUR_MS, jobs)
    return PoolWork(earliest, latest_end, cpus, length / HOUR_MS * cpus, np.ones(jobs))


def a_grid(seed: int, hours: int = 48) -> IntensitySeries:
    return IntensitySeries.hourly(np.random.default_rng(seed).uniform(20, 600, hours))


def grams(plan: PoolPlan, grid: IntensitySeries) -> float:
    return float(plan.run_cpu_h @ grid.g_per_kwh[plan.openings.slot])


def check_allowed(plan: PoolPlan, work: PoolWork, capacity_cpus: float) -> None:
    of_job = np.bincount(plan.openings.job, plan.run_cpu_h, minlength=len(work))
    assert of_job + plan.unplaced_cpu_h == pytest.approx(work.left_cpu_h)
    assert (plan.run_cpu_h <= plan.openings.most_cpu_h + 1e-9).all()
    assert (np.bincount(plan.openings.slot, plan.run_cpu_h) <= capacity_cpus + 1e-7).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(1, 30))
def test_a_plan_runs_all_work_in_its_time_within_the_pool_and_proves_itself(seed, capacity):
    work, grid = some_work(seed), a_grid(seed)
    for plan in (
        plan_pool(grid, work, capacity),
        earliest_deadline_first(grid, work, slot_room(grid, capacity)),
    ):
        check_allowed(plan, work, capacity)
        assert plan.bound <= plan.cost * (1 + 1e-9)
    assert plan_pool(grid, work, capacity).gap < 1e-6


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(1, 30))
def test_the_optimum_leaves_no_more_work_behind_than_earliest_deadline_first(seed, capacity):
    work, grid = some_work(seed), a_grid(seed)
    best, urgent = (
        plan_pool(grid, work, capacity),
        earliest_deadline_first(grid, work, slot_room(grid, capacity)),
    )
    assert best.unplaced_cpu_h.sum() <= urgent.unplaced_cpu_h.sum() + 1e-6
    if urgent.unplaced_cpu_h.sum() < 1e-9:
        assert grams(best, grid) <= grams(urgent, grid) * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_with_room_for_all_each_job_has_its_own_cleanest_plan(seed):
    work, grid = some_work(seed), a_grid(seed)
    alone = best_runs(
        grid,
        work.earliest_ms,
        work.latest_end_ms,
        np.rint(work.left_cpu_h / work.cpus * HOUR_MS).astype(np.int64),
    )
    plan = plan_pool(grid, work, 1e6)
    assert grams(plan, grid) == pytest.approx(float(alone.mean_g_per_kwh @ work.left_cpu_h))
    assert not plan.price_g_per_kwh.any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(2, 20), st.floats(1, 3))
def test_a_larger_pool_never_emits_more(seed, capacity, larger):
    work, grid = some_work(seed), a_grid(seed)
    costs = [plan_pool(grid, work, c).cost for c in (capacity, capacity * larger)]
    assert costs[1] <= costs[0] * (1 + 1e-9)


def test_expected_work_yields_to_real_work():
    both = PoolWork(
        np.zeros(2, dtype=np.int64),
        np.full(2, HOUR_MS),
        np.ones(2),
        np.ones(2),
        np.array([1.0, 0.999]),
    )
    plan = plan_pool(IntensitySeries.hourly(np.array([100.0, 50.0])), both, 1.0)
    assert plan.unplaced_cpu_h.tolist() == [0.0, 1.0]


def test_room_is_kept_for_expected_work_where_the_real_job_may_as_well_run_elsewhere():
    grid = IntensitySeries.hourly(np.array([120.0, 100.0, 900.0]))
    now_or_next = PoolWork(np.array([0]), np.array([2 * HOUR_MS]), *np.ones((3, 1)))
    expected = PoolWork(
        np.array([HOUR_MS]), np.array([3 * HOUR_MS]), np.ones(1), np.ones(1), np.array([0.999])
    )
    alone = plan_pool(grid, now_or_next, 1.0)
    besides = plan_pool(grid, now_or_next.and_also(expected), 1.0)
    assert alone.of_slot(0).tolist() == [0.0]
    assert besides.of_slot(0).tolist() == [1.0, 0.0]


def test_earliest_deadline_first_serves_the_urgent_from_the_first_slot_on():
    grid = IntensitySeries.hourly(np.array([900.0, 100.0, 100.0]))
    work = PoolWork(
        np.zeros(2, dtype=np.int64), np.array([3, 2]) * HOUR_MS, np.ones(2), np.ones(2), np.ones(2)
    )
    plan = earliest_deadline_first(grid, work, slot_room(grid, 1.0))
    assert plan.method is PoolMethod.EARLIEST_DEADLINE
    assert plan.of_slot(0).tolist() == [0.0, 1.0]
    assert plan.of_slot(1).tolist() == [1.0, 0.0]
    assert plan.gap == pytest.approx(1000 / 200 - 1)


def test_without_a_solver_the_pool_still_runs(monkeypatch):
    real = builtins.__import__

    def no_solver(name: str, *rest: object) -> object:
        if name.startswith("highspy"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_solver)
    plan = plan_pool(a_grid(1), some_work(1), 10.0)
    assert plan.method is PoolMethod.EARLIEST_DEADLINE
    check_allowed(plan, some_work(1), 10.0)


def test_openings_are_the_parts_of_slots_between_arrival_and_deadline():
    work = PoolWork(
        np.array([HOUR_MS // 2]),
        np.array([9 * HOUR_MS // 4]),
        np.array([4.0]),
        np.ones(1),
        np.ones(1),
    )
    open_ = openings(work, a_grid(2))
    assert open_.slot.tolist() == [0, 1, 2]
    assert open_.most_cpu_h.tolist() == [2.0, 4.0, 1.0]


def test_nothing_to_do_is_an_empty_plan():
    nobody = some_work(3).only(np.empty(0, dtype=np.int64))
    plan = plan_pool(a_grid(3), nobody, 5.0)
    assert (plan.cost, plan.bound, plan.gap) == (0.0, 0.0, 0.0)
