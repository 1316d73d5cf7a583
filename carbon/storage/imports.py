"""What importing leaves behind: how far each running total was read, and what was wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Column, Connection, Float, Index, Integer, Table, Text, func, select

from carbon.storage.schema import Ms, metadata
from carbon.storage.upsert import set_rows

#: How far a counter or gauge of another tool was read.
import_track = Table(
    "import_track",
    metadata,
    #: Way, rule and device or series.
    Column("key", Text, primary_key=True),
    Column("at_ms", Ms, nullable=False),
    Column("value", Float, nullable=False),
    Column("host", Text, nullable=False),
    Column("who", Text, nullable=False),  # JSON list of [subject, workload]
    Column("seen_ms", Ms, nullable=False),
    Index(None, "seen_ms"),
    sqlite_with_rowid=False,
)

#: Faults of what was imported, once for each kind and thing they are about.
import_trouble = Table(
    "import_trouble",
    metadata,
    Column("source", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("about", Text, primary_key=True),
    Column("detail", Text, nullable=False),
    Column("first_ms", Ms, nullable=False),
    Column("last_ms", Ms, nullable=False),
    Column("count", Integer, nullable=False),
    Index(None, "last_ms"),
    sqlite_with_rowid=False,
)

#: Well below the parameters that a statement may have.
_KEYS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class TrackRow:
    key: str
    at_ms: int
    value: float
    host: str
    who: str
    seen_ms: int


@dataclass(frozen=True, slots=True)
class TroubleRow:
    source: str
    code: str
    about: str
    detail: str
    first_ms: int
    last_ms: int
    count: int


def tracks_of(connection: Connection, keys: Collection[str]) -> list[TrackRow]:
    """Those known among some keys; on PostgreSQL no other server moves them meanwhile."""
    found: list[TrackRow] = []
    ordered = sorted(keys)
    for first in range(0, len(ordered), _KEYS_AT_ONCE):
        some = ordered[first : first + _KEYS_AT_ONCE]
        query = select(import_track).where(import_track.c.key.in_(some)).with_for_update()
        found += [TrackRow(*tuple(row)) for row in connection.execute(query)]
    return found


def save_tracks(connection: Connection, rows: Iterable[TrackRow]) -> None:
    set_rows(connection, import_track, [asdict(row) for row in rows])


def add_troubles(connection: Connection, rows: Iterable[TroubleRow]) -> None:
    """Counts them on where they are known; the latest detail stands."""
    t = import_trouble.c
    for row in rows:
        query = select(t.first_ms, t.last_ms, t.count).where(
            t.source == row.source, t.code == row.code, t.about == row.about
        )
        before = connection.execute(query).one_or_none()
        first_ms, last_ms, count = before or (row.first_ms, row.last_ms, 0)
        merged = {
            "first_ms": min(first_ms, row.first_ms),
            "last_ms": max(last_ms, row.last_ms),
            "count": min(count + row.count, (1 << 31) - 1),
        }
        set_rows(connection, import_trouble, [{**asdict(row), **merged}])


def troubles_between(
    connection: Connection, start_ms: int, end_ms: int, limit: int
) -> list[TroubleRow]:
    """Those met within [start, end), the latest first."""
    t = import_trouble.c
    query = (
        select(import_trouble)
        .where(t.last_ms >= start_ms, t.first_ms < end_ms)
        .order_by(t.last_ms.desc(), t.source, t.code, t.about)
        .limit(limit)
    )
    return [TroubleRow(*tuple(row)) for row in connection.execute(query)]


def last_heard(connection: Connection, way: str) -> int | None:
    """The newest reading that came this way, ms."""
    t = import_track.c
    query = select(func.max(t.seen_ms)).where(t.key.startswith(f"{way}|"))
    newest: int | None = connection.scalar(query)
    return newest


def fallen_silent(
    connection: Connection, way: str, since_ms: int, until_ms: int, limit: int
) -> list[TrackRow]:
    """Tracks of a way whose last reading lies in [since, until)."""
    t = import_track.c
    query = (
        select(import_track)
        .where(t.key.startswith(f"{way}|"), t.seen_ms >= since_ms, t.seen_ms < until_ms)
        .order_by(t.seen_ms, t.key)
        .limit(limit)
    )
    return [TrackRow(*tuple(row)) for row in connection.execute(query)]
