"""Roll-ups: derived, recomputed and SET, never added to.

    bucket (5 min, 90 d) → quarter_hour (lasting) → device_hour
                                                  → workload_hour → workload_day (civil)

All carry the same measures. `covered_ms` is device-time that readings back, `reserved_ms`
device-time held (the basis of embodied carbon); of one device and bucket the reserved times
of all subjects sum to the covered time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    CompoundSelect,
    Connection,
    Float,
    Index,
    Integer,
    Select,
    Table,
    Text,
    UniqueConstraint,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    union_all,
)

from carbon.domain.units import BUCKET_MS, MS_PER_HOUR, QUARTER_MS, floor_to
from carbon.storage.bulk import insert_rows, upsert_rows
from carbon.storage.energy import dirty_bucket
from carbon.storage.engine import is_sqlite
from carbon.storage.names import device
from carbon.storage.pairs import Pair, between, delete_pairs, listed
from carbon.storage.period_changes import note_changes
from carbon.storage.schema import Amount, Code, Id, Ms, metadata

_MEASURES = ("energy_mj", "operational_ng", "covered_ms", "reserved_ms")


def _measures() -> list[Column[int]]:
    return [
        Column("energy_mj", Amount, nullable=False),
        Column("operational_ng", Amount, nullable=False),
        Column("covered_ms", Ms, nullable=False),
        Column("reserved_ms", Ms, nullable=False),
    ]


#: Of PostgreSQL's pages half is left free where prices are SET in sets: the new rows stand beside
#: the old ones then and no index is touched, which takes a fourth of the time.
ROOM_FOR_PRICES = {"fillfactor": 50}

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
    postgresql_with=ROOM_FOR_PRICES,
)


def _workload_rollup(name: str, **options: Any) -> Table:
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
        **options,
    )


workload_hour = _workload_rollup("workload_hour", postgresql_with=ROOM_FOR_PRICES)
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


#: PostgreSQL's advisory lock of those who SET roll-ups.
_SETTING_LOCK = 0x0CA4B04


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


def buckets_of_device(
    connection: Connection, device_id: int, start_ms: int
) -> list[tuple[int, int]]:
    """(start_ms, device_id) of a device's buckets from a time on, wherever their rows lie: rolled
    up, about to be, and of each quarter-hour one, since its buckets may be gone."""
    found: set[int] = set()
    for table, step_ms in (
        (bucket, BUCKET_MS),
        (dirty_bucket, BUCKET_MS),
        (quarter_hour, QUARTER_MS),
    ):
        c = table.c
        first_ms = floor_to(start_ms, step_ms)
        query = select(c.start_ms).where(c.device_id == device_id, c.start_ms >= first_ms)
        found.update(connection.scalars(query.distinct()))
    return [(at_ms, device_id) for at_ms in sorted(found)]


def set_alone(connection: Connection) -> None:
    """Until the transaction ends nobody else SETs: of one quarter-hour or day each would sum
    without the other's, and both would insert it."""
    if not is_sqlite(connection):
        connection.execute(select(func.pg_advisory_xact_lock(_SETTING_LOCK)))


def set_buckets(
    connection: Connection,
    pairs: Sequence[Pair],
    rows: Sequence[tuple[Any, ...]],
    now_ms: int,
) -> None:
    """Replaces the rows of some (start_ms, device_id), their quarter-hours with them, and marks the
    hours of every workload that gained or lost by it."""
    if not pairs:
        return
    quarters = sorted({(floor_to(start_ms, QUARTER_MS), device) for start_ms, device in pairs})
    touched = _workloads(connection, quarters)
    touched |= {(floor_to(row[0], QUARTER_MS), row[3]) for row in rows}
    delete_pairs(connection, bucket.name, pairs)
    insert_rows(connection, bucket, rows)
    delete_pairs(connection, quarter_hour.name, quarters)
    _sum_quarters(connection, quarters, now_ms)
    hours = {(floor_to(quarter_ms, MS_PER_HOUR), workload) for quarter_ms, workload in touched}
    mark_hours(connection, hours, now_ms)


def _workloads(connection: Connection, quarters: Sequence[Pair]) -> set[tuple[int, int]]:
    """(start_ms, workload_id) in some devices' quarter-hours."""
    found = connection.exec_driver_sql(
        f"SELECT DISTINCT q.start_ms, q.workload_id FROM {listed(quarters)} v "
        "CROSS JOIN quarter_hour q WHERE q.start_ms = v.column1 AND q.device_id = v.column2 "
        f"AND {between('q.start_ms', quarters)}"
    )
    return {(row[0], row[1]) for row in found}


def mark_hours(connection: Connection, hours: Iterable[tuple[int, ...]], now_ms: int) -> None:
    """Marks (start_ms, workload_id) as behind their quarter-hours."""
    marks = [(start_ms, workload_id, now_ms) for start_ms, workload_id in sorted(hours)]
    replacing = "ON CONFLICT (start_ms, workload_id) DO UPDATE SET marked_ms = excluded.marked_ms"
    upsert_rows(connection, dirty_hour, marks, replacing)


def requarter(connection: Connection, start_ms: int, devices: Collection[int], now_ms: int) -> None:
    """Sets some devices' quarter-hour from their buckets, where only prices changed."""
    replace_quarter(connection, start_ms, devices, [])
    _sum_quarters(connection, [(start_ms, device) for device in devices], now_ms)


def replace_quarter(
    connection: Connection,
    start_ms: int,
    devices: Collection[int],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Replaces the rows of some devices' quarter-hour."""
    connection.exec_driver_sql(
        f"DELETE FROM quarter_hour WHERE start_ms = {int(start_ms)} "
        f"AND device_id IN ({', '.join(str(int(device)) for device in devices)})"
    )
    insert_rows(connection, quarter_hour, rows)


def _sum_quarters(connection: Connection, quarters: Sequence[Pair], now_ms: int) -> None:
    """Inserts some devices' quarter-hours, as the sums of their buckets."""
    keys = "device_id, subject_id, workload_id, method, rating_id"
    own = ", ".join(f"b.{key}" for key in keys.split(", "))
    sums = ", ".join(f"CAST(SUM(b.{name}) AS BIGINT)" for name in _MEASURES)
    last = [(start_ms + QUARTER_MS, device) for start_ms, device in quarters[-1:]]
    connection.exec_driver_sql(
        f"INSERT INTO quarter_hour (start_ms, {keys}, {', '.join(_MEASURES)}, recorded_ms) "
        f"SELECT v.column1, {own}, {sums}, {int(now_ms)} "
        f"FROM {listed(quarters)} v CROSS JOIN {_IN_QUARTER} n CROSS JOIN bucket b "
        f"WHERE b.start_ms = v.column1 + n.column1 AND b.device_id = v.column2 "
        f"AND {between('b.start_ms', [*quarters, *last])} GROUP BY v.column1, {own}"
    )


_IN_QUARTER = listed([(at_ms,) for at_ms in range(0, QUARTER_MS, BUCKET_MS)])


def take_dirty_hours(connection: Connection, limit: int) -> dict[int, list[int]]:
    """Takes up to `limit` workload-hours that are behind, oldest first: hour → workloads."""
    set_alone(connection)
    c = dirty_hour.c
    query = select(c.start_ms, c.workload_id).order_by(c.start_ms, c.workload_id).limit(limit)
    taken: dict[int, list[int]] = {}
    for start_ms, workload_id in connection.execute(query).all():
        taken.setdefault(start_ms, []).append(workload_id)
    for start_ms, workloads in taken.items():
        connection.execute(
            delete(dirty_hour).where(c.start_ms == start_ms, c.workload_id.in_(workloads))
        )
    return taken


def set_workload_periods(
    connection: Connection,
    table: Table,
    workloads: Collection[int],
    start_ms: int,
    end_ms: int,
    now_ms: int,
    finer: Table = quarter_hour,
) -> None:
    """Sets the hour or civil day of some workloads: an hour from finer rows by device, a day from
    its hours and the quarter-hours at its ends, so that a day of a large fleet is no long sum. A
    day whose hours are behind is behind with them."""
    t = table.c
    connection.execute(delete(table).where(t.start_ms == start_ms, t.workload_id.in_(workloads)))
    span = (start_ms, end_ms)
    is_hour = table is workload_hour
    parts = _of_devices(finer, workloads, span) if is_hour else _of_hours(workloads, span)
    f = parts.subquery().c
    keys = [f.workload_id, f.model_id, f.method, f.rating_id]
    sums = [cast(func.sum(f[name]), BigInteger) for name in _MEASURES]
    summed = select(literal(start_ms), *keys, *sums, literal(now_ms)).group_by(*keys)
    connection.execute(insert(table).from_select([*t], summed))
    note_changes(connection, table, [start_ms])


def _of_hours(workloads: Collection[int], span: Pair) -> Select[Any] | CompoundSelect[Any]:
    """The hours that lie in a span whole, and the quarter-hours before and after them."""
    start_ms, end_ms = span
    first_ms = floor_to(start_ms + MS_PER_HOUR - 1, MS_PER_HOUR)
    last_ms = floor_to(end_ms, MS_PER_HOUR)
    h = workload_hour.c
    hours = select(h.workload_id, h.model_id, h.method, h.rating_id, *_measured(workload_hour))
    whole = hours.where(h.workload_id.in_(workloads), h.start_ms >= first_ms, h.start_ms < last_ms)
    ends = [(lo, hi) for lo, hi in ((start_ms, first_ms), (last_ms, end_ms)) if lo < hi]
    return union_all(whole, *(_of_devices(quarter_hour, workloads, end) for end in ends))


def _of_devices(table: Table, workloads: Collection[int], span: Pair) -> Select[Any]:
    t = table.c
    return (
        select(t.workload_id, device.c.model_id, t.method, t.rating_id, *_measured(table))
        .join_from(table, device, device.c.id == t.device_id)
        .where(t.workload_id.in_(workloads), t.start_ms >= span[0], t.start_ms < span[1])
    )


def _measured(table: Table) -> list[Column[int]]:
    return [table.c[name] for name in _MEASURES]
