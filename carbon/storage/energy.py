"""Energy intervals as sent: the ledger's raw rows, and what surrounds their arrival."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    select,
)

from carbon.domain.rollup import Reservation
from carbon.storage.bulk import IntervalRow, insert_intervals
from carbon.storage.interval_columns import Ints
from carbon.storage.schema import Amount, Code, Id, Ms, metadata

#: Immutable. The key leads with the end, so that a bucket and a day lie together; the start is
#: stored as the span, which keeps a row at 27 bytes on SQLite. On PostgreSQL one partition a
#: day, without a default one (`storage.partitions`).
energy_interval = Table(
    "energy_interval",
    metadata,
    Column("end_ms", Ms, primary_key=True),
    Column("meter_id", Integer, primary_key=True),
    Column("subject_id", Integer, primary_key=True),
    Column("span_ms", Integer, primary_key=True),
    Column("energy_mj", Amount, nullable=False),
    Column("method", Code, nullable=False),  # domain.energy.Method
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (end_ms)",
)

#: Rows that contradict what was acknowledged first: same key and other values, or a partial
#: overlap at equal span. Kept for people to see; never counted.
interval_conflict = Table(
    "interval_conflict",
    metadata,
    Column("id", Id, primary_key=True),
    Column("meter_id", ForeignKey("meter.id"), nullable=False),
    Column("subject_id", ForeignKey("subject.id"), nullable=False),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=False),
    Column("energy_mj", Amount, nullable=False),
    Column("method", Code, nullable=False),
    Column("reason", Text, nullable=False),  # value | overlap
    Column("recorded_ms", Ms, nullable=False),
    Index(None, "end_ms"),
)

#: A short cut only: the same key with the same body need not be looked at again.
ingest_batch = Table(
    "ingest_batch",
    metadata,
    Column("source_id", ForeignKey("source.id"), primary_key=True),
    Column("boot_id", Text, primary_key=True),
    Column("seq", Ms, primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("intervals", Integer, nullable=False),
    Column("recorded_ms", Ms, nullable=False),
    sqlite_with_rowid=False,
)

#: Buckets whose roll-up is behind. Marked in the transaction that changed their rows, with a
#: number of its own: it tells a roll-up whether its bucket changed while it computed.
dirty_bucket = Table(
    "dirty_bucket",
    metadata,
    Column("start_ms", Ms, primary_key=True),
    Column("device_id", Integer, primary_key=True),
    Column("marks", Integer, nullable=False),
    sqlite_with_rowid=False,
)

reservation = Table(
    "reservation",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("start_ms", Ms, primary_key=True),
    Column("subject_id", ForeignKey("subject.id"), primary_key=True),
    Column("end_ms", Ms, nullable=False),
    Column("share_ppm", Integer, nullable=False),
    Column("recorded_ms", Ms, nullable=False),
    Index(None, "device_id", "end_ms"),
    sqlite_with_rowid=False,
)

#: Cut at 5-minute marks like energy.
unit_count = Table(
    "unit_count",
    metadata,
    Column("end_ms", Ms, primary_key=True),
    Column("unit_id", ForeignKey("workload_unit.id"), primary_key=True),
    Column("source_id", ForeignKey("source.id"), primary_key=True),
    Column("span_ms", Integer, primary_key=True),
    Column("count", Amount, nullable=False),
    Index(None, "unit_id", "end_ms"),
    sqlite_with_rowid=False,
)

unit_conflict = Table(
    "unit_conflict",
    metadata,
    Column("id", Id, primary_key=True),
    Column("unit_id", ForeignKey("workload_unit.id"), nullable=False),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=False),
    Column("count", Amount, nullable=False),
    Column("recorded_ms", Ms, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A row that contradicts an acknowledged one; `position` is its place among those sent."""

    position: int
    reason: str  # value | overlap


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the rows of one sending; positions are indexes into the rows."""

    duplicates: frozenset[int]
    contradictions: tuple[Contradiction, ...]


def write_intervals(connection: Connection, columns: Ints) -> Written:
    """Stores rows, given as columns, after a look at each; the first acknowledged stays, what
    contradicts it is told."""
    rows = rows_of(columns)
    new, written = judged(rows, _rows_around(connection, rows))
    insert_intervals(connection, new)
    return written


def rows_of(columns: Ints) -> list[IntervalRow]:
    return list(zip(*columns.tolist(), strict=True))


def judged(
    rows: Sequence[IntervalRow], known_rows: Iterable[IntervalRow]
) -> tuple[list[IntervalRow], Written]:
    """Those of some rows that join what is known of their meters around that time, and what becomes
    of the others."""
    known = _KnownRows()
    for row in known_rows:
        known.add(row)
    new: list[IntervalRow] = []
    duplicates: set[int] = set()
    contradictions: list[Contradiction] = []
    for position, row in enumerate(rows):
        verdict = known.judge(row)
        if verdict is None:
            new.append(row)
            known.add(row)
        elif verdict == "duplicate":
            duplicates.add(position)
        else:
            contradictions.append(Contradiction(position, verdict))
    return new, Written(frozenset(duplicates), tuple(contradictions))


class _KnownRows:
    """The acknowledged rows of some meters around a time, to judge a new one against."""

    def __init__(self) -> None:
        self._values: dict[tuple[int, int, int, int], tuple[int, int]] = {}
        #: (meter, span) → starts; a row of equal span that starts within one span overlaps.
        self._starts: dict[tuple[int, int], list[int]] = {}

    def add(self, row: IntervalRow) -> None:
        self._values[row[:4]] = row[4:]
        insort(self._starts.setdefault((row[1], row[3]), []), row[0] - row[3])

    def judge(self, row: IntervalRow) -> str | None:
        known = self._values.get(row[:4])
        if known is not None:
            return "duplicate" if known == row[4:] else "value"
        span, start = row[3], row[0] - row[3]
        starts = self._starts.get((row[1], span), [])
        lo, hi = bisect_right(starts, start - span), bisect_left(starts, start + span)
        return "overlap" if any(other != start for other in starts[lo:hi]) else None


def _rows_around(connection: Connection, rows: Sequence[IntervalRow]) -> list[IntervalRow]:
    widest = max(row[3] for row in rows)
    first = min(row[0] - row[3] for row in rows)
    last = max(row[0] for row in rows) + widest
    t = energy_interval.c
    found = connection.execute(
        select(t.end_ms, t.meter_id, t.subject_id, t.span_ms, t.energy_mj, t.method).where(
            t.end_ms > first, t.end_ms < last, t.meter_id.in_({row[1] for row in rows})
        )
    )
    return [(row[0], row[1], row[2], row[3], row[4], row[5]) for row in found]


def keep_conflicts(
    connection: Connection, columns: Ints, contradictions: Sequence[Contradiction], now_ms: int
) -> None:
    for c in contradictions:
        row = columns[:, c.position].tolist()
        end_ms, meter_id, subject_id, span_ms, energy_mj, method = row
        connection.execute(
            interval_conflict.insert().values(
                meter_id=meter_id,
                subject_id=subject_id,
                start_ms=end_ms - span_ms,
                end_ms=end_ms,
                energy_mj=energy_mj,
                method=method,
                reason=c.reason,
                recorded_ms=now_ms,
            )
        )


def last_ends(
    connection: Connection, start_ms: int, end_ms: int, meters: Collection[int]
) -> dict[int, int]:
    """End of the last reading of each of some meters that ends in (start, end]."""
    t = energy_interval.c
    if not meters:
        return {}
    query = (
        select(t.meter_id, func.max(t.end_ms))
        .where(t.end_ms > start_ms, t.end_ms <= end_ms)
        .group_by(t.meter_id)
    )
    return {row[0]: row[1] for row in connection.execute(query) if row[0] in meters}


def reservations_between(
    connection: Connection, device_ids: Collection[int], start_ms: int, end_ms: int
) -> dict[int, list[Reservation]]:
    """The reservations of each device that reach into [start, end)."""
    r = reservation.c
    query = select(r.device_id, r.subject_id, r.start_ms, r.end_ms, r.share_ppm).where(
        r.device_id.in_(device_ids), r.start_ms < end_ms, r.end_ms > start_ms
    )
    found: dict[int, list[Reservation]] = {}
    for row in connection.execute(query):
        found.setdefault(row.device_id, []).append(Reservation(*row[1:]))
    return found


def has_raw_between(connection: Connection, start_ms: int, end_ms: int) -> bool:
    t = energy_interval.c
    query = select(t.end_ms).where(t.end_ms > start_ms, t.end_ms <= end_ms).limit(1)
    return connection.scalar(query) is not None
