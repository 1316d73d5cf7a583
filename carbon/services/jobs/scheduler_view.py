"""Who schedules, what waits, what began late, and what the executors had to tell."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_DAY
from carbon.services.context import Context
from carbon.services.jobs.pools import list_pools
from carbon.storage.engine import reading
from carbon.storage.leases import SCHEDULER, held
from carbon.storage.screens import executor_trouble, jobs_by_state, late_starts
from carbon.wire.jobs import PoolAnswer

_GRACE_MS: Final = 15_000
_MOST_TROUBLE: Final = 20


class Leadership(Struct, frozen=True):
    holder: str
    epoch: int
    until_ms: int
    #: Whether its lease holds now.
    is_alive: bool


class Trouble(Struct, frozen=True):
    attempt: str
    job: str
    executor: str
    state: str
    at_ms: int
    detail: str


class SchedulerView(Struct, frozen=True):
    generated_ms: int
    timezone: str
    leader: Leadership | None
    states: dict[str, int]
    pools: list[PoolAnswer]
    #: Attempts begun in the last 7 days, and those more than 15 s behind their plan.
    begun: int
    begun_late: int
    trouble: list[Trouble]


def scheduler_view(context: Context, principal: Principal) -> SchedulerView:
    """Leader and pools are everybody's; jobs are of the principal's own team unless it sees all."""
    team = None if principal.sees_all_teams else principal.team
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        lease = held(connection, SCHEDULER)
        states = jobs_by_state(connection, team)
        begun, late = late_starts(connection, now_ms - 7 * MS_PER_DAY, _GRACE_MS, team)
        told = executor_trouble(connection, _MOST_TROUBLE, team)
    leader = (
        Leadership(lease.holder, lease.epoch, lease.expires_ms, lease.expires_ms > now_ms)
        if lease
        else None
    )
    return SchedulerView(
        now_ms,
        context.settings.timezone,
        leader,
        states,
        list_pools(context).pools,
        begun,
        late,
        [Trouble(t.attempt, t.job, t.executor, t.state, t.handed_over_ms, t.detail) for t in told],
    )
