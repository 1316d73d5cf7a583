"""The k cleanest slots of a range, for very many ranges: a wavelet matrix with running sums.

Slots are told apart by their rank in cleanness. Level by level the highest bit left of the rank
sends a slot to the front (clean half) or the back; a count of those sent to the front up to each
place maps any range to its clean part in one look-up. So the sum of the k cleanest costs one
step per bit (Claude, Navarro and Ordóñez, "The wavelet matrix", 2015). Ranges are short against
the series: it is cut into overlapping blocks of at least twice their length, with fewer bits each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from carbon.planning.series import FloatArray, IntArray
from carbon.planning.slots import alike, check_slots

#: Jobs looked at in one go, so that what is kept per job stays in a core's cache.
_JOBS_AT_ONCE: Final = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class CleanestSlots:
    """One entry per job, shape (jobs,)."""

    #: Of the slots run, summed: divide by the length for the mean.
    sum_g_per_kwh: FloatArray
    #: The dirtiest slot that is run. A job runs in every slot of its range that is cleaner, or
    #: as clean and not later.
    dirtiest: IntArray


def cleanest_slots(
    g_per_kwh: npt.ArrayLike,
    earliest: npt.ArrayLike,
    latest_end: npt.ArrayLike,
    length: npt.ArrayLike,
) -> CleanestSlots:
    """The cheapest `length` slots of [earliest, latest_end) for each job that may pause.

    Arguments and errors are those of `slots.best_starts`; of equal slots the earlier is run.
    """
    grid = np.asarray(g_per_kwh, dtype=np.float64)
    first, end, run = (np.asarray(v, dtype=np.int64) for v in (earliest, latest_end, length))
    check_slots(len(grid), first, end, run)
    total, dirtiest = np.empty(len(first)), np.empty(len(first), dtype=np.int64)
    # The bits of a matrix follow its longest range: ranges of like length share one.
    size = np.frexp((end - first) * 2.0 - 1)[1].astype(np.int64)
    for alike_jobs in alike(size):
        matrix = _Matrix.of(grid, 1 << int(size[alike_jobs[0]]))
        for jobs in matrix.in_order(alike_jobs, first):
            total[jobs], dirtiest[jobs] = matrix.least(first[jobs], end[jobs], run[jobs])
    return CleanestSlots(total, dirtiest)


@dataclass(frozen=True, slots=True, eq=False)
class _Matrix:
    """Per level and block, block after block in one array."""

    #: Slots per block, a power of two, and from one block's start to the next's.
    size: int
    stride: int
    #: Slots sent to the front before each place; per level, shape (blocks * (size + 1),).
    front: list[npt.NDArray[np.int32]]
    #: Sum of the intensity before each place of the next level, same shape.
    summed: list[FloatArray]
    #: The slot at each place of the last level, shape (blocks * (size + 1),).
    slot: IntArray

    @classmethod
    def of(cls, grid: FloatArray, size: int) -> _Matrix:
        """For ranges of up to half of `size` slots, which is a power of two."""
        stride = size // 2
        blocks = max(1, -(-len(grid) // stride))
        padded = np.full((blocks - 1) * stride + size, np.inf)
        padded[: len(grid)] = grid
        values = np.lib.stride_tricks.sliding_window_view(padded, size)[::stride]
        order = np.argsort(values, axis=1, kind="stable")
        by_rank = np.take_along_axis(values, order, axis=1)
        # What was added behind the series is never run; infinite sums would spoil differences.
        by_rank[np.isinf(by_rank)] = 0.0
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(size)[None], axis=1)
        front, summed = [], []
        for bit in range(size.bit_length() - 2, -1, -1):
            to_back = (rank >> bit) & 1
            front.append(_before(1 - to_back).astype(np.int32))
            rank = _parted(rank, to_back)
            summed.append(_before(np.take_along_axis(by_rank, rank, axis=1)))
        slot = np.take_along_axis(order, rank, axis=1) + np.arange(blocks)[:, None] * stride
        return cls(size, stride, front, summed, np.pad(slot, ((0, 0), (0, 1))).ravel())

    def in_order(self, jobs: IntArray, first: IntArray) -> Iterator[IntArray]:
        """Yields `jobs` block by block, so that one block's counts are at hand for many."""
        by_block = jobs[np.argsort((first[jobs] // self.stride).astype(np.uint16), kind="stable")]
        for low in range(0, len(by_block), _JOBS_AT_ONCE):
            yield by_block[low : low + _JOBS_AT_ONCE]

    def least(self, first: IntArray, end: IntArray, run: IntArray) -> tuple[FloatArray, IntArray]:
        block = first // self.stride
        base = (block * (self.size + 1)).astype(np.int32)
        offset = block * self.stride
        low, high = (first - offset).astype(np.int32), (end - offset).astype(np.int32)
        left, half = run.astype(np.int32), np.int32(self.size // 2)
        total = np.zeros(len(first))
        for front, summed in zip(self.front, self.summed, strict=True):
            front_low, front_high = front[base + low], front[base + high]
            clean = front_high - front_low
            to_back = left > clean
            all_clean = summed[base + front_high] - summed[base + front_low]
            total += np.where(to_back, all_clean, 0.0)
            left -= np.where(to_back, clean, 0)
            low = np.where(to_back, low - front_low + half, front_low)
            high = np.where(to_back, high - front_high + half, front_high)
        # One slot is left to run and the range has come down to it.
        last = self.summed[-1]
        total += last[base + low + 1] - last[base + low]
        return total, self.slot[base + low]


def _before(amount: FloatArray | IntArray) -> FloatArray:
    """Running sums of each row with a leading 0, all rows in one array."""
    summed = np.zeros((amount.shape[0], amount.shape[1] + 1))
    np.cumsum(amount, axis=1, out=summed[:, 1:])
    return summed.ravel()


def _parted(rank: IntArray, to_back: IntArray) -> IntArray:
    """Each row with those sent to the back behind the others, both in their order."""
    half = rank.shape[1] // 2
    behind = np.cumsum(to_back, axis=1)
    place = np.where(to_back == 1, half + behind - 1, np.arange(rank.shape[1]) - behind)
    parted = np.empty_like(rank)
    np.put_along_axis(parted, place, rank, axis=1)
    return parted
