"""Places waiting jobs anew when the intensity has changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select

from carbon.domain.jobs import PlacementReason
from carbon.executors.registry import Executors
from carbon.services.context import Context
from carbon.services.group_plans import decide_group, in_turns
from carbon.services.job_plans import Wish, points_until, zone_of
from carbon.services.pools import capacity_of
from carbon.storage.engine import reading, writing
from carbon.storage.intensity import intensity_vintage
from carbon.storage.job_queries import JobRow, PlacementRow, place, still_placed, waiting_jobs
from carbon.storage.leases import Lease, check_lease
from carbon.storage.pools import find_pool, planned_spans

#: A background write holds SQLite's lock for some 20 ms at most.
_WRITTEN_AT_ONCE: Final = 500
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
    groups: dict[tuple[str, str], list[JobRow]] = defaultdict(list)
    for job in waiting:
        groups[job.pool, _zone(context, job)].append(job)
    return sum(
        _replan_group(context, executors, lease, pool, zone, jobs)
        for (pool, zone), jobs in groups.items()
    )


def _may_move(job: JobRow, now_ms: int) -> bool:
    placed = job.placement
    return placed is None or (placed.start_ms > now_ms and placed.reason not in _FIXED)


def _zone(context: Context, job: JobRow) -> str:
    return job.placement.zone if job.placement else zone_of(context, job.zones)


def _replan_group(
    context: Context,
    executors: Executors,
    lease: Lease,
    pool_name: str,
    zone: str,
    jobs: Sequence[JobRow],
) -> int:
    """The jobs of one pool and zone at once, each with its own place in mind."""
    points = points_until(context, zone, max(job.deadline_ms for job in jobs))
    jobs = in_turns(jobs)
    with reading(context.engine) as connection:
        pool = find_pool(connection, pool_name)
        assert pool is not None  # a job's pool is never removed
        spans = planned_spans(connection, pool.id)
    old = [job.placement for job in jobs]
    wishes = [Wish.of(job) for job in jobs]
    capacity, now_ms = capacity_of(pool, executors), context.clock.now_ms()
    new = decide_group(wishes, zone, points, spans, capacity, now_ms, old)
    moved = [
        (job, decision)
        for job, decision in zip(jobs, new, strict=True)
        if job.placement is None or decision.start_ms != job.placement.start_ms
    ]
    parts = range(0, len(moved), _WRITTEN_AT_ONCE)
    return sum(_put_in_force(context, lease, moved[i : i + _WRITTEN_AT_ONCE]) for i in parts)


def _put_in_force(
    context: Context, lease: Lease, moved: Sequence[tuple[JobRow, PlacementRow]]
) -> int:
    """Those that have neither begun nor been placed by somebody else meanwhile."""
    seen = {job.id: job.placement.id if job.placement else None for job, _ in moved}
    with writing(context.engine) as connection:
        check_lease(connection, lease)
        unchanged = still_placed(connection, seen)
        decisions = [(job.id, new) for job, new in moved if job.id in unchanged]
        place(connection, decisions)
    return len(decisions)
