"""Unit counts: R of SCI, cut like energy, one counting source per workload and unit."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Select, or_, select, update

from carbon.storage.energy import unit_conflict, unit_count
from carbon.storage.names import source, workload_unit
from carbon.storage.upsert import insert_new

#: (end_ms, unit_id, source_id, span_ms, count)
CountRow = tuple[int, int, int, int, int]


def write_count(connection: Connection, rows: Sequence[CountRow], now_ms: int) -> str:
    """Stores the pieces of one sent count: `accepted`, `duplicate`, or `conflict` where any
    piece contradicts what was acknowledged first (which stays)."""
    verdicts = {_write_piece(connection, row, now_ms) for row in rows}
    for verdict in ("conflict", "accepted"):
        if verdict in verdicts:
            return verdict
    return "duplicate"


def _write_piece(connection: Connection, row: CountRow, now_ms: int) -> str:
    end_ms, unit_id, source_id, span_ms, count = row
    c = unit_count.c
    known = connection.scalar(
        select(c.count).where(
            c.end_ms == end_ms,
            c.unit_id == unit_id,
            c.source_id == source_id,
            c.span_ms == span_ms,
        )
    )
    if known is not None:
        if known == count:
            return "duplicate"
        _keep_conflict(connection, row, now_ms)
        return "conflict"
    names = ("end_ms", "unit_id", "source_id", "span_ms", "count")
    insert_new(connection, unit_count, [dict(zip(names, row, strict=True))])
    return "accepted"


def _keep_conflict(connection: Connection, row: CountRow, now_ms: int) -> None:
    end_ms, unit_id, source_id, span_ms, count = row
    connection.execute(
        unit_conflict.insert().values(
            unit_id=unit_id,
            source_id=source_id,
            start_ms=end_ms - span_ms,
            end_ms=end_ms,
            count=count,
            recorded_ms=now_ms,
        )
    )


def choose_source(connection: Connection, unit_id: int, source_id: int) -> None:
    """The first source that counts a unit is the one that counts."""
    connection.execute(
        update(workload_unit)
        .where(workload_unit.c.id == unit_id, workload_unit.c.counting_source_id.is_(None))
        .values(counting_source_id=source_id)
    )


def units_of(connection: Connection, workload_id: int) -> dict[str, int]:
    """The workload's own units by name."""
    u = workload_unit.c
    query = select(u.name, u.id).where(u.workload_id == workload_id).order_by(u.id)
    return {row[0]: row[1] for row in connection.execute(query)}


def counts_between(
    connection: Connection, unit_id: int, start_ms: int, end_ms: int
) -> list[tuple[int, int, int]]:
    """(start_ms, end_ms, count) of the pieces that reach into [start, end), of the counting
    source and its family."""
    c = unit_count.c
    query = select(c.end_ms - c.span_ms, c.end_ms, c.count).where(
        c.unit_id == unit_id,
        c.source_id.in_(_counting(unit_id)),
        c.end_ms > start_ms,
        c.end_ms - c.span_ms < end_ms,
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def _counting(unit_id: int) -> Select[int]:
    one, all_ = source.alias("one"), source.alias("all")
    return (
        select(all_.c.id)
        .join_from(workload_unit, one, one.c.id == workload_unit.c.counting_source_id)
        .join(all_, or_(all_.c.id == one.c.id, all_.c.family == one.c.family))
        .where(workload_unit.c.id == unit_id)
    )
