"""Unit counts: R of SCI, cut like energy, one counting source per workload and unit."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, or_, select, update

from carbon.domain.counts import Piece, replaced
from carbon.domain.units import BUCKET_MS
from carbon.storage.corrections import final, members, merges, undone, unit_corrections
from carbon.storage.energy import unit_conflict, unit_count
from carbon.storage.names import source, workload_unit
from carbon.storage.upsert import insert_new

#: (end_ms, unit_id, source_id, span_ms, count)
CountRow = tuple[int, int, int, int, int]


def write_counts(
    connection: Connection,
    counts: Sequence[Sequence[CountRow]],
    now_ms: int,
    may_overlap: bool = True,
) -> list[str]:
    """Stores counts of one unit by one source, each as its pieces: `accepted`, `duplicate`, or
    `conflict` where any piece contradicts what was acknowledged first (which stays). Of a
    source that counts each moment once, an overlap in part contradicts, too."""
    known = _Known(connection, [row for rows in counts for row in rows], may_overlap)
    verdicts: list[str] = []
    for rows in counts:
        each = {known.judge(row) for row in rows}
        verdicts.append(next(v for v in ("conflict", "accepted", "duplicate") if v in each))
    names = ("end_ms", "unit_id", "source_id", "span_ms", "count")
    insert_new(connection, unit_count, [dict(zip(names, row, strict=True)) for row in known.new])
    for row in known.contradicting:
        _keep_conflict(connection, row, now_ms)
    return verdicts


class _Known:
    """What a source counted of a unit around some new pieces, and what of these is new."""

    def __init__(self, connection: Connection, rows: Sequence[CountRow], may_overlap: bool) -> None:
        self.new: list[CountRow] = []
        self.contradicting: list[CountRow] = []
        self._counts: dict[tuple[int, int], int] = {}
        self._ends: list[int] = []
        self._may_overlap = may_overlap
        for end_ms, span_ms, count in _pieces_around(connection, rows):
            self._counts[end_ms, span_ms] = count
            insort(self._ends, end_ms)
        self._spans = dict(self._counts.keys())

    def judge(self, row: CountRow) -> str:
        end_ms, _, _, span_ms, count = row
        same = self._counts.get((end_ms, span_ms))
        if same == count:
            return "duplicate"
        if same is not None or (not self._may_overlap and self._overlaps(end_ms, span_ms)):
            self.contradicting.append(row)
            return "conflict"
        self._counts[end_ms, span_ms] = count
        self._spans[end_ms] = span_ms
        insort(self._ends, end_ms)
        self.new.append(row)
        return "accepted"

    def _overlaps(self, end_ms: int, span_ms: int) -> bool:
        """Pieces of such a source never overlap: the first that ends after the start tells."""
        n = bisect_right(self._ends, end_ms - span_ms)
        return n < len(self._ends) and self._ends[n] - self._spans[self._ends[n]] < end_ms


def _pieces_around(
    connection: Connection, rows: Sequence[CountRow]
) -> Iterable[tuple[int, int, int]]:
    """(end_ms, span_ms, count); no piece is longer than a bucket."""
    if not rows:
        return []
    c = unit_count.c
    query = select(c.end_ms, c.span_ms, c.count).where(
        c.unit_id == rows[0][1],
        c.source_id == rows[0][2],
        c.end_ms > min(row[0] - row[3] for row in rows),
        c.end_ms < max(row[0] for row in rows) + BUCKET_MS,
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


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


def units_of_each(
    connection: Connection, workload_ids: Collection[int]
) -> dict[int, dict[str, int]]:
    """As `units_of`, of many workloads at once."""
    u = workload_unit.c
    query = select(u.workload_id, u.name, u.id).where(u.workload_id.in_(workload_ids))
    found: dict[int, dict[str, int]] = {workload_id: {} for workload_id in workload_ids}
    for workload_id, name, unit_id in connection.execute(query.order_by(u.id)):
        found[workload_id][name] = unit_id
    return found


def counts_between(
    connection: Connection,
    unit_id: int,
    start_ms: int,
    end_ms: int,
    gone: frozenset[int] | None = None,
) -> list[Piece]:
    """The pieces that reach into [start, end), of the counting source and its family; those of
    merged workloads with them, and corrections in their place. `gone` are the corrections that
    hold no longer, by default those that were undone."""
    return pieces_counted(connection, counted_units(connection, unit_id, gone), start_ms, end_ms)


@dataclass(frozen=True, slots=True)
class CountedUnits:
    """What is counted together with a unit, and the corrections of all that hold."""

    #: Units with their workloads, itself first.
    same: Mapping[int, int]
    #: As `unit_corrections`.
    corrected: Sequence[tuple[int, int, int, int, int]]
    #: Corrections that hold no longer, where there are others.
    gone: frozenset[int]


def counted_units(
    connection: Connection, unit_id: int, gone: frozenset[int] | None = None
) -> CountedUnits:
    same = _same_unit(connection, unit_id)
    corrected = unit_corrections(connection, list(same))
    if corrected and gone is None:
        gone = undone(connection)
    gone = gone or frozenset()
    return CountedUnits(same, [row for row in corrected if row[0] not in gone], gone)


def pieces_counted(
    connection: Connection, counted: CountedUnits, start_ms: int, end_ms: int
) -> list[Piece]:
    """As `counts_between`, of what is known to be counted."""
    same, corrected = counted.same, counted.corrected
    lo_ms, hi_ms = start_ms, end_ms
    for _, _, first, last, _ in reversed(corrected):  # a later one may lie upon an earlier one
        if first < hi_ms and last > lo_ms:
            lo_ms, hi_ms = min(lo_ms, first), max(hi_ms, last)
    pieces = {one: _counts_of(connection, one, lo_ms, hi_ms) for one in same}
    for id_, corrected_unit, first, last, count in corrected:
        if first >= hi_ms or last <= lo_ms:
            continue
        into = merges(connection, counted.gone, until=id_)
        counted_then = [one for one in same if final(into, same[one]) == same[corrected_unit]]
        before = [piece for one in counted_then for piece in pieces[one]]
        for one in counted_then:
            pieces[one], _ = replaced(pieces[one], first, last, 0)
        pieces[corrected_unit] += replaced(before, first, last, count)[1]
    found = [piece for one in same for piece in pieces[one]]
    if corrected:
        found = [piece for piece in found if piece.end_ms > start_ms and piece.start_ms < end_ms]
    return found


def _same_unit(connection: Connection, unit_id: int) -> dict[int, int]:
    """A unit with its workload, and that of the same name of each workload that was merged into
    its own."""
    u = workload_unit.c
    row = connection.execute(select(u.workload_id, u.name).where(u.id == unit_id)).one()
    own = members(connection, row.workload_id)
    if len(own) == 1:
        return {unit_id: row.workload_id}
    query = select(u.id, u.workload_id).where(u.workload_id.in_(own), u.name == row.name)
    return {row[0]: row[1] for row in connection.execute(query.order_by(u.id))}


def _counts_of(connection: Connection, unit_id: int, start_ms: int, end_ms: int) -> list[Piece]:
    c = unit_count.c
    query = select(c.end_ms - c.span_ms, c.end_ms, c.count).where(
        c.unit_id == unit_id,
        c.source_id.in_(_counting(unit_id)),
        c.end_ms > start_ms,
        c.end_ms < end_ms + BUCKET_MS,  # no piece is longer: the index ends there too
        c.end_ms - c.span_ms < end_ms,
    )
    return [Piece(row[0], row[1], row[2]) for row in connection.execute(query)]


def _counting(unit_id: int) -> Select[int]:
    one, all_ = source.alias("one"), source.alias("all")
    return (
        select(all_.c.id)
        .join_from(workload_unit, one, one.c.id == workload_unit.c.counting_source_id)
        .join(all_, or_(all_.c.id == one.c.id, all_.c.family == one.c.family))
        .where(workload_unit.c.id == unit_id)
    )
