"""Sums of a device's hour (UTC): what the ends of a window are read from.

    quarter_hour → device_hour → workload_hour

SET in the transaction that takes the hour's mark in `dirty_hour`, and with the other sums where
quarter-hours are priced in sets. Days that are older than the table are marked as HOURS in
`dirty_period`: their hours are made one by one, and until then the quarter-hours are read.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import BigInteger, Connection, cast, delete, func, insert, literal, select

from carbon.domain.units import MS_PER_HOUR
from carbon.storage.period_changes import note_changes
from carbon.storage.rollups import quarter_hour
from carbon.storage.settled import device_hour, expected_ms


def set_device_hours(connection: Connection, start_ms: int, workloads: Collection[int]) -> None:
    """Sets an hour of some workloads from its quarter-hours. The caller alone SETs until its
    transaction ends."""
    h, q = device_hour.c, quarter_hour.c
    connection.execute(
        delete(device_hour).where(h.start_ms == start_ms, h.workload_id.in_(workloads))
    )
    keys = (q.workload_id, q.device_id, q.subject_id, q.method, q.rating_id)
    measures = (q.energy_mj, q.operational_ng, q.covered_ms, q.reserved_ms)
    sums = (cast(func.sum(m), BigInteger) for m in (*measures, expected_ms(quarter_hour)))
    hour = (
        select(literal(start_ms), *keys, *sums)
        .where(
            q.workload_id.in_(workloads),
            q.start_ms >= start_ms,
            q.start_ms < start_ms + MS_PER_HOUR,
        )
        .group_by(*keys)
    )
    connection.execute(insert(device_hour).from_select([*h], hour))
    note_changes(connection, device_hour, [start_ms])
