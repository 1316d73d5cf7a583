"""The cleanest windows of many jobs on a series whose slots are all equally long, without gaps.

The same candidates as in `windows`, but read as whole rows of neighbouring marks: with the
length of a job split into whole slots and a rest, what a row costs is the difference of two rows
of running totals and a part of one slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.planning.series import BoolArray, FloatArray, IntArray, IntensitySeries
from carbon.planning.slots import alike

#: Candidates looked at in one go, 256 kB: the rows in work stay in a core's cache.
_CELLS_AT_ONCE: Final = 1 << 15


@dataclass(frozen=True, slots=True, eq=False)
class EvenSlots:
    """Times are in ms from the series' first mark."""

    slot_ms: int
    origin_ms: int
    #: The integral up to each mark, g/kWh x ms, shape (slots + 1,).
    until: FloatArray
    #: Of the slot behind each mark; 0 behind the last one.
    g_per_kwh: FloatArray
    #: Differences of integrals nearer than this are rounding.
    close: float

    @classmethod
    def of(cls, series: IntensitySeries) -> EvenSlots | None:
        """None where slots differ in length or there is a gap."""
        width = np.diff(series.marks_ms)
        if series.is_empty or len(width) != len(series.start_ms) or (width != width[0]).any():
            return None
        return cls(
            int(width[0]),
            int(series.marks_ms[0]),
            series.area(series.marks_ms),
            np.append(series.g_per_kwh, 0.0),
            series.rounding,
        )

    def cleanest(
        self, earliest_ms: IntArray, latest_start_ms: IntArray, length_ms: IntArray
    ) -> tuple[IntArray, FloatArray]:
        """(start, integral) of each job's cleanest window, both of shape (jobs,).

        All windows must lie inside the series.
        """
        first, last = earliest_ms - self.origin_ms, latest_start_ms - self.origin_ms
        start, area = np.empty_like(first), np.empty(len(first))
        ends_first, ends_last = first + length_ms, last + length_ms
        # The first mark behind the earliest moment, and how many follow up to the latest one.
        mark, end_mark = first // self.slot_ms + 1, ends_first // self.slot_ms + 1
        marks = np.maximum(last // self.slot_ms - mark + 1, 0)
        end_marks = np.maximum(ends_last // self.slot_ms - end_mark + 1, 0)
        for jobs in alike(marks, end_marks):
            rows = int(marks[jobs[0]]), int(end_marks[jobs[0]])
            size = max(1, _CELLS_AT_ONCE // (sum(rows) + 1))
            for low in range(0, len(jobs), size):
                some = jobs[low : low + size]
                start[some], area[some] = self._of_rows(
                    rows,
                    mark[some],
                    end_mark[some],
                    first[some],
                    last[some],
                    length_ms[some],
                )
        return start + self.origin_ms, area

    def _of_rows(
        self,
        rows: tuple[int, int],
        mark: IntArray,
        end_mark: IntArray,
        first: IntArray,
        last: IntArray,
        length: IntArray,
    ) -> tuple[IntArray, FloatArray]:
        whole, rest = np.divmod(length, self.slot_ms)
        ends = [(at, self._between(at, at + length)) for at in (first, last)]
        costs, least = [], np.minimum(ends[0][1], ends[1][1])
        if rows[0]:
            cost = self._row(mark + whole, rows[0], rest)
            cost -= self._row(mark, rows[0])
            costs.append((cost, mark * self.slot_ms))
        if rows[1]:
            before = end_mark - whole - 1
            cost = self._row(end_mark, rows[1])
            cost -= self._row(before, rows[1], self.slot_ms - rest)
            costs.append((cost, end_mark * self.slot_ms - length))
        for cost, _ in costs:
            least = np.minimum(least, cost.min(axis=1))
        good = least + self.close
        start = np.where(ends[0][1] <= good, first, np.where(ends[1][1] <= good, last, _NEVER))
        for cost, from_ms in costs:
            column, is_good = _first_good(cost, good)
            at = from_ms + column * self.slot_ms
            start = np.minimum(start, np.where(is_good, at, _NEVER))
        return start, least

    def _between(self, start: IntArray, end: IntArray) -> FloatArray:
        return self._at(end) - self._at(start)

    def _at(self, moment: IntArray) -> FloatArray:
        mark, rest = np.divmod(moment, self.slot_ms)
        return np.asarray(self.until[mark] + rest * self.g_per_kwh[mark])

    def _row(self, mark: IntArray, count: int, rest_ms: IntArray | None = None) -> FloatArray:
        """The integral up to `count` marks from `mark` on, and `rest_ms` further."""
        row = _rows(self.until, count)[mark]
        if rest_ms is not None:
            row += rest_ms[:, None] * _rows(self.g_per_kwh, count)[mark]
        return row


def _rows(values: FloatArray, count: int) -> FloatArray:
    return np.lib.stride_tricks.sliding_window_view(values, count)


_NEVER: Final = np.iinfo(np.int64).max


def _first_good(cost: FloatArray, good: FloatArray) -> tuple[IntArray, BoolArray]:
    """Of each row the first column that costs no more than is good, and whether there is one."""
    is_good = cost <= good[:, None]
    column = is_good.argmax(axis=1)
    return column, is_good[np.arange(len(cost)), column]
