"""Energy intervals as sent: the ledger's raw rows, and what surrounds their arrival."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

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

#: Buckets whose roll-up is behind. Marked in the transaction that changed their rows.
dirty_bucket = Table(
    "dirty_bucket",
    metadata,
    Column("start_ms", Ms, primary_key=True),
    Column("device_id", Integer, primary_key=True),
    Column("marked_ms", Ms, nullable=False),
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
