"""Shadow mode: a queue's own jobs replayed as the service would have planned them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from carbon.clock import from_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_S
from carbon.errors import InvalidInput
from carbon.planning.shadow import Hour, QueueJob, Shadow, shadow, span_ms
from carbon.services.context import Context
from carbon.services.grid.intensity import rated_points, stated_zone
from carbon.services.jobs.plans import ASSUMED_POWER_W, zone_of
from carbon.storage.brought_jobs import brought_jobs
from carbon.storage.engine import reading
from carbon.wire.shadow import ShadowAnswer, ShadowBody, ShadowTeam

POWER_ASSUMED: Final = "power_assumed"
#: Of a run it is known when it began, and not since when it had waited.
QUEUE_TIME_UNKNOWN: Final = "queue_time_unknown"
NOT_ACTUAL: Final = "intensity_not_actual"
#: More would keep who asks waiting.
MOST_JOBS: Final = 20_000
USUAL_WAITS_H: Final = (6.0, 24.0)


def shadow_of_jobs(context: Context, body: ShadowBody) -> ShadowAnswer:
    """Of jobs that are told; nothing is stored.

    Raises InvalidInput (`unknown_zone`, `invalid_moment`, `from_the_future`, `missing_intensity`).
    """
    with reading(context.engine) as connection:
        zone = stated_zone(connection, body.zone)
    jobs = [
        QueueJob(
            job.team,
            _moment_ms(job.submit, index),
            max(1, round(job.length_s * MS_PER_S)),
            job.power_w or job.cpus * body.watts_per_cpu,
        )
        for index, job in enumerate(body.jobs)
    ]
    is_assumed = any(job.power_w is None for job in body.jobs)
    waits_h = body.short_wait_h, body.long_wait_h
    return _shadow(context, zone, jobs, waits_h, [POWER_ASSUMED] if is_assumed else [])


def _moment_ms(text: str, index: int) -> int:
    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise InvalidInput("invalid_moment", f"jobs[{index}].submit: {error}") from None


def shadow_of_ledger(
    context: Context,
    principal: Principal,
    start_ms: int,
    end_ms: int,
    zone: str | None = None,
    waits_h: tuple[float, float] = USUAL_WAITS_H,
) -> ShadowAnswer:
    """Of what Slurm's accounts brought (`carbon import sacct`) and began in [start, end), of the
    principal's own team unless it sees all; the newest where there are very many.

    Raises InvalidInput (`unknown_zone`, `missing_intensity`).
    """
    if zone is None:
        zone = zone_of(context, ())
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        zone = stated_zone(connection, zone)
        found = brought_jobs(connection, team, start_ms, end_ms, MOST_JOBS)
    jobs = [
        QueueJob(
            job.team,
            job.start_ms,
            max(1, job.end_ms - job.start_ms),
            job.mean_w or ASSUMED_POWER_W,
        )
        for job in found
    ]
    flags = [POWER_ASSUMED] if any(job.mean_w is None for job in found) else []
    return _shadow(context, zone, jobs, waits_h, [*flags, QUEUE_TIME_UNKNOWN])


def _shadow(
    context: Context,
    zone: str,
    jobs: Sequence[QueueJob],
    waits_h: tuple[float, float],
    flags: list[str],
) -> ShadowAnswer:
    if not jobs:
        return ShadowAnswer(zone, None, None, 0, 0.0, 0.0, 0.0, None, 0.0, 0.0, 0.0, 0.0, [], flags)
    now_ms = context.clock.now_ms()
    if any(job.arrival_ms + job.length_ms > now_ms for job in jobs):
        raise InvalidInput("from_the_future", "a shadow is of jobs that have ended")
    from_ms, until_ms = span_ms(jobs, waits_h[1])
    points = [
        Hour(p.start_ms, p.end_ms, p.g_per_kwh, p.kind.may_credit)
        for p in rated_points(context, zone, from_ms, until_ms)
    ]
    made = shadow(jobs, points, waits_h, context.clock)
    unknown = [NOT_ACTUAL] if made.hours_known_share < 1 else []
    ends_ms = max(job.arrival_ms + job.length_ms for job in jobs)
    return _answer(zone, (min(job.arrival_ms for job in jobs), ends_ms), made, [*flags, *unknown])


def _answer(zone: str, window: tuple[int, int], made: Shadow, flags: list[str]) -> ShadowAnswer:
    whole = made.whole
    return ShadowAnswer(
        zone,
        *window,
        whole.jobs,
        whole.agnostic_g,
        whole.carbon_g,
        whole.agnostic_g - whole.carbon_g,
        1 - whole.normalised if whole.agnostic_g > 0 else None,
        whole.oracle_g,
        whole.mean_delay_h,
        whole.p95_delay_h,
        made.hours_known_share,
        [
            ShadowTeam(team, own.jobs, own.agnostic_g, own.agnostic_g - own.carbon_g)
            for team, own in made.by_team.items()
        ],
        flags,
    )
