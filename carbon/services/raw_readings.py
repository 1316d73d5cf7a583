"""Raw rows wherever they lie: in the database, or sealed in the cold tier."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from sqlalchemy import Connection

from carbon.domain.energy import Method, Reading
from carbon.domain.units import MS_PER_DAY, floor_to
from carbon.services.context import Context
from carbon.storage.cold import ColdStore
from carbon.storage.energy import has_raw_between, readings_between
from carbon.storage.engine import reading, writing
from carbon.storage.interval_columns import METER, Ints
from carbon.storage.sealed_days import (
    day_of,
    devices_meters,
    open_device,
    opened_devices,
    opened_meters,
)


def cold_store(context: Context) -> ColdStore:
    """Raises InvalidInput(`cold_store`)."""
    settings = context.settings
    return ColdStore(settings.cold_store or str(settings.data_dir / "cold"))


def readings_of(
    context: Context, connection: Connection, start_ms: int, end_ms: int, meters: Collection[int]
) -> list[Reading]:
    """Readings of whole buckets in [start, end), of some meters."""
    found: list[Reading] = []
    for day_ms in range(floor_to(start_ms, MS_PER_DAY), end_ms, MS_PER_DAY):
        lo, hi = max(start_ms, day_ms), min(end_ms, day_ms + MS_PER_DAY)
        day = day_of(connection, day_ms) if lo < context.hot_from_ms else None
        if day is None or day.file is None:
            found += readings_between(connection, lo, hi, meters)
            continue
        opened = opened_meters(connection, day_ms).intersection(meters)
        if opened:
            found += readings_between(connection, lo, hi, opened)
        if cold := set(meters) - opened:
            found += _readings(cold_store(context).read(day.file, lo, hi, cold))
    return found


def _readings(columns: Ints) -> list[Reading]:
    return [
        Reading(meter, subject, end - span, end, energy_mj, Method(method))
        for end, meter, subject, span, energy_mj, method in columns.T.tolist()
    ]


def has_readings(context: Context, connection: Connection, start_ms: int, end_ms: int) -> bool:
    """Whether raw rows of a time inside one UTC day are at hand anywhere."""
    if has_raw_between(connection, start_ms, end_ms):
        return True
    day = day_of(connection, floor_to(start_ms, MS_PER_DAY))
    return day is not None and day.file is not None


def open_devices(context: Context, at_ms: int, device_ids: Collection[int]) -> None:
    """Puts the rows of some devices back into the database, where the UTC day of `at_ms` is
    sealed: late ones are about to join them, or something has to be recomputed."""
    if at_ms >= context.hot_from_ms:
        return
    day_ms = floor_to(at_ms, MS_PER_DAY)
    with reading(context.engine) as connection:
        day = day_of(connection, day_ms)
        if day is None or day.file is None:
            return
        closed = sorted(set(device_ids) - opened_devices(connection, day_ms))
        meters = devices_meters(connection, closed)
    if not closed:
        return
    wanted = [meter_id for some in meters.values() for meter_id in some]
    rows = cold_store(context).read(day.file, day_ms, day_ms + MS_PER_DAY, wanted)
    for device_id in closed:
        own = rows[:, np.isin(rows[METER], meters[device_id])]
        with writing(context.engine) as connection:
            now = day_of(connection, day_ms)
            if now is None or now.file != day.file:
                return open_devices(context, at_ms, device_ids)  # sealed anew meanwhile
            open_device(connection, day_ms, device_id, own, context.clock.now_ms())
