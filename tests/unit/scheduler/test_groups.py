"""Batches, and planning all that waits anew: together as each alone would be."""

from __future__ import annotations

import pytest
from job_house import ADMIN, HOUR, NOW, OWNER, House, job

from carbon.clock import to_rfc3339
from carbon.services.jobs.pools import set_pool
from carbon.services.jobs.submission import safe_length_ms
from carbon.wire.jobs import JobBatch, JobChange, PoolBody

MANY = 40


@pytest.fixture
def grid(house: House) -> House:
    house.forecast(500, 500, 100, 200, 500, 500, 500, 500)
    set_pool(house.context, ADMIN, PoolBody("wide", MANY // 2))
    return house


def starts(house: House) -> list[str]:
    page = house.jobs.page(OWNER, ["waiting"], 500, None)
    return sorted(j.placement.start for j in page.jobs if j.placement)


def test_a_batch_fills_the_cleanest_hour_and_then_the_next(grid: House) -> None:
    batch = grid.jobs.submit_batch(OWNER, JobBatch([job(pool="wide") for _ in range(MANY)]))
    assert batch.rejected == []
    half = MANY // 2
    clean = [to_rfc3339(NOW + 2 * HOUR)] * half + [to_rfc3339(NOW + 3 * HOUR)] * half
    assert starts(grid) == clean
    assert {j.reason for j in batch.jobs} == {"clean_window"}
    assert grid.jobs.get(OWNER, batch.jobs[0].id) == batch.jobs[0]


def test_a_new_forecast_moves_them_all_within_the_room_there_is(grid: House) -> None:
    grid.jobs.submit_batch(OWNER, JobBatch([job(pool="wide") for _ in range(MANY)]))
    grid.tick()
    grid.forecast(500, 500, 500, 500, 50, 60, 500, 500, published_ms=NOW + 1)
    grid.pass_time(11)
    half = MANY // 2
    moved = [to_rfc3339(NOW + 4 * HOUR)] * half
    # The sixth hour ends at the deadline, whose margin leaves no place in it.
    assert starts(grid)[-half:] == moved


def test_a_pool_of_more_room_takes_what_waits_at_once(grid: House) -> None:
    grid.jobs.submit_batch(OWNER, JobBatch([job(pool="wide") for _ in range(MANY)]))
    grid.tick()
    set_pool(grid.context, ADMIN, PoolBody("wide", MANY))
    grid.pass_time(11)
    assert starts(grid) == [to_rfc3339(NOW + 2 * HOUR)] * MANY


def test_in_a_batch_a_key_is_each_jobs_own_and_sent_twice_is_sent_once(grid: House) -> None:
    bodies = [job(name=f"n{i}", pool="wide") for i in range(MANY)]
    first, again = (grid.jobs.submit_batch(OWNER, JobBatch(bodies), "k") for _ in range(2))
    assert [j.id for j in first.jobs] == [j.id for j in again.jobs]
    bodies[3] = job(name="other", pool="wide")
    changed = grid.jobs.submit_batch(OWNER, JobBatch(bodies), "k")
    assert [(r.index, r.code) for r in changed.rejected] == [(3, "idempotency_key_reused")]


def test_what_is_refused_sinks_nobody_else(grid: House) -> None:
    bodies = [job(pool="wide") for _ in range(MANY)]
    bodies[1], bodies[2] = job(pool="nowhere"), job(zones=["XX"])
    answer = grid.jobs.submit_batch(OWNER, JobBatch(bodies))
    assert [(r.index, r.code) for r in answer.rejected] == [
        (1, "unknown_pool"),
        (2, "unknown_zone"),
    ]
    assert len(answer.jobs) == MANY - 2


def test_a_job_that_was_placed_by_its_owner_meanwhile_is_left_alone(grid: House) -> None:
    made = grid.jobs.submit(OWNER, job(pool="wide"))
    grid.jobs.change(OWNER, made.id, JobChange("3h"))
    grid.forecast(500, 500, 500, 500, 10, 500, 500, 500, published_ms=NOW + 1)
    grid.pass_time(11)
    assert grid.jobs.get(OWNER, made.id).placement.start <= to_rfc3339(NOW + 2 * HOUR)


def test_a_stated_length_is_one_hint_among_what_runs_took(grid: House) -> None:
    made = grid.jobs.submit(OWNER, job(length_s=600.0))
    grid.jobs.start(OWNER, made.id)
    grid.tick()
    grid.clock.advance(1200)
    grid.executor.end(f"{made.id}-1")
    grid.tick()
    longer = grid.jobs.submit(OWNER, job(length_s=600.0))
    assert longer.length_s == 1200
    assert "length_learned" in longer.flags
    assert grid.jobs.submit(OWNER, job(length_s=3000.0)).length_s == 3000


def test_of_few_runs_the_longest_is_safe_and_of_many_the_95th_percentile() -> None:
    assert safe_length_ms([5]) == 5
    assert safe_length_ms([*range(1, 20)]) == 19
    assert safe_length_ms([*range(1, 101)]) == 95
