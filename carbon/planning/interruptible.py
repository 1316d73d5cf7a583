"""The cleanest plan of a job that may pause: the cheapest slots, fractional at the edges.

Without a cost for pausing the optimum is greedy: fill the cleanest slots of the allowed range
until the length is reached. Only the last slot taken is taken in part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carbon.errors import InvalidInput
from carbon.planning.chunks import chunks
from carbon.planning.series import BoolArray, FloatArray, IntArray, IntensitySeries
from carbon.planning.windows import check_fits


@dataclass(frozen=True, slots=True)
class Segment:
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """When one job runs: in order of time, segments not touching one another."""

    segments: tuple[Segment, ...]
    mean_g_per_kwh: float


@dataclass(frozen=True, slots=True, eq=False)
class InterruptedRuns:
    """One plan per job, shape (jobs,); the mean is NaN where too little of the range is known."""

    first_start_ms: IntArray
    end_ms: IntArray
    mean_g_per_kwh: FloatArray


def best_segments(
    series: IntensitySeries, earliest_ms: int, latest_end_ms: int, length_ms: int
) -> SegmentPlan:
    """The cleanest `length_ms` of [earliest, latest_end); of equal slots the earliest.

    Gaps are not run in. Raises InvalidInput as `windows.best_window` does.
    """
    earliest, latest_end, length = (
        np.array([v], dtype=np.int64) for v in (earliest_ms, latest_end_ms, length_ms)
    )
    check_fits(earliest, latest_end - length, length)
    slots = _slots(series, earliest, latest_end, length)
    if slots.taken_ms.sum() < length_ms:
        raise InvalidInput(
            "window_not_rated",
            "too little of the window has an intensity; widen it or add a forecast",
        )
    mean = float((slots.taken_ms * slots.g_per_kwh).sum() / length_ms)
    return SegmentPlan(_segments(slots), mean)


def best_runs(
    series: IntensitySeries,
    earliest_ms: npt.ArrayLike,
    latest_end_ms: npt.ArrayLike,
    length_ms: npt.ArrayLike,
) -> InterruptedRuns:
    """`best_segments` of many jobs at once; the three arrays have shape (jobs,)."""
    earliest, latest_end, length = (
        np.asarray(v, dtype=np.int64) for v in (earliest_ms, latest_end_ms, length_ms)
    )
    check_fits(earliest, latest_end - length, length)
    runs = InterruptedRuns(earliest.copy(), earliest + length, np.full(len(earliest), np.nan))
    for jobs in chunks(_slots_in_reach(series, earliest, latest_end)):
        slots = _slots(series, earliest[jobs], latest_end[jobs], length[jobs])
        known = slots.taken_ms.sum(axis=1) == length[jobs]
        mean = (slots.taken_ms * slots.g_per_kwh).sum(axis=1) / length[jobs]
        jobs, slots = jobs[known], slots.of(known)
        runs.mean_g_per_kwh[jobs] = mean[known]
        runs.first_start_ms[jobs] = slots.first_start_ms()
        runs.end_ms[jobs] = slots.last_end_ms()
    return runs


def runs_in_first_slot(
    series: IntensitySeries, earliest_ms: IntArray, latest_end_ms: IntArray, length_ms: IntArray
) -> IntArray:
    """How long the cheapest plan of each job runs in the slot that holds its earliest moment."""
    run = np.zeros_like(length_ms)
    for jobs in chunks(_slots_in_reach(series, earliest_ms, latest_end_ms)):
        slots = _slots(series, earliest_ms[jobs], latest_end_ms[jobs], length_ms[jobs])
        run[jobs] = slots.taken_ms[:, 0]
    return run


def _slots_in_reach(
    series: IntensitySeries, earliest_ms: IntArray, latest_end_ms: IntArray
) -> IntArray:
    first = np.searchsorted(series.end_ms, earliest_ms, "right")
    return np.asarray(np.searchsorted(series.start_ms, latest_end_ms) - first)


@dataclass(frozen=True, slots=True, eq=False)
class _Slots:
    """Slots of each job in order of time and what is taken of each; all of shape (jobs, slots)."""

    start_ms: IntArray
    end_ms: IntArray
    g_per_kwh: FloatArray
    taken_ms: IntArray

    def of(self, jobs: BoolArray) -> _Slots:
        return _Slots(
            self.start_ms[jobs], self.end_ms[jobs], self.g_per_kwh[jobs], self.taken_ms[jobs]
        )

    def first_start_ms(self) -> IntArray:
        far = np.iinfo(np.int64).max
        at = np.where(self.taken_ms > 0, self.begin_ms(), far)
        return np.asarray(at.min(axis=1, initial=far))

    def last_end_ms(self) -> IntArray:
        at = np.where(self.taken_ms > 0, self.begin_ms() + self.taken_ms, 0)
        return np.asarray(at.max(axis=1, initial=0))

    def begin_ms(self) -> IntArray:
        """Where the part taken of a slot begins.

        A part joins the slot after it where that one is taken and the one before is not, which
        saves a pause; else it stands at the slot's start.
        """
        taken = self.taken_ms > 0
        before = np.zeros_like(taken)
        before[:, 1:] = taken[:, :-1] & (self.end_ms[:, :-1] == self.start_ms[:, 1:])
        after = np.zeros_like(taken)
        after[:, :-1] = taken[:, 1:] & (self.end_ms[:, :-1] == self.start_ms[:, 1:])
        return np.where(after & ~before, self.end_ms - self.taken_ms, self.start_ms)


def _slots(
    series: IntensitySeries, earliest: IntArray, latest_end: IntArray, length: IntArray
) -> _Slots:
    """The slots in reach of each job, rows padded with slots without length."""
    first = np.searchsorted(series.end_ms, earliest, "right")
    width = _slots_in_reach(series, earliest, latest_end)
    step = np.arange(max(0, int(width.max(initial=0))))
    index = np.minimum(first[:, None] + step, len(series.start_ms) - 1)
    start = np.maximum(series.start_ms[index], earliest[:, None])
    end = np.minimum(series.end_ms[index], latest_end[:, None])
    end = np.where(step < width[:, None], end, start)
    g_per_kwh = series.g_per_kwh[index]
    return _Slots(start, end, g_per_kwh, _cheapest(g_per_kwh, end - start, length[:, None]))


def _cheapest(g_per_kwh: FloatArray, room_ms: IntArray, length_ms: IntArray) -> IntArray:
    """How much of each slot is taken when the cheapest are filled first."""
    order = np.argsort(g_per_kwh, axis=1, kind="stable")
    room = np.take_along_axis(room_ms, order, axis=1)
    before = np.cumsum(room, axis=1) - room
    taken = np.empty_like(room)
    np.put_along_axis(taken, order, np.clip(length_ms - before, 0, room), axis=1)
    return taken


def _segments(slots: _Slots) -> tuple[Segment, ...]:
    taken = slots.taken_ms[0] > 0
    begin = slots.begin_ms()[0][taken]
    finish = begin + slots.taken_ms[0][taken]
    opens = np.concatenate(([True], begin[1:] != finish[:-1]))
    closes = np.concatenate((opens[1:], [True]))
    return tuple(Segment(int(a), int(b)) for a, b in zip(begin[opens], finish[closes], strict=True))
