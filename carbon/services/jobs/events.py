"""What the system that runs a job tells of it: that it began, how it ended and what it drew."""

from __future__ import annotations

from typing import Final

import msgspec

from carbon.clock import from_rfc3339
from carbon.domain.jobs import AttemptState, JobState
from carbon.domain.principal import Principal
from carbon.errors import Conflicting, InvalidInput, NotFound
from carbon.executors.executor import Look, LookState
from carbon.executors.webhook import WEBHOOK
from carbon.services.context import Context
from carbon.services.ingest.ingest import Ingest
from carbon.services.jobs.answers import job_answer
from carbon.services.jobs.attempt_moves import write_down
from carbon.storage.attempts import AttemptRow, attempts_of
from carbon.storage.engine import reading, writing
from carbon.storage.job_queries import JobRow, get_job
from carbon.wire.decode import decode_energy
from carbon.wire.energy import EnergyBatch, EnergyInterval
from carbon.wire.jobs import JobAnswer, JobEvent

#: As a shell answers for a command that TERM ended.
_TERMINATED: Final = 143
_AHEAD_MS: Final = 300_000


def note_event(
    context: Context, ingest: Ingest, principal: Principal, job_id: str, event: JobEvent
) -> JobAnswer:
    """Telling twice is telling once.

    Raises NotFound, InvalidInput, and Conflicting: `executor_reports` where its executor knows,
    `not_handed_over`, `event_contradicts` an end that is written down already.
    """
    now_ms = context.clock.now_ms()
    at_ms = _moment(event, now_ms)
    team = None if principal.sees_all_teams else principal.team
    with writing(context.engine) as connection:
        job = get_job(connection, job_id, team)
        attempt = _attempt(job, attempts_of(connection, job_id), event)
        look = _look(attempt, event, at_ms)
        if attempt.state in (AttemptState.ENDED, AttemptState.LOST):
            _check_same(job, attempt, look)
        else:
            write_down(context, connection, attempt, look)
    if event.energy_mj is not None:
        _book(ingest, principal, job, attempt, look, event)
    with reading(context.engine) as connection:
        return job_answer(get_job(connection, job_id), now_ms)


def _moment(event: JobEvent, now_ms: int) -> int:
    try:
        at_ms = from_rfc3339(event.at) if event.at is not None else now_ms
    except (ValueError, OverflowError):
        raise InvalidInput("invalid_moment", f"{event.at!r} is no time; write RFC 3339") from None
    if at_ms > now_ms + _AHEAD_MS:
        raise InvalidInput("from_the_future", f"{event.at} lies ahead; mend the sender's clock")
    return at_ms


def _attempt(job: JobRow, attempts: list[AttemptRow], event: JobEvent) -> AttemptRow:
    if job.executor != WEBHOOK:
        raise Conflicting("executor_reports", f"executor {job.executor!r} reports on its own jobs")
    if not attempts:
        raise Conflicting("not_handed_over", f"job {job.id} was not handed to anybody yet")
    found = [a for a in attempts if event.attempt in (None, a.id)]
    if not found:
        raise NotFound("unknown_attempt", f"job {job.id} has no attempt {event.attempt!r}")
    return found[-1]


def _look(attempt: AttemptRow, event: JobEvent, at_ms: int) -> Look:
    if event.state == "started":
        if event.energy_mj is not None or event.exit_code is not None:
            raise InvalidInput("invalid_event", "energy and exit code come with the end")
        return Look(LookState.RUNNING, at_ms)
    start_ms = attempt.start_ms if attempt.start_ms is not None else attempt.handed_over_ms
    usual = {"succeeded": 0, "failed": 1, "cancelled": _TERMINATED}[event.state]
    exit_code = usual if event.exit_code is None else event.exit_code
    if (event.state == "succeeded") != (exit_code == 0):
        raise InvalidInput("invalid_event", f"{event.state} with exit code {exit_code}")
    if at_ms < start_ms:
        raise InvalidInput("invalid_event", "it ended before it began; mend the sender's clock")
    return Look(LookState.ENDED, start_ms, at_ms, exit_code, event.detail)


def _check_same(job: JobRow, attempt: AttemptRow, look: Look) -> None:
    """A late start, the same end again, and whatever comes for a cancelled job are no trouble."""
    if look.state is LookState.RUNNING or job.state is JobState.CANCELLED:
        return
    if look.exit_code != attempt.exit_code:
        raise Conflicting(
            "event_contradicts",
            f"attempt {attempt.id} has ended with exit code {attempt.exit_code}",
        )


def _book(
    ingest: Ingest,
    principal: Principal,
    job: JobRow,
    attempt: AttemptRow,
    look: Look,
    event: JobEvent,
) -> None:
    """The energy into the ledger, as a run's; again is a duplicate there."""
    end_ms = attempt.end_ms if attempt.end_ms is not None else look.end_ms
    assert look.start_ms is not None
    assert end_ms is not None
    assert event.energy_mj is not None
    interval = EnergyInterval(
        device=f"{WEBHOOK}:{attempt.id}",
        start_ms=look.start_ms,
        end_ms=max(end_ms, look.start_ms + 1),
        energy_mj=event.energy_mj,
        method=event.method,
        workload=str(job.workload),
        run=attempt.id,
    )
    zone = job.placement.zone if job.placement else None
    batch = EnergyBatch(f"{WEBHOOK}:{attempt.id}", "event", 0, [interval], zone=zone)
    body = msgspec.json.encode(batch)
    told = ingest.submit(principal, decode_energy(body), body).result()
    if told.rejected:
        raise InvalidInput(told.rejected[0].code, told.rejected[0].detail)
    if told.conflict:
        raise Conflicting("event_contradicts", f"attempt {attempt.id} was told with other energy")
