"""Workload-hours and workload-days summed to wider steps: what pages read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import BigInteger, Connection, Table, cast, func, select

from carbon.domain.units import MS_PER_DAY
from carbon.storage.columns import Ints, summed
from carbon.storage.names import device_model
from carbon.storage.period_rows import BY_WORKLOAD, period_rows
from carbon.storage.rollups import workload_day, workload_hour


@dataclass(frozen=True)
class PeriodSums:
    """Sums of steps as columns, (n,) each, in order of the first five; `workload` 0 is what no
    workload claims."""

    step: Ints
    workload: Ints
    model: Ints
    method: Ints
    rating: Ints
    energy_mj: Ints
    operational_ng: Ints
    covered_ms: Ints
    reserved_ms: Ints


def period_sums(
    connection: Connection,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    timezone: ZoneInfo,
    is_daily: bool,
    workload_ids: Collection[int] | None,
) -> PeriodSums:
    """Hours, or civil days, that begin in [start, end), in steps counted from `start_ms`.

    A civil day is 23 to 25 h long, so a step of days is found by the middle of each.
    `workload_ids` None means all, and what no workload claims.
    """
    table: Table = workload_day if is_daily else workload_hour
    from_ms = start_ms - (MS_PER_DAY // 2 if is_daily else 0)
    if workload_ids is not None:
        rows = _of_workloads(connection, table, (start_ms, end_ms), from_ms, step_ms, workload_ids)
    else:
        periods = period_rows(connection, [(table, start_ms, end_ms)], timezone)
        nothing = np.empty((len(BY_WORKLOAD), 0), dtype=np.int64)
        steps = [(at_ms - from_ms) // step_ms for at_ms, _ in periods]
        step = np.repeat(np.array(steps, dtype=np.int64), [own.shape[1] for _, own in periods])
        rows = np.vstack([step, np.concatenate([nothing, *(own for _, own in periods)], axis=1)])
    return PeriodSums(*summed(list(rows[:5]), list(rows[5:])).T)


def _of_workloads(
    connection: Connection,
    table: Table,
    window: tuple[int, int],
    from_ms: int,
    step_ms: int,
    workload_ids: Collection[int],
) -> Ints:
    """(9, n): a step, then BY_WORKLOAD."""
    t = table.c
    keys = [(t.start_ms - from_ms) // step_ms, t.workload_id, t.model_id, t.method, t.rating_id]
    measures = (t.energy_mj, t.operational_ng, t.covered_ms, t.reserved_ms)
    query = (
        select(*keys, *(cast(func.sum(m), BigInteger) for m in measures))
        .where(t.start_ms >= window[0], t.start_ms < window[1], t.workload_id.in_(workload_ids))
        .group_by(*keys)
    )
    rows = [tuple(row) for row in connection.execute(query).all()]
    return np.array(rows, dtype=np.int64).reshape(-1, 9).T


def models_by_id(connection: Connection) -> dict[int, tuple[str, str]]:
    """(kind, model) of every device model."""
    m = device_model.c
    return {row[0]: (row[1], row[2]) for row in connection.execute(select(m.id, m.kind, m.model))}
