"""Places waiting jobs anew when the intensity has changed, or when a pool had to share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from sqlalchemy import func, select

from carbon.domain.jobs import PlacementReason
from carbon.domain.units import MS_PER_HOUR
from carbon.executors.registry import Executors
from carbon.services.context import Context
from carbon.services.jobs.group_plans import plan_of
from carbon.services.jobs.plan_inputs import Stand, Taken, Wish
from carbon.services.jobs.plan_points import points_until
from carbon.services.jobs.plan_records import inputs_for, keep
from carbon.services.jobs.plans import zone_of
from carbon.storage.engine import need_not_last, reading, writing
from carbon.storage.intensity import intensity_vintage
from carbon.storage.job_queries import PlacementRow, Span, place, still_placed
from carbon.storage.leases import Lease, check_lease
from carbon.storage.plans import newest_plan
from carbon.storage.pools import find_pool, planned_spans
from carbon.storage.waiting import WaitingJob, waiting_jobs

#: A background write holds SQLite's lock for some 20 ms at most.
_WRITTEN_AT_ONCE: Final = 500
#: Placements that no intensity changes.
_FIXED = frozenset(
    {
        str(PlacementReason.ASKED_TO_START),
        str(PlacementReason.LENGTH_UNKNOWN),
        str(PlacementReason.SCHEDULER_PAUSED),
    }
)


def newest_vintage(context: Context) -> int:
    """Grows with every publication stored; 0 where there is none."""
    with reading(context.engine) as connection:
        return connection.scalar(select(func.max(intensity_vintage.c.id))) or 0


def newest_sharing(context: Context) -> int:
    """Changes with every plan of a pool that could not hold all its jobs: what came first has
    taken what is to be shared, until all are planned at once."""
    with reading(context.engine) as connection:
        since_ms = context.clock.now_ms() - MS_PER_HOUR
        return newest_plan(connection, "in_turns", since_ms)


def replan(context: Context, executors: Executors, lease: Lease) -> int:
    """Answers how many jobs were moved. A job that is due is left alone."""
    now_ms = context.clock.now_ms()
    zone = cache(lambda stated: zone_of(context, stated))
    with reading(context.engine) as connection:
        waiting = waiting_jobs(connection)
    by_pool: dict[str, list[WaitingJob]] = defaultdict(list)
    for job in waiting:
        by_pool[job.pool].append(job)
    moved = 0
    for pool, jobs in by_pool.items():
        groups: dict[str, list[WaitingJob]] = defaultdict(list)
        for job in jobs:
            if _may_move(job, now_ms):
                groups[job.zone or zone(job.stated_zones)].append(job)
        held = _Held.of(jobs)
        for name, some in groups.items():
            moved += _replan_group(context, executors, lease, pool, name, some, held)
    return moved


def _may_move(job: WaitingJob, now_ms: int) -> bool:
    return job.start_ms is None or (job.start_ms > now_ms and job.reason not in _FIXED)


class _Held:
    """How many waiting jobs of a pool hold which span by plan."""

    def __init__(self) -> None:
        self._spans: Counter[Span] = Counter()

    @classmethod
    def of(cls, jobs: Iterable[WaitingJob]) -> _Held:
        held = cls()
        held.take(jobs)
        return held

    def take(self, jobs: Iterable[WaitingJob]) -> None:
        self._spans.update(span for job in jobs if (span := _span(job)))

    def give_back(self, jobs: Iterable[WaitingJob]) -> None:
        self._spans.subtract(span for job in jobs if (span := _span(job)))

    def add(self, placements: Iterable[PlacementRow]) -> None:
        self._spans.update((p.start_ms, p.end_ms) for p in placements)

    def taken(self) -> list[Taken]:
        return [(*span, jobs) for span, jobs in sorted(self._spans.items()) if jobs > 0]


def _span(job: WaitingJob) -> Span | None:
    return None if job.start_ms is None or job.end_ms is None else (job.start_ms, job.end_ms)


def _replan_group(
    context: Context,
    executors: Executors,
    lease: Lease,
    pool_name: str,
    zone: str,
    jobs: Sequence[WaitingJob],
    held: _Held,
) -> int:
    """The jobs of one pool and zone at once, beside what runs and what waits elsewhere."""
    points = points_until(context, zone, max(job.deadline_ms for job in jobs))
    held.give_back(jobs)
    wishes = [Wish.of(job, _stand(job)) for job in jobs]
    with reading(context.engine) as connection:
        pool = find_pool(connection, pool_name)
        assert pool is not None  # a job's pool is never removed
        inputs = inputs_for(
            context,
            executors,
            connection,
            pool,
            zone,
            points,
            wishes,
            [*planned_spans(connection, pool.id, are_waiting=False), *held.taken()],
        )
    made = plan_of(inputs)
    held.add(made.placements)
    moved = [
        (job, new)
        for job, wish, new in zip(jobs, wishes, made.placements, strict=True)
        if wish.stands is None
        or (wish.stands.start_ms, wish.stands.segments) != (new.start_ms, new.segments)
    ]
    if not moved:
        return 0
    with writing(context.engine) as connection:
        check_lease(connection, lease)
        plan_id = keep(connection, pool, inputs, made)
    # Jobs that came together lie together: a transaction touches a tenth of the pages.
    moved.sort(key=lambda one: one[0].id)
    parts = range(0, len(moved), _WRITTEN_AT_ONCE)
    return sum(
        _put_in_force(context, lease, moved[i : i + _WRITTEN_AT_ONCE], plan_id) for i in parts
    )


def _stand(job: WaitingJob) -> Stand | None:
    if job.start_ms is None or job.end_ms is None:
        return None
    return Stand(job.start_ms, job.end_ms, job.start_now_g, job.segments)


def _put_in_force(
    context: Context,
    lease: Lease,
    moved: Sequence[tuple[WaitingJob, PlacementRow]],
    plan_id: int,
) -> int:
    """Those that have neither begun nor been placed by somebody else meanwhile. What a crash
    undoes keeps the places that it had, and is planned with the next forecast."""
    seen = {job.id: job.placement_id for job, _ in moved}
    with writing(context.engine) as connection:
        need_not_last(connection)
        check_lease(connection, lease)
        unchanged = still_placed(connection, seen)
        decisions = [(job.id, new) for job, new in moved if job.id in unchanged]
        place(connection, decisions, plan_id)
    return len(decisions)
