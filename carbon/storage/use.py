"""How devices were used: hours and runs, as recommendations look at them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import BigInteger, Connection, case, cast, func, select

from carbon.domain.claims import SubjectKind
from carbon.domain.recommendations import UseHour
from carbon.domain.units import MS_PER_HOUR
from carbon.storage.names import run, subject
from carbon.storage.rollups import quarter_hour, rating


def use_hours(
    connection: Connection, start_ms: int, end_ms: int, workload_ids: Collection[int]
) -> list[UseHour]:
    """Of some workloads, and what was idle."""
    q = quarter_hour.c
    hour = q.start_ms // MS_PER_HOUR
    is_idle = case((subject.c.kind == SubjectKind.IDLE, 1), else_=0)
    keys = (hour, q.workload_id, q.device_id, is_idle)
    sums = (q.energy_mj, q.operational_ng, q.covered_ms, q.reserved_ms)
    query = (
        select(*keys, *(cast(func.sum(column), BigInteger) for column in sums))
        .join_from(quarter_hour, subject, subject.c.id == q.subject_id)
        .where(q.start_ms >= start_ms, q.start_ms < end_ms)
        .where(q.workload_id.in_(workload_ids) | (is_idle == 1))
        .group_by(*keys)
        .order_by(*keys)
    )
    return [
        UseHour(int(row[0]) * MS_PER_HOUR, row[1], row[2], bool(row[3]), *row[4:])
        for row in connection.execute(query)
    ]


def zones_of_devices(
    connection: Connection, start_ms: int, end_ms: int, workload_ids: Collection[int]
) -> dict[int, str]:
    """The zone in which each device drew the most."""
    q = quarter_hour.c
    query = (
        select(q.device_id, rating.c.zone, func.sum(q.energy_mj).label("energy"))
        .join_from(quarter_hour, rating, rating.c.id == q.rating_id)
        .where(q.start_ms >= start_ms, q.start_ms < end_ms, q.workload_id.in_(workload_ids))
        .group_by(q.device_id, rating.c.zone)
        .order_by("energy")
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def run_sums(
    connection: Connection, start_ms: int, end_ms: int, workload_ids: Collection[int]
) -> list[tuple[int, int, int, int, int, str]]:
    """(workload, start, end, mJ, ng, zone) of the runs that ended in a window."""
    q, r = quarter_hour.c, run.c
    query = (
        select(
            r.workload_id,
            r.start_ms,
            r.end_ms,
            cast(func.sum(q.energy_mj), BigInteger),
            cast(func.sum(q.operational_ng), BigInteger),
            func.max(rating.c.zone),
        )
        .join_from(run, quarter_hour, q.subject_id == r.subject_id)
        .join(rating, rating.c.id == q.rating_id)
        .where(q.start_ms >= start_ms, q.start_ms < end_ms)
        .where(r.end_ms > start_ms, r.end_ms <= end_ms, r.workload_id.in_(workload_ids))
        .group_by(r.id, r.workload_id, r.start_ms, r.end_ms)
        .order_by(r.start_ms, r.id)
    )
    return [tuple(row) for row in connection.execute(query)]
