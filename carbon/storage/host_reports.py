"""What each host reported over a time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from carbon.storage.names import device, host, host_period, meter, source
from carbon.storage.rollups import quarter_hour


@dataclass(frozen=True, slots=True)
class HostReport:
    id: int
    name: str
    created_ms: int
    #: A person or an inventory named it; of others nothing is expected.
    is_registered: bool
    devices: int
    last_seen_ms: int | None
    #: Quarter-hours of the window with a reading of any of its devices.
    quarters: int


def host_reports(connection: Connection, start_ms: int, end_ms: int) -> list[HostReport]:
    """Every host, in order of name; quarter-hours as far as they are rolled up."""
    q = quarter_hour.c
    read = (
        select(device.c.host_id, func.count(q.start_ms.distinct()))
        .join_from(quarter_hour, device, device.c.id == q.device_id)
        .where(q.start_ms >= start_ms, q.start_ms < end_ms, q.covered_ms > 0)
        .group_by(device.c.host_id)
    )
    heard = (
        select(device.c.host_id, func.max(source.c.last_seen_ms))
        .join_from(meter, device, device.c.id == meter.c.device_id)
        .join(source, source.c.id == meter.c.source_id)
        .group_by(device.c.host_id)
    )
    owned = select(device.c.host_id, func.count()).group_by(device.c.host_id)
    by_host = [
        {row[0]: row[1] for row in connection.execute(query)} for query in (read, heard, owned)
    ]
    quarters, seen_ms, devices = by_host
    registered = set(connection.scalars(select(host_period.c.host_id).distinct()))
    query = select(host.c.id, host.c.name, host.c.created_ms).order_by(host.c.name)
    return [
        HostReport(
            id_,
            name,
            created_ms,
            id_ in registered,
            devices.get(id_, 0),
            seen_ms.get(id_),
            quarters.get(id_, 0),
        )
        for id_, name, created_ms in connection.execute(query)
    ]
