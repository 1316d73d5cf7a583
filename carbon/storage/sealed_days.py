"""Which days of raw rows lie in the cold tier, and what of them is open again."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Connection, Integer, Table, Text, select

from carbon.storage.schema import Amount, Ms, metadata

#: A UTC day of raw rows that is being written to the cold tier, or lies there. `file` is its
#: current file, null while the first one is being written.
sealed_day = Table(
    "sealed_day",
    metadata,
    Column("day_ms", Ms, primary_key=True),
    Column("file", Text, nullable=True),
    #: Counts what changes the day's rows; a file written meanwhile is void.
    Column("version", Integer, nullable=False, server_default="0"),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("energy_mj", Amount, nullable=False),
    #: Whether the hot rows of the day are gone.
    Column("is_cleared", Integer, nullable=False, server_default="0"),
    Column("sealed_ms", Ms, nullable=False),
    sqlite_with_rowid=False,
)

#: Devices of a sealed day whose rows are hot again: late ones came, or something has to be
#: recomputed. Theirs count, and not those of the file.
opened_device = Table(
    "opened_device",
    metadata,
    Column("day_ms", Ms, primary_key=True),
    Column("device_id", Integer, primary_key=True),
    Column("opened_ms", Ms, nullable=False),
    sqlite_with_rowid=False,
)

#: One row: the time before which 5-minute buckets are gone.
bucket_horizon = Table(
    "bucket_horizon",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kept_from_ms", Ms, nullable=False),
)


def buckets_kept_from(connection: Connection) -> int:
    """The time before which 5-minute buckets are gone; 0 where none are."""
    return connection.scalar(select(bucket_horizon.c.kept_from_ms)) or 0
