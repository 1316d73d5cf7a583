"""How far each meter was read."""

from __future__ import annotations

from collections.abc import Sequence

from carbon.storage.bulk import IntervalRow
from carbon.storage.names import FOR_EVER_MS


class Frontier:
    """How far each meter was read, as far as this process knows: what begins after it cannot
    overlap anything. An error on the safe side costs a look into the table, no more."""

    def __init__(self) -> None:
        self._end_ms: dict[int, int] = {}

    def advance(self, rows: Sequence[IntervalRow]) -> bool:
        """Whether all rows begin at or after what is known of their meter, and none overlaps
        another of equal span; then notes their ends."""
        in_order = True
        latest: dict[tuple[int, int], int] = {}
        ends: dict[int, int] = {}
        known = self._end_ms
        for end_ms, meter_id, _, span_ms, *_ in rows:
            start_ms = end_ms - span_ms
            before_ms = latest.get((meter_id, span_ms))
            if before_ms is None:
                in_order &= start_ms >= known.get(meter_id, FOR_EVER_MS)
            elif start_ms < before_ms or before_ms < start_ms < before_ms + span_ms:
                in_order = False
            latest[meter_id, span_ms] = start_ms
            if end_ms > ends.get(meter_id, 0):
                ends[meter_id] = end_ms
        for meter_id, end_ms in ends.items():
            known[meter_id] = max(end_ms, known.get(meter_id, 0))
        return in_order
