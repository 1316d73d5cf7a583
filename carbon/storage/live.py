"""What is drawn right now, from the newest raw intervals."""

from __future__ import annotations

from sqlalchemy import Connection, select

from carbon.domain.units import watts
from carbon.storage.energy import energy_interval
from carbon.storage.names import device, meter

#: An interval older than this says nothing of now.
FRESH_MS = 120_000


def latest_power(connection: Connection, now_ms: int) -> list[tuple[str, float]]:
    """(device UUID, W) of each device with a fresh interval; of its newest one, all subjects."""
    t = energy_interval.c
    query = (
        select(device.c.uuid, t.meter_id, t.end_ms, t.span_ms, t.energy_mj)
        .join_from(energy_interval, meter, meter.c.id == t.meter_id)
        .join(device, device.c.id == meter.c.device_id)
        .where(t.end_ms > now_ms - FRESH_MS)
    )
    newest: dict[str, tuple[int, int]] = {}
    energy: dict[tuple[str, int, int], int] = {}
    spans: dict[tuple[str, int, int], int] = {}
    for uuid, meter_id, end_ms, span_ms, energy_mj in connection.execute(query):
        newest[uuid] = max(newest.get(uuid, (0, 0)), (end_ms, meter_id))
        key = (uuid, end_ms, meter_id)
        energy[key] = energy.get(key, 0) + energy_mj
        spans[key] = max(spans.get(key, 0), span_ms)
    return [
        (uuid, watts(energy[uuid, *last], spans[uuid, *last]))
        for uuid, last in sorted(newest.items())
    ]
