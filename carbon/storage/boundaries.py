"""The versions of a workload's boundary."""

from __future__ import annotations

from sqlalchemy import Connection, select

from carbon.storage.names import boundary


def boundary_versions(connection: Connection, workload_id: int) -> list[tuple[int, int]]:
    """(version, when it was recorded), in order."""
    b = boundary.c
    query = select(b.version, b.recorded_ms).where(b.workload_id == workload_id)
    return [(row[0], row[1]) for row in connection.execute(query.order_by(b.version))]
