"""The best start of jobs whose length is one of several that are equally likely.

What a start is expected to emit is the mean over the lengths of piecewise linear functions, with
corners where the run begins on a mark of the series, or ends on one at one of its lengths. Trying
these and the ends of the allowed range is exact, as with one length (`planning.windows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.series import FloatArray, IntArray, IntensitySeries

#: Lengths that stand for a longer record: its mean is theirs within a few per cent.
MOST_LENGTHS: Final = 12


def representative(lengths_ms: Sequence[int]) -> tuple[int, ...]:
    """At most MOST_LENGTHS equally likely lengths, ascending; the longest is among them."""
    ordered = sorted(lengths_ms)
    if len(ordered) <= MOST_LENGTHS:
        return tuple(ordered)
    middle = (np.arange(MOST_LENGTHS) + 0.5) / MOST_LENGTHS * len(ordered)
    return (*(ordered[int(at)] for at in middle[:-1]), ordered[-1])


def cheapest_starts(
    series: IntensitySeries,
    earliest_ms: IntArray,
    latest_start_ms: IntArray,
    lengths_ms: Sequence[int],
    saving_per_hour: float = 0.0,
) -> tuple[IntArray, FloatArray]:
    """(start, expected integral, g/kWh x ms) of jobs that share their lengths; shape (jobs,).

    `saving_per_hour` is the share of what the earliest start would emit that an hour of delay
    must save; the integral that is answered is that of the intensity alone. Of equals the
    earliest. A start after which the longest run is not covered is never taken; where there is
    no other, the integral is infinite.
    """
    lengths = np.array(lengths_ms, dtype=np.int64)
    corners = [series.marks_ms, *(series.marks_ms - length for length in lengths)]
    tries = np.unique(np.concatenate(corners))
    cost = _expected(series, tries, lengths)
    ends = (earliest_ms, latest_start_ms)
    at_ends = [_expected(series, at, lengths) for at in ends]
    low = np.searchsorted(tries, earliest_ms)
    high = np.searchsorted(tries, latest_start_ms, "right")
    start, area = np.empty_like(earliest_ms), np.empty(len(earliest_ms))
    for job in range(len(start)):
        inside = slice(int(low[job]), int(high[job]))
        at = np.concatenate((ends[0][job : job + 1], tries[inside], ends[1][job : job + 1]))
        emits = np.concatenate((at_ends[0][job : job + 1], cost[inside], at_ends[1][job : job + 1]))
        weighed = emits
        if saving_per_hour and np.isfinite(emits[0]):
            weighed = emits + emits[0] * saving_per_hour * (at - at[0]) / MS_PER_HOUR
        best = int(np.argmax(weighed <= weighed.min() + series.rounding))
        start[job], area[job] = at[best], emits[best]
    return start, area


def _expected(series: IntensitySeries, start_ms: IntArray, lengths_ms: IntArray) -> FloatArray:
    ends = series.area(start_ms[:, None] + lengths_ms).mean(axis=1)
    covered = series.covers(start_ms, start_ms + lengths_ms.max())
    return np.where(covered, ends - series.area(start_ms), np.inf)
