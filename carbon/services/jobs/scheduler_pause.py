"""Pausing the scheduler: no job is moved any more, and what waits is handed its start at once.

For the day on which somebody must be sure that carbon holds nothing back. Pools keep their
capacity, and each job its earliest start.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from carbon.clock import to_rfc3339
from carbon.domain.jobs import PlacementReason
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.context import Context
from carbon.storage import audit
from carbon.storage.engine import reading, writing
from carbon.storage.job_queries import place
from carbon.storage.leases import SCHEDULER, Lease, check_lease, held
from carbon.storage.scheduler_pauses import (
    begin_pause,
    current_pause,
    end_pause,
    held_jobs,
)
from carbon.storage.screens import jobs_by_state
from carbon.wire.scheduler import PauseAnswer, SchedulerAnswer

PAUSED: Final = "scheduler.paused"
RESUMED: Final = "scheduler.resumed"
#: Jobs released in one transaction: a SQLite lock stays short.
_AT_ONCE: Final = 100


def pause_scheduler(context: Context, principal: Principal, reason: str) -> SchedulerAnswer:
    """Pausing twice is once; the first reason stays. Needs the scope `teams:all`."""
    principal.require(Scope.JOBS_WRITE)
    principal.require(Scope.ALL_TEAMS)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        if current_pause(connection) is None:
            begin_pause(connection, now_ms, principal.key_id, reason)
            audit.append(connection, now_ms, principal.key_id, PAUSED, "scheduler", {})
    return scheduler_status(context)


def resume_scheduler(context: Context, principal: Principal) -> SchedulerAnswer:
    """Jobs that come from now on are planned again; those handed their start keep it."""
    principal.require(Scope.JOBS_WRITE)
    principal.require(Scope.ALL_TEAMS)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        if current_pause(connection) is not None:
            end_pause(connection, now_ms, principal.key_id)
            audit.append(connection, now_ms, principal.key_id, RESUMED, "scheduler", {})
    return scheduler_status(context)


def scheduler_status(context: Context) -> SchedulerAnswer:
    """Who leads, whether it is paused, and how many jobs wait and run."""
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        lease, pause = held(connection, SCHEDULER), current_pause(connection)
        states = jobs_by_state(connection, None)
    return SchedulerAnswer(
        leader=lease.holder if lease else None,
        is_alive=lease is not None and lease.expires_ms > now_ms,
        epoch=lease.epoch if lease else None,
        paused=None
        if pause is None
        else PauseAnswer(to_rfc3339(pause.began_ms), pause.began_by, pause.reason),
        waiting=states.get("waiting", 0),
        starting=states.get("starting", 0),
        running=states.get("running", 0),
    )


def release_waiting(context: Context, lease: Lease) -> int:
    """While paused: gives every job that waits for a window its start now. Answers how many."""
    with reading(context.engine) as connection:
        if current_pause(connection) is None:
            return 0
    released = 0
    while True:
        now_ms = context.clock.now_ms()
        with writing(context.engine) as connection:
            check_lease(connection, lease)
            some = held_jobs(connection, now_ms, _AT_ONCE)
            for job in some:
                placed = job.placement
                assert placed is not None
                decision = replace(
                    placed,
                    start_ms=now_ms,
                    end_ms=now_ms + (job.length_ms or placed.end_ms - placed.start_ms),
                    expected_g=placed.start_now_g,
                    reason=PlacementReason.SCHEDULER_PAUSED,
                    decided_ms=now_ms,
                    segments=(),
                    plan_id=None,
                )
                place(connection, [(job.id, decision)])
        released += len(some)
        if len(some) < _AT_ONCE:
            return released
