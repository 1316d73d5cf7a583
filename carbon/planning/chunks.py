"""Cutting many jobs into chunks, so that a matrix of jobs x moments stays small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from carbon.planning.series import IntArray

#: Cells of one matrix: 8 MB of float64, near the size of a core's cache.
CHUNK_CELLS: Final = 1 << 20


def chunks(width: IntArray) -> Iterator[IntArray]:
    """Yields indices of jobs, widest first, with jobs x widest within CHUNK_CELLS.

    `width` (jobs,) is the count of moments that each job looks at.
    """
    order = np.argsort(width, kind="stable")
    end = len(order)
    while end > 0:
        size = max(1, CHUNK_CELLS // max(1, int(width[order[end - 1]])))
        yield order[max(0, end - size) : end]
        end -= size
