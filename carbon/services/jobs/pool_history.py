"""A pool's recorded arrivals served in turn, without deferral: when each job would have begun."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from sqlalchemy import Connection

from carbon.domain.units import MS_PER_DAY
from carbon.executors.registry import Executors
from carbon.services.jobs.pools import capacity_of
from carbon.storage.job_history import Came, came_before
from carbon.storage.job_queries import JobRow
from carbon.storage.pools import find_pool

#: What came earlier than so long before a job is taken to be done.
_LOOKED_BACK_MS = 2 * MS_PER_DAY


def counterfactual_start_ms(connection: Connection, executors: Executors, job: JobRow) -> int:
    """When the job could have begun had its pool deferred nobody: at once where there was room,
    else after those that came before it."""
    at_ms = max(job.created_ms, job.earliest_ms)
    pool = find_pool(connection, job.pool)
    if pool is None:
        return at_ms
    before = came_before(connection, pool.id, job.id, at_ms, at_ms - _LOOKED_BACK_MS)
    return first_place_ms(before, capacity_of(pool, executors), at_ms)


def first_place_ms(before: Sequence[Came], capacity: int, at_ms: int) -> int:
    """`before` are (could begin, ran for) of earlier jobs, in the order in which they came."""
    ends: list[int] = []
    for could_begin_ms, ran_ms in before:
        begin_ms = could_begin_ms
        if len(ends) >= capacity:
            begin_ms = max(begin_ms, heappop(ends))
        heappush(ends, begin_ms + ran_ms)
    return max(at_ms, ends[0]) if len(ends) >= capacity else at_ms
