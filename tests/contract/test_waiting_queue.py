"""However many jobs wait, a tick and a new job look at few of them: what SQLite says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from job_house import OWNER, House, job
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, event, select

from carbon.domain.jobs import JobState
from carbon.services.context import Context
from carbon.services.jobs.plan_inputs import Wish
from carbon.storage.engine import reading, writing
from carbon.storage.job_queries import due_jobs, get_job, page_of_jobs, place, still_placed
from carbon.storage.jobs import job as jobs_table
from carbon.storage.pools import planned_spans, pools_in_use
from carbon.storage.waiting import waiting_jobs

WAITING = [JobState.WAITING, JobState.RUNNING]
BY_POOL = "ix_job_pool_id_state_holds_from_ms_holds_until_ms"


def plan_of(engine: Engine, ask: Callable[[Connection], object]) -> list[str]:
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    with reading(engine) as connection:
        event.listen(engine, "before_cursor_execute", note)
        try:
            ask(connection)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        return [
            row[3]
            for statement, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]


@pytest.mark.parametrize(
    ("index", "ask"),
    [
        ("ix_job_state_due_ms", lambda c: due_jobs(c, 0, set())),
        (f"COVERING INDEX {BY_POOL}", lambda c: planned_spans(c, 1)),
        (f"COVERING INDEX {BY_POOL}", lambda c: pools_in_use(c)),
        # By id alone: by state it walked all that wait, for each few hundred that were moved.
        ("sqlite_autoindex_job_1 (id=?)", lambda c: still_placed(c, {"a": 1, "b": 2})),
        ("ix_job_state_created_ms_id", lambda c: page_of_jobs(c, None, WAITING, 50, None)),
        ("ix_job_state_created_ms_id", lambda c: page_of_jobs(c, None, WAITING, 50, (1, "a"))),
        ("ix_job_team_id_state_created_ms_id", lambda c: page_of_jobs(c, "a", [], 50, (1, "a"))),
    ],
    ids=["due", "taken", "pools", "moved", "page", "next page", "page of a team"],
)
def test_what_waits_is_found_by_index(
    memory: Engine,
    new_context: Callable[[Engine], Context],
    index: str,
    ask: Callable[[Connection], object],
) -> None:
    new_context(memory)
    told = plan_of(memory, ask)
    assert any(index in plan for plan in told), told
    assert not any(plan.startswith("SCAN job") for plan in told), told
    sorts = [plan for plan in told if "TEMP B-TREE FOR ORDER BY" in plan]
    assert index == "ix_job_state_due_ms" or not sorts, told


def test_what_waits_is_read_in_order_of_deadline_as_its_plan_is_told_it(
    engine: Engine, tmp_path: Path
) -> None:
    house = House.build(engine, tmp_path)
    house.forecast(400, 300, 100, 300, 400, 400)
    late = house.jobs.submit(OWNER, job(deadline="6h", interruptible=True))
    soon = house.jobs.submit(OWNER, job(deadline="5h", name="soon"))
    with reading(engine) as connection:
        found = waiting_jobs(connection)
        rows = [get_job(connection, one.id) for one in (soon, late)]
    assert [one.id for one in found] == [soon.id, late.id]
    assert [Wish.of(one) for one in found] == [Wish.of(row) for row in rows]
    assert [one.interruptible for one in found] == [False, True]
    assert [one.start_ms for one in found] == [r.placement.start_ms for r in rows if r.placement]


def test_a_new_plan_is_put_in_force_for_those_that_still_stand_where_they_were_seen(
    engine: Engine, tmp_path: Path
) -> None:
    house = House.build(engine, tmp_path)
    house.forecast(400, 300, 100, 300, 400, 400)
    ids = [house.jobs.submit(OWNER, job(name=f"n{i}")).id for i in range(3)]
    with writing(engine) as connection:
        before = {one: get_job(connection, one).placement for one in ids}
        seen = {one: placed.id for one, placed in before.items() if placed}
        assert still_placed(connection, seen | {ids[0]: 0}) == set(ids[1:])
        moved = [
            (one, replace(placed, start_ms=placed.latest_start_ms + 1, end_ms=placed.end_ms + 1))
            for one, placed in before.items()
            if placed and one != ids[0]
        ]
        first = before[ids[0]]
        assert first is not None
        place(connection, moved, first.plan_id)
        assert get_job(connection, ids[0]).placement == first
        for one, told in moved:
            stored = get_job(connection, one).placement
            assert stored is not None
            assert stored == replace(told, id=stored.id, plan_id=first.plan_id)
            row = connection.execute(select(jobs_table).where(jobs_table.c.id == one)).one()
            assert (row.placement_id, row.reason) == (stored.id, str(told.reason))
            assert row.due_ms == told.latest_start_ms
            assert (row.holds_from_ms, row.holds_until_ms) == (told.start_ms, told.end_ms)
        assert still_placed(connection, seen) == {ids[0]}
