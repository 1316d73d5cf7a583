"""Quarter-hours summed to the steps and groups of a series."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, Connection, Select, Table, case, cast, func, select

from carbon.domain.claims import SubjectKind
from carbon.domain.units import floor_to
from carbon.storage.corrections import members
from carbon.storage.experiments import experiment_subject
from carbon.storage.names import run, subject
from carbon.storage.rollups import quarter_hour
from carbon.storage.settled import expected_ms, pieces_between
from carbon.storage.unit_counts import counts_between


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """Sums of one step; `is_idle` tells idle time from what is nobody's."""

    step: int
    workload_id: int
    is_idle: bool
    device_id: int
    method: int
    rating_id: int
    #: Of the experiment that the subject's run belongs to, else empty.
    technique: str
    energy_mj: int
    operational_ng: int
    covered_ms: int
    reserved_ms: int
    #: Device-time that readings should back: what was read or held, the longer.
    expected_ms: int


def series_rows(
    connection: Connection,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    workload_ids: Collection[int] | None,
    timezone: ZoneInfo,
    first_step: int = 0,
) -> list[SeriesRow]:
    """Of [start, end), both on quarter-hours; `step_ms` a multiple of them; steps are numbered
    from `first_step` on. `workload_ids` None means all, and what no workload claims.

    Settled days and months are read as such where they lie inside one step.
    """

    def step_of(at_ms: int) -> int:
        return (at_ms - start_ms) // step_ms

    def is_inside(lo: int, hi: int) -> bool:
        return step_of(lo) == step_of(hi - 1)

    one = next(iter(workload_ids)) if workload_ids is not None and len(workload_ids) == 1 else None
    found: dict[tuple[Any, ...], list[int]] = {}
    for table, lo, hi in pieces_between(connection, start_ms, end_ms, timezone, one, is_inside):
        query = _sums(table, (start_ms, step_ms), lo, hi, workload_ids)
        for row in connection.execute(query):
            so_far = found.setdefault(tuple(row[:7]), [0] * 5)
            for place, value in enumerate(row[7:]):
                so_far[place] += value
    return [
        SeriesRow(first_step + int(key[0]), key[1], bool(key[2]), *key[3:], *found[key])
        for key in sorted(found)
    ]


def _sums(
    table: Table,
    steps: tuple[int, int],
    start_ms: int,
    end_ms: int,
    workload_ids: Collection[int] | None,
) -> Select[Any]:
    t = table.c
    step = (t.start_ms - steps[0]) // steps[1]
    is_idle = case((subject.c.kind == SubjectKind.IDLE, 1), else_=0)
    technique = func.coalesce(experiment_subject.c.technique, "")
    keys = [step, t.workload_id, is_idle, t.device_id, t.method, t.rating_id, technique]
    measures = (t.energy_mj, t.operational_ng, t.covered_ms, t.reserved_ms, expected_ms(table))
    query = (
        select(*keys, *(cast(func.sum(m), BigInteger) for m in measures))
        .join_from(table, subject, subject.c.id == t.subject_id)
        .outerjoin(experiment_subject, experiment_subject.c.subject_id == t.subject_id)
        .where(t.start_ms >= start_ms, t.start_ms < end_ms)
        .group_by(*keys)
    )
    return query if workload_ids is None else query.where(t.workload_id.in_(workload_ids))


def first_quarter_ms(connection: Connection) -> int | None:
    """Start of the first quarter-hour that has anything."""
    first: int | None = connection.scalar(select(func.min(quarter_hour.c.start_ms)))
    return first


def counts_by_step(
    connection: Connection,
    unit_id: int,
    powered: Collection[int],
    steps: Sequence[tuple[int, int]],
    bucket_ms: int,
) -> dict[int, tuple[int, int]]:
    """Step → (counts in buckets of `powered`, the rest). No piece reaches over a step's end."""
    starts = [start_ms for start_ms, _ in steps]
    found: dict[int, tuple[int, int]] = {}
    for lo, _, count in counts_between(connection, unit_id, starts[0], steps[-1][1]):
        step = bisect_right(starts, lo) - 1
        inside, outside = found.get(step, (0, 0))
        if floor_to(lo, bucket_ms) in powered:
            found[step] = (inside + count, outside)
        else:
            found[step] = (inside, outside + count)
    return found


def run_ends(
    connection: Connection, workload_id: int, steps: Sequence[tuple[int, int]]
) -> dict[int, tuple[int, int]]:
    """Step → (runs that ended in it, 0); a run that ends on a mark ended in the step before."""
    starts = [start_ms for start_ms, _ in steps]
    query = select(run.c.end_ms).where(
        run.c.workload_id.in_(members(connection, workload_id)),
        run.c.end_ms > starts[0],
        run.c.end_ms <= steps[-1][1],
    )
    found: dict[int, tuple[int, int]] = {}
    for end_ms in connection.scalars(query):
        step = bisect_right(starts, end_ms - 1) - 1
        found[step] = (found.get(step, (0, 0))[0] + 1, 0)
    return found
