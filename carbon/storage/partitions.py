"""Day partitions of `energy_interval` on PostgreSQL; SQLite has none and needs none.

A day holds the rows that end in (its midnight, the next]: exactly the rows of its buckets.
There is no default partition, since one with rows would forbid making that day later.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from carbon.domain.units import MS_PER_DAY, floor_to


def day_of_end(end_ms: int) -> int:
    """Start of the UTC day whose partition holds a row with this end."""
    return floor_to(end_ms - 1, MS_PER_DAY)


def partition_name(day_ms: int) -> str:
    return f"energy_interval_{datetime.fromtimestamp(day_ms / 1000, UTC):%Y%m%d}"


#: PostgreSQL's advisory lock of those who make days.
_MAKING_LOCK = 0x0CA4B05


def _made_of(connection: Connection, days_ms: Collection[int]) -> set[int]:
    """Those that are there: making one again would wait for every writer of the table."""
    names = {partition_name(day_ms): day_ms for day_ms in days_ms}
    query = text("SELECT relname FROM pg_class WHERE relname = ANY(:names)")
    return {names[name] for name in connection.scalars(query, {"names": list(names)})}


def is_made(connection: Connection, day_ms: int) -> bool:
    return bool(_made_of(connection, [day_ms]))


def make_days(connection: Connection, days_ms: Collection[int]) -> None:
    missing = sorted(set(days_ms) - _made_of(connection, days_ms))
    if missing:
        # Of replicas that start at once one makes them.
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MAKING_LOCK})"))
    for day_ms in missing:
        connection.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS {partition_name(day_ms)} "
                f"PARTITION OF energy_interval "
                f"FOR VALUES FROM ({day_ms + 1}) TO ({day_ms + MS_PER_DAY + 1})"
            )
        )


def drop_day(connection: Connection, day_ms: int) -> None:
    connection.execute(text(f"DROP TABLE IF EXISTS {partition_name(day_ms)}"))
