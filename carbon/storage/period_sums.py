"""Workload-hours and workload-days summed to wider steps: what pages of a year read."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Table, cast, func, select

from carbon.storage.names import device_model
from carbon.storage.rollups import workload_day, workload_hour


class PeriodSum(NamedTuple):
    """Sums over one step; `workload` 0 is what no workload claims."""

    step: int
    workload: int
    model: int
    method: int
    rating: int
    energy_mj: int
    operational_ng: int
    covered_ms: int
    reserved_ms: int


def period_sums(
    connection: Connection,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    is_daily: bool,
    workload_ids: Collection[int] | None,
    steps_from_ms: int | None = None,
) -> list[PeriodSum]:
    """Hours, or civil days, that begin in [start, end), in steps counted from `start_ms`,
    or from `steps_from_ms`.

    A civil day is 23 to 25 h long, so a step of days is found by the middle of each.
    `workload_ids` None means all, and what no workload claims.
    """
    table: Table = workload_day if is_daily else workload_hour
    t = table.c
    middle_ms = 12 * 3_600_000 if is_daily else 0
    from_ms = start_ms if steps_from_ms is None else steps_from_ms
    step = (t.start_ms - from_ms + middle_ms) // step_ms
    keys = [step, t.workload_id, t.model_id, t.method, t.rating_id]
    measures = (t.energy_mj, t.operational_ng, t.covered_ms, t.reserved_ms)
    query = (
        select(*keys, *(cast(func.sum(m), BigInteger) for m in measures))
        .where(t.start_ms >= start_ms, t.start_ms < end_ms)
        .group_by(*keys)
        .order_by(*keys)
    )
    if workload_ids is not None:
        query = query.where(t.workload_id.in_(workload_ids))
    return [PeriodSum(int(step), *own) for step, *own in connection.execute(query).all()]


def models_by_id(connection: Connection) -> dict[int, tuple[str, str]]:
    """(kind, model) of every device model."""
    m = device_model.c
    return {row[0]: (row[1], row[2]) for row in connection.execute(select(m.id, m.kind, m.model))}
