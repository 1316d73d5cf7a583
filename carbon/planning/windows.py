"""The cleanest uninterrupted window of one job or of many: the exact optimum.

The integral of a piecewise constant intensity is piecewise linear, so that a best start puts
the start or the end of the run on a mark of the series, or at an end of the allowed range.
Trying these few moments is exact (research: Wiesner et al., "Let's wait awhile", 2021, state
the problem on slots; here starts are continuous).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carbon.errors import InvalidInput
from carbon.planning.chunks import chunks
from carbon.planning.even_windows import EvenSlots
from carbon.planning.series import FloatArray, IntArray, IntensitySeries


@dataclass(frozen=True, slots=True)
class Window:
    start_ms: int
    end_ms: int
    mean_g_per_kwh: float


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """One window per job, shape (jobs,); the mean is NaN where the series covers no window."""

    start_ms: IntArray
    end_ms: IntArray
    mean_g_per_kwh: FloatArray


def best_window(
    series: IntensitySeries, earliest_ms: int, latest_end_ms: int, length_ms: int
) -> Window:
    """The cleanest window of `length_ms` inside [earliest, latest_end); of equals the earliest.

    Raises InvalidInput: `length_exceeds_window`, `length_not_positive`, and `window_not_rated`
    where the series covers no such window without a gap.
    """
    found = best_windows(series, [earliest_ms], [latest_end_ms], [length_ms])
    if np.isnan(found.mean_g_per_kwh[0]):
        raise InvalidInput(
            "window_not_rated",
            "no window of that length has an intensity throughout; widen it or add a forecast",
        )
    return Window(int(found.start_ms[0]), int(found.end_ms[0]), float(found.mean_g_per_kwh[0]))


def best_windows(
    series: IntensitySeries,
    earliest_ms: npt.ArrayLike,
    latest_end_ms: npt.ArrayLike,
    length_ms: npt.ArrayLike,
) -> Windows:
    """`best_window` of many jobs at once; the three arrays have shape (jobs,)."""
    earliest, length = _as_int(earliest_ms), _as_int(length_ms)
    latest_start = _as_int(latest_end_ms) - length
    check_fits(earliest, latest_start, length)
    start = earliest.copy()
    mean = np.full(len(start), np.nan)
    even, others = EvenSlots.of(series), np.arange(len(start))
    if even is not None:
        inside = series.covers(earliest, latest_start + length)
        some, others = others[inside], others[~inside]
        start[some], area = even.cleanest(earliest[some], latest_start[some], length[some])
        mean[some] = area / length[some]
    for part, candidates in candidate_starts(
        series, earliest[others], latest_start[others], length[others]
    ):
        jobs = others[part]
        start[jobs], mean[jobs] = _cleanest(series, candidates, length[jobs, None])
    return Windows(start, start + length, mean)


def _as_int(values: npt.ArrayLike) -> IntArray:
    return np.asarray(values, dtype=np.int64)


def check_fits(earliest_ms: IntArray, latest_start_ms: IntArray, length_ms: IntArray) -> None:
    if (length_ms <= 0).any():
        raise InvalidInput("length_not_positive", "a job's length must be above 0")
    if (latest_start_ms < earliest_ms).any():
        raise InvalidInput(
            "length_exceeds_window",
            "the job is longer than the time from its earliest start to its deadline",
        )


def candidate_starts(
    series: IntensitySeries, earliest: IntArray, latest_start: IntArray, length: IntArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yields (jobs, starts to try) in chunks, the latter of shape (jobs, tries).

    Rows are padded with the latest start, which is a candidate of every job.
    """
    marks = series.marks_ms
    first = (
        np.searchsorted(marks, earliest, "right"),
        np.searchsorted(marks, earliest + length, "right"),
    )
    count = (
        np.searchsorted(marks, latest_start, "left") - first[0],
        np.searchsorted(marks, latest_start + length, "left") - first[1],
    )
    for jobs in chunks(count[0] + count[1] + 2):
        shift = np.zeros_like(length[jobs]), length[jobs]
        tries = [
            _marks_from(marks, first[i][jobs], count[i][jobs]) - shift[i][:, None] for i in (0, 1)
        ]
        late = latest_start[jobs, None]
        inside = [np.minimum(t, late) for t in tries]
        yield jobs, np.concatenate((earliest[jobs, None], *inside, late), axis=1)


def _marks_from(marks: IntArray, first: IntArray, count: IntArray) -> IntArray:
    """`count` marks from `first` on per row; beyond its count a row holds a far moment."""
    step = np.arange(int(count.max(initial=0)))
    index = np.minimum(first[:, None] + step, max(len(marks) - 1, 0))
    far = np.iinfo(np.int64).max
    return np.where(step < count[:, None], marks[index], far) if len(marks) else index


def _cleanest(
    series: IntensitySeries, starts: IntArray, length: IntArray
) -> tuple[IntArray, FloatArray]:
    ends = starts + length
    area = series.area(ends) - series.area(starts)
    known = series.covers(starts, ends)
    area = np.where(known, area, np.inf)
    least = area.min(axis=1, keepdims=True)
    as_clean = area <= least + series.rounding
    start = np.where(as_clean, starts, np.iinfo(np.int64).max).min(axis=1)
    none = np.isinf(least[:, 0])
    mean = np.where(none, np.nan, least[:, 0]) / length[:, 0]
    return np.where(none, starts[:, 0], start), mean
