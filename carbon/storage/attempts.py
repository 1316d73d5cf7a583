"""Attempts: the outbox of the scheduler, and what became of each handing-over; savings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from carbon.domain.claims import SubjectKind, SubjectRef
from carbon.domain.jobs import AttemptState, JobState
from carbon.storage.jobs import attempt, attempt_subject, job, saving
from carbon.storage.upsert import insert_new

LIVE_STATES = (AttemptState.HANDED_OVER, AttemptState.RUNNING)


@dataclass(frozen=True, slots=True)
class AttemptRow:
    #: Also the run that its energy is booked to.
    id: str
    job_id: str
    number: int
    epoch: int
    state: AttemptState
    external_id: str | None
    handed_over_ms: int
    start_ms: int | None
    end_ms: int | None
    exit_code: int | None
    detail: str


def _attempt_row(row: Row[Any]) -> AttemptRow:
    return AttemptRow(
        row.id,
        row.job_id,
        row.number,
        row.epoch,
        AttemptState(row.state),
        row.external_id,
        row.handed_over_ms,
        row.start_ms,
        row.end_ms,
        row.exit_code,
        row.detail,
    )


def write_outbox(connection: Connection, job_id: str, epoch: int, now_ms: int) -> str:
    """A new attempt of a job, to be handed over once this transaction is committed.

    Its id follows from the job and its number, so that no two leaders can make two of it.
    """
    last = connection.scalar(select(func.max(attempt.c.number)).where(attempt.c.job_id == job_id))
    number = (last or 0) + 1
    attempt_id = f"{job_id}-{number}"
    connection.execute(
        attempt.insert().values(
            id=attempt_id,
            job_id=job_id,
            number=number,
            epoch=epoch,
            state=str(AttemptState.HANDED_OVER),
            handed_over_ms=now_ms,
        )
    )
    return attempt_id


def live_attempts(connection: Connection) -> list[AttemptRow]:
    query = (
        select(attempt)
        .where(attempt.c.state.in_([str(s) for s in LIVE_STATES]))
        .order_by(attempt.c.handed_over_ms, attempt.c.id)
    )
    return [_attempt_row(row) for row in connection.execute(query)]


def engines_of_live(connection: Connection) -> dict[str, str]:
    """The executor of each live attempt, by the attempt's id."""
    query = (
        select(attempt.c.id, job.c.executor)
        .join(job, job.c.id == attempt.c.job_id)
        .where(attempt.c.state.in_([str(s) for s in LIVE_STATES]))
    )
    return {row.id: row.executor for row in connection.execute(query)}


def attempts_of(connection: Connection, job_id: str) -> list[AttemptRow]:
    query = select(attempt).where(attempt.c.job_id == job_id).order_by(attempt.c.number)
    return [_attempt_row(row) for row in connection.execute(query)]


def set_attempt(connection: Connection, attempt_id: str, **values: Any) -> None:
    connection.execute(update(attempt).where(attempt.c.id == attempt_id).values(values))


def note_subjects(connection: Connection, attempt_id: str, subjects: Iterable[SubjectRef]) -> None:
    """Those that were seen before stay."""
    rows = [{"attempt_id": attempt_id, "kind": str(s.kind), "key": s.key} for s in subjects]
    if rows:
        insert_new(connection, attempt_subject, rows)


def subjects_of_attempt(connection: Connection, attempt_id: str) -> set[SubjectRef]:
    s = attempt_subject.c
    query = select(s.kind, s.key).where(s.attempt_id == attempt_id)
    return {SubjectRef(SubjectKind(row.kind), row.key) for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class SavingRow:
    energy_mj: int
    actual_g: float
    counterfactual_g: float
    credited_g: float
    counterfactual_start_ms: int
    flags: tuple[str, ...]
    booked_ms: int
    marginal_g: float | None = None
    marginal_counterfactual_g: float | None = None


def book_saving(connection: Connection, job_id: str, row: SavingRow) -> None:
    """Once: a booking that stands is never changed."""
    values = {
        "job_id": job_id,
        "energy_mj": row.energy_mj,
        "actual_g": row.actual_g,
        "counterfactual_g": row.counterfactual_g,
        "credited_g": row.credited_g,
        "counterfactual_start_ms": row.counterfactual_start_ms,
        "marginal_g": row.marginal_g,
        "marginal_counterfactual_g": row.marginal_counterfactual_g,
        "flags": ",".join(row.flags),
        "booked_ms": row.booked_ms,
    }
    insert_new(connection, saving, [values])


def saving_of(connection: Connection, job_id: str) -> SavingRow | None:
    row = connection.execute(select(saving).where(saving.c.job_id == job_id)).first()
    if row is None:
        return None
    return SavingRow(
        row.energy_mj,
        row.actual_g,
        row.counterfactual_g,
        row.credited_g,
        row.counterfactual_start_ms,
        tuple(filter(None, row.flags.split(","))),
        row.booked_ms,
        row.marginal_g,
        row.marginal_counterfactual_g,
    )


def jobs_without_saving(connection: Connection, ended_after_ms: int) -> list[str]:
    """Jobs that ran, ended after that moment, and whose saving is not booked."""
    query = (
        select(job.c.id)
        .outerjoin(saving, saving.c.job_id == job.c.id)
        .where(
            job.c.state.in_([str(s) for s in JobState if s.is_final]),
            job.c.start_ms.is_not(None),
            job.c.end_ms > ended_after_ms,
            saving.c.job_id.is_(None),
        )
        .order_by(job.c.end_ms)
    )
    return list(connection.scalars(query))
