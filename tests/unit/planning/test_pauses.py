"""Pausing under an unknown length: the plan is the best of all, and keeps the budget."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from carbon.planning.expected_window import best_expected_starts
from carbon.planning.pauses import next_runs
from carbon.planning.series import IntensitySeries


def random_alive(rng: np.random.Generator, cells: int) -> np.ndarray:
    alive = np.cumprod(np.concatenate(([1.0], rng.uniform(0, 1, cells))))
    alive[-1] = 0
    return alive


def least_cost(area: np.ndarray, alive: np.ndarray, budget: int) -> float:
    """Tries both answers in every state."""
    cells = len(alive) - 1

    @cache
    def from_state(run: int, waited: int) -> float:
        if run == cells or alive[run] == 0:
            return 0.0
        going_on = alive[run + 1] / alive[run]
        cost = area[run + waited] * (1 + going_on) / 2 + going_on * from_state(run + 1, waited)
        return min(cost, from_state(run, waited + 1)) if waited < budget else cost

    return from_state(0, 0)


def cost_of_plan(area: np.ndarray, alive: np.ndarray, runs: np.ndarray) -> float:
    """Follows the plan, weighing each cell run by the chance to get there."""
    waited, cost = 0, 0.0
    for run in range(len(alive) - 1):
        waited = int(runs[run, waited])
        cost += area[run + waited] * (alive[run] + alive[run + 1]) / 2
    return cost


def test_the_plan_is_the_best_of_all_on_random_instances():
    rng = np.random.default_rng(11)
    for _ in range(150):
        cells, most, jobs = (int(v) for v in rng.integers((1, 0, 1), (7, 6, 5)))
        budget = rng.integers(0, most + 1, jobs)
        alive = np.array([random_alive(rng, cells) for _ in range(jobs)])
        area = rng.integers(1, 9, (jobs, cells + int(budget.max()))) * 1.0
        runs = next_runs(area, alive, budget)
        for job in range(jobs):
            planned = cost_of_plan(area[job], alive[job], runs[:, job])
            assert planned == pytest.approx(least_cost(area[job], alive[job], int(budget[job])))


def test_a_plan_never_waits_beyond_the_budget_nor_takes_a_wait_back():
    rng = np.random.default_rng(12)
    budget = np.array([0, 2, 5])
    alive = np.array([random_alive(rng, 6) for _ in budget])
    runs = next_runs(rng.uniform(1, 9, (3, 11)), alive, budget)
    for job, most in enumerate(budget):
        assert (runs[:, job, : most + 1] <= most).all()
        assert (runs[:, job, : most + 1] >= np.arange(most + 1)).all()


def test_equal_cells_are_run_without_waiting():
    runs = next_runs(np.full((1, 9), 3.0), np.array([[1, 0.9, 0.5, 0.2, 0.0]]), np.array([5]))
    assert runs[:, 0].tolist() == [list(range(6))] * 4


def test_the_best_expected_start_is_the_best_of_all_starts():
    rng = np.random.default_rng(13)
    cell_ms = 900_000
    series = IntensitySeries.hourly(rng.uniform(20, 600, 60))
    earliest = rng.integers(0, 20 * 3_600_000, 40)
    latest = earliest + rng.integers(0, 10 * 3_600_000, 40)
    alive = np.array([random_alive(rng, 12) for _ in earliest])
    found = best_expected_starts(series, earliest, latest, alive, cell_ms)

    def expected(job: int, start: int) -> float:
        marks = series.area(start + np.arange(13) * cell_ms)
        return float(np.diff(marks) @ (alive[job, :-1] + alive[job, 1:]) / 2)

    for job in range(40):
        tries = range(int(earliest[job]), int(latest[job]) + 1, cell_ms)
        assert found[job] in tries
        least = min(expected(job, start) for start in tries)
        assert expected(job, int(found[job])) == pytest.approx(least)
