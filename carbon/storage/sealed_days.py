"""Which days of raw rows lie in the cold tier, and what of them is open again."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    Row,
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
from carbon.storage.partitions import is_made, partition_name
from carbon.storage.schema import Amount, Ms, metadata
from carbon.storage.upsert import insert_new, set_rows

#: A UTC day of raw rows that is being written to the cold tier, or lies there. `file` names its
#: files, one a line and the largest first; null while the first one is being written.
sealed_day = Table(
    "sealed_day",
    metadata,
    Column("day_ms", Ms, primary_key=True),
    Column("file", Text, nullable=True),
    #: Drawn anew by what changes the day's rows; a file written meanwhile is void.
    Column("version", Integer, nullable=False, server_default="0"),
    Column("rows", BigInteger, nullable=False),
    #: Those of files that were joined meanwhile with them, until the day is sealed anew.
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

#: Files that count no more. Whoever began to read before may still open them.
cold_leftover = Table(
    "cold_leftover",
    metadata,
    Column("file", Text, primary_key=True),
    Column("left_ms", Ms, nullable=False),
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
    #: Together they hold the day; none while the first one is being written.
    files: tuple[str, ...]
    version: int
    is_cleared: bool
    sealed_ms: int


def buckets_kept_from(connection: Connection) -> int:
    """The time before which 5-minute buckets are gone; 0 where none are."""
    return connection.scalar(select(bucket_horizon.c.kept_from_ms)) or 0


def keep_buckets_from(connection: Connection, at_ms: int) -> None:
    set_rows(connection, bucket_horizon, [{"id": 1, "kept_from_ms": at_ms}])


def day_of(connection: Connection, day_ms: int) -> SealedDay | None:
    """A day that lies in the cold tier, or is on its way."""
    row = connection.execute(_DAYS.where(sealed_day.c.day_ms == day_ms)).one_or_none()
    return _sealed_day(row) if row else None


def hold_day(connection: Connection, day_ms: int) -> SealedDay:
    """The day, for whoever is about to change what its rows are: others who are wait for the end
    of this transaction. Of several days the earlier first."""
    empty = {"rows": 0, "bytes": 0, "energy_mj": 0, "sealed_ms": 0}
    insert_new(connection, sealed_day, [{"day_ms": day_ms, **empty}])
    held = _DAYS.where(sealed_day.c.day_ms == day_ms).with_for_update()
    return _sealed_day(connection.execute(held).one())


def sealed_days(connection: Connection) -> list[SealedDay]:
    """Those that have a file, in order."""
    query = _DAYS.where(sealed_day.c.file.is_not(None)).order_by(sealed_day.c.day_ms)
    return [_sealed_day(row) for row in connection.execute(query)]


_DAYS = select(
    *(sealed_day.c[name] for name in ("day_ms", "file", "version", "is_cleared", "sealed_ms"))
)


def _sealed_day(row: Row[Any]) -> SealedDay:
    files = tuple(row.file.split("\n")) if row.file else ()
    return SealedDay(row.day_ms, files, row.version, bool(row.is_cleared), row.sealed_ms)


def begin_sealing(connection: Connection, day_ms: int) -> int:
    """Notes that a file of the day is being written; answers the version that it is of."""
    version = secrets.randbits(31)
    hold_day(connection, day_ms)
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
    old = hold_day(connection, day_ms)
    if not is_sqlite(connection) and is_made(connection, day_ms):
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
    leave(connection, old.files, now_ms)
    connection.execute(delete(opened_device).where(opened_device.c.day_ms == day_ms))
    return True


def add_file(
    connection: Connection,
    day: SealedDay,
    file: ColdFile,
    new: tuple[int, int],
    joined: Sequence[str],
    now_ms: int,
) -> None:
    """Lets one more file count for a day that is held. `new` are
    the rows and mJ that were not there before; the others are those of the files `joined` in it."""
    s = sealed_day.c
    rows, energy_mj = new
    kept = [name for name in day.files if name not in joined]
    connection.execute(
        update(sealed_day)
        .where(s.day_ms == day.day_ms)
        .values(
            file="\n".join([*kept, file.name]),
            version=secrets.randbits(31),
            rows=s.rows + rows,
            bytes=s.bytes + file.bytes,
            energy_mj=s.energy_mj + energy_mj,
            # Nothing hot is left of a day that nothing hot was of.
            is_cleared=s.is_cleared if day.files else 1,
            sealed_ms=now_ms,
        )
    )
    leave(connection, joined, now_ms)


def leave(connection: Connection, files: Sequence[str], now_ms: int) -> None:
    insert_new(connection, cold_leftover, [{"file": name, "left_ms": now_ms} for name in files])


def left_before(connection: Connection, at_ms: int) -> list[str]:
    c = cold_leftover.c
    return list(connection.scalars(select(c.file).where(c.left_ms < at_ms).order_by(c.left_ms)))


def forget_leftovers(connection: Connection, files: Sequence[str]) -> None:
    connection.execute(delete(cold_leftover).where(cold_leftover.c.file.in_(files)))


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
    hold_day(connection, day_ms)
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
