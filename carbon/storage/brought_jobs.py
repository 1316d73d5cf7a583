"""Jobs that ran under Slurm and came with its accounts."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from carbon.storage.names import run, team, workload
from carbon.storage.rollups import quarter_hour


class BroughtJob(NamedTuple):
    team: str
    start_ms: int
    end_ms: int
    #: None where none of its energy is known.
    mean_w: float | None


def brought_jobs(
    connection: Connection, of_team: str | None, start_ms: int, end_ms: int, limit: int
) -> list[BroughtJob]:
    """Those that began in [start, end), the newest `limit` of them, oldest first."""
    q = quarter_hour.c
    drawn_mj = (
        select(func.sum(q.energy_mj)).where(q.subject_id == run.c.subject_id).scalar_subquery()
    )
    r = run.c
    query = (
        select(team.c.name, r.start_ms, r.end_ms, drawn_mj)
        .select_from(run)
        .join(workload, workload.c.id == r.workload_id)
        .join(team, team.c.id == workload.c.team_id)
        .where(r.start_ms >= start_ms, r.start_ms < end_ms, r.id.contains("/slurm-"))
        .order_by(r.start_ms.desc(), r.id)
        .limit(limit)
    )
    if of_team is not None:
        query = query.where(team.c.name == of_team)
    return [_job(*row) for row in connection.execute(query)][::-1]


def _job(name: str, start_ms: int, end_ms: int, energy_mj: int | None) -> BroughtJob:
    """mJ / ms = W."""
    mean_w = int(energy_mj) / max(end_ms - start_ms, 1) if energy_mj else None
    return BroughtJob(name, start_ms, end_ms, mean_w)
