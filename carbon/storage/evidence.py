"""What stands behind a figure: a workload's 5-minute buckets, and the readings of one of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select, tuple_

from carbon.domain.energy import Method
from carbon.domain.units import BUCKET_MS
from carbon.storage.corrections import members
from carbon.storage.names import claim, device, meter, source
from carbon.storage.rollups import bucket, rating

#: (start_ms, device_id, subject_id, method): where a page of buckets ends.
BucketKey = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class BucketEvidence:
    key: BucketKey
    device: str
    #: Source of the meter that counted.
    meter: str
    meter_id: int
    method: Method
    zone: str
    source: str
    energy_mj: int
    g_per_kwh: float
    pue: float
    operational_ng: int


@dataclass(frozen=True, slots=True)
class ReadingEvidence:
    start_ms: int
    end_ms: int
    device: str
    meter: str
    method: Method
    energy_mj: int


def buckets_behind(
    connection: Connection,
    workload_id: int,
    start_ms: int,
    end_ms: int,
    after: BucketKey | None,
    limit: int,
) -> list[BucketEvidence]:
    """Buckets that touch [start, end), in order of time."""
    b = bucket.c
    key = (b.start_ms, b.device_id, b.subject_id, b.method)
    query = (
        select(*key, device.c.uuid, source.c.name, b.meter_id, rating.c.zone, rating.c.source)
        .add_columns(b.energy_mj, b.g_per_kwh, b.pue, b.operational_ng)
        .join_from(bucket, device, device.c.id == b.device_id)
        .join(meter, meter.c.id == b.meter_id)
        .join(source, source.c.id == meter.c.source_id)
        .join(rating, rating.c.id == b.rating_id)
        .where(b.workload_id == workload_id)
        .where(b.start_ms > start_ms - BUCKET_MS, b.start_ms < end_ms)
        .order_by(*key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(b.start_ms >= after[0], tuple_(*key) > tuple_(*after))
    return [
        BucketEvidence(
            (row[0], row[1], row[2], row[3]), row[4], row[5], row[6], Method(row[3]), *row[7:]
        )
        for row in connection.execute(query)
    ]


def claimed_subjects(connection: Connection, workload_id: int) -> set[int]:
    """Those that a claim has ever given to the workload."""
    own = members(connection, workload_id)
    claimed = select(claim.c.subject_id).where(claim.c.workload_id.in_(own))
    return set(connection.scalars(claimed))


def meter_names(connection: Connection, meter_ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """(device, source) of each meter."""
    query = (
        select(meter.c.id, device.c.uuid, source.c.name)
        .join_from(meter, device, device.c.id == meter.c.device_id)
        .join(source, source.c.id == meter.c.source_id)
        .where(meter.c.id.in_(meter_ids))
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}
