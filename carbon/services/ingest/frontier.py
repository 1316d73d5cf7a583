"""How far each meter was read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carbon.storage.bulk import IntervalRow
from carbon.storage.interval_columns import END, METER, SPAN, Ints
from carbon.storage.names import FOR_EVER_MS

#: Rows.
_FEW = 16


class Frontier:
    """How far each meter was read, as far as this process knows: what begins after it cannot
    overlap anything. An error on the safe side costs a look into the table, no more."""

    def __init__(self) -> None:
        #: By the meter's id; nothing is known of those at FOR_EVER_MS.
        self._end_ms: Ints = np.full(1024, FOR_EVER_MS)

    def advance(self, columns: Ints) -> bool:
        """Whether the rows of each meter begin at or after what is known of it and follow each
        other, those of one span side by side; then notes their ends."""
        if columns.shape[1] <= _FEW:
            return self.advance_rows(list(zip(*columns.tolist(), strict=True)))
        self._make_room(int(columns[METER].max()))
        if self._follows(columns):
            return True
        order = np.argsort(columns[METER], kind="stable")
        end, meter, span = columns[[END, METER, SPAN]][:, order]
        start = end - span
        is_first = np.concatenate(([True], meter[1:] != meter[:-1]))
        follows = start[1:] >= end[:-1]
        is_beside = (end[1:] == end[:-1]) & (span[1:] == span[:-1])
        known = self._end_ms[meter]
        in_order = bool(
            (start >= known)[is_first].all() and (is_first[1:] | follows | is_beside).all()
        )
        known[known == FOR_EVER_MS] = 0
        self._end_ms[meter] = known
        np.maximum.at(self._end_ms, meter, end)
        return in_order

    def _follows(self, columns: Ints) -> bool:
        """Whether all go on in steps of one span, as readings do: that is seen, and noted, without
        a look at each meter."""
        end, meter, span = columns[END], columns[METER], columns[SPAN]
        step = span[0]
        if not (span == step).all():
            return False
        steps = end[1:] - end[:-1]
        if not ((steps == 0) | (steps >= step)).all():
            return False
        if not (end - step >= self._end_ms[meter]).all():
            return False
        self._end_ms[meter] = end  # of each meter the last stays
        return True

    def advance_rows(self, rows: Sequence[IntervalRow]) -> bool:
        """As `advance`, where going through columns would cost more than through the rows."""
        in_order = True
        before: dict[int, tuple[int, int]] = {}
        for end, meter, _, span, *_ in rows:
            self._make_room(meter)
            last_end, last_span = before.get(meter) or (self._end_ms.item(meter), 0)
            in_order &= end - span >= last_end or (end, span) == (last_end, last_span)
            before[meter] = end, span
        for end, meter, *_ in rows:
            known = self._end_ms.item(meter)
            self._end_ms[meter] = end if known == FOR_EVER_MS else max(known, end)
        return in_order

    def _make_room(self, meter: int) -> None:
        if meter >= self._end_ms.size:
            more = np.full(max(meter + 1, 2 * self._end_ms.size), FOR_EVER_MS)
            more[: self._end_ms.size] = self._end_ms
            self._end_ms = more
