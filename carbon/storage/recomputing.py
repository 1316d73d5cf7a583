"""What quarter-hours say of some workloads, device by device."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import BigInteger, Connection, cast, func, select

from carbon.storage.rollups import quarter_hour


def quarters_of_workloads(
    connection: Connection, start_ms: int, end_ms: int, workload_ids: Collection[int]
) -> dict[int, dict[int, tuple[int, int]]]:
    """start_ms → device → (mJ, ng), in order of time."""
    q = quarter_hour.c
    sums = [cast(func.sum(column), BigInteger) for column in (q.energy_mj, q.operational_ng)]
    query = (
        select(q.start_ms, q.device_id, *sums)
        .where(q.workload_id.in_(workload_ids), q.start_ms >= start_ms, q.start_ms < end_ms)
        .group_by(q.start_ms, q.device_id)
        .order_by(q.start_ms, q.device_id)
    )
    found: dict[int, dict[int, tuple[int, int]]] = {}
    for at, device, energy_mj, ng in connection.execute(query):
        found.setdefault(at, {})[device] = energy_mj, ng
    return found
