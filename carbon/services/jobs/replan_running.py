"""Jobs that run and may pause get a new rest when the intensity has changed."""

from __future__ import annotations

from msgspec.structs import replace

from carbon.domain.jobs import JobState, PlacementReason
from carbon.executors.executor import Pausing
from carbon.executors.registry import Executors
from carbon.services.context import Context
from carbon.services.jobs.attempt_pauses import latest_resume_ms, ran_ms
from carbon.services.jobs.group_plans import plan_of
from carbon.services.jobs.plan_inputs import Ongoing, Stand, Wish
from carbon.services.jobs.plan_points import points_until
from carbon.services.jobs.plan_records import inputs_for, keep, taken_of
from carbon.storage.engine import reading, writing
from carbon.storage.job_queries import JobRow, Span, get_job, jobs_where, place
from carbon.storage.jobs import job as jobs
from carbon.storage.leases import Lease, check_lease
from carbon.storage.pools import find_pool

_BEGUN = (JobState.RUNNING, JobState.PAUSED)
#: More do not run at once where anybody pauses them.
_AT_MOST = 500
#: Placements that a newer forecast may change.
_PLANNED = frozenset({PlacementReason.CLEAN_WINDOW, PlacementReason.NOW_IS_CLEANEST})


def replan_running(context: Context, executors: Executors, lease: Lease) -> int:
    """Answers how many have another rest."""
    c = jobs.c
    with reading(context.engine) as connection:
        begun = jobs_where(
            connection,
            c.state.in_([str(state) for state in _BEGUN]),
            c.interruptible.is_(True),
            limit=_AT_MOST,
        )
    now_ms = context.clock.now_ms()
    some = [job for job in begun if _may_change(job, executors, now_ms)]
    return sum(_replan(context, executors, lease, job) for job in some)


def _may_change(job: JobRow, executors: Executors, now_ms: int) -> bool:
    """From its guard on it runs through, whatever anybody plans."""
    return (
        job.placement is not None
        and job.length_ms is not None
        and job.placement.reason in _PLANNED
        and isinstance(executors.get(job.executor), Pausing)
        and now_ms < latest_resume_ms(job, now_ms)
    )


def _replan(context: Context, executors: Executors, lease: Lease, job: JobRow) -> bool:
    placed, now_ms = job.placement, context.clock.now_ms()
    assert placed is not None
    points = points_until(context, placed.zone, job.deadline_ms)
    stands = Stand(placed.start_ms, placed.end_ms, placed.start_now_g, placed.segments)
    wish = replace(Wish.of(job, stands), ongoing=_ongoing(job, now_ms))
    with reading(context.engine) as connection:
        pool = find_pool(connection, job.pool)
        assert pool is not None  # a job's pool is never removed
        inputs = inputs_for(
            context,
            executors,
            connection,
            pool,
            placed.zone,
            points,
            [wish],
            taken_of(connection, pool, job.id),
        )
    made = plan_of(inputs)
    new = made.placements[0]
    if (new.end_ms, new.segments) == (placed.end_ms, placed.segments):
        return False
    with writing(context.engine) as connection:
        check_lease(connection, lease)
        seen = get_job(connection, job.id)
        if seen.state not in _BEGUN or seen.placement is None or seen.placement.id != placed.id:
            return False
        place(connection, [(job.id, replace(new, plan_id=keep(connection, pool, inputs, made)))])
    return True


def _ongoing(job: JobRow, now_ms: int) -> Ongoing:
    placed = job.placement
    assert placed is not None
    assert job.length_ms is not None
    segments = placed.segments or ((placed.start_ms, placed.end_ms),)
    done = tuple(_until(segments, now_ms))
    runs = job.state is JobState.RUNNING
    return Ongoing(
        done=done,
        left_ms=max(job.length_ms - ran_ms(job, now_ms), 0),
        runs_since_ms=(done[-1][0] if done else now_ms) if runs else None,
        pauses=max(len(done) - runs, 0),
        expected_g=placed.expected_g,
        latest_start_ms=placed.latest_start_ms,
    )


def _until(segments: tuple[Span, ...], now_ms: int) -> list[Span]:
    return [(start, min(end, now_ms)) for start, end in segments if start < now_ms]
