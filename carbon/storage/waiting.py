"""Jobs that wait, as the planner reads a hundred thousand of them: what a plan needs, no more."""

from __future__ import annotations

import json
from typing import NamedTuple

from sqlalchemy import Connection, select

from carbon.domain.jobs import JobState
from carbon.storage.job_queries import Span, segments_of
from carbon.storage.jobs import job, placement, pool
from carbon.storage.names import team


class WaitingJob(NamedTuple):
    id: str
    team: str
    pool: str
    zones: str
    earliest_ms: int
    deadline_ms: int
    length_ms: int | None
    power_w: float | None
    interruptible: bool
    priority: int
    hints: str | None
    #: Of its placement in force; None where it has none.
    placement_id: int | None
    zone: str | None
    start_ms: int | None
    end_ms: int | None
    start_now_g: float | None
    reason: str | None
    segments_text: str | None

    @property
    def segments(self) -> tuple[Span, ...]:
        return segments_of(self.segments_text)

    @property
    def stated_zones(self) -> tuple[str, ...]:
        return tuple(json.loads(self.zones))


def waiting_jobs(connection: Connection) -> list[WaitingJob]:
    """In order of deadline."""
    c, p = job.c, placement.c
    query = (
        select(
            c.id,
            team.c.name,
            pool.c.name,
            c.zones,
            c.earliest_ms,
            c.deadline_ms,
            c.length_ms,
            c.power_w,
            c.interruptible,
            c.priority,
            c.hints,
            p.id,
            p.zone,
            p.start_ms,
            p.end_ms,
            p.start_now_g,
            p.reason,
            p.segments,
        )
        .join(team, team.c.id == c.team_id)
        .join(pool, pool.c.id == c.pool_id)
        .outerjoin(placement, p.id == c.placement_id)
        .where(c.state == str(JobState.WAITING))
        .order_by(c.deadline_ms, c.id)
    )
    return list(map(WaitingJob._make, connection.execute(query)))
