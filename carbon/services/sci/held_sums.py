"""Sums of long windows, kept while the days behind them stand as they are.

Many look at the same months. Days that are over change seldom, so what was summed of them stands
until any of their rows does: one pass over them tells, at a tenth of what grouping them costs.
The last days of a window are summed anew each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, Connection, Engine, cast, func, select

from carbon.domain.units import MS_PER_DAY
from carbon.services.sci.time_range import TimeRange
from carbon.storage.period_sums import PeriodSum, period_sums
from carbon.storage.rollups import workload_day

#: Summed anew: today, and what may still come of the day before.
_FRESH_MS: Final = 2 * MS_PER_DAY
#: Shorter windows are summed as quickly as they are looked at.
_LEAST_MS: Final = 14 * MS_PER_DAY

#: Windows kept for each store; the widest take some megabytes.
_MOST: Final = 12

#: Rows, and sums that any change moves.
_Stand = tuple[int, ...]
#: (start, end, step, workloads)
_Asked = tuple[int, int, int, tuple[int, ...] | None]

_held: WeakKeyDictionary[Engine, OrderedDict[_Asked, tuple[_Stand, list[PeriodSum]]]] = (
    WeakKeyDictionary()
)
_lock = Lock()


def held_sums(
    connection: Connection,
    window: TimeRange,
    step_ms: int,
    workload_ids: Collection[int] | None,
) -> list[PeriodSum]:
    """As `period_sums` of the window, but for a step that holds kept days and fresh ones: it has
    a row of each."""
    start_ms, end_ms = window.start_ms, window.end_ms
    own = None if workload_ids is None else tuple(sorted(workload_ids))
    if not window.is_daily or end_ms - start_ms < _LEAST_MS:
        return period_sums(connection, start_ms, end_ms, step_ms, window.is_daily, own)
    split_ms = end_ms - _FRESH_MS
    fresh = period_sums(connection, split_ms, end_ms, step_ms, True, own, steps_from_ms=start_ms)
    return [*_kept(connection, (start_ms, split_ms, step_ms, own)), *fresh]


def _kept(connection: Connection, asked: _Asked) -> list[PeriodSum]:
    start_ms, end_ms, step_ms, own = asked
    stand = _stand(connection, start_ms, end_ms, own)
    with _lock:
        kept = _held.setdefault(connection.engine, OrderedDict())
        known = kept.get(asked)
        if known is not None and known[0] == stand:
            kept.move_to_end(asked)
            return known[1]
    made = period_sums(connection, start_ms, end_ms, step_ms, True, own)
    with _lock:
        kept[asked] = stand, made
        kept.move_to_end(asked)
        while len(kept) > _MOST:
            kept.popitem(last=False)
    return made


def _stand(
    connection: Connection, start_ms: int, end_ms: int, own: tuple[int, ...] | None
) -> _Stand:
    d = workload_day.c
    # When each row was written stands among the sums: what moves from one workload to another moves
    # no other sum, and the clock of who wrote it may be behind.
    changed_ms = d.recorded_ms - d.start_ms
    measures = (d.energy_mj, d.operational_ng, d.covered_ms, d.reserved_ms, changed_ms)
    query = select(
        func.count(),
        *(cast(func.coalesce(func.sum(m), 0), BigInteger) for m in measures),
    ).where(d.start_ms >= start_ms, d.start_ms < end_ms)
    if own is not None:
        query = query.where(d.workload_id.in_(own))
    return tuple(int(value) for value in connection.execute(query).one())
