"""What a gap may have emitted: its energy is the counter's, its minutes are not known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from sqlalchemy import Connection

from carbon.domain.energy import Method
from carbon.domain.units import MS_PER_DAY, QUARTER_MS, floor_to
from carbon.storage.ledger_rows import LedgerRow, RowKey
from carbon.storage.quarters import Quarter, quarters_between

#: How far beyond the window a gap is followed.
_BEYOND_MS = 2 * MS_PER_DAY


def bridged_bounds(
    connection: Connection,
    workload_id: int,
    rows: Iterable[LedgerRow],
    start_ms: int,
    end_ms: int,
) -> dict[RowKey, tuple[int, int]]:
    """(lowest, highest) mass of each bridged row, ng: all of its gap's energy at the gap's
    cleanest and at its dirtiest quarter-hour."""
    bridged = [row for row in rows if row.method == Method.BRIDGED and row.energy_mj]
    if not bridged:
        return {}
    devices = {row.device_id for row in bridged}
    around = start_ms - _BEYOND_MS, end_ms + _BEYOND_MS
    quarters = quarters_between(connection, devices, *around, workload_id, Method.BRIDGED)
    sums = _sums(quarters, floor_to(start_ms, QUARTER_MS), end_ms)
    found = {}
    for row in bridged:
        if row.key in sums:
            own, low, high = sums[row.key]
            scaled = sorted(round(row.operational_ng * part / own) for part in (low, high))
            found[row.key] = (
                min(row.operational_ng, scaled[0]),
                max(row.operational_ng, scaled[1]),
            )
    return found


def _sums(
    quarters: Sequence[Quarter], start_ms: int, end_ms: int
) -> Mapping[RowKey, tuple[Fraction, Fraction, Fraction]]:
    """(as priced, lowest, highest) of the window's quarter-hours, by row."""
    sums: dict[RowKey, list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 3)
    for gap in _gaps(quarters):
        rates = [Fraction(q.operational_ng, q.energy_mj) for q in gap]
        low, high = min(rates), max(rates)
        for q in gap:
            if start_ms <= q.start_ms < end_ms:
                key = (q.device_id, q.subject_id, q.method, q.rating_id)
                masses = (Fraction(q.operational_ng), q.energy_mj * low, q.energy_mj * high)
                sums[key] = [so_far + mass for so_far, mass in zip(sums[key], masses, strict=True)]
    return {key: (own, low, high) for key, (own, low, high) in sums.items() if own}


def _gaps(quarters: Iterable[Quarter]) -> Iterator[list[Quarter]]:
    """Quarter-hours of one device and subject that follow each other."""
    open_gaps: dict[tuple[int, int], list[Quarter]] = {}
    for q in quarters:
        if not q.energy_mj:
            continue
        key = q.device_id, q.subject_id
        gap = open_gaps.get(key)
        if gap and q.start_ms - gap[-1].start_ms > QUARTER_MS:
            yield gap
            gap = None
        if gap is None:
            open_gaps[key] = gap = []
        gap.append(q)
    yield from open_gaps.values()
