"""Who metered what, and when: what an import asks before it adds to a host or a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, Exists, select, union

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


def wholes_set_aside(
    connection: Connection, device_ids: Collection[int], quarter_ms: int
) -> dict[int, str]:
    """Of some devices those that are a whole host of which a part was read in a quarter-hour, with
    the host's name: what the parts drew would count once more in the whole."""
    if not has_wholes(connection):
        return {}
    whole = device.alias("whole")
    query = (
        select(whole.c.id, host.c.name)
        .join_from(whole, host, host.c.id == whole.c.host_id)
        .join(device_model, device_model.c.id == whole.c.model_id)
        .where(
            device_model.c.kind == SERVER,
            whole.c.id.in_(device_ids),
            _parts_read(whole.c.host_id, quarter_ms),
        )
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def wholes_to_look_at(
    connection: Connection, device_ids: Collection[int], quarter_ms: int
) -> list[int]:
    """Whole hosts whose quarter-hour has to be rolled up anew now that that of some of their parts
    is: they count and a part was read, or they do not and none was."""
    if not has_wholes(connection):
        return []
    whole, q = device.alias("whole"), quarter_hour.alias("of_whole")
    hosts = (
        select(device.c.host_id)
        .join(device_model, device_model.c.id == device.c.model_id)
        .where(device.c.id.in_(device_ids), device_model.c.kind != SERVER)
    )
    counts = (
        select(q.c.start_ms)
        .where(q.c.start_ms == quarter_ms, q.c.device_id == whole.c.id, q.c.covered_ms > 0)
        .exists()
    )
    query = (
        select(whole.c.id)
        .join(device_model, device_model.c.id == whole.c.model_id)
        .where(
            device_model.c.kind == SERVER,
            whole.c.host_id.in_(hosts),
            counts == _parts_read(whole.c.host_id, quarter_ms),
        )
        .order_by(whole.c.id)
    )
    return list(connection.scalars(query))


def _parts_read(host_id: ColumnElement[int], quarter_ms: int) -> Exists:
    q, part, model = quarter_hour.alias("q"), device.alias("part"), device_model.alias("of_part")
    return (
        select(q.c.start_ms)
        .join_from(q, part, part.c.id == q.c.device_id)
        .join(model, model.c.id == part.c.model_id)
        .where(
            q.c.start_ms == quarter_ms,
            q.c.covered_ms > 0,
            part.c.host_id == host_id,
            model.c.kind != SERVER,
        )
        .exists()
    )


def has_wholes(connection: Connection) -> bool:
    """Nearly nobody has any: asked of the few models, before anything of the many devices."""
    query = f"SELECT 1 FROM device_model WHERE kind = '{SERVER}' LIMIT 1"
    return connection.exec_driver_sql(query).first() is not None
