"""Of costs that are equal but for rounding the first is taken, so that nobody waits for nothing."""

from __future__ import annotations

from typing import Final

import numpy as np

from carbon.planning.series import FloatArray, IntArray

#: A gain below this share of a cost is rounding.
NEGLIGIBLE: Final = 1e-9


def first_least(cost: FloatArray, scale: FloatArray) -> IntArray:
    """For each row of `cost` (jobs, tries) the first column that is as good as the least.

    `scale` (jobs,) is a typical cost of the row, against which a gain is small.
    """
    good_enough = cost.min(axis=1) + NEGLIGIBLE * scale
    return np.asarray((cost <= good_enough[:, None]).argmax(axis=1))
