"""Pools: the capacity that jobs share, and who holds it when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Select,
    bindparam,
    case,
    func,
    select,
    union_all,
    update,
)

from carbon.domain.jobs import JobState
from carbon.storage.attempts import LIVE_STATES
from carbon.storage.jobs import attempt, job, pool
from carbon.storage.upsert import insert_new


@dataclass(frozen=True, slots=True)
class PoolRow:
    id: int
    name: str
    #: None takes the executor's default.
    capacity: int | None
    #: JSON, as `services.pools` reads it.
    preference: str
    weights: str


@dataclass(frozen=True, slots=True)
class PoolUse:
    """A pool and what is in it: counted where it is asked for, since many may wait."""

    pool: PoolRow
    running: int
    waiting: int


# Statements are built once: on the path of every submission, building one costs more than
# running it.


def _columns() -> tuple[ColumnElement[Any], ...]:
    return pool.c.id, pool.c.name, pool.c.capacity, pool.c.preference, pool.c.weights


@cache
def _used() -> Select[Any]:
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
    counts = running.scalar_subquery(), waiting.scalar_subquery()
    return select(*_columns(), *counts).order_by(pool.c.name)


def pools_in_use(connection: Connection) -> list[PoolUse]:
    """All pools, by name."""
    return [PoolUse(PoolRow(*row[:5]), *row[5:]) for row in connection.execute(_used())]


def all_pools(connection: Connection) -> list[PoolRow]:
    return [PoolRow(*row) for row in connection.execute(_all())]


@cache
def _all() -> Select[Any]:
    return select(*_columns()).order_by(pool.c.name)


def running_in(connection: Connection) -> Counter[int]:
    """The live attempts of each pool, by its id, as `PoolUse` counts them."""
    return Counter({row[0]: row[1] for row in connection.execute(_running())})


@cache
def _running() -> Select[Any]:
    return (
        select(job.c.pool_id, func.count())
        .join(attempt, attempt.c.job_id == job.c.id)
        .where(attempt.c.state.in_([str(s) for s in LIVE_STATES]))
        .group_by(job.c.pool_id)
    )


@cache
def _named() -> Select[Any]:
    return select(*_columns()).where(pool.c.name == bindparam("name"))


def find_pool(connection: Connection, name: str) -> PoolRow | None:
    row = connection.execute(_named(), {"name": name}).first()
    return PoolRow(*row) if row else None


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
    known = {"pool_id": pool_id}
    spans = connection.execute(_spans(are_waiting), known)
    found = [(row[0], row[1], row[2]) for row in spans]
    if but_for is not None:
        own = connection.execute(_own(), {**known, "id": but_for})
        found += [(row[0], row[1], -1) for row in own if are_waiting or not row[2]]
    jobs: Counter[tuple[int, int]] = Counter()
    for start_ms, end_ms, count in found:
        jobs[start_ms, end_ms] += count
    return [(*span, count) for span, count in sorted(jobs.items()) if count > 0]


@cache
def _spans(are_waiting: bool) -> Executable:
    return union_all(_begun(), _waiting()) if are_waiting else _begun()


def _waiting() -> Select[int, int, int]:
    """From one index alone: a hundred thousand may wait."""
    c = job.c
    span = c.holds_from_ms, c.holds_until_ms
    return (
        select(*span, func.count().label("jobs"))
        .where(c.pool_id == bindparam("pool_id"), c.state == str(JobState.WAITING))
        .where(c.holds_from_ms.is_not(None))
        .group_by(*span)
    )


def _begun() -> Select[int, int, int]:
    """For as long as was planned, from when each really began."""
    states = [str(s) for s in JobState if not s.is_final and s is not JobState.WAITING]
    start_ms, end_ms = _really()
    return (
        select(start_ms, end_ms, func.count())
        .where(job.c.pool_id == bindparam("pool_id"), job.c.state.in_(states))
        .where(job.c.holds_from_ms.is_not(None))
        .group_by(start_ms, end_ms)
    )


@cache
def _own() -> Select[Any]:
    """(start_ms, end_ms, whether it waits) of one unfinished job of the pool."""
    states = [str(s) for s in JobState if not s.is_final]
    waits = job.c.state == str(JobState.WAITING)
    start_ms, end_ms = _really()
    return select(
        case((waits, job.c.holds_from_ms), else_=start_ms),
        case((waits, job.c.holds_until_ms), else_=end_ms),
        waits,
    ).where(
        job.c.id == bindparam("id"),
        job.c.pool_id == bindparam("pool_id"),
        job.c.state.in_(states),
        job.c.holds_from_ms.is_not(None),
    )


def _really() -> tuple[ColumnElement[int], ColumnElement[int]]:
    start_ms = func.coalesce(job.c.start_ms, job.c.holds_from_ms)
    return start_ms, start_ms + job.c.holds_until_ms - job.c.holds_from_ms
