"""A job's life, and the leader's lease, on each kind of store."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from job_house import ADMIN, NOW, OWNER, House, job
from sqlalchemy import Engine

from carbon.errors import Conflicting
from carbon.scheduler.leader import Leader
from carbon.services.jobs.pools import list_pools, set_pool
from carbon.storage.engine import reading, writing
from carbon.storage.job_queries import due_jobs, get_job
from carbon.storage.leases import LeaseLost, check_lease, take
from carbon.storage.pools import planned_spans
from carbon.wire.jobs import JobChange, PoolBody


@pytest.fixture
def house(engine: Engine, tmp_path: Path) -> House:
    return House.build(engine, tmp_path)


def test_a_job_lives_from_its_window_to_its_end(house: House) -> None:
    house.forecast(400, 300, 100, 300, 400, 400)
    made = house.jobs.submit(OWNER, job(), "k")
    assert house.jobs.submit(OWNER, job(), "k") == made
    house.tick()
    assert house.executor.begun == []
    house.pass_time(7200)
    house.tick()
    house.executor.end(f"{made.id}-1")
    house.tick()
    result = house.jobs.result(OWNER, made.id)
    assert (result.state, [a.state for a in result.attempts]) == ("succeeded", ["ended"])


def test_retries_changes_and_cancellations_are_kept(house: House) -> None:
    retried = house.jobs.submit(OWNER, job(retries=1))
    house.tick()
    house.executor.end(f"{retried.id}-1", 1)
    house.tick(2)
    assert [a.number for a in house.jobs.result(OWNER, retried.id).attempts] == [1, 2]
    waiting = house.jobs.submit(OWNER, job(name="other"))
    assert house.jobs.change(OWNER, waiting.id, JobChange("9h")).deadline != waiting.deadline
    assert house.jobs.start(OWNER, waiting.id).reason == "asked_to_start"
    assert house.jobs.cancel(OWNER, waiting.id).state == "cancelled"
    with pytest.raises(Conflicting):
        house.jobs.start(OWNER, waiting.id)


def test_pages_and_pools_read_alike(house: House) -> None:
    set_pool(house.context, ADMIN, PoolBody("gpus", 2))
    for i in range(5):
        house.jobs.submit(OWNER, job(name=f"j{i}", pool="gpus"))
        house.clock.advance(1)
    house.tick()
    first = house.jobs.page(OWNER, [], 3, None)
    second = house.jobs.page(OWNER, [], 3, first.next)
    assert [j.name for j in [*first.jobs, *second.jobs]] == ["j4", "j3", "j2", "j1", "j0"]
    assert second.next is None
    [pool] = [p for p in list_pools(house.context).pools if p.name == "gpus"]
    assert (pool.capacity, pool.running, pool.waiting) == (2, 2, 3)


def test_a_pool_knows_which_spans_are_held(house: House) -> None:
    house.forecast(400, 300, 100, 300, 400, 400)
    some = [house.jobs.submit(OWNER, job(name=f"n{i}")) for i in range(3)]
    with reading(house.context.engine) as connection:
        pool_id = get_job(connection, some[0].id).pool_id
        rows = [get_job(connection, one.id).placement for one in some]
        spans = Counter((row.start_ms, row.end_ms) for row in rows if row)
        assert planned_spans(connection, pool_id) == [(*k, n) for k, n in sorted(spans.items())]
        others = sum(jobs for _, _, jobs in planned_spans(connection, pool_id, some[0].id))
        assert others == len(some) - 1
        assert planned_spans(connection, pool_id, are_waiting=False) == []
        assert not due_jobs(connection, min(row.start_ms for row in rows if row) - 1, set())
    house.jobs.start(OWNER, some[1].id)
    with reading(house.context.engine) as connection:
        assert [row.id for row in due_jobs(connection, house.clock.now_ms(), set())] == [some[1].id]
    house.tick()
    with reading(house.context.engine) as connection:
        begun = planned_spans(connection, pool_id, are_waiting=False)
        assert [jobs for _, _, jobs in begun] == [1]
        assert sum(jobs for _, _, jobs in planned_spans(connection, pool_id)) == len(some)


def test_one_leads_and_the_former_one_is_fenced_off(house: House) -> None:
    with writing(house.context.engine) as connection:
        old = take(connection, "x", "a", NOW, 1000)
        assert take(connection, "x", "b", NOW + 999, 1000) is None
        new = take(connection, "x", "b", NOW + 1000, 1000)
    assert old is not None
    assert new is not None
    assert new.epoch > old.epoch
    with pytest.raises(LeaseLost), writing(house.context.engine) as connection:
        check_lease(connection, old)
    with writing(house.context.engine) as connection:
        check_lease(connection, new)


def test_of_many_that_ask_at_once_one_leads(house: House) -> None:
    if house.context.engine.url.database in (None, "", ":memory:"):
        pytest.skip("the in-memory store has one connection: nobody asks at once")
    won: list[int] = []

    def ask(number: int) -> None:
        if Leader(house.context, f"process-{number}").lease() is not None:
            won.append(number)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_the_same_key_sent_by_many_at_once_is_one_job(house: House) -> None:
    if house.context.engine.url.database in (None, "", ":memory:"):
        pytest.skip("the in-memory store has one connection: nobody asks at once")
    made: list[str] = []

    def submit() -> None:
        made.append(house.jobs.submit(OWNER, job(), "k").id)

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len(set(made)) == 1
