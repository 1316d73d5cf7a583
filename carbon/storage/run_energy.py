"""What a run drew, as the roll-ups have settled it: one meter a device, priced by the bucket."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from carbon.domain.claims import SubjectKind
from carbon.domain.energy import Method
from carbon.storage.energy import energy_interval
from carbon.storage.names import subject
from carbon.storage.ratings import Rating, ratings
from carbon.storage.rollups import bucket


@dataclass(frozen=True, slots=True)
class RunBucket:
    """A run's energy on one device in one bucket."""

    run: str
    start_ms: int
    meter: int
    method: Method
    energy_mj: int
    operational_ng: int
    pue: float
    rating: Rating


def run_buckets(connection: Connection, team: str, runs: Collection[str]) -> list[RunBucket]:
    """In order of time; `runs` are named within their team."""
    keys = {f"{team}/{run}": run for run in runs}
    known = ratings(connection)
    b = bucket.c
    query = (
        select(
            subject.c.key,
            b.start_ms,
            b.meter_id,
            b.method,
            b.energy_mj,
            b.operational_ng,
            b.pue,
            b.rating_id,
        )
        .join_from(bucket, subject, subject.c.id == b.subject_id)
        .where(subject.c.kind == str(SubjectKind.RUN), subject.c.key.in_(list(keys)))
        .where(b.energy_mj > 0)
        .order_by(b.start_ms, b.device_id, b.method)
    )
    return [
        RunBucket(
            keys[row.key],
            row.start_ms,
            row.meter_id,
            Method(row.method),
            row.energy_mj,
            row.operational_ng,
            row.pue,
            known[row.rating_id],
        )
        for row in connection.execute(query)
    ]


def read_until_ms(connection: Connection, meters: Sequence[int]) -> int:
    """Up to when every one of the meters has been read; 0 where one never was."""
    t = energy_interval.c
    ends = [
        connection.scalar(
            select(t.end_ms).where(t.meter_id == meter).order_by(t.end_ms.desc()).limit(1)
        )
        for meter in meters
    ]
    return min((end or 0 for end in ends), default=0)
