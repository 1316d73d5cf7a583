"""Roll-ups: derived, recomputed and SET, never added to.

    bucket (5 min, 90 d) → quarter_hour (lasting) → workload_hour → workload_day (civil)

All carry the same measures. `covered_ms` is device-time that readings back, `reserved_ms`
device-time held (the basis of embodied carbon); of one device and bucket the reserved times
of all subjects sum to the covered time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
)

from carbon.domain.units import MS_PER_HOUR, QUARTER_MS, floor_to
from carbon.storage.energy import dirty_bucket
from carbon.storage.names import device
from carbon.storage.schema import Amount, Code, Id, Ms, metadata
from carbon.storage.upsert import Row, set_rows


def _measures() -> list[Column[int]]:
    return [
        Column("energy_mj", Amount, nullable=False),
        Column("operational_ng", Amount, nullable=False),
        Column("covered_ms", Ms, nullable=False),
        Column("reserved_ms", Ms, nullable=False),
    ]


#: How carbon was priced: few rows, shared by all roll-ups.
rating = Table(
    "rating",
    metadata,
    Column("id", Id, primary_key=True),
    Column("zone", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("signal", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("kind", Text, nullable=False),  # domain.intensity.PointKind
    Column("flags", Text, nullable=False),  # comma-separated
    UniqueConstraint("zone", "source", "signal", "scope", "kind", "flags"),
)

bucket = Table(
    "bucket",
    metadata,
    Column("start_ms", Ms, primary_key=True),
    Column("device_id", Integer, primary_key=True),
    Column("subject_id", Integer, primary_key=True),
    #: domain.claims.NO_WORKLOAD (0) where no claim names one.
    Column("workload_id", Integer, primary_key=True),
    Column("method", Code, primary_key=True),
    *_measures(),
    #: The meter that counted.
    Column("meter_id", Integer, nullable=False),
    Column("rating_id", Integer, nullable=False),
    #: The vintage that rated most of the bucket, 0 for the bundled table: what a revision of
    #: that vintage touches.
    Column("vintage_id", Integer, nullable=False),
    Column("g_per_kwh", Float, nullable=False),
    Column("pue", Float, nullable=False),
    Index(None, "workload_id", "start_ms"),
    Index(None, "subject_id", "start_ms"),
    sqlite_with_rowid=False,
)

quarter_hour = Table(
    "quarter_hour",
    metadata,
    Column("start_ms", Ms, primary_key=True),
    Column("device_id", Integer, primary_key=True),
    Column("subject_id", Integer, primary_key=True),
    Column("workload_id", Integer, primary_key=True),
    Column("method", Code, primary_key=True),
    Column("rating_id", Integer, primary_key=True),
    *_measures(),
    #: When this row was computed: what a report pins.
    Column("recorded_ms", Ms, nullable=False),
    Index(None, "workload_id", "start_ms"),
    Index(None, "subject_id", "start_ms"),
    sqlite_with_rowid=False,
)


def _workload_rollup(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("start_ms", Ms, primary_key=True),
        Column("workload_id", Integer, primary_key=True),
        Column("model_id", Integer, primary_key=True),
        Column("method", Code, primary_key=True),
        Column("rating_id", Integer, primary_key=True),
        *_measures(),
        Column("recorded_ms", Ms, nullable=False),
        Index(None, "workload_id", "start_ms"),
        sqlite_with_rowid=False,
    )


workload_hour = _workload_rollup("workload_hour")
workload_day = _workload_rollup("workload_day")

#: Hours whose sums are behind their quarter-hours; days follow hours the same way.
dirty_hour = Table(
    "dirty_hour",
    metadata,
    Column("start_ms", Ms, primary_key=True),
    Column("workload_id", Integer, primary_key=True),
    Column("marked_ms", Ms, nullable=False),
    sqlite_with_rowid=False,
)


def buckets_of_zone(
    connection: Connection, zone: str, start_ms: int, end_ms: int
) -> list[tuple[int, int]]:
    """(start_ms, device_id) of the rolled-up buckets that a zone's intensity priced."""
    query = (
        select(bucket.c.start_ms, bucket.c.device_id)
        .join(rating, rating.c.id == bucket.c.rating_id)
        .where(bucket.c.start_ms >= start_ms, bucket.c.start_ms < end_ms, rating.c.zone == zone)
        .distinct()
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def buckets_of_subject(
    connection: Connection, subject_id: int, start_ms: int
) -> list[tuple[int, int]]:
    """(start_ms, device_id) of the rolled-up buckets in which a subject drew, from a time on."""
    query = (
        select(bucket.c.start_ms, bucket.c.device_id)
        .where(bucket.c.subject_id == subject_id, bucket.c.start_ms >= start_ms)
        .distinct()
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class DirtyBucket:
    """One bucket with some of the devices that are behind in it, and their marks as seen."""

    start_ms: int
    marks: dict[int, int]


def oldest_dirty(
    connection: Connection, most_devices: int, end_ms: int | None = None
) -> DirtyBucket | None:
    """The oldest dirty bucket, before `end_ms` where given."""
    c = dirty_bucket.c
    oldest = select(func.min(c.start_ms))
    if end_ms is not None:
        oldest = oldest.where(c.start_ms < end_ms)
    start_ms = connection.scalar(oldest)
    if start_ms is None:
        return None
    some = select(c.device_id, c.marks).where(c.start_ms == start_ms).order_by(c.device_id)
    marks = {row[0]: row[1] for row in connection.execute(some.limit(most_devices))}
    return DirtyBucket(start_ms, marks)


def take_marks(connection: Connection, dirty: DirtyBucket) -> list[int]:
    """Takes the marks of the devices that did not change since they were seen; these devices
    may be SET. The others stay dirty, and what was computed of them is void."""
    c = dirty_bucket.c
    taken = []
    for device_id, marks in dirty.marks.items():
        result = connection.execute(
            delete(dirty_bucket).where(
                c.start_ms == dirty.start_ms, c.device_id == device_id, c.marks == marks
            )
        )
        if result.rowcount:
            taken.append(device_id)
    return taken


def is_behind(connection: Connection) -> bool:
    """Whether anything is dirty."""
    tables = (dirty_bucket, dirty_hour)
    return any(connection.scalar(select(t.c.start_ms).limit(1)) is not None for t in tables)


def count_dirty(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(dirty_bucket)) or 0


def set_buckets(
    connection: Connection,
    start_ms: int,
    devices: Collection[int],
    rows: Sequence[Row],
    now_ms: int,
) -> None:
    """Replaces the rows of some devices' bucket, their quarter-hours with them, and marks the
    hours of every workload that gained or lost by it."""
    quarter_ms = floor_to(start_ms, QUARTER_MS)
    touched = _workloads_in(connection, quarter_ms, devices)
    b = bucket.c
    connection.execute(delete(bucket).where(b.start_ms == start_ms, b.device_id.in_(devices)))
    if rows:
        connection.execute(bucket.insert(), list(rows))
    _set_quarters(connection, quarter_ms, devices, now_ms)
    touched |= _workloads_in(connection, quarter_ms, devices)
    hour_ms = floor_to(start_ms, MS_PER_HOUR)
    marks = [
        {"start_ms": hour_ms, "workload_id": workload_id, "marked_ms": now_ms}
        for workload_id in sorted(touched)
    ]
    set_rows(connection, dirty_hour, marks)


def _workloads_in(connection: Connection, quarter_ms: int, devices: Collection[int]) -> set[int]:
    q = quarter_hour.c
    query = select(q.workload_id).where(q.start_ms == quarter_ms, q.device_id.in_(devices))
    return set(connection.scalars(query.distinct()))


def _set_quarters(
    connection: Connection, quarter_ms: int, devices: Collection[int], now_ms: int
) -> None:
    q, b = quarter_hour.c, bucket.c
    connection.execute(
        delete(quarter_hour).where(q.start_ms == quarter_ms, q.device_id.in_(devices))
    )
    keys = [b.device_id, b.subject_id, b.workload_id, b.method, b.rating_id]
    sums = (
        select(literal(quarter_ms), *keys, *_summed(bucket), literal(now_ms))
        .where(
            b.start_ms >= quarter_ms,
            b.start_ms < quarter_ms + QUARTER_MS,
            b.device_id.in_(devices),
        )
        .group_by(*keys)
    )
    connection.execute(insert(quarter_hour).from_select([*quarter_hour.c], sums))


def _summed(table: Table) -> list[ColumnElement[int]]:
    return [
        cast(func.sum(table.c[name]), BigInteger)
        for name in ("energy_mj", "operational_ng", "covered_ms", "reserved_ms")
    ]


def take_dirty_hours(connection: Connection, limit: int) -> list[tuple[int, int]]:
    """Takes up to `limit` (start_ms, workload_id) whose hour is behind, oldest first."""
    c = dirty_hour.c
    query = select(c.start_ms, c.workload_id).order_by(c.start_ms, c.workload_id).limit(limit)
    taken = [(row[0], row[1]) for row in connection.execute(query)]
    for start_ms, workload_id in taken:
        connection.execute(
            delete(dirty_hour).where(c.start_ms == start_ms, c.workload_id == workload_id)
        )
    return taken


def set_workload_period(
    connection: Connection,
    table: Table,
    workload_id: int,
    start_ms: int,
    end_ms: int,
    now_ms: int,
) -> None:
    """Sets a workload's hour or civil day from its quarter-hours."""
    t, q = table.c, quarter_hour.c
    connection.execute(delete(table).where(t.start_ms == start_ms, t.workload_id == workload_id))
    keys = [device.c.model_id, q.method, q.rating_id]
    sums = (
        select(
            literal(start_ms), literal(workload_id), *keys, *_summed(quarter_hour), literal(now_ms)
        )
        .join_from(quarter_hour, device, device.c.id == q.device_id)
        .where(q.workload_id == workload_id, q.start_ms >= start_ms, q.start_ms < end_ms)
        .group_by(*keys)
    )
    connection.execute(insert(table).from_select([*t], sums))
