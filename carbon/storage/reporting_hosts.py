"""Who sent readings in a period, of those who should have."""

from __future__ import annotations

from sqlalchemy import Connection, select

from carbon.storage.names import device, host, team, workload
from carbon.storage.rollups import quarter_hour


def hosts_between(connection: Connection, start_ms: int, end_ms: int) -> tuple[set[str], set[str]]:
    """(names of the hosts that were registered before the period's end, of those that reported)."""
    q = quarter_hour.c
    registered = set(connection.scalars(select(host.c.name).where(host.c.created_ms < end_ms)))
    read = (
        select(host.c.name)
        .join(device, device.c.host_id == host.c.id)
        .where(
            device.c.id.in_(select(q.device_id).where(q.start_ms >= start_ms, q.start_ms < end_ms))
        )
    )
    reported = set(connection.scalars(read))
    return registered | reported, reported


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
