"""Room in a pool, and placements that keep what was promised."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_house import HOUR, NOW, OWNER, House, job
from msgspec import structs

from carbon.clock import to_rfc3339
from carbon.domain.jobs import PlacementReason
from carbon.services.jobs.plan_inputs import PLANNER, PlanInputs, Point, PoolTerms, Wish
from carbon.services.jobs.plans import decide, first_room_ms, full_spans

spans = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 10)).map(lambda s: (s[0], s[0] + s[1])),
    max_size=12,
)


@given(spans, st.integers(1, 4))
def test_full_is_where_as_many_lie_over_one_another_as_there_is_room_for(
    planned: list[tuple[int, int]], capacity: int
) -> None:
    full = full_spans([(lo, hi, 1) for lo, hi in planned], capacity)
    for at in range(45):
        count = sum(lo <= at < hi for lo, hi in planned)
        assert any(lo <= at < hi for lo, hi in full) == (count >= capacity)
    assert full == sorted(full)


@given(spans, st.integers(0, 30), st.integers(1, 8))
def test_the_first_room_is_free_throughout_and_none_is_earlier(
    planned: list[tuple[int, int]], from_ms: int, length_ms: int
) -> None:
    taken = full_spans([(lo, hi, 1) for lo, hi in planned], 1)

    def is_free(at: int) -> bool:
        return all(hi <= at or lo >= at + length_ms for lo, hi in taken)

    first = first_room_ms(taken, from_ms, length_ms)
    assert is_free(first)
    assert not any(is_free(at) for at in range(from_ms, first))


def told(values: list[float], **others: Any) -> PlanInputs:
    """What a plan is made from, with one figure an hour from now on."""
    points = tuple(
        Point(NOW + i * HOUR, NOW + (i + 1) * HOUR, value) for i, value in enumerate(values)
    )
    inputs = PlanInputs(
        PLANNER, NOW, "DE", "UTC", points, (), 1, (), PoolTerms(), {}, (), False, ()
    )
    return structs.replace(inputs, **others)


@given(
    values=st.lists(st.floats(1, 900), min_size=1, max_size=12),
    length_min=st.integers(1, 300),
    slack_min=st.integers(0, 600),
    earliest_min=st.integers(0, 120),
    busy=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4)), max_size=3),
)
def test_a_placement_keeps_deadline_earliest_and_room_where_there_is_any(
    values: list[float],
    length_min: int,
    slack_min: int,
    earliest_min: int,
    busy: list[tuple[int, int]],
) -> None:
    length_ms, earliest_ms = length_min * 60_000, NOW + earliest_min * 60_000
    deadline_ms = earliest_ms + length_ms + slack_min * 60_000
    taken = full_spans([(NOW + lo * HOUR, NOW + (lo + n) * HOUR, 1) for lo, n in busy], 1)
    wish = Wish(earliest_ms, deadline_ms, length_ms, 100.0)
    placed = decide(wish, told(values), taken)
    assert placed.start_ms >= earliest_ms
    assert placed.end_ms <= deadline_ms
    assert placed.end_ms - placed.start_ms == length_ms
    if placed.reason is PlacementReason.CLEAN_WINDOW:
        assert all(hi <= placed.start_ms or lo >= placed.end_ms for lo, hi in taken)
        assert placed.start_ms <= placed.latest_start_ms
        assert placed.expected_g is not None
        assert placed.start_now_g is not None
        assert placed.expected_g <= placed.start_now_g * (1 + 1e-9)


def test_a_job_that_finds_no_room_in_time_goes_as_soon_as_it_can() -> None:
    taken = [(NOW, NOW + 5 * HOUR)]
    wish = Wish(NOW, NOW + 4 * HOUR, HOUR, None)
    placed = decide(wish, told([9, 8, 7, 6, 5]), taken)
    assert (placed.start_ms, placed.reason) == (NOW, PlacementReason.DEADLINE_GUARD)


class TestReplanning:
    def test_a_cleaner_window_in_a_new_forecast_moves_a_waiting_job(self, house: House) -> None:
        house.forecast(400, 300, 100, 300, 400, 400)
        made = house.jobs.submit(OWNER, job())
        house.tick()
        house.clock.advance(60)
        house.forecast(400, 300, 200, 300, 50, 400)
        house.pass_time(10)
        moved = house.jobs.get(OWNER, made.id)
        assert moved.placement is not None
        assert moved.placement.start == to_rfc3339(NOW + 4 * HOUR)

    def test_what_starting_at_once_would_have_cost_is_kept(self, house: House) -> None:
        house.forecast(400, 300, 100, 300, 400, 400)
        made = house.jobs.submit(OWNER, job())
        house.tick()
        house.clock.advance(3600)
        house.forecast(400, 300, 200, 300, 50, 400)
        house.pass_time(10)
        moved = house.jobs.get(OWNER, made.id)
        assert made.placement is not None
        assert moved.placement is not None
        assert moved.placement.start != made.placement.start
        assert moved.placement.start_now_g == made.placement.start_now_g

    @pytest.mark.parametrize("factor", [1.0, 1.5, 0.5])
    def test_a_change_of_level_alone_moves_nothing(self, house: House, factor: float) -> None:
        house.forecast(400, 300, 100, 300, 400, 400)
        made = house.jobs.submit(OWNER, job())
        house.tick()
        house.clock.advance(60)
        house.forecast(*(factor * g for g in (400, 300, 100, 300, 400, 400)))
        house.pass_time(10)
        assert house.jobs.get(OWNER, made.id).placement == made.placement

    def test_gains_below_a_per_cent_move_nothing(self, house: House) -> None:
        house.forecast(400, 300, 100, 300, 101, 400)
        made = house.jobs.submit(OWNER, job(deadline="7h"))
        house.tick()
        house.clock.advance(60)
        house.forecast(400, 300, 100, 300, 99.5, 400)
        house.pass_time(10)
        assert house.jobs.get(OWNER, made.id).placement == made.placement

    def test_a_job_asked_to_start_is_not_moved(self, house: House) -> None:
        house.forecast(400, 300, 100, 300, 400, 400)
        made = house.jobs.submit(OWNER, job())
        house.jobs.start(OWNER, made.id)
        house.forecast(400, 40, 40, 40, 40, 40)
        house.tick()
        assert house.executor.begun == [f"{made.id}-1"]
