"""Coverage: device-time backed by readings over device-time expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from carbon.domain.energy import Method, Reading, clip, covered_ms
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR, ceil_to, floor_to
from carbon.services.context import Context
from carbon.services.rollup.raw_readings import readings_of
from carbon.storage.ledger_rows import LedgerRow
from carbon.storage.names import runs_between
from carbon.storage.sealed_days import devices_meters

#: Of longer runs the time in which a device drew for them stands for the time in which it was
#: read: what lies before their first work is a small part.
_READ_UP_TO_MS = 2 * MS_PER_HOUR

#: (device, subject)
_Key = tuple[int, int]


def coverage_of(
    context: Context,
    connection: Connection,
    rows: Sequence[LedgerRow],
    start_ms: int,
    end_ms: int,
) -> float | None:
    """0..1, or None where nothing is expected.

    Expected is a run's whole span on each of its devices, what was reserved, and otherwise
    what was read. Of a run counts that its device was read, whoever drew the energy meanwhile.
    """
    spans = {
        row.subject_id: (max(row.start_ms, start_ms), min(row.end_ms, end_ms))
        for row in runs_between(connection, {r.subject_id for r in rows}, start_ms, end_ms)
    }
    backed = expected = 0
    for (device_id, subject_id), (drawn_ms, reserved_ms) in _times(rows).items():
        lo, hi = spans.get(subject_id, (0, 0))
        # What was drawn throughout was read throughout: months of imported runs lie in cold files.
        is_open = drawn_ms < hi - lo <= _READ_UP_TO_MS
        read_ms = _read_ms(context, connection, device_id, lo, hi) if is_open else 0
        backed += max(drawn_ms, read_ms)
        expected += max(hi - lo, drawn_ms, read_ms, reserved_ms)
    return min(1.0, backed / expected) if expected else None


def _times(rows: Sequence[LedgerRow]) -> Mapping[_Key, tuple[int, int]]:
    """(device-time backed by the subject's readings, device-time held), ms."""
    times: dict[_Key, tuple[int, int]] = {}
    for row in rows:
        key = (row.device_id, row.subject_id)
        drawn, reserved = times.get(key, (0, 0))
        backed = 0 if row.method == Method.ESTIMATED else row.covered_ms
        times[key] = (drawn + backed, reserved + row.reserved_ms)
    return times


def _read_ms(
    context: Context, connection: Connection, device_id: int, start_ms: int, end_ms: int
) -> int:
    """Time in [start, end) that a device's widest meter read, whoever drew the energy."""
    meters = devices_meters(connection, [device_id])[device_id]
    first, last = floor_to(start_ms, BUCKET_MS), ceil_to(end_ms, BUCKET_MS)
    parts: dict[int, list[Reading]] = {}
    for r in readings_of(context, connection, first, last, meters):
        if (part := clip(r, start_ms, end_ms)) is not None:
            parts.setdefault(r.meter, []).append(part)
    return max((covered_ms(read) for read in parts.values()), default=0)
