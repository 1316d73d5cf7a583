"""Grid intensity: vintages, their points, and what was refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    select,
)

from carbon.domain.intensity import (
    EmissionScope,
    IntensityPoint,
    PointKind,
    RatedPoint,
    Signal,
    Vintage,
)
from carbon.domain.units import MS_PER_HOUR
from carbon.storage.schema import Id, Ms, metadata
from carbon.storage.upsert import insert_new

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


def save_vintage(connection: Connection, vintage: Vintage, now_ms: int) -> int | None:
    """Stores a publication; answers its id, or None where it is stored already."""
    key = {
        "zone": vintage.zone,
        "source": vintage.source,
        "signal": str(vintage.signal),
        "scope": str(vintage.scope),
        "published_ms": vintage.published_ms,
        "points_hash": _points_hash(vintage.points),
    }
    v = intensity_vintage.c
    known = select(v.id).where(*(v[name] == value for name, value in key.items()))
    if connection.scalar(known) is not None:
        return None
    others = {"recorded_ms": now_ms, "licence": vintage.licence, "flags": ",".join(vintage.flags)}
    insert_new(connection, intensity_vintage, [{**key, **others}])
    vintage_id = connection.execute(known).scalar_one()
    insert_new(
        connection,
        intensity_point,
        [
            {
                "zone": vintage.zone,
                "start_ms": point.start_ms,
                "vintage_id": vintage_id,
                "end_ms": point.end_ms,
                "g_per_kwh": point.g_per_kwh,
                "kind": str(point.kind),
            }
            for point in vintage.points
        ],
    )
    return int(vintage_id)


def _points_hash(points: Sequence[IntensityPoint]) -> bytes:
    text = "\n".join(f"{p.start_ms} {p.end_ms} {p.g_per_kwh!r} {p.kind}" for p in points)
    return sha256(text.encode()).digest()[:16]


#: The civil day on which summer time ends; bounds the search for points that reach into a window.
LONGEST_POINT_MS = 25 * MS_PER_HOUR


def points_between(
    connection: Connection,
    zone: str,
    start_ms: int,
    end_ms: int,
    signal: Signal,
    scope: EmissionScope | None = None,
    as_of_ms: int | None = None,
) -> list[RatedPoint]:
    """All stored points of a zone that reach into [start, end), of every vintage recorded by
    `as_of_ms`; overlapping ones are the caller's to choose from (`domain.intensity.select`)."""
    p, v = intensity_point.c, intensity_vintage.c
    query = (
        select(
            p.start_ms,
            p.end_ms,
            p.g_per_kwh,
            p.kind,
            v.source,
            v.signal,
            v.scope,
            v.id,
            v.published_ms,
            v.flags,
        )
        .join_from(intensity_point, intensity_vintage)
        .where(
            p.zone == zone,
            p.start_ms > start_ms - LONGEST_POINT_MS,
            p.start_ms < end_ms,
            p.end_ms > start_ms,
            v.signal == str(signal),
        )
    )
    if scope is not None:
        query = query.where(v.scope == str(scope))
    if as_of_ms is not None:
        query = query.where(v.recorded_ms <= as_of_ms)
    return [
        RatedPoint(
            row.start_ms,
            row.end_ms,
            row.g_per_kwh,
            PointKind(row.kind),
            row.source,
            Signal(row.signal),
            EmissionScope(row.scope),
            row.id,
            row.published_ms,
            flags=tuple(filter(None, row.flags.split(","))),
        )
        for row in connection.execute(query)
    ]


def has_zone(connection: Connection, zone: str) -> bool:
    query = select(intensity_vintage.c.id).where(intensity_vintage.c.zone == zone).limit(1)
    return connection.scalar(query) is not None


def attribution(connection: Connection, zone: str, point: RatedPoint) -> str:
    """The line that the source of a zone's point stated last; empty where it states none."""
    v = intensity_vintage.c
    query = (
        select(v.licence)
        .where(
            v.zone == zone,
            v.source == point.source,
            v.signal == str(point.signal),
            v.scope == str(point.scope),
        )
        .order_by(v.published_ms.desc())
        .limit(1)
    )
    return connection.scalar(query) or ""


@dataclass(frozen=True, slots=True)
class RefusedPoint:
    """A row of the quarantine; `g_per_kwh` is None where it was no number."""

    id: int
    source: str
    start_ms: int
    end_ms: int
    g_per_kwh: float | None
    reason: str
    recorded_ms: int


def refused_points(
    connection: Connection, zone: str, below_id: int | None, limit: int
) -> list[RefusedPoint]:
    """What was refused of a zone, latest first, at most `limit`, of ids below `below_id`."""
    q = intensity_quarantine.c
    query = select(
        q.id, q.source, q.start_ms, q.end_ms, q.g_per_kwh, q.reason, q.recorded_ms
    ).where(q.zone == zone)
    if below_id is not None:
        query = query.where(q.id < below_id)
    return [
        RefusedPoint(*row) for row in connection.execute(query.order_by(q.id.desc()).limit(limit))
    ]


def quarantine(
    connection: Connection,
    zone: str,
    source: str,
    points: Iterable[tuple[IntensityPoint, str]],
    now_ms: int,
) -> None:
    """Keeps refused points with their reasons, for people to see."""
    for point, reason in points:
        finite = point.g_per_kwh == point.g_per_kwh and abs(point.g_per_kwh) != float("inf")
        connection.execute(
            intensity_quarantine.insert().values(
                zone=zone,
                source=source,
                start_ms=point.start_ms,
                end_ms=point.end_ms,
                g_per_kwh=point.g_per_kwh if finite else None,
                reason=reason,
                recorded_ms=now_ms,
            )
        )
