"""Reads of the last hours for the pages: what drew, what it cost, what was planned."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Integer, case, cast, func, select

from carbon.domain.claims import NO_WORKLOAD, SubjectKind
from carbon.domain.energy import Method
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR, QUARTER_MS, floor_to
from carbon.storage.jobs import job, placement, saving
from carbon.storage.names import device, device_model, host, subject, team, workload
from carbon.storage.rollups import bucket, quarter_hour, workload_hour


@dataclass(frozen=True, slots=True)
class HourSum:
    """Energy and carbon of one hour since the start of the window."""

    hour: int
    workload: int
    #: Of what no claim names: whether the device was idle.
    is_idle: bool
    method: Method
    rating: int
    energy_mj: int
    operational_ng: int


def sums_by_hour(
    connection: Connection,
    start_ms: int,
    end_ms: int,
    workload_ids: Collection[int] | None,
) -> list[HourSum]:
    """Quarter-hours of [start, end) summed to hours counted from `start_ms`.

    Quarter-hours and not workload-hours, since a civil day may begin at any quarter-hour of
    UTC, and idle time has no workload. `workload_ids` None means all, and idle time too.
    """
    q = quarter_hour.c
    hour = (q.start_ms - start_ms) // MS_PER_HOUR
    is_idle = case(
        ((q.workload_id == NO_WORKLOAD) & (subject.c.kind == SubjectKind.IDLE), 1), else_=0
    )
    keys = [hour, q.workload_id, is_idle, q.method, q.rating_id]
    query = (
        select(*keys, _sum(q.energy_mj), _sum(q.operational_ng))
        .join_from(quarter_hour, subject, subject.c.id == q.subject_id)
        .where(q.start_ms >= start_ms, q.start_ms < end_ms)
        .group_by(*keys)
    )
    if workload_ids is not None:
        query = query.where(q.workload_id.in_(workload_ids))
    return [
        HourSum(int(row[0]), row[1], bool(row[2]), Method(row[3]), row[4], row[5], row[6])
        for row in connection.execute(query)
    ]


def covered_device_ms(connection: Connection, start_ms: int, end_ms: int) -> int:
    """Device-time in [start, end), both on 5-minute marks, that readings back."""
    quarters_end_ms = max(start_ms, floor_to(end_ms, QUARTER_MS))
    return _covered(connection, quarter_hour, QUARTER_MS, start_ms, quarters_end_ms) + _covered(
        connection, bucket, BUCKET_MS, quarters_end_ms, end_ms
    )


def _covered(connection: Connection, table: Any, width_ms: int, start_ms: int, end_ms: int) -> int:
    """Subjects share a device's time: it is at least the longest of them, and at most the
    width; between the two the time held tells it, which sums to the covered time."""
    t = table.c
    held, longest = func.sum(t.reserved_ms), func.max(t.covered_ms)
    most = case((held > longest, held), else_=longest)
    per_device = (
        select(case((most > width_ms, width_ms), else_=most).label("covered_ms"))
        .where(t.start_ms >= start_ms, t.start_ms < end_ms)
        .group_by(t.start_ms, t.device_id)
        .subquery()
    )
    return connection.scalar(select(_sum(per_device.c.covered_ms))) or 0


def _sum(column: Any) -> Any:
    return cast(func.sum(column), BigInteger)


def busiest_workloads(
    connection: Connection, workload_ids: Collection[int], start_ms: int, end_ms: int, limit: int
) -> list[int]:
    """Of these workloads the ones with the most energy in the hours of [start, end)."""
    w = workload_hour.c
    query = (
        select(w.workload_id)
        .where(
            w.workload_id.in_(workload_ids),
            w.start_ms >= floor_to(start_ms, MS_PER_HOUR),
            w.start_ms < end_ms,
        )
        .group_by(w.workload_id)
        .order_by(func.sum(w.energy_mj).desc(), w.workload_id)
        .limit(limit)
    )
    return list(connection.scalars(query))


class KnownDevice(NamedTuple):
    device: int
    uuid: str
    kind: str
    model: str
    host: str
    created_ms: int


def known_devices(connection: Connection) -> list[KnownDevice]:
    query = (
        select(
            device.c.id,
            device.c.uuid,
            device_model.c.kind,
            device_model.c.model,
            host.c.name,
            device.c.created_ms,
        )
        .join_from(device, device_model)
        .join(host, host.c.id == device.c.host_id)
        .order_by(host.c.name, device_model.c.kind, device.c.uuid)
    )
    return [KnownDevice._make(row) for row in connection.execute(query).all()]


def count_devices(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(device)) or 0


@dataclass(frozen=True, slots=True)
class JobRow:
    job: str
    name: str
    team: str
    workload: str
    state: str
    reason: str
    deadline_ms: int
    start_ms: int | None
    end_ms: int | None
    planned_start_ms: int | None
    planned_end_ms: int | None
    zone: str | None
    expected_g: float | None
    start_now_g: float | None
    credited_g: float | None
    saving_flags: str | None


_FINAL_STATES = ("succeeded", "failed", "cancelled")


def latest_jobs(connection: Connection, team_name: str | None, limit: int) -> list[JobRow]:
    """Jobs that still run or wait, by their start; then the latest finished ones."""
    j, p = job.c, placement.c
    is_final = cast(case((j.state.in_(_FINAL_STATES), 1), else_=0), Integer)
    start = func.coalesce(j.start_ms, p.start_ms, j.earliest_ms)
    query = (
        select(
            j.id,
            j.name,
            team.c.name,
            workload.c.name,
            j.state,
            j.reason,
            j.deadline_ms,
            j.start_ms,
            j.end_ms,
            p.start_ms,
            p.end_ms,
            p.zone,
            p.expected_g,
            p.start_now_g,
            saving.c.credited_g,
            saving.c.flags,
        )
        .join_from(job, team, team.c.id == j.team_id)
        .join(workload, workload.c.id == j.workload_id)
        .outerjoin(placement, p.id == j.placement_id)
        .outerjoin(saving, saving.c.job_id == j.id)
        .order_by(is_final, case((is_final == 1, -start), else_=start), j.id)
        .limit(limit)
    )
    if team_name is not None:
        query = query.where(team.c.name == team_name)
    return [JobRow(*tuple(row)) for row in connection.execute(query)]
