"""Pools: the capacity that jobs share, and who holds it when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select, update

from carbon.domain.jobs import JobState
from carbon.storage.attempts import LIVE_STATES
from carbon.storage.jobs import attempt, job, placement, pool
from carbon.storage.upsert import insert_new


@dataclass(frozen=True, slots=True)
class PoolRow:
    id: int
    name: str
    #: None takes the executor's default.
    capacity: int | None
    running: int
    waiting: int
    #: JSON, as `services.pools` reads it.
    preference: str = "{}"
    weights: str = "{}"


# Statements are built once: on the path of every submission, building one costs more than
# running it.


@cache
def _pools() -> Select[Any]:
    """An attempt holds its place until it has ended, also where its job was cancelled."""
    running = (
        select(func.count())
        .select_from(attempt)
        .join(job, job.c.id == attempt.c.job_id)
        .where(job.c.pool_id == pool.c.id, attempt.c.state.in_([str(s) for s in LIVE_STATES]))
    )
    waiting = (
        select(func.count())
        .select_from(job)
        .where(job.c.pool_id == pool.c.id, job.c.state == str(JobState.WAITING))
    )
    return select(
        pool.c.id,
        pool.c.name,
        pool.c.capacity,
        running.scalar_subquery(),
        waiting.scalar_subquery(),
        pool.c.preference,
        pool.c.weights,
    ).order_by(pool.c.name)


def _pool_row(row: Row[*tuple[Any, ...]]) -> PoolRow:
    return PoolRow(*row)


def all_pools(connection: Connection) -> list[PoolRow]:
    return [_pool_row(row) for row in connection.execute(_pools())]


@cache
def _named() -> Select[Any]:
    return _pools().where(pool.c.name == bindparam("name"))


def find_pool(connection: Connection, name: str) -> PoolRow | None:
    row = connection.execute(_named(), {"name": name}).first()
    return _pool_row(row) if row else None


def create_pool(connection: Connection, name: str, now_ms: int) -> None:
    """Without a stated capacity; nothing happens where it exists."""
    insert_new(connection, pool, [{"name": name, "created_ms": now_ms}])


def set_pool_values(connection: Connection, name: str, **values: Any) -> None:
    connection.execute(update(pool).where(pool.c.name == name).values(**values))


def planned_spans(
    connection: Connection,
    pool_id: int,
    but_for: str | None = None,
    are_waiting: bool = True,
) -> list[tuple[int, int, int]]:
    """(start_ms, end_ms, jobs) planned for the pool's jobs but for one, those that wait
    included or not. A job that pauses holds its place meanwhile."""
    known = {"pool_id": pool_id, "but_for": but_for or ""}
    found = connection.execute(_planned(are_waiting), known)
    return [(row[0], row[1], row[2]) for row in found]


@cache
def _planned(are_waiting: bool) -> Select[Any]:
    states = [s for s in JobState if not s.is_final and (are_waiting or s is not JobState.WAITING)]
    start_ms = func.coalesce(job.c.start_ms, placement.c.start_ms).label("start_ms")
    end_ms = (start_ms + placement.c.end_ms - placement.c.start_ms).label("end_ms")
    return (
        select(start_ms, end_ms, func.count())
        .join_from(job, placement, placement.c.id == job.c.placement_id)
        .where(job.c.pool_id == bindparam("pool_id"), job.c.state.in_([str(s) for s in states]))
        .where(job.c.id != bindparam("but_for"))
        .group_by(start_ms, end_ms)
        .order_by(start_ms, end_ms)
    )
