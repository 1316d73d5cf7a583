"""When an attempt runs and when it stands still, and how long it has."""

from __future__ import annotations

from sqlalchemy import Connection

from carbon.domain.jobs import JobState
from carbon.executors.executor import Look, LookState
from carbon.services.jobs.plans import margin_ms
from carbon.storage.job_queries import JobRow, move


def may_run(job: JobRow, now_ms: int) -> bool:
    """Whether the job's plan has it run now, or it must run whatever its plan says.

    The guard counts what has really run, so that neither a late resumption nor a service that
    was away eats into what the job still needs.
    """
    segments = job.placement.segments if job.placement else ()
    if not segments or now_ms >= segments[-1][1] or now_ms < segments[0][0]:
        return True
    if any(start <= now_ms < end for start, end in segments):
        return True
    return now_ms >= latest_resume_ms(job, now_ms)


def latest_resume_ms(job: JobRow, now_ms: int) -> int:
    """From then on it runs without a pause."""
    length_ms = job.length_ms or 0
    left_ms = max(length_ms - ran_ms(job, now_ms), 0)
    return job.deadline_ms - left_ms - margin_ms(length_ms)


def ran_ms(job: JobRow, now_ms: int) -> int:
    """For how long the attempt that lives has run, pauses left out."""
    if job.start_ms is None:
        return 0
    until_ms = now_ms if job.paused_since_ms is None else job.paused_since_ms
    return max(until_ms - job.start_ms - job.paused_ms, 0)


def note_pause(connection: Connection, job: JobRow, look: Look, now_ms: int) -> None:
    """Writes down that an attempt stands still, or that it has gone on."""
    if look.state is LookState.PAUSED and job.state is JobState.RUNNING:
        move(connection, job.id, job.state, JobState.PAUSED, paused_since_ms=now_ms)
    elif look.state is LookState.RUNNING and job.state is JobState.PAUSED:
        move(connection, job.id, job.state, JobState.RUNNING, **pause_ended(job, now_ms))


def pause_ended(job: JobRow, now_ms: int) -> dict[str, int | None]:
    """The columns of a job whose pause, if it has one, ends now."""
    if job.paused_since_ms is None:
        return {}
    stood_ms = max(now_ms - job.paused_since_ms, 0)
    return {"paused_ms": job.paused_ms + stood_ms, "paused_since_ms": None}
