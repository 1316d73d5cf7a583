"""Keeps the roll-ups in step with what was sent, claimed, corrected or re-rated."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from carbon.domain.rollup import BucketRow, Rate
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR
from carbon.services.bucket_roller import BucketRoller
from carbon.services.context import Context
from carbon.storage.engine import reading, writing
from carbon.storage.ratings import Ratings
from carbon.storage.rollups import (
    is_behind,
    oldest_dirty,
    set_buckets,
    set_workload_period,
    take_dirty_hours,
    take_marks,
    workload_day,
    workload_hour,
)

#: Devices of one bucket, and workload-hours, recomputed in one transaction: short locks.
_DEVICES_AT_ONCE = 32
_HOURS_AT_ONCE = 16


def roll_up(context: Context, end_ms: int | None = None, most: int | None = None) -> int:
    """Recomputes dirty buckets before `end_ms` (all by default), then the hours and days above.

    Answers how many buckets were recomputed, at most about `most`. Safe to run twice, to stop
    anywhere, and on several replicas at once: each transaction takes its marks with it.
    """
    with reading(context.engine) as connection:
        if not is_behind(connection):
            return 0
    done = 0
    while most is None or done < most:
        count = _roll_some(context, end_ms)
        if not count:
            break
        done += count
    while _roll_hours(context):
        pass
    return done


def _roll_some(context: Context, end_ms: int | None) -> int:
    """Computes beside the writers and locks for the SET alone: a bucket that changed meanwhile
    keeps its mark and is computed anew."""
    with reading(context.engine) as connection:
        dirty = oldest_dirty(connection, _DEVICES_AT_ONCE, end_ms)
        if dirty is None:
            return 0
        seen = Ratings(connection, may_store=False)
        span_ms = (dirty.start_ms, dirty.start_ms + BUCKET_MS)
        roller = BucketRoller.load(context, connection, seen, list(dirty.marks), *span_ms)
        rolled = {device: roller.rows(device) for device in dirty.marks}
    with writing(context.engine) as connection:
        stored = Ratings(connection, may_store=True)
        taken = take_marks(connection, dirty)
        rows = []
        for device in taken:
            rate, parts = rolled[device]
            rating_id = stored.id_of(seen.by_id[rate.rating])
            rows += [_stored_row(dirty.start_ms, device, part, rate, rating_id) for part in parts]
        set_buckets(connection, dirty.start_ms, taken, rows, context.clock.now_ms())
    return len(dirty.marks)


def _stored_row(
    start_ms: int, device: int, row: BucketRow, rate: Rate, rating_id: int
) -> dict[str, object]:
    """A row of the table `bucket`."""
    return {
        "start_ms": start_ms,
        "device_id": device,
        "subject_id": row.subject,
        "workload_id": row.workload,
        "method": int(row.method),
        "energy_mj": row.energy_mj,
        "operational_ng": row.operational_ng,
        "covered_ms": row.covered_ms,
        "reserved_ms": row.reserved_ms,
        "meter_id": row.meter,
        "rating_id": rating_id,
        "vintage_id": rate.vintage,
        "g_per_kwh": rate.g_per_kwh,
        "pue": rate.pue,
    }


def _roll_hours(context: Context) -> bool:
    now_ms = context.clock.now_ms()
    timezone = ZoneInfo(context.settings.timezone)
    with writing(context.engine) as connection:
        hours = take_dirty_hours(connection, _HOURS_AT_ONCE)
        days = set()
        for start_ms, workload_id in hours:
            end_ms = start_ms + MS_PER_HOUR
            set_workload_period(connection, workload_hour, workload_id, start_ms, end_ms, now_ms)
            days |= {(day, workload_id) for day in civil_days(start_ms, end_ms, timezone)}
        for (day_start_ms, day_end_ms), workload_id in sorted(days):
            set_workload_period(
                connection, workload_day, workload_id, day_start_ms, day_end_ms, now_ms
            )
        return bool(hours)


def civil_days(start_ms: int, end_ms: int, timezone: ZoneInfo) -> list[tuple[int, int]]:
    """The civil days, as [start, end) in epoch ms, that [start, end) touches; 23 to 25 h long."""
    days: list[tuple[int, int]] = []
    date = datetime.fromtimestamp(start_ms / 1000, timezone).date()
    while True:
        lo, hi = (
            round(datetime(d.year, d.month, d.day, tzinfo=timezone).timestamp() * 1000)
            for d in (date, date + timedelta(days=1))
        )
        if lo >= end_ms:
            return days
        days.append((lo, hi))
        date += timedelta(days=1)
