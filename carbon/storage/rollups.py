"""Roll-ups: derived, recomputed and SET, never added to.

    bucket (5 min, 90 d) → quarter_hour (lasting) → workload_hour → workload_day (civil)

All carry the same measures. `covered_ms` is device-time that readings back, `reserved_ms`
device-time held (the basis of embodied carbon); of one device and bucket the reserved times
of all subjects sum to the covered time.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, Table, Text, UniqueConstraint

from carbon.storage.schema import Amount, Code, Id, Ms, metadata


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


#: Device kind and model, on which the embodied factor hangs.
device_model = Table(
    "device_model",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    UniqueConstraint("kind", "model"),
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
