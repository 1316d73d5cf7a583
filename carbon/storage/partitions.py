"""Day partitions of `energy_interval` on PostgreSQL; SQLite has none and needs none.

A day holds the rows that end in (its midnight, the next]: exactly the rows of its buckets.
There is no default partition, since one with rows would forbid making that day later.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from carbon.domain.units import MS_PER_DAY, floor_to


def day_of_end(end_ms: int) -> int:
    """Start of the UTC day whose partition holds a row with this end."""
    return floor_to(end_ms - 1, MS_PER_DAY)


def partition_name(day_ms: int) -> str:
    return f"energy_interval_{datetime.fromtimestamp(day_ms / 1000, UTC):%Y%m%d}"


def make_days(connection: Connection, days_ms: Iterable[int]) -> None:
    for day_ms in sorted(set(days_ms)):
        connection.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS {partition_name(day_ms)} "
                f"PARTITION OF energy_interval "
                f"FOR VALUES FROM ({day_ms + 1}) TO ({day_ms + MS_PER_DAY + 1})"
            )
        )


def drop_day(connection: Connection, day_ms: int) -> None:
    connection.execute(text(f"DROP TABLE IF EXISTS {partition_name(day_ms)}"))
