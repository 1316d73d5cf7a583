"""Exact plans of very many jobs on slots of equal length; all moments and lengths are in slots.

Where an hour is an hour for everybody, a plan is a matter of whole slots and needs no clock: a
million jobs take less than a second on one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from carbon.errors import InvalidInput
from carbon.planning.series import FloatArray, IntArray

#: Cells looked at in one go, 512 kB: small enough for a core's cache.
_CELLS_AT_ONCE: Final = 1 << 16
#: What a step of the doubling costs per slot, in cells looked at one by one.
_STEPS_PER_SLOT: Final = 2
#: Of a window's cost; windows nearer than this differ by rounding only.
_ROUNDING: Final = 2**-44


def best_starts(
    g_per_kwh: npt.ArrayLike,
    earliest: npt.ArrayLike,
    latest_end: npt.ArrayLike,
    length: npt.ArrayLike,
) -> IntArray:
    """The first slot of each job's cleanest uninterrupted window; of equals the earliest.

    `g_per_kwh` (slots,) is the intensity; the others have shape (jobs,) and each job runs
    `length` slots within [earliest, latest_end). Raises InvalidInput where one does not fit.
    """
    grid = np.asarray(g_per_kwh, dtype=np.float64)
    first, end, run = (np.asarray(v, dtype=np.int64) for v in (earliest, latest_end, length))
    check_slots(len(grid), first, end, run)
    until = np.concatenate(([0.0], np.cumsum(grid)))
    close = until[-1] * _ROUNDING
    tries = end - run - first + 1
    start = np.empty(len(first), dtype=np.int64)
    for jobs in alike(run, tries):
        slots, width = int(run[jobs[0]]), int(tries[jobs[0]])
        cost = until[slots:] - until[:-slots]
        if len(jobs) * width > _STEPS_PER_SLOT * width.bit_length() * len(cost):
            start[jobs] = _least_of_all_ranges(cost, width, close)[first[jobs]]
        else:
            start[jobs] = _least_of_ranges(cost, first[jobs], width, close)
    return start


def _least_of_all_ranges(cost: FloatArray, width: int, close: float) -> IntArray:
    """Where the least of each range of `width` lies, shape (ranges,), by doubling the width."""
    least, at = cost, np.arange(len(cost))
    reach = 1
    while reach < width:
        step = min(reach, width - reach)
        later = least[step:] < least[:-step] - close
        at = np.where(later, at[step:], at[:-step])
        least = np.where(later, least[step:], least[:-step])
        reach += step
    return at


def _least_of_ranges(cost: FloatArray, first: IntArray, width: int, close: float) -> IntArray:
    """The same of the ranges that begin at `first` alone, by looking at all of each."""
    ranges = np.lib.stride_tricks.sliding_window_view(cost, width)
    at = first.copy()
    size = max(1, _CELLS_AT_ONCE // width)
    for low in range(0, len(first), size):
        some = slice(low, low + size)
        seen = ranges[first[some]]
        at[some] += (seen <= seen.min(axis=1, keepdims=True) + close).argmax(axis=1)
    return at


def check_slots(slots: int, first: IntArray, end: IntArray, run: IntArray) -> None:
    if (run <= 0).any():
        raise InvalidInput("length_not_positive", "a job's length must be above 0")
    if (end - first < run).any():
        raise InvalidInput(
            "length_exceeds_window",
            "the job is longer than the time from its earliest start to its deadline",
        )
    if len(first) and (first.min() < 0 or end.max() > slots):
        raise InvalidInput("window_not_rated", "a job's window reaches beyond the intensity")


def alike(*keys: IntArray) -> Iterator[IntArray]:
    """Yields indices of jobs that agree in all of the small whole numbers `keys`."""
    key = np.zeros_like(keys[0])
    for values in keys:
        key = key * (int(values.max(initial=0)) + 1) + values
    # Where the keys fit into 16 bits NumPy sorts by radix, which is several times faster.
    narrow = key.astype(np.uint16) if key.max(initial=0) < 1 << 16 else key
    order = np.argsort(narrow, kind="stable")
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(narrow[order])) + 1)
