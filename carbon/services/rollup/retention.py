"""The life of data: raw rows go to the cold tier after the hot days, buckets go after theirs.

A day is sealed in steps, each safe to stop after: its rows are written and read again, then the
file counts, then the hot rows are deleted a little at a time. What comes late re-opens its
devices (`raw_readings.open_devices`), and the day is sealed anew once it is quiet again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from sqlalchemy import delete, select

from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_HOUR
from carbon.services.context import Context
from carbon.services.rollup.raw_readings import cold_store
from carbon.storage.engine import is_sqlite, reading, writing
from carbon.storage.interval_columns import METER, Ints, columns_between
from carbon.storage.partitions import drop_day
from carbon.storage.rollups import bucket
from carbon.storage.sealed_days import (
    SealedDay,
    begin_sealing,
    buckets_kept_from,
    clear_rows,
    day_of,
    end_sealing,
    forget_leftovers,
    hold_day,
    is_dirty,
    keep_buckets_from,
    left_before,
    mark_cleared,
    oldest_hot_day,
    opened_meters,
    opened_since,
    sealed_days,
)

log = logging.getLogger("carbon.retention")

Pause = Callable[[float], None]

#: A day that was opened is sealed anew after it has been quiet for so long.
QUIET_MS: Final = 600_000
#: What a deletion may take; it learns how much of the day that is.
_LOCK_S: Final = 0.008


def retain(context: Context, pause: Pause = lambda _took_s: None) -> int:
    """Seals what is due, deletes what has a file, and drops old buckets; answers how many days
    were sealed."""
    sealed = 0
    for day_ms in _due(context):
        sealed += seal(context, day_ms)
    with reading(context.engine) as connection:
        uncleared = [day for day in sealed_days(connection) if not day.is_cleared]
    for day in uncleared:
        _clear(context, day, pause)
    _remove_leftovers(context)
    _drop_buckets(context, pause)
    return sealed


def _due(context: Context) -> list[int]:
    """UTC days that are older than the hot ones and not dirty: never sealed, or opened or in
    several files, and quiet again."""
    now_ms, hot_ms = context.clock.now_ms(), context.hot_from_ms
    due = []
    with reading(context.engine) as connection:
        days = sealed_days(connection)
        done = {day.day_ms for day in days}
        at: int | None = 0
        while at is not None and (at := oldest_hot_day(connection, at, hot_ms)) is not None:
            if at not in done and not is_dirty(connection, at):
                due.append(at)
            at += MS_PER_DAY
        changed_ms = opened_since(connection)
        for day in days:
            if len(day.files) > 1:
                changed_ms[day.day_ms] = max(day.sealed_ms, changed_ms.get(day.day_ms, 0))
        due += [
            day_ms
            for day_ms, at_ms in changed_ms.items()
            if at_ms <= now_ms - QUIET_MS and not is_dirty(connection, day_ms)
        ]
    return sorted(due)


def seal(context: Context, day_ms: int) -> bool:
    """Writes a day to the cold tier, and lets the file count; answers False where rows came
    meanwhile, and then nothing is changed."""
    store = cold_store(context)
    with writing(context.engine) as connection:
        version = begin_sealing(connection, day_ms)
        before = day_of(connection, day_ms)
    file = store.write(day_ms, _hours(context, day_ms, before.files if before else ()))
    with writing(context.engine) as connection:
        counts = end_sealing(connection, day_ms, version, file, context.clock.now_ms())
    if not counts:
        store.remove(file.name)
    else:
        log.info("sealed %s: %d rows in %d bytes", file.name, file.rows, file.bytes)
    return counts


def _hours(context: Context, day_ms: int, old: Sequence[str]) -> Iterator[Ints]:
    """The day's rows in parts: of a sealed day those of its files, but for opened devices."""
    for lo in range(day_ms, day_ms + MS_PER_DAY, MS_PER_HOUR):
        hi = lo + MS_PER_HOUR
        with reading(context.engine) as connection:
            hot = columns_between(connection, lo, hi, None)
            opened = opened_meters(connection, day_ms) if old else set()
        if not old:
            yield hot
            continue
        cold = cold_store(context).read(old, lo, hi)
        kept = cold[:, ~np.isin(cold[METER], list(opened))]
        yield np.concatenate([kept, hot[:, np.isin(hot[METER], list(opened))]], axis=1)


def _clear(context: Context, day: SealedDay, pause: Pause) -> None:
    """Deletes the hot rows of a sealed day. On PostgreSQL its partition goes at once, where
    nothing of it is opened."""
    with writing(context.engine) as connection:
        hold_day(connection, day.day_ms)
        if not is_sqlite(connection) and not opened_meters(connection, day.day_ms):
            if not is_dirty(connection, day.day_ms):
                drop_day(connection, day.day_ms)
                mark_cleared(connection, day.day_ms, day.version)
            return
    at, width_ms = day.day_ms, 60_000
    while at < day.day_ms + MS_PER_DAY:
        until = min(at + width_ms, day.day_ms + MS_PER_DAY)
        with writing(context.engine) as connection:
            began = time.perf_counter()
            now = day_of(connection, day.day_ms)
            if now is None or now.files != day.files:
                return
            clear_rows(connection, day.day_ms, at, until)
            took_s = time.perf_counter() - began
        width_ms = (
            max(10_000, width_ms // 2) if took_s > _LOCK_S else min(2 * width_ms, MS_PER_HOUR)
        )
        at = until
        pause(took_s)
    with writing(context.engine) as connection:
        mark_cleared(connection, day.day_ms, day.version)


def _remove_leftovers(context: Context) -> None:
    """Files that have not counted for a while: nobody reads them any more."""
    with reading(context.engine) as connection:
        files = left_before(connection, context.clock.now_ms() - QUIET_MS)
    for name in files:
        cold_store(context).remove(name)
    if files:
        with writing(context.engine) as connection:
            forget_leftovers(connection, files)


def _drop_buckets(context: Context, pause: Pause) -> None:
    """Deletes 5-minute buckets past their days, one after the other. Of a quarter-hour all go
    before the horizon says so: a roll-up never sums a part of one."""
    until_ms = context.hot_from_ms + (context.settings.hot_days - context.settings.bucket_days) * (
        MS_PER_DAY
    )
    with reading(context.engine) as connection:
        if buckets_kept_from(connection) < until_ms:
            is_due = True
        else:
            old = select(bucket.c.start_ms).where(bucket.c.start_ms < until_ms).limit(1)
            is_due = connection.scalar(old) is not None
    if not is_due:
        return
    with writing(context.engine) as connection:
        keep_buckets_from(connection, max(until_ms, buckets_kept_from(connection)))
    while True:
        with writing(context.engine) as connection:
            began = time.perf_counter()
            b = bucket.c.start_ms
            first = connection.scalar(select(b).where(b < until_ms).order_by(b).limit(1))
            if first is None:
                return
            connection.execute(delete(bucket).where(b >= first, b < first + BUCKET_MS))
            took_s = time.perf_counter() - began
        pause(took_s)
