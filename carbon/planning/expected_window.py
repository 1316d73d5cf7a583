"""The best start of a job that may not pause and whose length is only known as a distribution."""

from __future__ import annotations

from typing import Final

import numpy as np

from carbon.planning.chunks import chunks
from carbon.planning.series import FloatArray, IntArray, IntensitySeries
from carbon.planning.ties import first_least

_FAR: Final = np.inf


def best_expected_starts(
    seen: IntensitySeries,
    earliest_ms: IntArray,
    latest_start_ms: IntArray,
    alive: FloatArray,
    cell_ms: int,
) -> IntArray:
    """The start, a whole number of cells after `earliest_ms`, of least expected emission.

    `alive` (jobs, cells + 1) is the chance to be running still at the start of each cell, so
    that a cell costs its intensity times the mean of two neighbours. Of equals the earliest.
    """
    shifts = (latest_start_ms - earliest_ms) // cell_ms
    start = earliest_ms.copy()
    busy = 0.5 * (alive[:, :-1] + alive[:, 1:])
    cells = busy.shape[1]
    for jobs in chunks(shifts + cells):
        steps = int(shifts[jobs].max()) + 1
        marks = earliest_ms[jobs, None] + np.arange(steps + cells) * cell_ms
        area = np.diff(seen.area(marks), axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(area, cells, axis=1)
        expected = np.einsum("jsc,jc->js", windows, busy[jobs], optimize=False)
        expected[np.arange(steps) > shifts[jobs, None]] = _FAR
        start[jobs] += first_least(expected, expected[:, 0]) * cell_ms
    return start
