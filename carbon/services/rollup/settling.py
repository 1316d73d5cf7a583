"""Settles days and months that are over: their rows by device, and what was counted in them;
makes hours of days that are older than their table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from carbon.domain.civil import civil_days, civil_month
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR, floor_to
from carbon.services.context import Context
from carbon.storage.device_hours import set_device_hours
from carbon.storage.engine import reading, writing
from carbon.storage.ledger_rows import buckets_with_energy
from carbon.storage.period_changes import rely_on_changes, unnumbered_until
from carbon.storage.rollups import quarter_hour, set_alone
from carbon.storage.settled import (
    DAY,
    HOURS,
    MONTH,
    Period,
    begin_settling,
    hours_kept_from,
    is_settled_in,
    keep_all_hours,
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
    """Settles what is over and marked, and makes hours again; answers how many periods were.

    Computed beside the writers, like a roll-up: a period that changed meanwhile stays marked.
    Safe to stop anywhere and on several replicas.
    """
    timezone = ZoneInfo(context.settings.timezone)
    _follow_timezone(context, timezone)
    _keep_hours(context, timezone)
    _rely_on_changes(context)
    done = 0
    for kind in (DAY, MONTH, HOURS):
        while most is None or done < most:
            with reading(context.engine) as connection:
                found = periods_over(connection, kind, context.clock.now_ms(), _AT_ONCE)
            if not found:
                break
            for of_day in _by_day(found) if kind == HOURS else ():
                _make_hours(context, of_day)
            for period in found if kind != HOURS else ():
                _settle(context, period)
            done += len(found)
    return done


def _by_day(periods: Sequence[Period]) -> list[list[Period]]:
    """Of each day its workloads' periods."""
    return [list(own) for _, own in groupby(periods, key=lambda p: (p.start_ms, p.end_ms))]


def _make_hours(context: Context, periods: Sequence[Period]) -> None:
    """One hour a transaction. Each is SET from quarter-hours as they stand then; a period that
    was marked once more meanwhile stays marked."""
    start_ms, end_ms = periods[0].start_ms, periods[0].end_ms
    workloads = [period.workload_id for period in periods]
    for at in range(floor_to(start_ms, MS_PER_HOUR), end_ms, MS_PER_HOUR):
        with writing(context.engine) as connection:
            set_alone(connection)
            set_device_hours(connection, at, workloads)
    with writing(context.engine) as connection:
        for period in periods:
            take_period(connection, period)


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
        kept_ms = hours_kept_from(connection)
        q = quarter_hour.c
        first = connection.scalar(select(func.min(q.start_ms)))
        last = connection.scalar(select(func.max(q.start_ms)))
    with writing(context.engine) as connection:
        unsettle_all(connection)
    if first is not None and last is not None:
        for lo, hi in civil_days(first, last + 1, timezone):
            with writing(context.engine) as connection:
                days = [(w, lo, hi) for w in _workloads(connection, lo, hi)]
                mark_unsettled(connection, days, timezone)
    with writing(context.engine) as connection:
        begin_settling(connection, timezone, kept_ms)


def _keep_hours(context: Context, timezone: ZoneInfo) -> None:
    """Once, after an upgrade: once replicas that know no hours are gone, marks all that are older
    than that."""
    with reading(context.engine) as connection:
        kept_ms = hours_kept_from(connection)
        first = connection.scalar(select(func.min(quarter_hour.c.start_ms)))
    if not 0 < kept_ms <= context.clock.now_ms():
        return
    for lo, hi in civil_days(kept_ms if first is None else first, kept_ms + 1, timezone):
        with writing(context.engine) as connection:
            days = [(w, lo, hi) for w in _workloads(connection, lo, hi)]
            mark_periods(connection, HOURS, days)
    with writing(context.engine) as connection:
        keep_all_hours(connection)


def _rely_on_changes(context: Context) -> None:
    """Once, after an upgrade, likewise."""
    with reading(context.engine) as connection:
        until_ms = unnumbered_until(connection)
    if until_ms is not None and until_ms <= context.clock.now_ms():
        with writing(context.engine) as connection:
            rely_on_changes(connection)


def _workloads(connection: Connection, start_ms: int, end_ms: int) -> list[int]:
    """Those that have quarter-hours in a time."""
    q = quarter_hour.c
    inside = (q.start_ms >= start_ms, q.start_ms < end_ms)
    return list(connection.scalars(select(q.workload_id).where(*inside).distinct()))
