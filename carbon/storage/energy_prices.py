"""What energy costs in a zone, as it was published; never overwritten."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Column, Connection, Float, Table, Text, select

from carbon.domain.price import PricePoint, PublishedPrice
from carbon.domain.units import MS_PER_HOUR
from carbon.storage.schema import Ms, metadata
from carbon.storage.upsert import insert_new

#: The longest point that may be stored, so that a window finds what reaches into it.
LONGEST_PRICE_MS = 25 * MS_PER_HOUR

#: Led by the zone, so that a window of a zone reads one stretch.
energy_price = Table(
    "energy_price",
    metadata,
    Column("zone", Text, primary_key=True),
    Column("start_ms", Ms, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("published_ms", Ms, primary_key=True),
    Column("end_ms", Ms, nullable=False),
    Column("per_kwh", Float, nullable=False),
    Column("currency", Text, nullable=False),
    Column("licence", Text, nullable=False),
    sqlite_with_rowid=False,
)


def save_prices(connection: Connection, zone: str, prices: Sequence[PublishedPrice]) -> None:
    """What was stored of the same source, moment and start stays as it is."""
    rows = [
        {
            "zone": zone,
            "start_ms": price.point.start_ms,
            "source": price.source,
            "published_ms": price.published_ms,
            "end_ms": price.point.end_ms,
            "per_kwh": price.point.per_kwh,
            "currency": price.point.currency,
            "licence": price.licence,
        }
        for price in prices
    ]
    insert_new(connection, energy_price, rows)


def prices_between(
    connection: Connection, zone: str, start_ms: int, end_ms: int
) -> list[PublishedPrice]:
    """Every publication of what reaches into [start, end), in order of start."""
    c = energy_price.c
    rows = connection.execute(
        select(energy_price)
        .where(
            c.zone == zone,
            c.start_ms > start_ms - LONGEST_PRICE_MS,
            c.start_ms < end_ms,
            c.end_ms > start_ms,
        )
        .order_by(c.start_ms)
    )
    return [
        PublishedPrice(
            PricePoint(row.start_ms, row.end_ms, row.per_kwh, row.currency),
            row.source,
            row.published_ms,
            row.licence,
        )
        for row in rows
    ]
