"""However many jobs wait, a tick and a new job look at few of them: what SQLite says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from carbon.domain.jobs import JobState
from carbon.services.context import Context
from carbon.storage.engine import reading
from carbon.storage.job_queries import due_jobs, page_of_jobs, still_placed
from carbon.storage.pools import planned_spans, pools_in_use

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
