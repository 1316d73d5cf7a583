"""What each host reported over a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from carbon.domain.units import QUARTER_MS
from carbon.storage.column_reads import read_columns
from carbon.storage.columns import summed
from carbon.storage.names import device, host, host_period, meter, source
from carbon.storage.rollups import quarter_hour
from carbon.storage.settled import Piece

_HOSTS = select(device.c.id, device.c.host_id)


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


def host_reports(connection: Connection, pieces: Sequence[Piece]) -> list[HostReport]:
    """Every host, in order of name; quarter-hours as far as they are rolled up. Of a settled
    day or month as many as the time fills that the host's most read device was read."""
    heard = (
        select(device.c.host_id, func.max(source.c.last_seen_ms))
        .join_from(meter, device, device.c.id == meter.c.device_id)
        .join(source, source.c.id == meter.c.source_id)
        .group_by(device.c.host_id)
    )
    owned = select(device.c.host_id, func.count()).group_by(device.c.host_id)
    quarters: Counter[int] = Counter()
    for piece in pieces:
        quarters += _read_quarters(connection, piece)
    seen_ms, devices = (
        {row[0]: row[1] for row in connection.execute(query)} for query in (heard, owned)
    )
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


def _read_quarters(connection: Connection, piece: Piece) -> Counter[int]:
    table, start_ms, end_ms = piece
    t = table.c
    inside = (t.start_ms >= start_ms, t.start_ms < end_ms, t.covered_ms > 0)
    if table is quarter_hour:
        query = (
            select(device.c.host_id, func.count(t.start_ms.distinct()))
            .join_from(table, device, device.c.id == t.device_id)
            .where(*inside)
            .group_by(device.c.host_id)
        )
        return Counter({row[0]: row[1] for row in connection.execute(query)})
    source = f"{table.name} WHERE start_ms >= {start_ms} AND start_ms < {end_ms} AND covered_ms > 0"
    rows = read_columns(connection, ("start_ms", "device_id", "covered_ms"), source)
    of_device = summed((rows[:, 0], rows[:, 1]), [rows[:, 2]])
    hosts = {row[0]: row[1] for row in connection.execute(_HOSTS).all()}
    most_ms: dict[tuple[int, int], int] = {}
    for at, device_id, read_ms in of_device.tolist():
        key = at, hosts[device_id]
        most_ms[key] = max(read_ms, most_ms.get(key, 0))
    read: Counter[int] = Counter()
    for (_, host_id), read_ms in most_ms.items():
        read[host_id] += -(-read_ms // QUARTER_MS)
    return read
