"""Who metered what, and when: what an import asks before it adds to a host or a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select, union

from carbon.domain.claims import SubjectKind
from carbon.domain.units import QUARTER_MS, floor_to
from carbon.storage.energy import dirty_bucket
from carbon.storage.names import device, device_model, host, meter, subject
from carbon.storage.rollups import bucket, quarter_hour

#: A device of this kind is a whole host.
SERVER = "server"
_KEYS_AT_ONCE = 500


def runs_told(connection: Connection, keys: Sequence[str], but: int) -> set[str]:
    """Of some runs those that have energy of another source than `but`."""
    found: set[str] = set()
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        query = (
            select(subject.c.key)
            .join(bucket, bucket.c.subject_id == subject.c.id)
            .join(meter, meter.c.id == bucket.c.meter_id)
            .where(
                subject.c.kind == str(SubjectKind.RUN),
                subject.c.key.in_(keys[first : first + _KEYS_AT_ONCE]),
                meter.c.source_id != but,
            )
            .distinct()
        )
        found |= set(connection.scalars(query))
    return found


def parts_of(connection: Connection, device_id: int) -> list[int]:
    """The other devices of a device's host, of the same kind unless it is the whole host."""
    own = (
        select(device.c.host_id, device_model.c.kind)
        .join(device_model, device_model.c.id == device.c.model_id)
        .where(device.c.id == device_id)
    )
    host_id, kind = connection.execute(own).one()
    query = (
        select(device.c.id)
        .join(device_model, device_model.c.id == device.c.model_id)
        .where(device.c.host_id == host_id, device.c.id != device_id)
    )
    is_part = device_model.c.kind != SERVER if kind == SERVER else device_model.c.kind == kind
    return list(connection.scalars(query.where(is_part)))


def read_quarters(
    connection: Connection, devices: Collection[int], start_ms: int, end_ms: int
) -> list[int]:
    """Starts of the quarter-hours within [start, end) in which any of some devices was read, those
    that wait to be rolled up with them."""
    if not devices:
        return []
    q, d = quarter_hour.c, dirty_bucket.c
    rolled = select(q.start_ms).where(
        q.start_ms >= start_ms, q.start_ms < end_ms, q.device_id.in_(devices)
    )
    waiting = select(d.start_ms).where(
        d.start_ms >= start_ms, d.start_ms < end_ms, d.device_id.in_(devices)
    )
    starts = connection.scalars(union(rolled, waiting))
    return sorted({floor_to(at_ms, QUARTER_MS) for at_ms in starts})


class CountedTwice(NamedTuple):
    """A host of which both the whole and a part counted, in so many quarter-hours."""

    host: str
    first_ms: int
    last_ms: int
    quarters: int


def hosts_counted_twice(
    connection: Connection, start_ms: int, end_ms: int, limit: int
) -> list[CountedTwice]:
    if not _has_servers(connection):
        return []  # nearly nobody has: not worth a look at every quarter-hour
    q, part = quarter_hour, quarter_hour.alias("part")
    whole_device, part_device = device.alias("whole_device"), device.alias("part_device")
    counted = (
        select(part.c.start_ms)
        .join(part_device, part_device.c.id == part.c.device_id)
        .where(
            part.c.start_ms == q.c.start_ms,
            part.c.energy_mj > 0,
            part_device.c.host_id == whole_device.c.host_id,
            part_device.c.id != whole_device.c.id,
        )
    )
    query = (
        select(
            host.c.name,
            func.min(q.c.start_ms),
            func.max(q.c.start_ms),
            func.count(q.c.start_ms.distinct()),
        )
        .join_from(q, whole_device, whole_device.c.id == q.c.device_id)
        .join(device_model, device_model.c.id == whole_device.c.model_id)
        .join(host, host.c.id == whole_device.c.host_id)
        .where(
            device_model.c.kind == SERVER,
            q.c.start_ms >= start_ms,
            q.c.start_ms < end_ms,
            q.c.energy_mj > 0,
            counted.exists(),
        )
        .group_by(host.c.name)
        .order_by(host.c.name)
        .limit(limit)
    )
    return [CountedTwice(*tuple(row)) for row in connection.execute(query)]


def _has_servers(connection: Connection) -> bool:
    query = (
        select(device.c.id)
        .join(device_model, device_model.c.id == device.c.model_id)
        .where(device_model.c.kind == SERVER)
        .limit(1)
    )
    return connection.scalar(query) is not None
