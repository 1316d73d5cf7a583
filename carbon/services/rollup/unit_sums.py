"""A unit's counts in a window: in buckets where the workload has energy, and elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from carbon.domain.civil import is_midnight
from carbon.domain.energy import energy_until
from carbon.domain.units import BUCKET_MS, QUARTER_MS, ceil_to, floor_to
from carbon.storage.ledger_rows import buckets_with_energy
from carbon.storage.settled import FINE, pieces_between, unit_days, unit_sums
from carbon.storage.unit_counts import counts_between


def counted_between(
    connection: Connection,
    workload_id: int,
    unit_id: int,
    start_ms: int,
    end_ms: int,
    timezone: ZoneInfo,
) -> tuple[int, int]:
    """(counts where the workload has energy, the rest): settled days from their sums."""
    first, last = ceil_to(start_ms, QUARTER_MS), floor_to(end_ms, QUARTER_MS)
    pieces = pieces_between(connection, first, last, timezone, workload_id) if first < last else []
    inside = outside = 0
    at = start_ms
    for table, lo, hi in [*pieces, (None, end_ms, end_ms)]:
        if table in FINE:
            continue
        fine = counted_finely(connection, workload_id, unit_id, at, lo)
        settled = unit_sums(connection, unit_id, lo, hi)
        inside, outside = inside + fine[0] + settled[0], outside + fine[1] + settled[1]
        at = hi
    return inside, outside


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
    pieces = pieces_between(connection, first, last, timezone, workload_id) if first < last else []
    settled = [(lo, hi) for table, lo, hi in pieces if table not in FINE]
    days = unit_days(connection, unit_id, start_ms, end_ms)
    counted = {}
    for step, (lo, hi) in enumerate(steps):
        is_of_days = is_midnight(lo, timezone) and is_midnight(hi, timezone)
        if is_of_days and any(begin <= lo and hi <= end for begin, end in settled):
            own = [day for day in days if lo <= day[0] < hi]
            counted[step] = sum(day[1] for day in own), sum(day[2] for day in own)
        else:
            counted[step] = counted_between(connection, workload_id, unit_id, lo, hi, timezone)
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
    powered = buckets_with_energy(connection, workload_id, start_ms, end_ms, subject_id)
    inside = outside = 0
    for lo, hi, count in counts_between(connection, unit_id, start_ms, end_ms):
        until, before = min(hi, end_ms), max(lo, start_ms)
        part = energy_until(count, lo, hi, until) - energy_until(count, lo, hi, before)
        if floor_to(lo, BUCKET_MS) in powered:
            inside += part
        else:
            outside += part
    return inside, outside
