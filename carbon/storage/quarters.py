"""Quarter-hours one by one: what gaps, idle time and audit tables are read from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from carbon.domain.energy import Method
from carbon.storage.rollups import quarter_hour


@dataclass(frozen=True, slots=True)
class Quarter:
    """A row of one device, subject, method and price in one quarter-hour."""

    start_ms: int
    device_id: int
    subject_id: int
    workload_id: int
    method: int
    rating_id: int
    energy_mj: int
    operational_ng: int
    covered_ms: int
    reserved_ms: int


def quarters_between(
    connection: Connection,
    device_ids: Collection[int],
    start_ms: int,
    end_ms: int,
    workload_id: int | None = None,
    method: Method | None = None,
) -> list[Quarter]:
    """Those that begin in [start, end), of some devices, in order of time."""
    q = quarter_hour.c
    query = (
        select(*(q[name] for name in Quarter.__slots__))
        .where(q.device_id.in_(device_ids), q.start_ms >= start_ms, q.start_ms < end_ms)
        .order_by(q.start_ms, q.device_id, q.subject_id, q.workload_id, q.method, q.rating_id)
    )
    if workload_id is not None:
        query = query.where(q.workload_id == workload_id)
    if method is not None:
        query = query.where(q.method == int(method))
    return [Quarter(*(int(value) for value in row)) for row in connection.execute(query)]
