"""A unit's counts in a window: in buckets where the workload has energy, and elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from carbon.domain.civil import is_midnight
from carbon.domain.energy import energy_until
from carbon.domain.units import BUCKET_MS, QUARTER_MS, ceil_to, floor_to
from carbon.storage.ledger_rows import buckets_with_energy
from carbon.storage.settled import FINE, PiecesOf, pieces_of, unit_days, unit_sums
from carbon.storage.unit_counts import CountedUnits, counted_units, pieces_counted


def counted_between(
    connection: Connection,
    workload_id: int,
    unit_id: int,
    start_ms: int,
    end_ms: int,
    pieces: PiecesOf,
) -> tuple[int, int]:
    """(counts where the workload has energy, the rest): settled days (`pieces` of the workload)
    from their sums."""
    first, last = ceil_to(start_ms, QUARTER_MS), floor_to(end_ms, QUARTER_MS)
    whole = pieces(first, last) if first < last else []
    settled = [(lo, hi) for table, lo, hi in whole if table not in FINE]
    marks = [start_ms, *chain.from_iterable(settled), end_ms]
    parts = [unit_sums(connection, unit_id, lo, hi) for lo, hi in settled]
    if between := [(lo, hi) for lo, hi in zip(marks[::2], marks[1::2], strict=True) if lo < hi]:
        counted = counted_units(connection, unit_id)
        parts += [_finely(connection, workload_id, counted, lo, hi) for lo, hi in between]
    return sum(part[0] for part in parts), sum(part[1] for part in parts)


def counted_by_step(
    connection: Connection,
    workload_id: int,
    unit_id: int,
    steps: Sequence[tuple[int, int]],
    timezone: ZoneInfo,
) -> dict[int, tuple[int, int]]:
    """As `counted_between` for each step: one look at all days that are settled."""
    start_ms, end_ms = steps[0][0], steps[-1][1]
    first, last = ceil_to(start_ms, QUARTER_MS), floor_to(end_ms, QUARTER_MS)
    pieces = pieces_of(connection, timezone, workload_id)
    whole = pieces(first, last) if first < last else []
    settled = [(lo, hi) for table, lo, hi in whole if table not in FINE]
    days = unit_days(connection, unit_id, start_ms, end_ms)
    counted = {}
    for step, (lo, hi) in enumerate(steps):
        is_of_days = is_midnight(lo, timezone) and is_midnight(hi, timezone)
        if is_of_days and any(begin <= lo and hi <= end for begin, end in settled):
            own = [day for day in days if lo <= day[0] < hi]
            counted[step] = sum(day[1] for day in own), sum(day[2] for day in own)
        else:
            counted[step] = counted_between(connection, workload_id, unit_id, lo, hi, pieces)
    return counted


def counted_finely(
    connection: Connection,
    workload_id: int,
    unit_id: int,
    start_ms: int,
    end_ms: int,
    subject_id: int | None = None,
) -> tuple[int, int]:
    """As `counted_between` from the counts themselves; with a subject, where that has energy."""
    if start_ms >= end_ms:
        return 0, 0
    counted = counted_units(connection, unit_id)
    return _finely(connection, workload_id, counted, start_ms, end_ms, subject_id)


def _finely(
    connection: Connection,
    workload_id: int,
    counted: CountedUnits,
    start_ms: int,
    end_ms: int,
    subject_id: int | None = None,
) -> tuple[int, int]:
    powered = buckets_with_energy(connection, workload_id, start_ms, end_ms, subject_id)
    inside = outside = 0
    for lo, hi, count in pieces_counted(connection, counted, start_ms, end_ms):
        until, before = min(hi, end_ms), max(lo, start_ms)
        part = energy_until(count, lo, hi, until) - energy_until(count, lo, hi, before)
        if floor_to(lo, BUCKET_MS) in powered:
            inside += part
        else:
            outside += part
    return inside, outside
