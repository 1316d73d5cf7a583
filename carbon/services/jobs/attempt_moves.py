"""What becomes of an attempt, and with it of its job."""

from __future__ import annotations

from sqlalchemy import Connection

from carbon.domain.jobs import AttemptState, JobState
from carbon.executors.executor import Look, LookState
from carbon.services.context import Context
from carbon.services.jobs.attempt_pauses import pause_ended
from carbon.services.jobs.attempt_units import count_attempt
from carbon.storage.attempts import AttemptRow, set_attempt
from carbon.storage.job_queries import JobRow, get_job, move


def write_down(context: Context, connection: Connection, attempt: AttemptRow, look: Look) -> None:
    """What was seen of an attempt that runs, has ended or is lost."""
    job = get_job(connection, attempt.job_id)
    if look.start_ms is not None:
        job = _begin(connection, job, attempt, look.start_ms)
    if look.state in (LookState.RUNNING, LookState.PAUSED):
        return
    kept = AttemptState.ENDED if look.state is LookState.ENDED else AttemptState.LOST
    end_attempt(connection, attempt, kept, look)
    count_attempt(context, connection, attempt, job, look)
    _end_job(connection, job, look, context.clock.now_ms())


def _begin(connection: Connection, job: JobRow, attempt: AttemptRow, start_ms: int) -> JobRow:
    set_attempt(connection, attempt.id, state=str(AttemptState.RUNNING), start_ms=start_ms)
    if job.state is not JobState.STARTING:
        return job
    fresh = {"start_ms": start_ms, "paused_ms": 0, "paused_since_ms": None}
    move(connection, job.id, job.state, JobState.RUNNING, **fresh)
    return get_job(connection, job.id)


def end_attempt(
    connection: Connection, attempt: AttemptRow, state: AttemptState, look: Look
) -> None:
    values = {"state": str(state), "end_ms": look.end_ms, "exit_code": look.exit_code}
    if look.detail:
        values["detail"] = look.detail
    set_attempt(connection, attempt.id, **values)


def _end_job(connection: Connection, job: JobRow, look: Look, now_ms: int) -> None:
    """A job that never began goes back to wait; one that failed does so while retries are left."""
    if job.state.is_final:
        return
    end_ms = look.end_ms or now_ms
    end = {"end_ms": end_ms, "exit_code": look.exit_code, **pause_ended(job, end_ms)}
    if job.state is JobState.STARTING:
        # It never began: lost on the way, or cancelled at the engine by somebody else.
        was_lost = look.state is LookState.LOST
        after = JobState.WAITING if was_lost else JobState.CANCELLED
        move(connection, job.id, job.state, after, **({} if was_lost else end))
    elif look.exit_code == 0:
        move(connection, job.id, job.state, JobState.SUCCEEDED, **end)
    elif job.retries_left > 0:
        move(connection, job.id, job.state, JobState.WAITING, retries_left=job.retries_left - 1)
    else:
        move(connection, job.id, job.state, JobState.FAILED, **end)
