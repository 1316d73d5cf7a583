"""Quarter-hours one by one: what gaps, idle time and audit tables are read from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from carbon.domain.claims import SubjectKind
from carbon.domain.energy import Method
from carbon.storage.names import subject
from carbon.storage.rollups import bucket, quarter_hour


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
    wanted: list[ColumnElement[bool]] = [q.device_id.in_(device_ids)]
    if workload_id is not None:
        wanted.append(q.workload_id == workload_id)
    if method is not None:
        wanted.append(q.method == int(method))
    return _read(connection, start_ms, end_ms, wanted)


class DrawnBucket(NamedTuple):
    """What a subject drew on a device in one 5-minute bucket, by all methods but estimates."""

    start_ms: int
    device_id: int
    subject_id: int
    energy_mj: int
    covered_ms: int


def drawn_buckets(
    connection: Connection, device_ids: Collection[int], start_ms: int, end_ms: int
) -> list[DrawnBucket]:
    """Those that begin in [start, end), of some devices."""
    b = bucket.c
    keys = (b.start_ms, b.device_id, b.subject_id)
    query = (
        select(*keys, func.sum(b.energy_mj), func.sum(b.covered_ms))
        .where(b.start_ms >= start_ms, b.start_ms < end_ms, b.device_id.in_(device_ids))
        .where(b.method != int(Method.ESTIMATED))
        .group_by(*keys)
    )
    return [DrawnBucket(*(int(n) for n in row)) for row in connection.execute(query)]


def all_quarters(
    connection: Connection, start_ms: int, end_ms: int, device_ids: Collection[int] | None
) -> list[Quarter]:
    """As `quarters_between`; of the whole fleet where no devices are named."""
    wanted = [] if device_ids is None else [quarter_hour.c.device_id.in_(device_ids)]
    return _read(connection, start_ms, end_ms, wanted)


def idle_subjects(connection: Connection) -> set[int]:
    query = select(subject.c.id).where(subject.c.kind == str(SubjectKind.IDLE))
    return set(connection.scalars(query))


def _read(
    connection: Connection, start_ms: int, end_ms: int, wanted: Sequence[ColumnElement[bool]]
) -> list[Quarter]:
    q = quarter_hour.c
    query = (
        select(*(q[name] for name in Quarter.__slots__))
        .where(q.start_ms >= start_ms, q.start_ms < end_ms, *wanted)
        .order_by(q.start_ms, q.device_id, q.subject_id, q.workload_id, q.method, q.rating_id)
    )
    return [Quarter(*row) for row in connection.execute(query)]
