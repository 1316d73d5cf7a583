"""Many jobs planned together: exact where there is room, and never over capacity."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.units import MS_PER_HOUR as HOUR
from carbon.planning.group import CELL_MS, Choice, Group, Placed, Room, all_in_place, place_group
from carbon.planning.series import IntArray, IntensitySeries
from carbon.planning.windows import best_windows

DAY = 24
JOBS = st.lists(
    st.tuples(st.integers(0, 10), st.integers(1, 8), st.integers(0, 12)), min_size=1, max_size=30
)
FIGURES = st.lists(st.integers(1, 900), min_size=DAY, max_size=DAY)


def series(figures: list[int]) -> IntensitySeries:
    return IntensitySeries.hourly(np.array(figures, dtype=float))


def group(jobs: list[tuple[int, int, int]]) -> Group:
    """(earliest, quarter hours, slack) of each, in hours but for the length."""
    start = np.array([e for e, _, _ in jobs], dtype=np.int64) * HOUR
    length = np.array([quarters for _, quarters, _ in jobs], dtype=np.int64) * HOUR // 4
    end = np.minimum(start + length + np.array([s for *_, s in jobs]) * HOUR, DAY * HOUR)
    return Group(start, end, length)


def placed(seen: IntensitySeries, some: Group, room: Room, old: IntArray | None = None) -> IntArray:
    """The start of each, all at once where they fit, else one after the other."""
    stands = np.full(len(some), -1) if old is None else old
    before = Choice.unbroken(seen, stands, some.length_ms)
    own = Choice.best(seen, some)
    found = all_in_place(own, before, room) or place_group(seen, some, own, before, room)
    assert isinstance(found, Placed)
    stood = found.start_ms >= 0
    assert (found.end_ms[stood] == found.start_ms[stood] + some.length_ms[stood]).all()
    return found.start_ms


def most_at_once(start: IntArray, length: IntArray) -> int:
    """Of those that were placed."""
    ran = [(s, s + n) for s, n in zip(start.tolist(), length.tolist(), strict=True) if s >= 0]
    return max((sum(lo <= at < hi for lo, hi in ran) for at, _ in ran), default=0)


@given(FIGURES, JOBS, st.integers(1, 5))
def test_places_keep_window_and_capacity(
    figures: list[int], jobs: list[tuple[int, int, int]], capacity: int
) -> None:
    some = group(jobs)
    start = placed(series(figures), some, Room(0, DAY * HOUR, capacity))
    found = start >= 0
    assert (start[found] >= some.earliest_ms[found]).all()
    assert (start[found] + some.length_ms[found] <= some.latest_end_ms[found]).all()
    assert most_at_once(start, some.length_ms) <= capacity


@given(FIGURES, JOBS)
def test_with_room_for_all_each_has_its_own_optimum(
    figures: list[int], jobs: list[tuple[int, int, int]]
) -> None:
    some, seen = group(jobs), series(figures)
    best = best_windows(seen, some.earliest_ms, some.latest_end_ms, some.length_ms)
    start = placed(seen, some, Room(0, DAY * HOUR, len(jobs)))
    assert (start == best.start_ms).all()


@given(FIGURES, JOBS, st.integers(1, 5))
def test_planned_again_with_the_same_figures_nobody_moves_for_less_than_a_gain(
    figures: list[int], jobs: list[tuple[int, int, int]], capacity: int
) -> None:
    seen, some = series(figures), group(jobs)
    first = placed(seen, some, Room(0, DAY * HOUR, capacity))
    again = placed(seen, some, Room(0, DAY * HOUR, capacity), first)
    stood = first >= 0
    assert (again[stood] >= 0).all()
    area = [
        seen.area(at[stood] + some.length_ms[stood]) - seen.area(at[stood]) for at in (first, again)
    ]
    assert (area[1] <= area[0] + seen.rounding).all()
    moved = again[stood] != first[stood]
    assert (area[1][moved] < 0.991 * area[0][moved]).all()
    assert most_at_once(again, some.length_ms) <= capacity


def test_who_comes_first_has_the_cleanest_hour_and_the_next_one_the_next() -> None:
    figures = [500] * DAY
    figures[5], figures[9] = 100, 200
    jobs = [(0, 4, 20)] * 3
    start = placed(series(figures), group(jobs), Room(0, DAY * HOUR, 1))
    assert start.tolist() == [5 * HOUR, 9 * HOUR, 0]


def test_what_others_hold_is_left_alone() -> None:
    figures = [500] * DAY
    figures[5] = 100
    room = Room(0, DAY * HOUR, 1)
    held = np.array([0]), np.array([DAY * HOUR])
    room.take_all(*held)
    assert placed(series(figures), group([(0, 4, 20)]), room).tolist() == [-1]
    room.take_all(*held, -1)
    assert placed(series(figures), group([(0, 4, 20)]), room).tolist() == [5 * HOUR]


def plainly(
    seen: IntensitySeries, some: Group, own: Choice, old: Choice, free: IntArray
) -> list[int]:
    """The rule of `place_group`, cell by cell; `free` are the places of each."""
    area = seen.area(np.arange(len(free) + 1) * CELL_MS)
    stays = (old.start_ms >= 0) & (own.area >= 0.99 * old.area)
    starts = []
    for job, length in enumerate(some.length_ms.tolist()):
        cells = -(-length // CELL_MS)

        def of(start: int, length: int = length) -> slice:
            return slice(start // CELL_MS, -(-(start + length) // CELL_MS))

        mine, stood = int(own.start_ms[job]), int(old.start_ms[job])
        first = -(-int(some.earliest_ms[job]) // CELL_MS)
        last = (int(some.latest_end_ms[job]) - length) // CELL_MS
        open_to = [at for at in range(first, last + 1) if (free[at : at + cells] > 0).all()]
        cleanest = min(open_to, key=lambda at: area[at + cells] - area[at], default=-1)
        cost = (area[cleanest + cells] - area[cleanest]) * (length / (cells * CELL_MS))
        if stays[job] and (free[of(stood)] > 0).all():
            start = stood
        elif (free[of(mine)] > 0).all():
            start = mine
        elif cleanest >= 0 and (stood < 0 or cost < 0.99 * old.area[job]):
            start = cleanest * CELL_MS
        else:
            start = stood
        if start >= 0:
            free[of(start)] -= 1
        starts.append(start)
    return starts


@given(FIGURES, JOBS, st.integers(1, 4), st.data())
def test_what_many_jobs_find_is_what_the_rule_says_of_one_after_the_other(
    figures: list[int], jobs: list[tuple[int, int, int]], capacity: int, data: st.DataObject
) -> None:
    """Also where windows are asked for over and over, and more stand somewhere than it holds."""
    seen, some = series(figures), group(jobs * 3)
    shorter = some.length_ms - data.draw(st.sampled_from([0, 70_000]))
    some = Group(some.earliest_ms, some.latest_end_ms, shorter)
    slack = (some.latest_end_ms - some.earliest_ms - some.length_ms) // CELL_MS
    moved = [data.draw(st.integers(-1, int(most))) for most in slack]
    stands = np.array([-1 if m < 0 else m * CELL_MS for m in moved])
    stands = np.where(stands < 0, -1, some.earliest_ms + stands)
    old, own = Choice.unbroken(seen, stands, some.length_ms), Choice.best(seen, some)
    free = np.full(DAY * 12, capacity)
    expected = plainly(seen, some, own, old, free)
    room = Room(0, DAY * HOUR, capacity)
    assert place_group(seen, some, own, old, room).start_ms.tolist() == expected


@given(FIGURES, JOBS)
def test_jobs_that_are_alike_have_the_choice_that_each_has_alone(
    figures: list[int], jobs: list[tuple[int, int, int]]
) -> None:
    seen, some = series(figures), group([*jobs, *jobs[::-1]])
    together = Choice.best(seen, some)
    for job in range(len(some)):
        one = slice(job, job + 1)
        alone = Choice.best(
            seen, Group(some.earliest_ms[one], some.latest_end_ms[one], some.length_ms[one])
        )
        assert together.start_ms[job] == alone.start_ms[0]
        assert together.end_ms[job] == alone.end_ms[0]
        assert together.area[job] == alone.area[0]


TURNS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 287), st.integers(1, 40), st.integers(1, 50)),
    min_size=1,
    max_size=60,
)


@given(TURNS, st.integers(1, 3))
def test_costs_that_are_mended_are_those_worked_out_anew(
    turns: list[tuple[bool, int, int, int]], capacity: int
) -> None:
    """Whatever was taken or held between two looks, and however many cells a look is over."""
    seen = series([*range(100, 100 + DAY)])
    room = Room(0, DAY * HOUR, capacity)
    area = seen.area(room.marks_ms)
    for is_held, cell, cells, width in turns:
        (room.hold if is_held else room.take)(cell, min(cell + cells, DAY * 12))
        anew = Room(0, DAY * HOUR, capacity)
        anew._count[:] = room._count
        assert (room.costs(area, width) == anew.costs(area, width)).all()


def test_what_is_held_over_capacity_is_not_taken_for_newly_full() -> None:
    seen, room = series([100] * DAY), Room(0, DAY * HOUR, 1)
    area = seen.area(room.marks_ms)
    for _ in range(3):
        room.hold(0, 12)
        room.hold(24, 36)
    assert np.isinf(room.costs(area, 1)).sum() == 24
    assert not room.take(12, 36)
    assert room.take(12, 24)
    assert np.isinf(room.costs(area, 1)).sum() == 36
