"""Jobs that their own users hold at an engine: taken up as jobs of ours, planned and let go.

    seen for the first time     a job of ours under the engine's own name of it, with a placement
    changed by its user         planned anew
    waits at the engine no more its start is handed over now, which tells what became of it
    cancelled here              cancelled there

Nothing is kept that the engine does not tell again: a leader that starts anew sees the same jobs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace
from sqlalchemy import Connection

from carbon.domain.jobs import JobState, PlacementReason
from carbon.domain.tenancy import automatic_name, parse_workload
from carbon.errors import InvalidInput
from carbon.executors.executor import ExecutorAway, Handle
from carbon.executors.held_jobs import HeldJob, HoldingExecutor
from carbon.executors.registry import Executors
from carbon.services.context import Context
from carbon.services.jobs.lanes import Lanes
from carbon.services.jobs.plan_points import points_until
from carbon.services.jobs.plans import margin_ms, zone_of
from carbon.services.jobs.requests import JobRequest, JobSpec, class_of
from carbon.services.jobs.submission import Newcomers, place_anew, placements_of
from carbon.storage.engine import reading, writing
from carbon.storage.job_queries import (
    NO_HINTS,
    JobRow,
    NewJob,
    insert_jobs,
    jobs_of_executor,
    jobs_of_ids,
    place,
    set_deadline,
)
from carbon.storage.leases import Lease, check_lease

#: A deadline that has moved by less is a rounding.
_SAME_MS: Final = 2_000
#: Jobs taken up in one transaction: a SQLite lock stays short.
_AT_ONCE: Final = 200
_UNNAMEABLE: Final = re.compile(r"[^\w.:@+-]+")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeldJobs:
    """What a leader does with the jobs that are held at its engines."""

    context: Context
    executors: Executors
    lease: Lease

    def follow(self, lanes: Lanes) -> None:
        """One look at every such engine. One that is away is looked at again later: until then
        it starts its jobs by itself, in time."""
        for executor in self.executors.values():
            if isinstance(executor, HoldingExecutor):
                lanes.run(executor.name, "held", partial(self._guarded, executor))
        lanes.settle()

    def _guarded(self, executor: HoldingExecutor) -> None:
        try:
            self._follow(executor)
        except ExecutorAway as away:
            _log.warning("jobs held at %s are not seen: %s", executor.name, away.detail)

    def _follow(self, executor: HoldingExecutor) -> None:
        held = {job.job_id: job for job in executor.held()}
        with reading(self.context.engine) as connection:
            known = {row.id: row for row in jobs_of_ids(connection, held)}
            waiting = jobs_of_executor(connection, executor.name, JobState.WAITING)
        for row in known.values():
            if row.state is JobState.CANCELLED:
                executor.cancel(Handle(f"{row.id}-0"))
        self._let_go([row for row in waiting if row.id not in held])
        self._plan_changed([(row, held[row.id]) for row in waiting if row.id in held])
        new = [job for job in held.values() if job.job_id not in known]
        for first in range(0, len(new), _AT_ONCE):
            self._take_up(executor.name, new[first : first + _AT_ONCE])

    def _take_up(self, executor: str, held: Sequence[HeldJob]) -> None:
        zone = zone_of(self.context, ())
        points = points_until(self.context, zone, max(job.deadline_ms for job in held))
        with writing(self.context.engine) as connection:
            check_lease(connection, self.lease)
            asked = [(job, request) for job in held if (request := _request(executor, job))]
            requests = [request for _, request in asked]
            newcomers = Newcomers(connection, self.context.clock.now_ms(), requests)
            rows = [_row(newcomers, *each) for each in asked]
            if rows:
                pool = newcomers.pools[rows[0].pool]
                placed = placements_of(
                    self.context, self.executors, connection, pool, rows, zone, points
                )
                insert_jobs(connection, list(map(NewJob, rows, placed)))

    def _plan_changed(self, pairs: Collection[tuple[JobRow, HeldJob]]) -> None:
        for row, job in pairs:
            deadline_ms = _deadline_ms(job, row.length_ms)
            if abs(deadline_ms - row.deadline_ms) <= _SAME_MS:
                continue
            zone = row.placement.zone if row.placement else zone_of(self.context, ())
            points = points_until(self.context, zone, deadline_ms)
            with writing(self.context.engine) as connection:
                check_lease(connection, self.lease)
                set_deadline(connection, row.id, deadline_ms)
                changed = replace(row, deadline_ms=deadline_ms)
                place_anew(self.context, self.executors, connection, changed, zone, points)

    def _let_go(self, rows: Sequence[JobRow]) -> None:
        """They wait there no more: begun, ended or cancelled by others, as dispatch will see."""
        if not rows:
            return
        with writing(self.context.engine) as connection:
            check_lease(connection, self.lease)
            _start_now(connection, rows, self.context.clock.now_ms())


def _start_now(connection: Connection, rows: Sequence[JobRow], now_ms: int) -> None:
    decisions = [
        (
            row.id,
            replace(
                row.placement,
                start_ms=now_ms,
                end_ms=now_ms + row.placement.end_ms - row.placement.start_ms,
                expected_g=row.placement.start_now_g,
                reason=PlacementReason.LEFT_THE_QUEUE,
                decided_ms=now_ms,
            ),
        )
        for row in rows
        if row.placement is not None and row.placement.start_ms > now_ms
    ]
    place(connection, decisions)


def _request(executor: str, job: HeldJob) -> JobRequest | None:
    """None where its team or name can stand in no ledger: its engine starts it in time."""
    team = _UNNAMEABLE.sub("-", job.team)[:90].strip("-") or "unknown"
    try:
        workload = parse_workload(f"{team}/{automatic_name(job.name) or 'auto-job'}", team)
    except InvalidInput as error:
        _log.warning("%s is not taken up: %s", job.job_id, error.detail)
        return None
    return JobRequest(
        name=job.name[:200] or "job",
        workload=workload,
        executor=executor,
        pool=executor,
        pool_is_named=False,
        job_class=class_of(executor, None, job.size),
        spec=JobSpec([]),
        earliest_ms=max(job.submitted_ms, job.earliest_ms),
        deadline_ms=job.deadline_ms,
        length_ms=job.limit_ms,
        power_w=job.power_w,
        interruptible=False,
        pauses=NO_HINTS,
        priority=0,
        retries=0,
        zones=(),
        body_hash="",
    )


def _row(newcomers: Newcomers, job: HeldJob, request: JobRequest) -> JobRow:
    row = newcomers.row(request)
    return replace(
        row,
        id=job.job_id,
        created_ms=job.submitted_ms,
        deadline_ms=_deadline_ms(job, row.length_ms),
    )


def _deadline_ms(job: HeldJob, length_ms: int | None) -> int:
    """Its user's own, unless its engine starts it so early that it ends before: there is no
    point in planning for later than that."""
    length_ms = length_ms or 0
    return min(job.deadline_ms, job.latest_ms + length_ms + margin_ms(length_ms))
