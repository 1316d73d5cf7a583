"""Which days of raw rows lie in the cold tier, and what of them is open again."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    Table,
    Text,
    delete,
    select,
    text,
    update,
)

from carbon.domain.units import MS_PER_DAY
from carbon.storage.bulk import insert_columns
from carbon.storage.cold import ColdFile
from carbon.storage.energy import dirty_bucket, energy_interval
from carbon.storage.engine import is_sqlite
from carbon.storage.interval_columns import Ints
from carbon.storage.names import meter
from carbon.storage.partitions import partition_name
from carbon.storage.schema import Amount, Ms, metadata
from carbon.storage.upsert import insert_new, set_rows

#: A UTC day of raw rows that is being written to the cold tier, or lies there. `file` is its
#: current file, null while the first one is being written.
sealed_day = Table(
    "sealed_day",
    metadata,
    Column("day_ms", Ms, primary_key=True),
    Column("file", Text, nullable=True),
    #: Drawn anew by what changes the day's rows; a file written meanwhile is void.
    Column("version", Integer, nullable=False, server_default="0"),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("energy_mj", Amount, nullable=False),
    #: Whether the hot rows of the day are gone.
    Column("is_cleared", Integer, nullable=False, server_default="0"),
    Column("sealed_ms", Ms, nullable=False),
    sqlite_with_rowid=False,
)

#: Devices of a sealed day whose rows are hot again: late ones came, or something has to be
#: recomputed. Theirs count, and not those of the file.
opened_device = Table(
    "opened_device",
    metadata,
    Column("day_ms", Ms, primary_key=True),
    Column("device_id", Integer, primary_key=True),
    Column("opened_ms", Ms, nullable=False),
    sqlite_with_rowid=False,
)

#: One row: the time before which 5-minute buckets are gone.
bucket_horizon = Table(
    "bucket_horizon",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kept_from_ms", Ms, nullable=False),
)


@dataclass(frozen=True, slots=True)
class SealedDay:
    day_ms: int
    file: str | None
    version: int
    is_cleared: bool


def buckets_kept_from(connection: Connection) -> int:
    """The time before which 5-minute buckets are gone; 0 where none are."""
    return connection.scalar(select(bucket_horizon.c.kept_from_ms)) or 0


def keep_buckets_from(connection: Connection, at_ms: int) -> None:
    set_rows(connection, bucket_horizon, [{"id": 1, "kept_from_ms": at_ms}])


def day_of(connection: Connection, day_ms: int) -> SealedDay | None:
    """A day that lies in the cold tier, or is on its way."""
    s = sealed_day.c
    query = select(s.day_ms, s.file, s.version, s.is_cleared).where(s.day_ms == day_ms)
    row = connection.execute(query).one_or_none()
    return SealedDay(row[0], row[1], row[2], bool(row[3])) if row else None


def sealed_days(connection: Connection) -> list[SealedDay]:
    """Those that have a file, in order."""
    s = sealed_day.c
    query = select(s.day_ms, s.file, s.version, s.is_cleared).where(s.file.is_not(None))
    rows = connection.execute(query.order_by(s.day_ms))
    return [SealedDay(row[0], row[1], row[2], bool(row[3])) for row in rows]


def begin_sealing(connection: Connection, day_ms: int, now_ms: int) -> int:
    """Notes that a file of the day is being written; answers the version that it is of."""
    version = secrets.randbits(31)
    empty = {"rows": 0, "bytes": 0, "energy_mj": 0, "sealed_ms": now_ms}
    insert_new(connection, sealed_day, [{"day_ms": day_ms, "version": version, **empty}])
    connection.execute(
        update(sealed_day).where(sealed_day.c.day_ms == day_ms).values(version=version)
    )
    return version


def change_day(connection: Connection, day_ms: int) -> None:
    """To be called with what changes a day's rows: a file being written of them is void."""
    changed = update(sealed_day).where(sealed_day.c.day_ms == day_ms)
    connection.execute(changed.values(version=secrets.randbits(31)))


def end_sealing(
    connection: Connection, day_ms: int, version: int, file: ColdFile, now_ms: int
) -> bool:
    """Lets the file count for the day; answers False where rows came while it was written."""
    if not is_sqlite(connection):
        # Whoever writes rows of the day holds this off until his marks can be seen.
        connection.execute(text(f"LOCK TABLE {partition_name(day_ms)} IN EXCLUSIVE MODE"))
    if is_dirty(connection, day_ms):
        return False
    s = sealed_day.c
    taken = connection.execute(
        update(sealed_day)
        .where(s.day_ms == day_ms, s.version == version)
        .values(
            file=file.name,
            rows=file.rows,
            bytes=file.bytes,
            energy_mj=file.energy_mj,
            is_cleared=0,
            sealed_ms=now_ms,
        )
    )
    if not taken.rowcount:
        return False
    connection.execute(delete(opened_device).where(opened_device.c.day_ms == day_ms))
    return True


def is_dirty(connection: Connection, day_ms: int) -> bool:
    c = dirty_bucket.c
    some = select(c.start_ms).where(c.start_ms >= day_ms, c.start_ms < day_ms + MS_PER_DAY)
    return connection.scalar(some.limit(1)) is not None


def oldest_hot_day(connection: Connection, after_ms: int, before_ms: int) -> int | None:
    """The first UTC day in [after, before) that has rows in the database itself."""
    e = energy_interval.c
    query = select(e.end_ms).where(e.end_ms > after_ms, e.end_ms <= before_ms)
    first = connection.scalar(query.order_by(e.end_ms).limit(1))
    return None if first is None else (first - 1) // MS_PER_DAY * MS_PER_DAY


def opened_meters(connection: Connection, day_ms: int) -> set[int]:
    """Meters whose rows of a sealed day count from the database, not from the file."""
    o = opened_device.c
    query = select(meter.c.id).join(opened_device, o.device_id == meter.c.device_id)
    return set(connection.scalars(query.where(o.day_ms == day_ms)))


def opened_since(connection: Connection) -> dict[int, int]:
    """Day → when a device of it was opened last."""
    found: dict[int, int] = {}
    for day_ms, opened_ms in connection.execute(
        select(opened_device.c.day_ms, opened_device.c.opened_ms)
    ):
        found[day_ms] = max(opened_ms, found.get(day_ms, 0))
    return found


def open_device(
    connection: Connection, day_ms: int, device_id: int, rows: Ints, now_ms: int
) -> None:
    """Puts a device's rows of a sealed day back; from then on they count from here."""
    insert_columns(connection, rows)
    opened = {"day_ms": day_ms, "device_id": device_id, "opened_ms": now_ms}
    set_rows(connection, opened_device, [opened])
    change_day(connection, day_ms)


def clear_rows(connection: Connection, day_ms: int, start_ms: int, end_ms: int) -> None:
    """Deletes hot rows that end in (start, end] of a sealed day, but for those that count from
    here or are new."""
    o, b, m = opened_device.c, dirty_bucket.c, meter.c
    opened = select(o.device_id).where(o.day_ms == day_ms)
    new = select(b.device_id).where(b.start_ms >= day_ms, b.start_ms < day_ms + MS_PER_DAY)
    kept = select(m.id).where(m.device_id.in_(opened) | m.device_id.in_(new))
    e = energy_interval.c
    connection.execute(
        delete(energy_interval).where(
            e.end_ms > start_ms, e.end_ms <= end_ms, e.meter_id.not_in(kept)
        )
    )


def mark_cleared(connection: Connection, day_ms: int, version: int) -> None:
    s = sealed_day.c
    connection.execute(
        update(sealed_day).where(s.day_ms == day_ms, s.version == version).values(is_cleared=1)
    )


def devices_meters(connection: Connection, device_ids: Collection[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {device_id: [] for device_id in device_ids}
    query = select(meter.c.device_id, meter.c.id).where(meter.c.device_id.in_(device_ids))
    for device_id, meter_id in connection.execute(query):
        found[device_id].append(meter_id)
    return found


def opened_devices(connection: Connection, day_ms: int) -> set[int]:
    o = opened_device.c
    return set(connection.scalars(select(o.device_id).where(o.day_ms == day_ms)))
