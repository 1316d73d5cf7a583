"""Plans of small random instances against everything that could be done instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final

import numpy as np

from carbon.bench.figure import Figure, at_most
from carbon.planning.capacity import plan_pool
from carbon.planning.interruptible import best_runs
from carbon.planning.pool_work import PoolWork
from carbon.planning.series import FloatArray, IntArray, IntensitySeries
from carbon.planning.slots import best_starts
from carbon.planning.wavelet import cleanest_slots
from carbon.planning.windows import best_windows

_INSTANCES: Final = 10_000
_JOBS_PER_GRID: Final = 20
_NEAR: Final = 1e-9
_HOUR_MS: Final = 3_600_000

#: (intensity per slot, earliest, latest end, length), times in slots.
_Instance = tuple[FloatArray, IntArray, IntArray, IntArray]


def figures(quick: bool) -> list[Figure]:
    count = 1_000 if quick else _INSTANCES
    found = [
        at_most(f"unequal to brute force: {mode}", _unequal(plan, best, count), f"of {count}", 0)
        for mode, (plan, best) in _MODES.items()
    ]
    name = "unequal to brute force: pool of two jobs"
    return [*found, at_most(name, _unequal_pools(count), f"of {count}", 0)]


def _unequal(
    plan: Callable[[_Instance], FloatArray],
    best: Callable[[FloatArray, int], float],
    count: int,
) -> int:
    wrong = 0
    for instance in _instances(count):
        grid, *jobs = instance
        for cost, first, end, length in zip(plan(instance), *jobs, strict=True):
            wrong += not np.isclose(cost, best(grid[first:end], length), rtol=_NEAR)
    return wrong


def _instances(count: int) -> Iterator[_Instance]:
    rng = np.random.default_rng(8)
    for _ in range(count // _JOBS_PER_GRID):
        slots = int(rng.integers(2, 30))
        earliest = rng.integers(0, slots, _JOBS_PER_GRID)
        latest_end = rng.integers(earliest + 1, slots + 1)
        length = rng.integers(1, latest_end - earliest + 1)
        yield _grid(rng, slots), earliest, latest_end, length


def _grid(rng: np.random.Generator, slots: int) -> FloatArray:
    """Few levels, so that ties are common; whole numbers, so that sums are exact."""
    return np.asarray(rng.integers(1, 8, slots) * 50, dtype=np.float64)


def _least_window(grid: FloatArray, length: int) -> float:
    return float(np.lib.stride_tricks.sliding_window_view(grid, length).sum(axis=1).min())


def _least_slots(grid: FloatArray, length: int) -> float:
    return float(np.sort(grid)[:length].sum())


def _starts(instance: _Instance) -> FloatArray:
    grid, *_, length = instance
    start = best_starts(*instance)
    until = np.concatenate(([0.0], np.cumsum(grid)))
    return np.asarray(until[start + length] - until[start])


def _windows(instance: _Instance) -> FloatArray:
    """In continuous time: slots of 1 ms, so that every start that matters is a whole one."""
    grid, first, end, length = instance
    return best_windows(_per_ms(grid), first, end, length).mean_g_per_kwh * length


def _runs(instance: _Instance) -> FloatArray:
    grid, first, end, length = instance
    return best_runs(_per_ms(grid), first, end, length).mean_g_per_kwh * length


def _per_ms(grid: FloatArray) -> IntensitySeries:
    marks = np.arange(len(grid) + 1)
    return IntensitySeries(marks[:-1], marks[1:], grid)


_MODES: Final = {
    "contiguous, slots": (_starts, _least_window),
    "contiguous, continuous time": (_windows, _least_window),
    "interruptible, slots": (lambda i: cleanest_slots(*i).sum_g_per_kwh, _least_slots),
    "interruptible, continuous time": (_runs, _least_slots),
}


def _unequal_pools(count: int) -> int:
    """Two jobs of one cpu that share one: every choice of slots for both is tried."""
    rng, wrong = np.random.default_rng(9), 0
    for _ in range(count):
        slots = int(rng.integers(4, 7))
        grid = _grid(rng, slots)
        length = rng.integers(1, slots // 2 + 1, 2)
        first = rng.integers(0, slots - length.max() + 1, 2)
        end = rng.integers(first + length, slots + 1)
        work = PoolWork(
            first * _HOUR_MS, end * _HOUR_MS, np.ones(2), length.astype(np.float64), np.ones(2)
        )
        plan = plan_pool(IntensitySeries.hourly(grid), work, 1.0)
        best = _least_of_two(grid, first, end, length)
        if not np.isfinite(best):
            wrong += bool(plan.unplaced_cpu_h.sum() < _NEAR)
        else:
            wrong += not np.isclose(plan.cost, best, rtol=_NEAR)
    return wrong


def _least_of_two(grid: FloatArray, first: IntArray, end: IntArray, length: IntArray) -> float:
    """Infinite where the two cannot both be placed."""
    choices = [
        [frozenset(c) for c in combinations(range(first[i], end[i]), int(length[i]))]
        for i in (0, 1)
    ]
    apart = (one | two for one in choices[0] for two in choices[1] if not one & two)
    return min((float(grid[list(slots)].sum()) for slots in apart), default=float("inf"))
