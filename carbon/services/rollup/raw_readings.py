"""Raw rows wherever they lie: in the database, or sealed in the cold tier."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import numpy as np
from sqlalchemy import Connection

from carbon.domain.energy import Method, Reading
from carbon.domain.units import MS_PER_DAY, floor_to
from carbon.services.context import Context
from carbon.storage.cold import ColdStore
from carbon.storage.energy import has_raw_between
from carbon.storage.engine import reading, writing
from carbon.storage.interval_columns import METER, NOTHING, Ints, columns_between
from carbon.storage.sealed_days import (
    SealedDay,
    day_of,
    devices_meters,
    hold_day,
    open_device,
    opened_devices,
    opened_meters,
)


def cold_store(context: Context) -> ColdStore:
    """Raises InvalidInput(`cold_store`)."""
    settings = context.settings
    return _store_at(settings.cold_store or str(settings.data_dir / "cold"))


#: One for each address: it keeps what was read last.
_store_at = lru_cache(8)(ColdStore)


def may_be_cold(context: Context, day_ms: int) -> bool:
    """Whether a UTC day may lie in the cold tier: a day more than is due, since at midnight one
    server's clock is behind another's."""
    return day_ms <= context.hot_from_ms


def raw_columns(
    context: Context, connection: Connection, start_ms: int, end_ms: int, meters: Collection[int]
) -> Ints:
    """(6, n) of the rows of whole buckets in [start, end), of some meters at least, wherever they
    lie (`storage.interval_columns`)."""
    parts = [NOTHING]
    for day_ms in range(floor_to(start_ms, MS_PER_DAY), end_ms, MS_PER_DAY):
        lo, hi = max(start_ms, day_ms), min(end_ms, day_ms + MS_PER_DAY)
        day = day_of(connection, day_ms) if may_be_cold(context, day_ms) else None
        if day is None or not day.files:
            parts.append(columns_between(connection, lo, hi, meters))
            continue
        opened = opened_meters(connection, day_ms).intersection(meters)
        if opened:
            hot = columns_between(connection, lo, hi, opened)
            parts.append(hot[:, np.isin(hot[METER], list(opened))])
        if cold := set(meters) - opened:
            parts.append(cold_store(context).read(day.files, lo, hi, cold))
    return np.concatenate(parts, axis=1)


def readings_of(
    context: Context, connection: Connection, start_ms: int, end_ms: int, meters: Collection[int]
) -> list[Reading]:
    """Readings of whole buckets in [start, end), of some meters."""
    columns = raw_columns(context, connection, start_ms, end_ms, meters)
    wanted = columns[:, np.isin(columns[METER], list(meters))]
    return [
        Reading(meter, subject, end - span, end, energy_mj, Method(method))
        for end, meter, subject, span, energy_mj, method in wanted.T.tolist()
    ]


def has_readings(context: Context, connection: Connection, start_ms: int, end_ms: int) -> bool:
    """Whether raw rows of a time inside one UTC day are at hand anywhere."""
    if has_raw_between(connection, start_ms, end_ms):
        return True
    day = day_of(connection, floor_to(start_ms, MS_PER_DAY))
    return day is not None and bool(day.files)


def open_devices(context: Context, at_ms: int, device_ids: Collection[int]) -> None:
    """Puts the rows of some devices back into the database, where the UTC day of `at_ms` is
    sealed and late ones are about to join them."""
    if at_ms >= context.hot_from_ms:
        return
    day_ms = floor_to(at_ms, MS_PER_DAY)
    with reading(context.engine) as connection:
        day = day_of(connection, day_ms)
        if day is None or not day.files:
            return
        closed = sorted(set(device_ids) - opened_devices(connection, day_ms))
        meters = devices_meters(connection, closed)
    if not closed:
        return
    wanted = [meter_id for some in meters.values() for meter_id in some]
    rows = cold_store(context).read(day.files, day_ms, day_ms + MS_PER_DAY, wanted)
    for device_id in closed:
        own = rows[:, np.isin(rows[METER], meters[device_id])]
        with writing(context.engine) as connection:
            now = hold_day(connection, day_ms)
            if now.files != day.files:
                return open_devices(context, at_ms, device_ids)  # written anew meanwhile
            open_device(connection, day_ms, device_id, own, context.clock.now_ms())


def open_held(
    context: Context, connection: Connection, day: SealedDay, device_ids: Collection[int]
) -> None:
    """As `open_devices`, of a day that the caller's transaction holds."""
    closed = sorted(set(device_ids) - opened_devices(connection, day.day_ms))
    for device_id, meters in devices_meters(connection, closed).items() if closed else ():
        window = (day.day_ms, day.day_ms + MS_PER_DAY)
        own = cold_store(context).read(day.files, *window, meters)
        open_device(connection, day.day_ms, device_id, own, context.clock.now_ms())
