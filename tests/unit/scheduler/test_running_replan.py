"""What is left of a job that runs and may pause, when a new forecast comes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_house import ADMIN, HOUR, NOW, OWNER, House, fresh_engine, job

from carbon.clock import from_rfc3339
from carbon.executors.executor import LookState
from carbon.services.jobs.attempt_pauses import ran_ms
from carbon.services.jobs.plan_records import decisions
from carbon.services.jobs.scheduler_pause import pause_scheduler
from carbon.storage.engine import reading
from carbon.storage.job_queries import JobRow, Span, get_job
from carbon.wire.jobs import JobBody

#: Clean in its second and its fifth hour.
GRID = [500, 100, 500, 500, 100, 500, 500, 500]


def pausing(**fields: object) -> JobBody:
    return job(**{"interruptible": True, "length_s": 7200.0, "deadline": "8h", **fields})


def row(house: House, job_id: str) -> JobRow:
    with reading(house.context.engine) as connection:
        return get_job(connection, job_id)


def parts(house: House, job_id: str) -> list[tuple[float, float]]:
    placed = row(house, job_id).placement
    assert placed is not None
    spans: tuple[Span, ...] = placed.segments or ((placed.start_ms, placed.end_ms),)
    return [((a - NOW) / HOUR, (b - NOW) / HOUR) for a, b in spans]


def until(house: House, hour: float) -> None:
    """In steps of a quarter hour, each with its tick."""
    while house.clock.now_ms() < NOW + hour * HOUR:
        house.pass_time(900)


def begun(house: House, at_hour: float, **fields: object) -> str:
    house.forecast(*GRID)
    made = house.jobs.submit(OWNER, pausing(**fields))
    until(house, at_hour)
    return made.id


def news(house: House, *g_per_kwh: float) -> None:
    """A forecast of all eight hours, and the tick that sees it."""
    house.forecast(*g_per_kwh)
    house.pass_time(10)


def test_what_is_left_moves_to_where_it_is_cleaner_and_what_was_done_stays(house: House) -> None:
    made = begun(house, 3)
    assert parts(house, made) == [(1, 2), (4, 5)]
    news(house, *GRID[:4], 500, 500, 20, 500)
    assert parts(house, made) == [(1, 2), (6, 7)]
    until(house, 8)
    turns = [((at - NOW) / HOUR, state) for _, at, state in house.executor.turns]
    assert [state for _, state in turns] == [LookState.PAUSED, LookState.RUNNING]
    assert turns[1][0] == pytest.approx(6, abs=0.26)


def test_the_decision_is_kept_and_comes_out_the_same_again(house: House) -> None:
    made = begun(house, 3)
    news(house, *GRID[:4], 500, 500, 20, 500)
    told = decisions(house.context, OWNER, made, replayed=True).decisions
    assert [d.replays for d in told] == [True, True]
    assert (told[-1].method, told[-1].reason) == ("rest", "clean_window")
    assert told[-1].vintages != told[0].vintages


@pytest.mark.parametrize(
    "later",
    [
        (*GRID[:4], 100, 500, 99.5, 500),  # less than a hundredth
        GRID,
        (*GRID[:4], 400, 500, 500, 500),  # dirtier, and still the best
    ],
)
def test_without_a_gain_that_is_worth_it_nothing_is_decided(
    house: House, later: tuple[float, ...]
) -> None:
    made = begun(house, 3)
    news(house, *later)
    assert parts(house, made) == [(1, 2), (4, 5)]
    assert len(decisions(house.context, OWNER, made).decisions) == 1


def test_a_part_that_has_just_begun_is_not_cut_short(house: House) -> None:
    made = begun(house, 1.25, min_segment_s=3600.0)
    news(house, 500, 500, 500, 500, 100, 100, 500, 500)
    assert parts(house, made)[0] == (1, 2)


def test_no_more_pauses_than_it_may(house: House) -> None:
    made = begun(house, 1.5, max_pauses=1)
    news(house, 500, 900, 500, 500, 100, 900, 10, 900)
    assert len(parts(house, made)) <= 2


def test_a_checkpoint_that_costs_more_than_it_saves_is_not_taken(house: House) -> None:
    made = begun(house, 1.5, checkpoint_s=3000.0, length_s=3600.0)
    before = parts(house, made)
    news(house, 500, 110, 500, 500, 100, 500, 500, 500)
    assert parts(house, made) == before


def test_a_paused_scheduler_moves_nobody(house: House) -> None:
    made = begun(house, 3)
    pause_scheduler(house.context, ADMIN, "a test")
    news(house, *GRID[:4], 500, 500, 20, 500)
    assert parts(house, made) == [(1, 2), (4, 5)]


def test_near_its_deadline_it_runs_through(house: House) -> None:
    made = begun(house, 4.25, deadline="5h1m")
    before = parts(house, made)
    news(house, 500, 500, 500, 500, 900, 10, 10, 10)
    assert parts(house, made) == before


@settings(max_examples=15, deadline=None)
@given(
    later=st.lists(st.sampled_from([50, 100, 300, 500]), min_size=8, max_size=8),
    at_quarters=st.integers(5, 27),
    checkpoint_s=st.sampled_from([0.0, 300.0]),
)
def test_whatever_comes_it_ends_in_time_with_all_of_its_length(
    tmp_path_factory: pytest.TempPathFactory,
    later: list[int],
    at_quarters: int,
    checkpoint_s: float,
) -> None:
    folder: Path = tmp_path_factory.mktemp("house")
    house = House.build(fresh_engine(), folder)
    made = begun(house, at_quarters / 4, checkpoint_s=checkpoint_s)
    if row(house, made).state.is_final:
        return
    before, now_ms = row(house, made), house.clock.now_ms()
    news(house, *later)
    after = row(house, made)
    assert after.placement is not None
    assert before.placement is not None
    spans = after.placement.segments or ((after.placement.start_ms, after.placement.end_ms),)
    assert all(a < b for a, b in spans)
    assert all(b <= c for (_, b), (c, _) in pairwise(spans))
    assert spans[-1][1] <= from_rfc3339(house.jobs.get(OWNER, made).deadline)
    planned_ms = sum(b - max(a, now_ms) for a, b in spans if b > now_ms)
    left_ms = 2 * HOUR - ran_ms(before, now_ms)
    if spans[-1][1] > now_ms:
        assert planned_ms >= left_ms - 15_000
