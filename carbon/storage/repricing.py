"""What has to be priced anew, and the sets of rows in which that is done.

A quarter-hour keeps its energy, so a revision of intensity, zone or PUE never needs a reading.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    Table,
    Text,
    TextClause,
    and_,
    delete,
    exists,
    or_,
    select,
    text,
)

from carbon.domain.units import BUCKET_MS
from carbon.storage.bulk import upsert_columns
from carbon.storage.column_reads import ALL_BITS, read_columns, read_packed
from carbon.storage.columns import Ints, grouped
from carbon.storage.energy import dirty_bucket
from carbon.storage.engine import execute, is_sqlite
from carbon.storage.period_changes import KINDS, note_changes
from carbon.storage.rollups import bucket, dirty_hour, quarter_hour
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

#: Columns of the arrays of quarter-hours and buckets, in order.
COLUMNS = (
    "start_ms",
    "device_id",
    "subject_id",
    "workload_id",
    "method",
    "rating_id",
    "energy_mj",
    "operational_ng",
)
#: The table whose ids a key is one of.
_NAMED_IN = {
    "device_id": "device",
    "subject_id": "subject",
    "workload_id": "workload",
    "model_id": "device_model",
    "rating_id": "rating",
}
#: `domain.energy.Method`.
_METHOD_BITS = 4
#: Single rows set in one statement; a power of two, see `bulk.parts`.
ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Mark:
    zone: str
    start_ms: int
    end_ms: int
    mark: int

    def covers(self, zone: str, start_ms: int, end_ms: int) -> bool:
        return self.zone in ("", zone) and self.start_ms < end_ms and self.end_ms > start_ms


@dataclass(frozen=True, slots=True)
class Price:
    """What a mJ costs, and what a bucket says of it."""

    ng_per_mj: float
    rating_id: int
    vintage_id: int
    g_per_kwh: float
    pue: float


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


def is_behind(connection: Connection) -> bool:
    """Whether any bucket, hour or price is marked: in one turn to the database, for each report
    asks it first."""
    tables = (dirty_bucket, dirty_hour, dirty_price)
    return bool(connection.scalar(select(or_(*(exists(select(t.c.start_ms)) for t in tables)))))


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


def rows_of(
    connection: Connection, table: Table, start_ms: int, end_ms: int, width_ms: int
) -> Ints:
    """(n, 8), see COLUMNS: what quarter-hours or buckets of a civil day say, in order of start."""
    place = f"(start_ms - {int(start_ms)}) / {width_ms}"
    bits = {place: _bits_of((end_ms - start_ms) // width_ms)}
    bits |= _key_bits(connection, COLUMNS[1:6])
    bits |= dict.fromkeys(COLUMNS[6:], ALL_BITS)
    source = f"{table.name} WHERE start_ms >= {int(start_ms)} AND start_ms < {int(end_ms)}"
    rows = read_packed(connection, bits, source, "start_ms")
    rows[:, 0] = start_ms + rows[:, 0] * width_ms
    return rows


def _key_bits(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    """How many bits the keys of roll-ups take at most: no name is ever deleted."""
    ids = {key: _NAMED_IN[key] for key in keys if key in _NAMED_IN}
    asked = ", ".join(f"(SELECT max(id) FROM {table})" for table in ids.values())
    largest = execute(connection, f"SELECT {asked}").fetchone()
    found = dict(zip(ids, largest, strict=True))
    return {key: _bits_of(found[key]) if key in ids else _METHOD_BITS for key in keys}


def _bits_of(largest: int | None) -> int:
    return int(largest or 0).bit_length()


def quarter_rows(connection: Connection, start_ms: int, devices: Iterable[int]) -> Ints:
    """All columns of some devices' quarter-hour but the time of recording."""
    listed = ", ".join(str(int(device)) for device in devices)
    source = f"quarter_hour WHERE start_ms = {int(start_ms)} AND device_id IN ({listed})"
    return read_columns(connection, [c.name for c in quarter_hour.c][:-1], source)


def has_rows(
    connection: Connection, table: Table, keys: Sequence[str], width_ms: int, rows: Ints
) -> bool:
    """Whether a table has just these rows in the time that they span; `rows` begin with keys, the
    first of them the time in steps of so many ms."""
    if not len(rows):
        return True
    first_ms, last_ms = int(rows[0, 0]), int(rows[-1, 0])
    bits = {f"(start_ms - {first_ms}) / {width_ms}": _bits_of((last_ms - first_ms) // width_ms)}
    bits |= _key_bits(connection, keys[1:])
    source = f"{table.name} WHERE start_ms BETWEEN {first_ms} AND {last_ms}"
    known = read_packed(connection, bits, source)
    known[:, 0] = first_ms + known[:, 0] * width_ms
    meant = rows[:, :-1]
    if known.shape != meant.shape:
        return False
    # In order of key as a rule, since that is how they are found.
    return bool((known == meant).all() or (known[grouped(list(known.T))[0]] == meant).all())


def changes_since(connection: Connection, start_ms: int, end_ms: int) -> tuple[Any, ...]:
    """What tells whether a roll-up of a day changed: its marks."""
    # By the driver: it is asked in every transaction, and building it would cost more than running.
    days = execute(
        connection,
        f"SELECT workload_id, marks FROM dirty_period WHERE kind = {DAY} "
        f"AND start_ms = {int(start_ms)} ORDER BY workload_id",
    ).fetchall()
    hours = execute(
        connection,
        "SELECT start_ms, workload_id, marked_ms FROM dirty_hour "
        f"WHERE start_ms >= {int(start_ms)} AND start_ms < {int(end_ms)} "
        "ORDER BY start_ms, workload_id",
    ).fetchall()
    return (*days, *hours)


def price_ratings(
    connection: Connection,
    table: Table,
    start_ms: int,
    devices: tuple[int, int],
    prices: Mapping[int, Price],
    now_ms: int,
) -> None:
    """Sets what the rows of one quarter-hour or bucket cost, by the rating that they have, of the
    devices from one to another: energy times `ng_per_mj`, rounded in floats; what lies near a
    half is the caller's to set."""
    lite = is_sqlite(connection)
    real = "?" if lite else "CAST(%s AS double precision)"
    k = _by_rating(prices, [real] * len(prices))
    # Truncating what is positive and rounding it down are the same; each database has one of both.
    product = f"energy_mj * {k} + 0.5"
    # What differs from one statement to the next is a parameter: the driver keeps it prepared.
    mark = "?" if lite else "%s"
    values: list[float] = [price.ng_per_mj for price in prices.values()]
    sets = [
        "operational_ng = "
        + (f"CAST({product} AS INTEGER)" if lite else f"CAST(floor({product}) AS bigint)")
    ]
    if table is bucket:
        for name in ("g_per_kwh", "pue"):
            sets.append(f"{name} = {_by_rating(prices, [real] * len(prices))}")
            values += [getattr(price, name) for price in prices.values()]
        for name in ("rating_id", "vintage_id"):
            told = [str(int(getattr(price, name))) for price in prices.values()]
            sets.append(f"{name} = {_by_rating(prices, told)}")
    else:
        sets.append(f"recorded_ms = {mark}")
        values.append(now_ms)
    ratings = ", ".join(str(int(rating)) for rating in prices)
    execute(
        connection,
        f"UPDATE {table.name} SET {', '.join(sets)} WHERE start_ms = {mark} "
        f"AND device_id BETWEEN {mark} AND {mark} AND rating_id IN ({ratings})",
        (*values, start_ms, *devices),
    ).close()


def _by_rating(ratings: Iterable[int], values: Sequence[str]) -> str:
    cases = " ".join(
        f"WHEN {int(rating)} THEN {value}" for rating, value in zip(ratings, values, strict=True)
    )
    return f"(CASE rating_id {cases} END)"


def price_devices(connection: Connection, start_ms: int, prices: Mapping[int, Price]) -> None:
    """Sets what a bucket's devices cost; rounded as by `price_ratings`."""
    rows = [
        {"device_id": device, "start_ms": start_ms, **asdict(price)}
        for device, price in prices.items()
    ]
    connection.execute(_of_devices(connection), rows)


def sum_quarter(connection: Connection, start_ms: int, now_ms: int) -> None:
    """Sets the carbon of a quarter-hour's rows to that of their buckets."""
    values = {"start_ms": start_ms, "now_ms": now_ms}
    values |= {f"b{n}": start_ms + n * BUCKET_MS for n in range(3)}
    connection.execute(_SUM, values)


def _of_devices(connection: Connection) -> TextClause:
    # Truncating what is positive and rounding it down are the same; each database has one of both.
    product = (
        "CAST(energy_mj * :ng_per_mj + 0.5 AS INTEGER)"
        if is_sqlite(connection)
        else "CAST(floor(energy_mj * CAST(:ng_per_mj AS double precision) + 0.5) AS bigint)"
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
    """Sets the carbon of rows that are known to be there: each of `rows` is its whole key, which
    makes it a matter of a fourth of the time, then the ng."""
    columns = dict(zip((*keys, "operational_ng"), rows.T, strict=True))
    if now_ms is not None:
        columns["recorded_ms"] = np.full(len(rows), now_ms)
    set_ = ", ".join(f"{name} = excluded.{name}" for name in list(columns)[len(keys) :])
    upsert_columns(
        connection, table, columns, f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {set_}"
    )
    if table.name in KINDS:
        note_changes(connection, table, np.unique(columns["start_ms"]).tolist())


def parts_of(rows: Ints) -> list[Ints]:
    """So many rows as one statement sets."""
    return [rows[at : at + ROWS_AT_ONCE] for at in range(0, len(rows), ROWS_AT_ONCE)]
