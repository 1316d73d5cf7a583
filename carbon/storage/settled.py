"""Hours, and civil days and months that are over, by device: what reports read.

    quarter_hour → device_hour,  quarter_hour → device_day → device_month,  unit_count → unit_day

A settled period may be read instead of its quarter-hours. One that is marked in `dirty_period`
may not: it is read from finer rows until it is settled anew, so that a reader never waits for
the settling and never misses a late row. Days and months are those of CARBON_TIMEZONE, which
`settled_in` remembers. Hours are those of UTC, and are kept from the first quarter-hour on
(`storage/device_hours`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    Table,
    Text,
    case,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)

from carbon.domain.civil import civil_days, civil_month
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, ceil_to, floor_to
from carbon.storage.period_changes import note_changes
from carbon.storage.rollups import ROOM_FOR_PRICES, dirty_hour, quarter_hour
from carbon.storage.schema import Amount, Code, Ms, metadata
from carbon.storage.upsert import set_rows

#: HOURS are all those inside of one civil day.
HOURS, DAY, MONTH = 0, 1, 2
#: (table, start_ms, end_ms)
Piece = tuple[Table, int, int]
#: What makes up [start, end).
PiecesOf = Callable[[int, int], list[Piece]]


def _by_device(name: str, **options: Any) -> Table:
    return Table(
        name,
        metadata,
        Column("start_ms", Ms, primary_key=True),
        Column("workload_id", Integer, primary_key=True),
        Column("device_id", Integer, primary_key=True),
        Column("subject_id", Integer, primary_key=True),
        Column("method", Code, primary_key=True),
        Column("rating_id", Integer, primary_key=True),
        Column("energy_mj", Amount, nullable=False),
        Column("operational_ng", Amount, nullable=False),
        Column("covered_ms", Ms, nullable=False),
        Column("reserved_ms", Ms, nullable=False),
        #: Device-time that readings should back: read or held, the longer of each quarter-hour.
        Column("expected_ms", Ms, nullable=False),
        Index(None, "workload_id", "start_ms"),
        sqlite_with_rowid=False,
        **options,
    )


device_hour = _by_device("device_hour", postgresql_with=ROOM_FOR_PRICES)
device_day = _by_device("device_day")
device_month = _by_device("device_month")

#: What no civil day is settled in.
FINE = (quarter_hour, device_hour)

#: Counts of a civil day, in buckets where the workload has energy and elsewhere.
unit_day = Table(
    "unit_day",
    metadata,
    Column("unit_id", Integer, primary_key=True),
    Column("start_ms", Ms, primary_key=True),
    Column("inside", Amount, nullable=False),
    Column("aside", Amount, nullable=False),
    sqlite_with_rowid=False,
)

#: Periods that are not settled, or no longer; `marks`, drawn anew with each mark, tells whether one
#: changed meanwhile.
dirty_period = Table(
    "dirty_period",
    metadata,
    Column("kind", Code, primary_key=True),  # HOURS | DAY | MONTH
    Column("workload_id", Integer, primary_key=True),
    Column("start_ms", Ms, primary_key=True),
    Column("end_ms", Ms, nullable=False),
    Column("marks", Integer, nullable=False),
    Index(None, "kind", "start_ms"),
    sqlite_with_rowid=False,
)

#: One row: the time zone whose days are settled.
settled_in = Table(
    "settled_in",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("timezone", Text, nullable=False),
    #: Hours before it are not read; 0 where all may be.
    Column("hours_from_ms", Ms, nullable=False, server_default="0"),
)


@dataclass(frozen=True, slots=True)
class Period:
    """One workload's day or month."""

    kind: int
    workload_id: int
    start_ms: int
    end_ms: int
    marks: int


def mark_periods(
    connection: Connection, kind: int, periods: Iterable[tuple[int, int, int]]
) -> None:
    """Marks (workload_id, start_ms, end_ms) as behind their quarter-hours or counts."""
    mark = secrets.randbits(31)
    rows = [
        {"kind": kind, "workload_id": w, "start_ms": lo, "end_ms": hi, "marks": mark}
        for w, lo, hi in sorted(set(periods))
    ]
    set_rows(connection, dirty_period, rows)


def periods_over(connection: Connection, kind: int, now_ms: int, limit: int) -> list[Period]:
    """The oldest marked periods that are over; of months those without a marked day."""
    d = dirty_period.c
    query = select(d.kind, d.workload_id, d.start_ms, d.end_ms, d.marks).where(
        d.kind == kind, d.end_ms <= now_ms
    )
    if kind == MONTH:
        day = dirty_period.alias()
        query = query.where(
            ~select(day.c.start_ms)
            .where(
                day.c.kind == DAY,
                day.c.workload_id == d.workload_id,
                day.c.start_ms >= d.start_ms,
                day.c.start_ms < d.end_ms,
            )
            .exists()
        )
    found = connection.execute(query.order_by(d.start_ms, d.workload_id).limit(limit))
    return [Period(*row) for row in found]


def take_period(connection: Connection, period: Period) -> bool:
    """Takes the mark where the period did not change since it was seen."""
    d = dirty_period.c
    taken = connection.execute(
        delete(dirty_period).where(
            d.kind == period.kind,
            d.workload_id == period.workload_id,
            d.start_ms == period.start_ms,
            d.marks == period.marks,
        )
    )
    return bool(taken.rowcount)


def period_rows(connection: Connection, period: Period) -> list[dict[str, int]]:
    """What a period's rows ought to be, from the next finer roll-up."""
    finer = quarter_hour if period.kind == DAY else device_day
    f = finer.c
    keys = (f.device_id, f.subject_id, f.method, f.rating_id)
    measures = (f.energy_mj, f.operational_ng, f.covered_ms, f.reserved_ms, expected_ms(finer))
    query = (
        select(*keys, *(cast(func.sum(m), BigInteger) for m in measures))
        .where(
            f.workload_id == period.workload_id,
            f.start_ms >= period.start_ms,
            f.start_ms < period.end_ms,
        )
        .group_by(*keys)
    )
    names = [c.name for c in device_day.c][2:]
    own = {"workload_id": period.workload_id, "start_ms": period.start_ms}
    return [{**own, **dict(zip(names, row, strict=True))} for row in connection.execute(query)]


def set_period(connection: Connection, period: Period, rows: Sequence[dict[str, int]]) -> None:
    """Replaces a period's rows."""
    table = device_day if period.kind == DAY else device_month
    t = table.c
    connection.execute(
        delete(table).where(t.workload_id == period.workload_id, t.start_ms == period.start_ms)
    )
    if rows:
        connection.execute(insert(table), list(rows))
    note_changes(connection, table, [period.start_ms])


def expected_ms(table: Table) -> ColumnElement[int]:
    """Device-time that readings should back; coarser rows carry it."""
    t = table.c
    if "expected_ms" in t:
        known: ColumnElement[int] = t.expected_ms
        return known
    return case((t.covered_ms > t.reserved_ms, t.covered_ms), else_=t.reserved_ms)


def is_settled_in(connection: Connection, timezone: ZoneInfo) -> bool:
    return connection.scalar(select(settled_in.c.timezone)) == str(timezone)


def pieces_between(
    connection: Connection,
    start_ms: int,
    end_ms: int,
    timezone: ZoneInfo,
    workload_id: int | None = None,
    fits: Callable[[int, int], bool] = lambda _lo, _hi: True,
) -> list[Piece]:
    """The coarsest rows that make up [start, end), both on quarter-hours: settled months, settled
    days, hours, and quarter-hours for the rest. `fits` refuses periods that must not be read whole.

    Of one workload, or with None of all.
    """
    if end_ms - start_ms >= MS_PER_DAY:
        start_ms, end_ms = _where_recorded(connection, start_ms, end_ms, timezone)
    settled = connection.execute(select(settled_in.c.timezone, settled_in.c.hours_from_ms)).first()
    is_settled = settled is not None and settled.timezone == str(timezone)
    if end_ms - start_ms < MS_PER_HOUR or settled is None or not is_settled:
        return [(quarter_hour, start_ms, end_ms)]
    days = civil_days(start_ms, end_ms, timezone)
    unsettled, unset = _marked(connection, start_ms, end_ms, workload_id)
    kept_ms = settled.hours_from_ms

    def is_set(lo: int, hi: int) -> bool:
        return lo not in unset and lo >= kept_ms and fits(lo, hi)

    def is_whole(kind: int, lo: int, hi: int) -> bool:
        return start_ms <= lo and hi <= end_ms and lo not in unsettled[kind] and fits(lo, hi)

    pieces: list[Piece] = []
    for lo, hi in days:
        if pieces and pieces[-1][2] >= hi:
            continue  # its month is in already
        month = civil_month(lo, timezone)
        if month[0] == lo and is_whole(MONTH, *month):
            _append(pieces, (device_month, *month))
        elif is_whole(DAY, lo, hi):
            _append(pieces, (device_day, lo, hi))
        else:
            for piece in _hours(max(lo, start_ms), min(hi, end_ms), is_set):
                _append(pieces, piece)
    return pieces


def pieces_of(connection: Connection, timezone: ZoneInfo, workload_id: int) -> PiecesOf:
    """`pieces_between` of a workload, which looks once for each window: for one transaction."""
    return cache(partial(pieces_between, connection, timezone=timezone, workload_id=workload_id))


def _hours(start_ms: int, end_ms: int, is_set: Callable[[int, int], bool]) -> Iterator[Piece]:
    """The whole hours of a part of a day, and its quarter-hours at either end."""
    first = min(ceil_to(start_ms, MS_PER_HOUR), end_ms)
    last = max(floor_to(end_ms, MS_PER_HOUR), first)
    yield quarter_hour, start_ms, first
    for at in range(first, last, MS_PER_HOUR):
        until = at + MS_PER_HOUR
        yield device_hour if is_set(at, until) else quarter_hour, at, until
    yield quarter_hour, last, end_ms


def hours_kept_from(connection: Connection) -> int:
    """0, or where replicas that know no hours may still be at work the moment by which they are
    gone: hours of days before it are not read."""
    return connection.scalar(select(settled_in.c.hours_from_ms)) or 0


def keep_all_hours(connection: Connection) -> None:
    """Hours of any time may be read, but those that are marked."""
    connection.execute(update(settled_in).values(hours_from_ms=0))


def _where_recorded(
    connection: Connection, start_ms: int, end_ms: int, timezone: ZoneInfo
) -> tuple[int, int]:
    """The civil months of [start, end) that have rows: a window may span thousands of years."""
    at = quarter_hour.c.start_ms
    ends = select(func.min(at)).scalar_subquery(), select(func.max(at)).scalar_subquery()
    first_ms, last_ms = connection.execute(select(*ends)).one()
    if first_ms is None or last_ms is None:
        return start_ms, start_ms
    lo_ms = max(start_ms, civil_month(first_ms, timezone)[0])
    hi_ms = min(end_ms, civil_month(last_ms, timezone)[1])
    return lo_ms, max(lo_ms, hi_ms)


def _append(pieces: list[Piece], piece: Piece) -> None:
    """Neighbours from one table grow together."""
    if piece[1] >= piece[2]:
        return
    if pieces and pieces[-1][0] is piece[0]:
        piece = (piece[0], pieces.pop()[1], piece[2])
    pieces.append(piece)


def _marked(
    connection: Connection, start_ms: int, end_ms: int, workload_id: int | None
) -> tuple[dict[int, set[int]], set[int]]:
    """Starts of the periods of each kind that are not settled, and of the hours that are behind
    their quarter-hours; some before `start_ms`, since a day that begins earlier may reach into it.
    """
    h, d = dirty_hour.c, dirty_period.c
    hours = select(h.start_ms).where(h.start_ms > start_ms - MS_PER_HOUR, h.start_ms < end_ms)
    # A day is at most 25 hours long.
    from_ms = start_ms - 25 * MS_PER_HOUR
    periods = select(d.kind, d.start_ms, d.end_ms).where(
        d.kind.in_((HOURS, DAY, MONTH)), d.start_ms > from_ms, d.start_ms < end_ms
    )
    if workload_id is not None:
        hours = hours.where(h.workload_id == workload_id)
        periods = periods.where(d.workload_id == workload_id)
    behind = set(connection.scalars(hours.distinct()))
    unsettled: dict[int, set[int]] = {HOURS: set(), DAY: set(), MONTH: set()}
    for kind, lo, hi in connection.execute(periods.distinct()).all():
        unsettled[kind].add(lo)
        if kind == HOURS:
            behind.update(range(floor_to(lo, MS_PER_HOUR), hi, MS_PER_HOUR))
    return unsettled, behind


def unsettle_all(connection: Connection) -> None:
    """Nothing is settled in any time zone: everything is read from quarter-hours. Hours are of no
    time zone, and stay."""
    for table in (device_day, device_month):
        starts = connection.scalars(select(table.c.start_ms).distinct()).all()
        note_changes(connection, table, starts)
    for table in (device_day, device_month, unit_day, settled_in):
        connection.execute(delete(table))
    connection.execute(delete(dirty_period).where(dirty_period.c.kind != HOURS))


def begin_settling(connection: Connection, timezone: ZoneInfo, hours_from_ms: int = 0) -> None:
    """What is not marked by now counts as settled."""
    connection.execute(
        insert(settled_in).values(id=1, timezone=str(timezone), hours_from_ms=hours_from_ms)
    )


def set_unit_days(
    connection: Connection, start_ms: int, counts: Sequence[tuple[int, int, int]]
) -> None:
    """Sets (unit_id, inside, aside) of a day."""
    rows = [
        {"unit_id": unit_id, "start_ms": start_ms, "inside": inside, "aside": aside}
        for unit_id, inside, aside in counts
    ]
    set_rows(connection, unit_day, rows)


def unit_days(
    connection: Connection, unit_id: int, start_ms: int, end_ms: int
) -> list[tuple[int, int, int]]:
    """(start_ms, inside, aside) of the settled days that begin in [start, end), in order."""
    u = unit_day.c
    query = select(u.start_ms, u.inside, u.aside).where(
        u.unit_id == unit_id, u.start_ms >= start_ms, u.start_ms < end_ms
    )
    return [
        (row[0], int(row[1]), int(row[2])) for row in connection.execute(query.order_by(u.start_ms))
    ]


def unit_sums(connection: Connection, unit_id: int, start_ms: int, end_ms: int) -> tuple[int, int]:
    """(inside, aside) of the settled days that begin in [start, end)."""
    u = unit_day.c
    query = select(func.sum(u.inside), func.sum(u.aside)).where(
        u.unit_id == unit_id, u.start_ms >= start_ms, u.start_ms < end_ms
    )
    inside, aside = connection.execute(query).one()
    return int(inside or 0), int(aside or 0)
