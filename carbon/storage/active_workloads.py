"""Which workloads drew anything in a period."""

from __future__ import annotations

from sqlalchemy import Connection, select

from carbon.storage.names import team, workload
from carbon.storage.rollups import quarter_hour


def workloads_between(
    connection: Connection, team_name: str, start_ms: int, end_ms: int
) -> list[str]:
    """Names of a team's workloads that have energy in the period."""
    q = quarter_hour.c
    drew = select(q.workload_id).where(q.start_ms >= start_ms, q.start_ms < end_ms, q.energy_mj > 0)
    query = (
        select(workload.c.name)
        .join(team, team.c.id == workload.c.team_id)
        .where(team.c.name == team_name, workload.c.id.in_(drew))
        .order_by(workload.c.name)
    )
    return list(connection.scalars(query))
