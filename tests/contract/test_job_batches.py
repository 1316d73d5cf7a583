"""A batch of jobs is what the same jobs are one by one, in turns to the database that do not grow
with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from job_house import ADMIN, OWNER, House, job
from sqlalchemy import Engine, select

from carbon.errors import CarbonError
from carbon.services.jobs.pools import set_pool
from carbon.storage.engine import reading
from carbon.storage.jobs import job as jobs
from carbon.storage.jobs import placement
from carbon.storage.pools import find_pool
from carbon.wire.jobs import JobBatch, JobBody, PoolBody

#: What differs between jobs that are told alike: whose they are, which pool, and of which plan.
OWN = {"id", "placement_id", "pool_id", "body_hash", "idempotency_key"}
OF_ITS_JOB = {"id", "job_id", "plan_id", "expected_g", "start_now_g"}

bodies = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["train", "eval", 'a "b" \\c', "ü,{}"]),
        "executor": st.sampled_from(["local", "local", "local", "nobody"]),
        "deadline": st.sampled_from(["3h", "6h", "5h", "1ms", "nonsense"]),
        "length_s": st.sampled_from([None, 600.0, 3600.0, 7200.0]),
        "power_w": st.sampled_from([None, 250.5]),
        "earliest": st.sampled_from([None, "30m", "2h"]),
        "priority": st.integers(-2, 2),
        "retries": st.integers(0, 2),
        "zones": st.sampled_from([[], ["DE"], ["nowhere"]]),
        "workload": st.sampled_from([None, "default/named", "other/theirs"]),
        "interruptible": st.booleans(),
        "command": st.sampled_from([["true"], "echo '\\n' \"x\"\t\n", ["a,b", "{}", ""]]),
    }
)


@pytest.fixture
def house(engine: Engine, tmp_path: Path) -> House:
    made = House.build(engine, tmp_path)
    made.forecast(400, 300, 100, 300, 400, 400, 200, 500)
    _learn(made)
    return made


def _learn(house: House) -> None:
    """Runs of one kind teach its length; they are over, and hold nothing."""
    made = house.jobs.submit(OWNER, job(name="train", length_s=None, job_class="c"))
    house.tick()
    house.clock.advance(1234)
    house.executor.end(f"{made.id}-1")
    house.tick()


def in_pool(name: str, body: dict[str, Any]) -> JobBody:
    return JobBody(**body, pool=name, job_class="c")


def one_by_one(house: House, bodies: Sequence[JobBody]) -> list[tuple[int, str, str]]:
    """What was refused, and why."""
    refused = []
    for index, body in enumerate(bodies):
        try:
            house.jobs.submit(OWNER, body, f"{body.pool}-{index}")
        except CarbonError as error:
            refused.append((index, error.code, error.detail))
    return refused


def stored(house: House, pool_name: str) -> list[dict[str, Any]]:
    """Jobs of a pool with their placements, in the order of the rows' values."""
    pool_id = id_of(house, pool_name)
    with reading(house.context.engine) as connection:
        rows = connection.execute(
            select(jobs, *(c.label(f"placed_{c.name}") for c in placement.c))
            .join(placement, placement.c.id == jobs.c.placement_id)
            .where(jobs.c.pool_id == pool_id)
        )
        left_out = OWN | {f"placed_{name}" for name in OF_ITS_JOB}
        told = [{k: v for k, v in row._mapping.items() if k not in left_out} for row in rows]
    return sorted(told, key=repr)


def grams(house: House, pool_name: str) -> list[float]:
    c = placement.c
    of_pool = jobs.c.pool_id == id_of(house, pool_name)
    query = select(c.expected_g, c.start_now_g).join(jobs, jobs.c.id == c.job_id).where(of_pool)
    with reading(house.context.engine) as connection:
        return sorted(
            g if g is not None else -1.0 for row in connection.execute(query) for g in row
        )


def id_of(house: House, name: str) -> int:
    with reading(house.context.engine) as connection:
        found = find_pool(connection, name)
    assert found is not None
    return found.id


numbers = count()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(bodies, min_size=1, max_size=24))
def test_a_batch_is_what_its_jobs_are_one_by_one(house: House, asked: list[dict[str, Any]]) -> None:
    at_once, in_turn = f"at-once-{next(numbers)}", f"in-turn-{next(numbers)}"
    for name in (at_once, in_turn):
        set_pool(house.context, ADMIN, PoolBody(name, 1000))
    told = house.jobs.submit_batch(OWNER, JobBatch([in_pool(at_once, b) for b in asked]), at_once)
    refused = one_by_one(house, [in_pool(in_turn, b) for b in asked])
    assert [(r.index, r.code, r.detail) for r in told.rejected] == refused
    assert len(told.jobs) == len(asked) - len(refused)
    assert stored(house, at_once) == stored(house, in_turn)
    assert grams(house, at_once) == pytest.approx(grams(house, in_turn))


def test_few_jobs_and_many_are_stored_alike(house: House) -> None:
    """A job's own words come back, whichever way they were written."""
    command = ["\\N", '"', "\n\t,{}", "NULL", ""]
    for number in (1, 3, 80):
        name = f"pool-{number}"
        set_pool(house.context, ADMIN, PoolBody(name, 1000))
        spec = {"name": "odd", "executor": "local", "deadline": "6h", "command": command}
        told = house.jobs.submit_batch(OWNER, JobBatch([in_pool(name, spec)] * number))
        assert len({answer.id for answer in told.jobs}) == number
        assert len({row["spec"] for row in stored(house, name)}) == 1
        [one, *_] = stored(house, name)
        assert json.loads(one["spec"])["command"] == command


@contextmanager
def turns(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Statements that the driver is given meanwhile; of SQLite's those that read: it takes some
    thousand values at once, and what begins and ends a transaction costs it no turn."""
    asked: list[str] = []
    if engine.dialect.name == "sqlite":
        with reading(engine) as connection:
            driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_trace_callback(asked.append)
        yield asked
        driver.set_trace_callback(None)
        asked[:] = [text for text in asked if text.startswith("SELECT")]
        return
    import psycopg

    for name in ("execute", "executemany", "copy"):
        plain = getattr(psycopg.Cursor, name)

        def told(self: Any, query: Any, *values: Any, plain: Any = plain, **more: Any) -> Any:
            asked.append(str(query))
            return plain(self, query, *values, **more)

        monkeypatch.setattr(psycopg.Cursor, name, told)
    yield asked
    monkeypatch.undo()


def distinct(number: int) -> JobBatch:
    """Each of a workload of its own."""
    return JobBatch(
        [
            in_pool(
                "p",
                {
                    "name": f"n{i}",
                    "executor": "local",
                    "deadline": "6h",
                    "command": ["true"],
                    "length_s": 600.0 + i,
                    "zones": ["WORLD"],
                },
            )
            for i in range(number)
        ]
    )


def test_a_batch_asks_as_much_of_the_database_however_long_it_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = house.context.engine
    set_pool(house.context, ADMIN, PoolBody("p", 1000))
    house.jobs.submit_batch(OWNER, distinct(200))
    counts = []
    for number in (100, 200):
        with turns(engine, monkeypatch) as asked:
            house.jobs.submit_batch(OWNER, distinct(number), f"k{number}")
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert counts[0] <= 14, asked


def test_one_job_is_a_few_turns_to_the_database(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pool(house.context, ADMIN, PoolBody("p", 1000))
    house.jobs.submit(OWNER, distinct(1).jobs[0])
    with turns(house.context.engine, monkeypatch) as asked:
        house.jobs.submit(OWNER, distinct(1).jobs[0])
    assert len(asked) <= 14, asked
