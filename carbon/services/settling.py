"""Settles days and months that are over: their rows by device, and what was counted in them."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from carbon.domain.civil import civil_days, civil_month
from carbon.domain.units import BUCKET_MS, floor_to
from carbon.services.context import Context
from carbon.storage.engine import reading, writing
from carbon.storage.ledger_rows import buckets_with_energy
from carbon.storage.rollups import quarter_hour
from carbon.storage.settled import (
    DAY,
    MONTH,
    Period,
    begin_settling,
    is_settled_in,
    mark_periods,
    period_rows,
    periods_over,
    set_period,
    set_unit_days,
    take_period,
    unsettle_all,
)
from carbon.storage.unit_counts import counts_between, units_of

#: Periods looked at before the marks are read again.
_AT_ONCE = 64


def mark_unsettled(
    connection: Connection, days: Iterable[tuple[int, int, int]], timezone: ZoneInfo
) -> None:
    """Marks (workload_id, day start, day end) and the months that they lie in."""
    days = list(days)
    if not days:
        return
    mark_periods(connection, DAY, days)
    months = {(w, *civil_month(lo, timezone)) for w, lo, _ in days}
    mark_periods(connection, MONTH, months)


def settle(context: Context, most: int | None = None) -> int:
    """Settles what is over and marked; answers how many periods were.

    Computed beside the writers, like a roll-up: a period that changed meanwhile stays marked.
    Safe to stop anywhere and on several replicas.
    """
    timezone = ZoneInfo(context.settings.timezone)
    _follow_timezone(context, timezone)
    done = 0
    for kind in (DAY, MONTH):
        while most is None or done < most:
            with reading(context.engine) as connection:
                found = periods_over(connection, kind, context.clock.now_ms(), _AT_ONCE)
            if not found:
                break
            for period in found:
                _settle(context, period)
            done += len(found)
    return done


def _settle(context: Context, period: Period) -> None:
    with reading(context.engine) as connection:
        rows = period_rows(connection, period)
        counts = _counts(connection, period) if period.kind == DAY else []
    with writing(context.engine) as connection:
        if take_period(connection, period):
            set_period(connection, period, rows)
            set_unit_days(connection, period.start_ms, counts)


def _counts(connection: Connection, period: Period) -> list[tuple[int, int, int]]:
    """(unit_id, inside, aside) of the workload's own units."""
    units = units_of(connection, period.workload_id) if period.workload_id else {}
    if not units:
        return []
    window = (period.start_ms, period.end_ms)
    powered = buckets_with_energy(connection, period.workload_id, *window)
    found = []
    for unit_id in units.values():
        inside = aside = 0
        for lo, _, count in counts_between(connection, unit_id, *window):
            if floor_to(lo, BUCKET_MS) in powered:
                inside += count
            else:
                aside += count
        found.append((unit_id, inside, aside))
    return found


def _follow_timezone(context: Context, timezone: ZoneInfo) -> None:
    """Once, and again where CARBON_TIMEZONE changed: every day is marked, and only then may what
    is not marked be read as settled."""
    with reading(context.engine) as connection:
        if is_settled_in(connection, timezone):
            return
        q = quarter_hour.c
        first = connection.scalar(select(func.min(q.start_ms)))
        last = connection.scalar(select(func.max(q.start_ms)))
    with writing(context.engine) as connection:
        unsettle_all(connection)
    if first is not None and last is not None:
        for lo, hi in civil_days(first, last + 1, timezone):
            with writing(context.engine) as connection:
                held = select(q.workload_id).where(q.start_ms >= lo, q.start_ms < hi).distinct()
                workloads = connection.scalars(held).all()
                mark_unsettled(connection, [(w, lo, hi) for w in workloads], timezone)
    with writing(context.engine) as connection:
        begin_settling(connection, timezone)
