"""The bound of a contended pool: no plan of its jobs costs less."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.domain.units import MS_PER_HOUR as HOUR
from carbon.planning.group import Choice, Group, Room, place_group
from carbon.planning.pool_bound import pool_bound
from carbon.planning.pool_work import PoolWork
from carbon.planning.series import IntensitySeries

SLOTS = 6
FIGURES = st.lists(st.integers(1, 9), min_size=SLOTS, max_size=SLOTS)
#: (earliest, length, slack) in hours.
JOBS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=4
)
_NONE = np.empty(0, dtype=np.int64)
NOTHING = PoolWork(_NONE, _NONE, np.empty(0), np.empty(0), np.empty(0))


def group(jobs: list[tuple[int, int, int]]) -> Group:
    earliest, length, slack = np.array(jobs, dtype=np.int64).T
    end = np.minimum(earliest + length + slack, SLOTS)
    length = np.minimum(length, end - earliest)
    return Group(earliest * HOUR, end * HOUR, length * HOUR)


def least_of_all(seen: IntensitySeries, some: Group, capacity: int) -> float:
    """Over every choice of whole-hour starts that fits; infinite where none does."""
    choices = [
        range(first // HOUR, (end - length) // HOUR + 1)
        for first, end, length in zip(
            some.earliest_ms.tolist(),
            some.latest_end_ms.tolist(),
            some.length_ms.tolist(),
            strict=True,
        )
    ]
    least = np.inf
    for starts in product(*choices):
        at = np.array(starts) * HOUR
        held = [int(((at <= h) & (h < at + some.length_ms)).sum()) for h in np.arange(SLOTS) * HOUR]
        if max(held) <= capacity:
            cost = seen.area(at + some.length_ms) - seen.area(at)
            least = min(least, float(cost.sum()))
    return least


@settings(max_examples=60)
@given(FIGURES, JOBS, st.integers(1, 2))
def test_no_plan_that_fits_costs_less(
    figures: list[int], jobs: list[tuple[int, int, int]], capacity: int
) -> None:
    seen, some = IntensitySeries.hourly(np.array(figures, dtype=float)), group(jobs)
    known = pool_bound(seen, some, np.array([0]), np.array([float(capacity)]), NOTHING)
    least = least_of_all(seen, some, capacity)
    assert known.least_area <= least * (1 + 1e-9)
    if len(jobs) == 1:
        # Alone a job that may be cut is a bound, and tight where its best hours adjoin.
        assert known.least_area <= least


def test_the_bound_is_reached_where_jobs_of_an_hour_share_a_pool() -> None:
    seen = IntensitySeries.hourly(np.array([5.0, 1, 2, 3, 9, 9]))
    some = group([(0, 1, 5)] * 4)
    known = pool_bound(seen, some, np.array([0]), np.array([1.0]), NOTHING)
    assert known.least_area / HOUR == pytest.approx(1 + 2 + 3 + 5)
    # The first slots are worth more than the last that is used.
    assert known.clean_h == pytest.approx(3)


def test_room_that_others_hold_is_not_counted() -> None:
    seen = IntensitySeries.hourly(np.array([5.0, 1, 2, 3, 9, 9]))
    some = group([(0, 1, 5)] * 2)
    steps, free = np.array([0, HOUR, 2 * HOUR]), np.array([1.0, 0.0, 1.0])
    assert pool_bound(seen, some, steps, free, NOTHING).least_area / HOUR == pytest.approx(2 + 3)


def test_places_are_kept_for_work_that_is_expected_and_given_to_who_needs_them() -> None:
    seen = IntensitySeries.hourly(np.array([5.0, 1, 2, 9, 9, 9]))
    # What is expected can run in the cleanest hour alone.
    expected = PoolWork(
        np.array([HOUR]), np.array([2 * HOUR]), np.ones(1), np.ones(1), np.array([0.999])
    )
    some = group([(0, 1, 5)])
    known = pool_bound(seen, some, np.array([0]), np.array([1.0]), expected)
    assert known.reserved.tolist() == [0, 1, 0, 0, 0, 0]
    room = Room(0, SLOTS * HOUR, 1)
    room.keep_free(known.marks_ms, known.reserved)
    nowhere = Choice.unbroken(seen, np.array([-1]), some.length_ms)
    placed = place_group(seen, some, Choice.best(seen, some), nowhere, room)
    assert placed.start_ms.tolist() == [2 * HOUR]
    tight = group([(1, 1, 0)])
    assert place_group(seen, tight, Choice.best(seen, tight), nowhere, room).start_ms[0] == -1
    room.keep_free(known.marks_ms, known.reserved, -1)
    assert place_group(seen, tight, Choice.best(seen, tight), nowhere, room).start_ms[0] == HOUR


def test_a_fine_series_is_looked_at_in_parts_and_still_bounds() -> None:
    five_minutes = 300_000
    marks = np.arange(24 * 12 + 1) * five_minutes
    drawn = np.random.default_rng(4).uniform(50, 500, len(marks) - 1)
    seen = IntensitySeries(marks[:-1], marks[1:], drawn)
    count = 40
    some = Group(
        np.zeros(count, dtype=np.int64),
        np.full(count, 24 * HOUR),
        np.full(count, HOUR // 2),
    )
    known = pool_bound(seen, some, np.array([0]), np.array([2.0]), NOTHING)
    nowhere = Choice.unbroken(seen, np.full(count, -1), some.length_ms)
    placed = place_group(seen, some, Choice.best(seen, some), nowhere, Room(0, 24 * HOUR, 2))
    cost = (seen.area(placed.end_ms) - seen.area(placed.start_ms)).sum()
    assert 0 < known.least_area <= cost
