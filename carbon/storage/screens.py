"""Reads behind the dashboard's screens that no other room asks for: savings, queues, trouble."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, func, select

from carbon.storage.corrections import members
from carbon.storage.energy import interval_conflict
from carbon.storage.intensity import intensity_quarantine
from carbon.storage.jobs import attempt, job, placement, saving
from carbon.storage.names import run, source, team, workload


@dataclass(frozen=True, slots=True)
class SavingLine:
    job: str
    name: str
    team: str
    workload: str
    booked_ms: int
    energy_mj: int
    actual_g: float
    counterfactual_g: float
    credited_g: float
    expected_g: float | None
    start_now_g: float | None
    counterfactual_start_ms: int
    start_ms: int | None
    flags: str


def savings_between(
    connection: Connection, start_ms: int, end_ms: int, team_name: str | None
) -> list[SavingLine]:
    """Savings booked in [start, end), the latest first."""
    s, j, p = saving.c, job.c, placement.c
    query = (
        select(
            j.id,
            j.name,
            team.c.name,
            workload.c.name,
            s.booked_ms,
            s.energy_mj,
            s.actual_g,
            s.counterfactual_g,
            s.credited_g,
            p.expected_g,
            p.start_now_g,
            s.counterfactual_start_ms,
            j.start_ms,
            s.flags,
        )
        .join_from(saving, job, j.id == s.job_id)
        .join(team, team.c.id == j.team_id)
        .join(workload, workload.c.id == j.workload_id)
        .outerjoin(placement, p.id == j.placement_id)
        .where(s.booked_ms >= start_ms, s.booked_ms < end_ms, *_of_team(team_name))
        .order_by(s.booked_ms.desc(), j.id)
    )
    return [SavingLine(*tuple(row)) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class RunLine:
    id: str
    start_ms: int
    end_ms: int
    exit_code: int | None


def runs_of(
    connection: Connection, workload_id: int, start_ms: int, end_ms: int, limit: int
) -> list[RunLine]:
    """Runs of a workload that ended in [start, end), the latest first."""
    r = run.c
    query = (
        select(r.id, r.start_ms, r.end_ms, r.exit_code)
        .where(
            r.workload_id.in_(members(connection, workload_id)),
            r.end_ms > start_ms,
            r.end_ms <= end_ms,
        )
        .order_by(r.start_ms.desc(), r.id)
        .limit(limit)
    )
    return [RunLine(*tuple(row)) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class SourceLine:
    name: str
    team_id: int
    kind: int
    last_seen_ms: int | None
    skew_ms: int | None
    spooled: int | None


def sources(connection: Connection) -> list[SourceLine]:
    """All senders, the one longest silent first; not each series of an importer's counts."""
    s = source.c
    query = (
        select(s.name, s.team_id, s.kind, s.last_seen_ms, s.skew_ms, s.spooled)
        .where(s.family.is_(None))
        .order_by(s.last_seen_ms, s.id)
    )
    return [SourceLine(*tuple(row)) for row in connection.execute(query)]


def jobs_by_state(connection: Connection, team_name: str | None) -> dict[str, int]:
    query = (
        select(job.c.state, func.count())
        .join(team, team.c.id == job.c.team_id)
        .where(*_of_team(team_name))
        .group_by(job.c.state)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def late_starts(
    connection: Connection, since_ms: int, grace_ms: int, team_name: str | None
) -> tuple[int, int]:
    """(attempts that began since, those of them later than planned by more than the grace)."""
    a, p = attempt.c, placement.c
    late = func.sum(case((a.start_ms > p.start_ms + grace_ms, 1), else_=0))
    query = (
        select(func.count(), late)
        .join_from(attempt, job, job.c.id == a.job_id)
        .join(placement, p.id == job.c.placement_id)
        .join(team, team.c.id == job.c.team_id)
        .where(a.start_ms >= since_ms, *_of_team(team_name))
    )
    row = connection.execute(query).one()
    return row[0], int(row[1] or 0)


@dataclass(frozen=True, slots=True)
class TroubleLine:
    attempt: str
    job: str
    executor: str
    state: str
    handed_over_ms: int
    detail: str


def executor_trouble(
    connection: Connection, limit: int, team_name: str | None
) -> list[TroubleLine]:
    """The latest attempts with something to tell, the newest first."""
    a = attempt.c
    query = (
        select(a.id, job.c.name, job.c.executor, a.state, a.handed_over_ms, a.detail)
        .join_from(attempt, job, job.c.id == a.job_id)
        .join(team, team.c.id == job.c.team_id)
        .where(a.detail != "", *_of_team(team_name))
        .order_by(a.handed_over_ms.desc(), a.id)
        .limit(limit)
    )
    return [TroubleLine(*tuple(row)) for row in connection.execute(query)]


def count_conflicts(connection: Connection, start_ms: int, end_ms: int) -> int:
    c = interval_conflict.c
    query = select(func.count()).where(c.end_ms > start_ms, c.end_ms <= end_ms)
    return connection.scalar(query) or 0


def count_quarantined(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(intensity_quarantine)) or 0


def _of_team(name: str | None) -> list[ColumnElement[bool]]:
    """None is every team."""
    return [] if name is None else [team.c.name == name]
