"""What has to be priced anew, and the sets of rows in which that is done.

A quarter-hour keeps its energy, so a revision of intensity, zone or PUE never needs a reading.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    Select,
    Table,
    Text,
    TextClause,
    and_,
    delete,
    select,
    text,
)

from carbon.domain.units import BUCKET_MS
from carbon.storage.columns import Ints
from carbon.storage.engine import is_sqlite
from carbon.storage.rollups import bucket, quarter_hour
from carbon.storage.schema import Ms, metadata
from carbon.storage.settled import DAY

#: Time over which prices changed; taken from its start on.
dirty_price = Table(
    "dirty_price",
    metadata,
    #: '' stands for every zone, as where a host moved.
    Column("zone", Text, primary_key=True),
    Column("start_ms", Ms, primary_key=True),
    Column("end_ms", Ms, nullable=False),
    #: Drawn anew with each mark: tells whether prices changed once more meanwhile.
    Column("mark", Integer, nullable=False, server_default="0"),
    Index(None, "start_ms"),
    sqlite_with_rowid=False,
)

#: Columns of each array, in order.
QUARTER_COLUMNS = tuple(c.name for c in quarter_hour.c)[:-1]
BUCKET_COLUMNS = (
    "start_ms",
    "device_id",
    "subject_id",
    "workload_id",
    "method",
    "rating_id",
    "energy_mj",
    "operational_ng",
)


@dataclass(frozen=True, slots=True)
class Mark:
    zone: str
    start_ms: int
    end_ms: int
    mark: int

    def covers(self, zone: str, start_ms: int, end_ms: int) -> bool:
        return self.zone in ("", zone) and self.start_ms < end_ms and self.end_ms > start_ms


def mark_price(connection: Connection, zone: str, start_ms: int, end_ms: int) -> None:
    """Notes that what was priced in a zone over [start, end) may cost otherwise now."""
    if start_ms >= end_ms:
        return
    # One mark for what overlaps, so that a year that is revised often is priced once.
    c = dirty_price.c
    near = (c.zone == zone, c.start_ms <= end_ms, c.end_ms >= start_ms)
    for lo, hi in connection.execute(select(c.start_ms, c.end_ms).where(*near)).all():
        start_ms, end_ms = min(start_ms, lo), max(end_ms, hi)
    connection.execute(delete(dirty_price).where(*near))
    _insert(connection, Mark(zone, start_ms, end_ms, secrets.randbits(31)))


def _insert(connection: Connection, mark: Mark) -> None:
    connection.execute(dirty_price.insert().values(**asdict(mark)))


def price_marks(connection: Connection, end_ms: int | None = None) -> list[Mark]:
    """Those that begin before `end_ms`, oldest first."""
    c = dirty_price.c
    query = select(c.zone, c.start_ms, c.end_ms, c.mark).order_by(c.start_ms, c.zone)
    if end_ms is not None:
        query = query.where(c.start_ms < end_ms)
    return [Mark(*row) for row in connection.execute(query)]


def cut_marks(connection: Connection, marks: Sequence[Mark], to_ms: int) -> list[Mark]:
    """Takes what lies before `to_ms`, and answers what is left; those that changed meanwhile
    stay whole and are not answered."""
    c = dirty_price.c
    left = []
    for mark in marks:
        if mark.start_ms >= to_ms:
            left.append(mark)
            continue
        same = and_(*(c[name] == value for name, value in asdict(mark).items()))
        if connection.execute(delete(dirty_price).where(same)).rowcount and mark.end_ms > to_ms:
            left.append(replace(mark, start_ms=to_ms))
            _insert(connection, left[-1])
    return left


def quarters_of(connection: Connection, start_ms: int, end_ms: int) -> Ints:
    q = quarter_hour.c
    return _array(
        connection,
        select(*(q[name] for name in QUARTER_COLUMNS))
        .where(q.start_ms >= start_ms, q.start_ms < end_ms)
        .order_by(q.start_ms),
        len(QUARTER_COLUMNS),
    )


def buckets_of(connection: Connection, start_ms: int, end_ms: int) -> Ints:
    b = bucket.c
    return _array(
        connection,
        select(*(b[name] for name in BUCKET_COLUMNS))
        .where(b.start_ms >= start_ms, b.start_ms < end_ms)
        .order_by(b.start_ms),
        len(BUCKET_COLUMNS),
    )


def _array(connection: Connection, query: Select[Any], width: int) -> Ints:
    """Rows as they come from the driver: no object of SQLAlchemy for each of them."""
    compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
    driver = connection.connection.driver_connection
    assert driver is not None
    cursor = driver.cursor()
    try:
        cursor.execute(str(compiled))
        flat = np.fromiter(chain.from_iterable(cursor), dtype=np.int64)
    finally:
        cursor.close()
    return flat.reshape(-1, width)


def changes_since(connection: Connection, start_ms: int, end_ms: int) -> tuple[Any, ...]:
    """What tells whether a roll-up of a day changed: its marks."""
    # By the driver: it is asked in every transaction, and building it would cost more than running.
    days = connection.exec_driver_sql(
        f"SELECT workload_id, marks FROM dirty_period WHERE kind = {DAY} "
        f"AND start_ms = {int(start_ms)} ORDER BY workload_id"
    ).all()
    hours = connection.exec_driver_sql(
        "SELECT start_ms, workload_id, marked_ms FROM dirty_hour "
        f"WHERE start_ms >= {int(start_ms)} AND start_ms < {int(end_ms)} "
        "ORDER BY start_ms, workload_id"
    ).all()
    return (*map(tuple, days), *map(tuple, hours))


def price_quarter(
    connection: Connection, start_ms: int, rating_id: int, k: float, now_ms: int
) -> None:
    """Sets the carbon of a quarter-hour's rows of one rating to energy times `k` (ng/mJ), rounded
    in floats: what lies near a half is the caller's to set."""
    product = (
        "CAST(energy_mj * ? + 0.5 AS INTEGER)"
        if is_sqlite(connection)
        else "CAST(floor(energy_mj * CAST(%s AS double precision) + 0.5) AS bigint)"
    )
    connection.exec_driver_sql(
        f"UPDATE quarter_hour SET operational_ng = {product}, recorded_ms = {int(now_ms)} "
        f"WHERE start_ms = {int(start_ms)} AND rating_id = {int(rating_id)}",
        (k,),
    )


def price_devices(
    connection: Connection, start_ms: int, prices: Sequence[dict[str, int | float]]
) -> None:
    """Sets what a bucket's devices cost: `device_id`, `k`, `rating_id`, `vintage_id`,
    `g_per_kwh` and `pue` of each; rounded as by `price_quarter`."""
    connection.execute(
        _of_devices(connection), [{**price, "start_ms": start_ms} for price in prices]
    )


def sum_quarter(connection: Connection, start_ms: int, now_ms: int) -> None:
    """Sets the carbon of a quarter-hour's rows to that of their buckets."""
    values = {"start_ms": start_ms, "now_ms": now_ms}
    values |= {f"b{n}": start_ms + n * BUCKET_MS for n in range(3)}
    connection.execute(_SUM, values)


def _of_devices(connection: Connection) -> TextClause:
    # Truncating what is positive and rounding it down are the same; each database has one of both.
    product = (
        "CAST(energy_mj * :k + 0.5 AS INTEGER)"
        if is_sqlite(connection)
        else "CAST(floor(energy_mj * CAST(:k AS double precision) + 0.5) AS bigint)"
    )
    return text(_DEVICES.format(product=product))


_DEVICES = (
    "UPDATE bucket SET operational_ng = {product}, rating_id = :rating_id, "
    "vintage_id = :vintage_id, g_per_kwh = :g_per_kwh, pue = :pue "
    "WHERE start_ms = :start_ms AND device_id = :device_id"
)
_SUM = text(
    "UPDATE quarter_hour SET recorded_ms = :now_ms, operational_ng = ("
    "SELECT sum(b.operational_ng) FROM bucket b WHERE b.start_ms IN (:b0, :b1, :b2) "
    "AND b.device_id = quarter_hour.device_id AND b.subject_id = quarter_hour.subject_id "
    "AND b.workload_id = quarter_hour.workload_id AND b.method = quarter_hour.method "
    "AND b.rating_id = quarter_hour.rating_id) WHERE start_ms = :start_ms"
)


def set_nanograms(
    connection: Connection, table: Table, keys: Sequence[str], rows: Ints, now_ms: int | None
) -> None:
    """Sets the carbon of single rows: each of `rows` is its key, then the ng."""
    if not len(rows):
        return
    mark = "?" if is_sqlite(connection) else "%s"
    where = " AND ".join(f"{key} = {mark}" for key in keys)
    stamp = "" if now_ms is None else f", recorded_ms = {int(now_ms)}"
    values = np.roll(rows, 1, axis=1).tolist()  # the ng first, as the statement has it
    connection.exec_driver_sql(
        f"UPDATE {table.name} SET operational_ng = {mark}{stamp} WHERE {where}",
        list(map(tuple, values)),
    )
