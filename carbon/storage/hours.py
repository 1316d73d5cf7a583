"""Hours of devices by zone: what the inventory is summed from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from carbon.domain.units import MS_PER_HOUR
from carbon.storage.rollups import quarter_hour, rating


@dataclass(frozen=True, slots=True)
class DeviceHour:
    zone: str
    start_ms: int
    device_id: int
    energy_mj: int  #: IT energy
    operational_ng: int
    reserved_ms: int


def device_hours(
    connection: Connection,
    start_ms: int,
    end_ms: int,
    workload_ids: Collection[int] | None = None,
) -> list[DeviceHour]:
    """Of all subjects, or of some workloads; idle and unattributed energy is in the first."""
    q = quarter_hour.c
    hour = (q.start_ms - q.start_ms % MS_PER_HOUR).label("hour")
    keys = (rating.c.zone, hour, q.device_id)
    query = (
        select(*keys, func.sum(q.energy_mj), func.sum(q.operational_ng), func.sum(q.reserved_ms))
        .join(rating, rating.c.id == q.rating_id)
        .where(q.start_ms >= start_ms, q.start_ms < end_ms)
        .group_by(*keys)
    )
    if workload_ids is not None:
        query = query.where(q.workload_id.in_(workload_ids))
    return [
        DeviceHour(row[0], int(row[1]), int(row[2]), int(row[3]), int(row[4]), int(row[5]))
        for row in connection.execute(query)
    ]
