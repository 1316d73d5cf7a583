"""When the scheduler was told to move no job, by whom and why."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import Column, Connection, Select, Table, Text, select, update

from carbon.domain.jobs import JobState, PlacementReason
from carbon.storage.job_queries import JobRow, jobs_where
from carbon.storage.jobs import job, placement
from carbon.storage.schema import Id, Ms, metadata

scheduler_pause = Table(
    "scheduler_pause",
    metadata,
    Column("id", Id, primary_key=True),
    Column("began_ms", Ms, nullable=False),
    Column("began_by", Text, nullable=False),  # id of a key
    Column("reason", Text, nullable=False),
    #: Null while it lasts.
    Column("ended_ms", Ms, nullable=True),
    Column("ended_by", Text, nullable=True),
)


@dataclass(frozen=True, slots=True)
class Pause:
    id: int
    began_ms: int
    began_by: str
    reason: str


def current_pause(connection: Connection) -> Pause | None:
    row = connection.execute(_current()).first()
    return Pause(*row) if row else None


@cache
def _current() -> Select[int, int, str, str]:
    p = scheduler_pause.c
    return select(p.id, p.began_ms, p.began_by, p.reason).where(p.ended_ms.is_(None))


def begin_pause(connection: Connection, now_ms: int, key_id: str, reason: str) -> None:
    connection.execute(
        scheduler_pause.insert().values(began_ms=now_ms, began_by=key_id, reason=reason)
    )


def end_pause(connection: Connection, now_ms: int, key_id: str) -> None:
    connection.execute(
        update(scheduler_pause)
        .where(scheduler_pause.c.ended_ms.is_(None))
        .values(ended_ms=now_ms, ended_by=key_id)
    )


def held_jobs(connection: Connection, now_ms: int, limit: int) -> list[JobRow]:
    """Waiting jobs whose start lies ahead although they might begin now; some of them."""
    return jobs_where(
        connection,
        job.c.state == str(JobState.WAITING),
        placement.c.start_ms > now_ms,
        job.c.earliest_ms <= now_ms,
        placement.c.reason != str(PlacementReason.SCHEDULER_PAUSED),
        limit=limit,
    )
