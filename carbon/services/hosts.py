"""The inventory: where machines stand, from when on."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from carbon.clock import to_rfc3339
from carbon.domain.units import BUCKET_MS, floor_to
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.intensity import stated_zone
from carbon.storage.energy import mark_dirty, rolled_buckets
from carbon.storage.engine import reading, writing
from carbon.storage.identities import Identities
from carbon.storage.names import device, host, host_period
from carbon.storage.places import last_begun
from carbon.wire.hosts import HostAnswer, HostBody


def record_host(context: Context, body: HostBody, valid_from_ms: int) -> HostAnswer:
    """Notes what is known of a host from a time on, and re-rates what it ran since.

    Raises InvalidInput (`pue_below_one`, `unknown_zone`).
    """
    if body.pue is not None and not 1.0 <= body.pue <= 10.0:
        raise InvalidInput("pue_below_one", "a PUE lies between 1 and 10")
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        zone = stated_zone(connection, body.zone) if body.zone else None
        host_id = Identities(connection, now_ms, {}).host(body.name)
        connection.execute(
            host_period.insert().values(
                host_id=host_id,
                start_ms=valid_from_ms,
                site=body.site,
                zone=zone,
                pue=body.pue,
                owner=body.owner,
                recorded_ms=now_ms,
            )
        )
        _re_rate(connection, host_id, valid_from_ms, now_ms)
        return _read(connection, host_id, body.name, now_ms)


def _re_rate(connection: Connection, host_id: int, start_ms: int, now_ms: int) -> None:
    of_host = select(device.c.id).where(device.c.host_id == host_id)
    for device_id in connection.scalars(of_host).all():
        touched = rolled_buckets(connection, device_id, floor_to(start_ms, BUCKET_MS))
        mark_dirty(connection, touched)


def list_hosts(context: Context) -> list[HostAnswer]:
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        rows = connection.execute(select(host.c.id, host.c.name).order_by(host.c.name)).all()
        return [_read(connection, host_id, name, now_ms) for host_id, name in rows]


def _read(connection: Connection, host_id: int, name: str, now_ms: int) -> HostAnswer:
    """What holds now; each field by the period that began last and states it."""
    p = host_period.c
    query = select(host_period).where(
        p.host_id == host_id, p.start_ms <= now_ms, p.end_ms.is_(None) | (p.end_ms > now_ms)
    )
    periods = connection.execute(query).mappings().all()
    known = {field: last_begun(periods, field) for field in ("site", "zone", "pue", "owner")}
    devices = select(func.count()).select_from(device).where(device.c.host_id == host_id)
    start_ms = last_begun(periods, "start_ms")
    return HostAnswer(
        name,
        known["site"],
        known["zone"],
        known["pue"],
        known["owner"],
        to_rfc3339(start_ms) if isinstance(start_ms, int) else None,
        connection.scalar(devices) or 0,
    )
