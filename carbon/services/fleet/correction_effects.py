"""What a correction moves: from whom to whom, how much, and which reports speak of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, func, select

from carbon.clock import from_rfc3339
from carbon.domain.civil import civil_days
from carbon.domain.claims import Claim, workload_of
from carbon.domain.principal import Principal
from carbon.domain.units import BUCKET_MS, floor_to, grams
from carbon.services.fleet.hosts import re_rate
from carbon.services.rollup.settling import mark_unsettled
from carbon.storage.correction_rows import name_of_workload
from carbon.storage.dirty import mark_dirty
from carbon.storage.energy import unit_count
from carbon.storage.names import device, workload_unit
from carbon.storage.reports import reports_of
from carbon.storage.rollups import bucket, quarter_hour
from carbon.wire.corrections import CountChange, TouchedReport
from carbon.wire.reports import Statement

_MOST_REPORTS = 500
_SUBJECTS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Moved:
    #: Ids of workloads; names where the workload itself is what changes.
    before: int | str
    after: int | str
    energy_mj: int
    operational_g: float


@dataclass(frozen=True, slots=True)
class Effect:
    moves: list[Moved] = field(default_factory=list)
    #: [start, end) of what moves; None where nothing does.
    span_ms: tuple[int, int] | None = None
    #: Names of the workloads whose figures change.
    workloads: frozenset[str] = frozenset()
    counts: list[CountChange] = field(default_factory=list)

    @classmethod
    def of_rename(cls, connection: Connection, workload_id: int, old: str, new: str) -> Effect:
        """Nothing changes hands: what is moved is the name."""
        q = quarter_hour.c
        query = select(
            func.coalesce(func.sum(q.energy_mj), 0), func.coalesce(func.sum(q.operational_ng), 0)
        ).where(q.workload_id == workload_id)
        energy_mj, operational_ng = connection.execute(query).one()
        return cls([Moved(old, new, int(energy_mj), grams(int(operational_ng)))])

    def unsettle(self, connection: Connection, timezone: str, from_id: int, into_id: int) -> None:
        """Days whose counts are another's by now are summed anew."""
        ends = connection.execute(
            select(func.min(unit_count.c.end_ms), func.max(unit_count.c.end_ms))
            .join(workload_unit, workload_unit.c.id == unit_count.c.unit_id)
            .where(workload_unit.c.workload_id == from_id)
        ).one()
        if ends[0] is not None:
            days_anew(connection, timezone, (from_id, into_id), ends[0] - BUCKET_MS, ends[1])


def days_anew(
    connection: Connection, timezone: str, workloads: Iterable[int], start_ms: int, end_ms: int
) -> None:
    """Has the days of some workloads' counts summed anew."""
    zone = ZoneInfo(timezone)
    days = list(civil_days(start_ms, end_ms, zone))
    mark_unsettled(connection, [(w, *day) for w in workloads for day in days], zone)


def effect_of_claims(
    connection: Connection,
    subjects: Sequence[int],
    before: Mapping[int, Sequence[Claim]],
    after: Mapping[int, Sequence[Claim]],
    start_ms: int,
    end_ms: int,
) -> Effect:
    """What other claims move within [start, end), as far as it is rolled up; marks the buckets."""
    q = quarter_hour.c
    moved: dict[tuple[int, int], list[int]] = {}
    first, last = None, 0
    for at in range(0, len(subjects), _SUBJECTS_AT_ONCE):
        some = subjects[at : at + _SUBJECTS_AT_ONCE]
        query = select(q.start_ms, q.subject_id, q.energy_mj, q.operational_ng).where(
            q.subject_id.in_(some),
            q.start_ms >= floor_to(start_ms, BUCKET_MS * 3),
            q.start_ms < end_ms,
        )
        for row in connection.execute(query):
            inside_ms = max(row.start_ms, start_ms)
            old = workload_of(before.get(row.subject_id, ()), inside_ms)
            new = workload_of(after.get(row.subject_id, ()), inside_ms)
            if old != new:
                sums = moved.setdefault((old, new), [0, 0])
                sums[0] += row.energy_mj
                sums[1] += row.operational_ng
                first = row.start_ms if first is None else min(first, row.start_ms)
                last = max(last, row.start_ms + 3 * BUCKET_MS)
        _mark(connection, some, start_ms, end_ms)
    moves = [
        Moved(old, new, energy_mj, grams(operational_ng))
        for (old, new), (energy_mj, operational_ng) in sorted(moved.items())
    ]
    named = {w for pair in moved for w in pair if w}
    names = frozenset(str(name_of_workload(connection, w)) for w in named)
    return Effect(moves, None if first is None else (first, last), names)


def _mark(connection: Connection, subjects: Sequence[int], start_ms: int, end_ms: int) -> None:
    b = bucket.c
    query = (
        select(b.start_ms, b.device_id)
        .where(
            b.subject_id.in_(subjects),
            b.start_ms >= floor_to(start_ms, BUCKET_MS),
            b.start_ms < end_ms,
        )
        .distinct()
    )
    mark_dirty(connection, [(row[0], row[1]) for row in connection.execute(query)])


def effect_of_host(
    connection: Connection, host_id: int, start_ms: int, end_ms: int, hot_ms: int
) -> Effect:
    """What a host ran over [start, end) is priced anew; whose it is does not change."""
    q = quarter_hour.c
    rows = connection.execute(
        select(
            q.workload_id,
            func.sum(q.energy_mj),
            func.sum(q.operational_ng),
            func.min(q.start_ms),
            func.max(q.start_ms),
        )
        .join(device, device.c.id == q.device_id)
        .where(device.c.host_id == host_id, q.start_ms >= start_ms, q.start_ms < end_ms)
        .group_by(q.workload_id)
        .order_by(q.workload_id)
    ).all()
    re_rate(connection, host_id, start_ms, end_ms, hot_ms=hot_ms)
    if not rows:
        return Effect()
    names = frozenset(str(name_of_workload(connection, row[0])) for row in rows if row[0])
    span_ms = (min(row[3] for row in rows), max(row[4] for row in rows) + 3 * BUCKET_MS)
    moves = [Moved(row[0], row[0], int(row[1]), grams(int(row[2]))) for row in rows]
    return Effect(moves, span_ms, names)


def touched_reports(
    connection: Connection, principal: Principal, effect: Effect
) -> list[TouchedReport]:
    """Of the newest reports, those that speak of a workload and a time in which something moves."""
    if effect.span_ms is None:
        return []
    team = None if principal.sees_all_teams else principal.team
    start_ms, end_ms = effect.span_ms
    touched = []
    for report in reports_of(connection, team, _MOST_REPORTS):
        told = msgspec.json.decode(report.statement, type=Statement)
        is_named = any(line.answer.workload in effect.workloads for line in told.lines)
        if is_named and from_rfc3339(told.start) < end_ms and from_rfc3339(told.end) > start_ms:
            touched.append(TouchedReport(report.id, told.start, told.end))
    return touched
