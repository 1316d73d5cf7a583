"""Jobs that wait, as the planner reads a hundred thousand of them: what a plan needs, no more."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Final

import msgspec
from sqlalchemy import Connection

from carbon.domain.jobs import JobState
from carbon.storage.engine import execute
from carbon.storage.job_queries import Span, segments_of


class WaitingJob(msgspec.Struct, frozen=True, gc=False):
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


#: As plain text: of each row SQLAlchemy would make an object that costs more than all that is read.
#: In the order in which they came, since jobs that came together lie together.
_WAITING: Final = f"""
SELECT job.id, team.name, pool.name, job.zones, job.earliest_ms, job.deadline_ms, job.length_ms,
  job.power_w, job.interruptible, job.priority, job.hints,
  p.id, p.zone, p.start_ms, p.end_ms, p.start_now_g, p.reason, p.segments
FROM job
JOIN team ON team.id = job.team_id
JOIN pool ON pool.id = job.pool_id
LEFT JOIN placement p ON p.id = job.placement_id
WHERE job.state = '{JobState.WAITING.value}'
ORDER BY job.created_ms, job.id"""
_INTERRUPTIBLE: Final = 8


def waiting_jobs(connection: Connection) -> list[WaitingJob]:
    """In order of deadline."""
    at = _INTERRUPTIBLE
    found = [
        WaitingJob(*[*row[:at], bool(row[at]), *row[at + 1 :]])
        for row in execute(connection, _WAITING).fetchall()
    ]
    found.sort(key=attrgetter("deadline_ms", "id"))
    return found
