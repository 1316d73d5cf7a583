"""Plans on whole slots equal the best of all that exist, for a million jobs or for one."""

from __future__ import annotations

import numpy as np
import pytest

from carbon.errors import InvalidInput
from carbon.planning.slots import alike, best_starts
from carbon.planning.wavelet import cleanest_slots

Jobs = tuple[np.ndarray, np.ndarray, np.ndarray]


def random_instance(rng: np.random.Generator, jobs: int) -> tuple[np.ndarray, *Jobs]:
    """Few levels of intensity, so that ties are common; whole numbers, so that sums are exact."""
    slots = int(rng.integers(1, 40))
    grid = rng.integers(1, 6, slots) * 10.0
    ends = np.sort(rng.integers(0, slots + 1, (jobs, 2)), axis=1)
    earliest = np.minimum(ends[:, 0], slots - 1)
    latest_end = np.maximum(ends[:, 1], earliest + 1)
    length = rng.integers(1, latest_end - earliest + 1)
    return grid, earliest, latest_end, length


def test_uninterrupted_starts_equal_brute_force_on_ten_thousand_instances():
    rng = np.random.default_rng(1)
    for _ in range(500):
        grid, *jobs = random_instance(rng, 20)
        starts = best_starts(grid, *jobs)
        for start, first, end, length in zip(starts, *jobs, strict=True):
            sums = np.lib.stride_tricks.sliding_window_view(grid[first:end], length).sum(axis=1)
            assert start == first + sums.argmin()


def test_cleanest_slots_equal_brute_force_on_ten_thousand_instances():
    rng = np.random.default_rng(2)
    for _ in range(500):
        grid, *jobs = random_instance(rng, 20)
        found = cleanest_slots(grid, *jobs)
        for index, (first, end, length) in enumerate(zip(*jobs, strict=True)):
            order = np.argsort(grid[first:end], kind="stable")[:length]
            assert found.sum_g_per_kwh[index] == grid[first:end][order].sum()
            assert found.dirtiest[index] == first + order[-1]


@pytest.mark.parametrize("slots", [5, 63, 64, 65, 1000])
def test_many_jobs_of_one_length_are_planned_as_each_alone(slots):
    rng = np.random.default_rng(slots)
    grid = rng.uniform(20, 600, slots)
    earliest = np.tile(np.arange(slots - 3), 50)
    starts = best_starts(grid, earliest, earliest + 4, np.full(len(earliest), 2))
    alone = [best_starts(grid, [first], [first + 4], [2])[0] for first in range(slots - 3)]
    assert starts.tolist() == alone * 50


def test_of_windows_equal_but_for_rounding_the_earliest_is_taken():
    grid = np.full(200, 0.1 + 0.2)
    earliest = np.arange(100)
    assert best_starts(grid, earliest, earliest + 40, np.full(100, 7)).tolist() == list(range(100))
    many = best_starts(grid, np.zeros(9999), np.full(9999, 40), np.full(9999, 7))
    assert not many.any()


def test_pausing_never_costs_more_than_not_pausing():
    rng = np.random.default_rng(3)
    grid = rng.uniform(20, 600, 500)
    length = rng.integers(1, 60, 2000)
    earliest = rng.integers(0, 400, 2000)
    latest_end = np.minimum(earliest + length + 24, 500)
    earliest = np.minimum(earliest, latest_end - length)
    start = best_starts(grid, earliest, latest_end, length)
    until = np.concatenate(([0.0], np.cumsum(grid)))
    paused = cleanest_slots(grid, earliest, latest_end, length).sum_g_per_kwh
    assert (paused <= (until[start + length] - until[start]) * (1 + 1e-9)).all()


@pytest.mark.parametrize("plan", [best_starts, cleanest_slots])
@pytest.mark.parametrize(
    ("job", "code"),
    [
        ((0, 3, 4), "length_exceeds_window"),
        ((0, 3, 0), "length_not_positive"),
        ((8, 11, 1), "window_not_rated"),
        ((-1, 3, 1), "window_not_rated"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_a_code(plan, job, code):
    with pytest.raises(InvalidInput) as refused:
        plan(np.full(10, 100.0), *([value] for value in job))
    assert refused.value.code == code


def test_no_jobs_have_no_plans():
    assert len(best_starts([100.0], [], [], [])) == 0
    assert len(cleanest_slots([100.0], [], [], []).dirtiest) == 0


def test_jobs_are_grouped_by_all_their_keys():
    first, second = np.array([1, 2, 1, 1, 70_000]), np.array([5, 5, 5, 6, 5])
    groups = sorted(group.tolist() for group in alike(first, second))
    assert groups == [[0, 2], [1], [3], [4]]
