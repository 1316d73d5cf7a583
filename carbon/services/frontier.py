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
        """Whether the rows of each meter begin at or after what is known of it and follow each
        other, those of one span side by side; then notes their ends."""
        in_order = True
        known = self._end_ms
        last: dict[int, IntervalRow] = {}
        for row in rows:
            before = last.get(row[1])
            if before is None:
                in_order &= row[0] - row[3] >= known.get(row[1], FOR_EVER_MS)
            elif row[0] - row[3] < before[0] and (row[0] != before[0] or row[3] != before[3]):
                in_order = False
                if row[0] <= before[0]:
                    continue  # what reaches furthest is what the next has to follow
            last[row[1]] = row
        for meter_id, row in last.items():
            known[meter_id] = max(row[0], known.get(meter_id, 0))
        return in_order
