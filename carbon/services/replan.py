"""Places waiting jobs anew when the intensity has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import func, select

from carbon.domain.intensity import RatedPoint
from carbon.domain.jobs import JobState, PlacementReason
from carbon.executors.registry import Executors
from carbon.services.context import Context
from carbon.services.job_plans import is_better, points_until, zone_of
from carbon.services.job_submission import placement_of
from carbon.storage.engine import reading, writing
from carbon.storage.intensity import intensity_vintage
from carbon.storage.job_queries import JobRow, get_job, place, waiting_jobs
from carbon.storage.leases import Lease, check_lease

#: Placements that no intensity changes.
_FIXED = frozenset(
    {
        PlacementReason.ASKED_TO_START,
        PlacementReason.LENGTH_UNKNOWN,
        PlacementReason.SCHEDULER_PAUSED,
    }
)


def newest_vintage(context: Context) -> int:
    """Grows with every publication stored; 0 where there is none."""
    with reading(context.engine) as connection:
        return connection.scalar(select(func.max(intensity_vintage.c.id))) or 0


def replan(context: Context, executors: Executors, lease: Lease) -> int:
    """Answers how many jobs were moved. A job that is due is left alone."""
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        waiting = [job for job in waiting_jobs(connection) if _may_move(job, now_ms)]
    points = _points_by_zone(context, waiting)
    moved = 0
    for job in waiting:
        moved += _replan_one(context, executors, lease, job, points[_zone(context, job)])
    return moved


def _may_move(job: JobRow, now_ms: int) -> bool:
    placed = job.placement
    return placed is None or (placed.start_ms > now_ms and placed.reason not in _FIXED)


def _zone(context: Context, job: JobRow) -> str:
    return job.placement.zone if job.placement else zone_of(context, job.zones)


def _points_by_zone(context: Context, jobs: Sequence[JobRow]) -> dict[str, list[RatedPoint]]:
    until_ms: dict[str, int] = {}
    for job in jobs:
        zone = _zone(context, job)
        until_ms[zone] = max(until_ms.get(zone, 0), job.deadline_ms)
    return {zone: points_until(context, zone, end_ms) for zone, end_ms in until_ms.items()}


def _replan_one(
    context: Context,
    executors: Executors,
    lease: Lease,
    seen: JobRow,
    points: Sequence[RatedPoint],
) -> bool:
    zone = _zone(context, seen)
    with writing(context.engine) as connection:
        check_lease(connection, lease)
        job = get_job(connection, seen.id)
        if job.state is not JobState.WAITING or job.placement != seen.placement:
            return False
        new, old = placement_of(context, executors, connection, job, zone, points), job.placement
        if old is not None:
            if not is_better(new, old, points):
                return False
            # What it would have cost at once is a matter of when it was submitted.
            new = replace(new, start_now_g=old.start_now_g)
        place(connection, job.id, new)
        return True
