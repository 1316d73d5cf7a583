"""Grid intensity: vintages, their points, and what was refused."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, LargeBinary, Table, Text, UniqueConstraint

from carbon.storage.schema import Id, Ms, metadata

intensity_vintage = Table(
    "intensity_vintage",
    metadata,
    Column("id", Id, primary_key=True),
    Column("zone", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("signal", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("published_ms", Ms, nullable=False),
    Column("recorded_ms", Ms, nullable=False),
    #: Hash of the points: the same publication seen again is the same vintage.
    Column("points_hash", LargeBinary, nullable=False),
    Column("licence", Text, nullable=False),
    Column("flags", Text, nullable=False),  # comma-separated
    UniqueConstraint("zone", "source", "signal", "scope", "published_ms", "points_hash"),
)

#: Led by the zone, so that a window of a zone reads one stretch.
intensity_point = Table(
    "intensity_point",
    metadata,
    Column("zone", Text, primary_key=True),
    Column("start_ms", Ms, primary_key=True),
    Column("vintage_id", ForeignKey("intensity_vintage.id"), primary_key=True),
    Column("end_ms", Ms, nullable=False),
    Column("g_per_kwh", Float, nullable=False),
    Column("kind", Text, nullable=False),  # domain.intensity.PointKind
    sqlite_with_rowid=False,
)

#: Points that were not believed, with the reason; never used, always shown.
intensity_quarantine = Table(
    "intensity_quarantine",
    metadata,
    Column("id", Id, primary_key=True),
    Column("zone", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=False),
    Column("g_per_kwh", Float, nullable=True),
    Column("reason", Text, nullable=False),
    Column("recorded_ms", Ms, nullable=False),
    Index(None, "zone", "recorded_ms"),
)
